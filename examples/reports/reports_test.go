package reports

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/streamer-go/streamer/examples/reports/data"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/wire"
)

var shared = sync.OnceValue(func() *service { return &service{dataset: sync.OnceValues(data.Open)} })

func quiet(streamer.Progress) {}

// TestGenerate makes a report and looks at it as a client would.
func TestGenerate(t *testing.T) {
	t.Parallel()
	var seen []streamer.Progress
	in := ReportIn{Title: "Boston & New York <2001>", Group: "origin", Statistic: "late_share", Filter: Filter{Origins: []string{"BOS", "JFK"}}, Resamples: 500}
	out, err := shared().report(context.Background(), in, func(p streamer.Progress) { seen = append(seen, p) })
	if err != nil {
		t.Fatal(err)
	}
	if out.Title != in.Title || out.Groups != 2 || out.Flights < 10_000 || out.Draws != int64(out.Flights)*500 {
		t.Errorf("got %s with %d groups, %d flights, %d draws", out.Title, out.Groups, out.Flights, out.Draws)
	}
	if !strings.Contains(out.HTML, "Boston &amp; New York &lt;2001&gt;") {
		t.Error("the title is not escaped, or not there")
	}
	if lines := strings.Count(out.CSV, "\r\n"); lines != 3 {
		t.Errorf("%d lines of CSV, want 3", lines)
	}
	last := -1.0
	for _, p := range seen {
		if p.Percentage < last || p.Percentage > 99 || p.Message == "" {
			t.Errorf("progress %+v after %v", p, last)
		}
		last = p.Percentage
		if content, err := json.Marshal(p.Metadata); err != nil || len(content) > 4096 || !strings.Contains(string(content), `"rows_total":500000`) {
			t.Errorf("metadata %s, %v", content, err)
		}
	}
	if last != 99 || seen[len(seen)-1].Message != "Writing the report" {
		t.Errorf("ended with %+v", seen[len(seen)-1])
	}

	again, err := shared().report(context.Background(), in, quiet)
	if err != nil || again != out {
		t.Errorf("the same request gave another report, %v", err)
	}
}

// TestSize makes the largest report that can be asked for.
func TestSize(t *testing.T) {
	t.Parallel()
	s := shared()
	columns, err := s.columns(context.Background(), ColumnsIn{})
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for code := range columns.Airports {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	busy := []string{"ATL", "BOS", "CLT", "CVG", "DCA", "DEN", "DFW", "DTW", "EWR", "IAH", "JFK", "LAS", "LAX", "LGA", "MCO", "MDW", "MSP", "ORD", "PHL", "PHX", "PIT", "SEA", "SFO", "SLC", "STL"}
	for _, code := range codes {
		if len(busy) < 50 && !slices.Contains(busy, code) {
			busy = append(busy, code)
		}
	}
	largest := 0
	defer func() { t.Logf("largest: %d bytes", largest) }()
	for _, group := range columns.Groups {
		for _, statistic := range columns.Statistics {
			in := ReportIn{
				Title: strings.Repeat("<\"&'>", 24), Group: group.Name, Statistic: statistic.Name, MinFlights: 2, Resamples: 100, Confidence: 0.951, Seed: 1<<53 - 1,
				Filter: Filter{From: "2001-01-01", To: "2001-01-14", Origins: busy, Destinations: busy, MinMiles: 100, MaxMiles: 4000},
			}
			if group.Limited {
				in.Limit = 40
			}
			if err := in.Validate(); err != nil {
				t.Fatal(err)
			}
			out, err := s.report(context.Background(), in, quiet)
			if err != nil {
				t.Fatal(err)
			}
			content, err := json.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, len(content))
			if len(content) >= 100_000 {
				t.Errorf("%s by %s: %d bytes of JSON", statistic.Name, group.Name, len(content))
			}
			if group.Limited && out.Groups != 40 {
				t.Errorf("%s by %s: %d groups, want 40", statistic.Name, group.Name, out.Groups)
			}
			wellFormed(t, out.HTML)
		}
	}
}

func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
	}
}

