package document

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
)

// figure is a number at the head of the report.
type figure struct{ Label, Value, Note string }

func figures(r *analysis.Result) []figure {
	highest, lowest := extremes(r.Groups)
	all := []figure{
		{"Flights", number(r.Flights), days(r)},
		{"All flights", value(r.Statistic, r.Overall), r.Statistic.Label},
	}
	if len(r.Groups) > 1 {
		all = append(all,
			figure{"Highest", value(r.Statistic, highest.Estimate), name(highest)},
			figure{"Lowest", value(r.Statistic, lowest.Estimate), name(lowest)})
	}
	return all
}

func extremes(groups []analysis.Group) (highest, lowest analysis.Group) {
	highest, lowest = groups[0], groups[0]
	for _, g := range groups {
		if g.Estimate > highest.Estimate {
			highest = g
		}
		if g.Estimate < lowest.Estimate {
			lowest = g
		}
	}
	return highest, lowest
}

// name is how a sentence calls a group.
func name(g analysis.Group) string {
	switch {
	case g.Text == "":
		return g.Code
	case strings.HasPrefix(g.Text, "to "): // an hour
		return g.Code + " " + g.Text
	case strings.HasPrefix(g.Code, "20"): // a month
		return g.Text
	}
	return g.Text + " (" + g.Code + ")"
}

func days(r *analysis.Result) string {
	if r.From.Equal(r.To) {
		return r.From.Format("2 January 2006")
	}
	return r.From.Format("2 January 2006") + " to " + r.To.Format("2 January 2006")
}

// findings says in words what the chart shows.
func findings(r *analysis.Result) string {
	highest, lowest := extremes(r.Groups)
	if len(r.Groups) == 1 {
		return fmt.Sprintf("%s: %s (%s).", name(highest), value(r.Statistic, highest.Estimate), interval(r, highest))
	}
	above, below := 0, 0
	for _, g := range r.Groups {
		if g.Low > r.Overall {
			above++
		}
		if g.High < r.Overall {
			below++
		}
	}
	text := fmt.Sprintf("%s has the highest %s, %s (%s); %s has the lowest, %s (%s). Of the %d groups shown, %d lie above the figure for all flights and %d below it by more than their interval",
		capital(name(highest)), r.Statistic.Label, value(r.Statistic, highest.Estimate), interval(r, highest),
		name(lowest), value(r.Statistic, lowest.Estimate), interval(r, lowest), len(r.Groups), above, below)
	if open := len(r.Groups) - above - below; open > 0 {
		return fmt.Sprintf("%s; for the other %d the data do not tell.", text, open)
	}
	return text + "."
}

func interval(r *analysis.Result, g analysis.Group) string {
	return fmt.Sprintf("%s interval %s to %s", percent(r.Query.Confidence), plain(r.Statistic, g.Low), plain(r.Statistic, g.High))
}

func alt(r *analysis.Result) string {
	highest, lowest := extremes(r.Groups)
	return fmt.Sprintf("One row for each of %d groups, with a point for the estimate and a line for its interval, from %s for %s up to %s for %s. The table below has the same numbers.",
		len(r.Groups), value(r.Statistic, lowest.Estimate), lowest.Code, value(r.Statistic, highest.Estimate), highest.Code)
}

// filters says which flights count, one condition each.
func filters(r *analysis.Result) []string {
	f := r.Query.Filter
	var all []string
	if f.From != "" || f.To != "" {
		all = append(all, "departed "+span(readable(f.From), readable(f.To), "from", "until"))
	}
	if len(f.Origins) > 0 {
		all = append(all, "from "+strings.Join(f.Origins, ", "))
	}
	if len(f.Destinations) > 0 {
		all = append(all, "to "+strings.Join(f.Destinations, ", "))
	}
	if f.MinMiles > 0 || f.MaxMiles > 0 {
		all = append(all, span(miles(f.MinMiles), miles(f.MaxMiles), "at least", "at most"))
	}
	return all
}

func span(low, high, atLeast, atMost string) string {
	switch {
	case low == "":
		return atMost + " " + high
	case high == "":
		return atLeast + " " + low
	}
	return low + " to " + high
}

func readable(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.Format("2 January 2006")
}

func miles(n int) string {
	if n == 0 {
		return ""
	}
	return number(n) + " miles"
}

// notes tells how the numbers came about, for a reader who wants to check them.
func notes(r *analysis.Result) []string {
	all := []string{definition(r)}
	all = append(all, fmt.Sprintf("Intervals are percentile bootstrap intervals at a level of %s: from each group, as many flights as it has were drawn at random with replacement, %s times (%s draws in all); the interval spans the middle %s of the resulting figures. Random numbers come from the PCG generator with seed %d, so the same request gives the same report.",
		percent(r.Query.Confidence), number(r.Query.Resamples), number(r.Draws), percent(r.Query.Confidence), r.Query.Seed))
	if r.Source > r.Rows {
		all = append(all, fmt.Sprintf("The flights are a random sample of %s out of %s in the source file. Cancelled and diverted flights are not in it.", number(r.Rows), number(r.Source)))
	}
	if r.Beyond.Groups > 0 {
		all = append(all, fmt.Sprintf("Shown: the %s with the most flights. Not shown: %s, with %s.", count(len(r.Groups), "group"), count(r.Beyond.Groups, "group"), count(r.Beyond.Flights, "flight")))
	}
	if r.Small.Groups > 0 {
		all = append(all, fmt.Sprintf("Left out for having fewer than %s flights: %s, with %s in all.", number(r.Query.MinFlights), count(r.Small.Groups, "group"), count(r.Small.Flights, "flight")))
	}
	return append(all, "Times are departures from the gate, local to the airport of origin. Intervals of single groups are not corrected for their number: of many groups, a few will stand out by chance.")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

func definition(r *analysis.Result) string {
	const delay = "Arrival delay is the actual minus the scheduled arrival at the gate, in minutes; early arrivals count as negative."
	switch r.Statistic.Name {
	case "late_share":
		return fmt.Sprintf("A flight is late when it reaches the gate %d minutes or more after its scheduled time.", r.Query.LateMinutes)
	case "median_delay":
		return delay + " The median is the smallest delay that half of the flights do not exceed."
	case "p90_delay":
		return delay + " The 90th percentile is the smallest delay that nine of ten flights do not exceed."
	}
	return delay
}
