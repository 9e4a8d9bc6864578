package reports

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
	"github.com/streamer-go/streamer/examples/reports/internal/document"
	streamer "github.com/streamer-go/streamer/runtime"
)

// ReportIn asks for a report. A field that is left out has its default.
type ReportIn struct {
	// Title of the report, at most 120 bytes of printable text. Default: what the
	// report is about.
	Title string `json:"title,omitempty"`
	// Group is origin, destination, route, distance, month, weekday or hour.
	Group string `json:"group"`
	// Statistic is mean_delay, median_delay, p90_delay or late_share.
	Statistic string `json:"statistic"`
	// LateMinutes is the delay from which a flight counts as late, for late_share:
	// 1 to 240, default 15.
	LateMinutes int `json:"late_minutes,omitempty"`
	// Filter says which flights count. Default: all.
	Filter Filter `json:"filter,omitzero"`
	// Limit is how many groups are shown, those with the most flights: 1 to 40,
	// default 20. Only for origin, destination and route.
	Limit int `json:"limit,omitempty"`
	// MinFlights is how many flights a group must have: 2 to 100 000, default 30.
	MinFlights int `json:"min_flights,omitempty"`
	// Resamples is the number of bootstrap resamples: 100 to 10 000, default 2000.
	// The time that a report takes is in proportion to it.
	Resamples int `json:"resamples,omitempty"`
	// Confidence is the level of the intervals: 0.5 to 0.999, default 0.95.
	Confidence float64 `json:"confidence,omitempty"`
	// Seed of the random numbers: 0 (default) to 2^53-1. The same payload gives the
	// same report, byte for byte.
	Seed int64 `json:"seed,omitempty"`
}

// Filter says which flights count.
type Filter struct {
	// From and To are days of departure, such as 2001-01-31, both included.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Origins and Destinations are airport codes, at most 50 each. Default: all.
	Origins      []string `json:"origins,omitempty"`
	Destinations []string `json:"destinations,omitempty"`
	// MinMiles and MaxMiles bound the distance, both included. Default: no bound.
	MinMiles int `json:"min_miles,omitempty"`
	MaxMiles int `json:"max_miles,omitempty"`
}

// ReportOut is a finished report. As JSON it is under 100 KB, whatever was asked.
type ReportOut struct {
	Title string `json:"title"`
	// HTML is the report as one page that loads nothing: save it, print it.
	HTML string `json:"html"`
	// CSV has the numbers of the report.
	CSV string `json:"csv"`
	// Flights that were counted, Groups that are shown, and Draws: how many flights
	// were drawn at random for the intervals.
	Flights int   `json:"flights"`
	Groups  int   `json:"groups"`
	Draws   int64 `json:"draws"`
}

// Validate finds what is wrong with the request, all at once. Airports are looked
// up when the report is made.
func (in ReportIn) Validate() error {
	var problems analysis.Problems
	if reason := badTitle(in.Title); reason != "" {
		problems = append(problems, analysis.Problem{Path: "title", Reason: reason})
	}
	if more, ok := in.query().Check().(analysis.Problems); ok { //nolint:errorlint // Check wraps nothing
		problems = append(problems, more...)
	}
	if len(problems) == 0 {
		return nil
	}
	return refused(problems)
}

func badTitle(title string) string {
	switch {
	case len(title) > document.MaxTitle:
		return fmt.Sprintf("%d bytes, at most %d", len(title), document.MaxTitle)
	case !utf8.ValidString(title), strings.ContainsFunc(title, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has characters that cannot be printed"
	}
	return ""
}

func (in ReportIn) query() analysis.Query {
	return analysis.Query{
		Group: in.Group, Statistic: in.Statistic, LateMinutes: in.LateMinutes, Filter: analysis.Filter(in.Filter),
		Limit: in.Limit, MinFlights: in.MinFlights, Resamples: in.Resamples, Confidence: in.Confidence, Seed: in.Seed,
	}
}

// generate makes a report. It ends soon after ctx does.
func (s *service) generate(ctx context.Context, task *streamer.Task, in ReportIn) (ReportOut, error) {
	return s.report(ctx, in, task.Progress)
}

// report is generate without its task. A request for a report changes nothing,
// so that attempts may repeat.
func (s *service) report(ctx context.Context, in ReportIn, progress func(streamer.Progress)) (ReportOut, error) {
	d, err := s.open()
	if err != nil {
		return ReportOut{}, err
	}
	result, err := analysis.Run(ctx, d, in.query(), func(p analysis.Progress) { progress(describe(p)) })
	if err != nil {
		return ReportOut{}, refused(err)
	}
	html, err := document.HTML(result, in.Title)
	if err != nil {
		return ReportOut{}, streamer.Permanent(err)
	}
	csv, err := document.CSV(result)
	if err != nil {
		return ReportOut{}, streamer.Permanent(err)
	}
	out := ReportOut{
		Title: in.Title, HTML: string(html), CSV: string(csv),
		Flights: result.Flights, Groups: len(result.Groups), Draws: result.Draws,
	}
	if out.Title == "" {
		out.Title = document.Title(result)
	}
	return out, nil
}

// describe puts progress into words. The last percent is for the documents.
func describe(p analysis.Progress) streamer.Progress {
	message := "Reading flights"
	switch p.Stage {
	case "resample":
		message = fmt.Sprintf("Estimating %s, group %d of %d", p.Group, min(p.GroupsDone+1, p.GroupsTotal), p.GroupsTotal)
	case "done":
		message = "Writing the report"
	}
	return streamer.Progress{
		Percentage: 99 * p.Share,
		Message:    message,
		Metadata: map[string]any{
			"rows_done": p.RowsDone, "rows_total": p.RowsTotal,
			"groups_done": p.GroupsDone, "groups_total": p.GroupsTotal,
			"resamples_done": p.ResamplesDone, "resamples_total": p.ResamplesTotal,
		},
	}
}