func paths(t *testing.T, err error) string {
	t.Helper()
	var known *streamer.Error
	if !errors.As(err, &known) || known.Code != wire.CodeValidation || known.Retryable {
		t.Fatalf("got %v, want a validation error that is not retried", err)
	}
	all := make([]string, len(known.Details))
	for i, d := range known.Details {
		all[i] = d.Path
	}
	return strings.Join(all, " ")
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	good := ReportIn{Group: "month", Statistic: "mean_delay"}
	for name, test := range map[string]struct {
		change func(*ReportIn)
		want   string
	}{
		"long title":    {func(in *ReportIn) { in.Title = strings.Repeat("x", 121) }, "payload.title"},
		"control":       {func(in *ReportIn) { in.Title = "a\x00b" }, "payload.title"},
		"not UTF-8":     {func(in *ReportIn) { in.Title = "\xff" }, "payload.title"},
		"group":         {func(in *ReportIn) { in.Group = "airline" }, "payload.group"},
		"filter":        {func(in *ReportIn) { in.Filter.From = "1.1.2001" }, "payload.filter.from"},
		"several":       {func(in *ReportIn) { in.Title, in.Statistic, in.Confidence = "\n", "", 2 }, "payload.title payload.statistic payload.confidence"},
		"unknown place": {func(in *ReportIn) { in.Filter.Origins = []string{"BOS", "XYZ"} }, "payload.filter.origins[1]"},
		"no flights":    {func(in *ReportIn) { in.Filter.From = "2002-01-01" }, "payload.filter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := good
			test.change(&in)
			err := in.Validate()
			if err == nil {
				_, err = shared().report(context.Background(), in, quiet)
			}
			if got := paths(t, err); got != test.want {
				t.Errorf("problems with %q, want %q", got, test.want)
			}
		})
	}
	if err := good.Validate(); err != nil {
		t.Errorf("a good request is refused: %v", err)
	}
	if _, err := shared().summary(context.Background(), SummaryIn{Airport: "XYZ"}); paths(t, err) != "payload.airport" {
		t.Errorf("got %v", err)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(context.Background())
	_, err := shared().report(ctx, ReportIn{Group: "hour", Statistic: "mean_delay", Resamples: 10_000}, func(p streamer.Progress) {
		if p.Percentage > 0.5 {
			cancel(streamer.ErrCancelled)
		}
	})
	if !errors.Is(err, streamer.ErrCancelled) {
		t.Errorf("got %v, want the cause of the cancellation", err)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	all, err := shared().summary(context.Background(), SummaryIn{})
	if err != nil {
		t.Fatal(err)
	}
	if all.Flights != 500_000 || all.From != "2001-01-01" || all.To != "2001-07-01" || all.MeanDelay != 6.683 || all.LateShare != 20.866 || all.Airport != nil || len(all.Busiest) != 10 {
		t.Errorf("got %+v", all)
	}
	one, err := shared().summary(context.Background(), SummaryIn{Airport: "BOS"})
	if err != nil {
		t.Fatal(err)
	}
	if one.Airport == nil || one.Airport.City != "Boston" || one.Flights != one.Airport.Flights || one.Flights >= all.Flights || one.Rows != all.Rows {
		t.Errorf("got %+v", one)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	out, err := shared().columns(context.Background(), ColumnsIn{})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Airports) != 229 || out.Airports["BOS"] != "Boston, MA" || len(out.Groups) != 7 || len(out.Statistics) != 4 {
		t.Errorf("got %d airports, BOS in %s, %d groups, %d statistics", len(out.Airports), out.Airports["BOS"], len(out.Groups), len(out.Statistics))
	}
	for _, g := range out.Groups {
		for _, s := range out.Statistics {
			if err := (ReportIn{Group: g.Name, Statistic: s.Name}).Validate(); err != nil {
				t.Errorf("%s by %s is offered and refused: %v", s.Name, g.Name, err)
			}
		}
	}
}

// TestDecode gives the payload of the README to the decoder that the runtime uses.
func TestDecode(t *testing.T) {
	t.Parallel()
	payload := `{"title":"Winter in Boston","group":"hour","statistic":"late_share","late_minutes":30,
		"filter":{"from":"2001-01-01","to":"2001-03-31","origins":["BOS"],"destinations":["ORD","LGA"],"min_miles":100,"max_miles":900},
		"min_flights":50,"resamples":2000,"confidence":0.9,"seed":42}`
	var in ReportIn
	if err := wire.Decode(json.RawMessage(payload), &in); err != nil {
		t.Fatal(err)
	}
	if err := in.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := wire.Decode(json.RawMessage(`{"group":"hour","statistic":"late_share","filter":{"origin":["BOS"]}}`), &in); err == nil || err.Details[0].Path != "payload.filter.origin" {
		t.Errorf("got %v, want the path of the unknown field", err)
	}
}

// TestApp registers the actions, which panics when one is wrong.
func TestApp(t *testing.T) {
	t.Parallel()
	if App() == nil {
		t.Error("no app")
	}
}

func BenchmarkSummary(b *testing.B) {
	s := shared()
	for b.Loop() {
		if _, err := s.summary(context.Background(), SummaryIn{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		if _, err := shared().report(context.Background(), ReportIn{Group: "origin", Statistic: "mean_delay"}, quiet); err != nil {
			b.Fatal(err)
		}
	}
}
