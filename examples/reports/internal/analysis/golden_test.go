package analysis_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"sync"
	"testing"

	"github.com/streamer-go/streamer/examples/reports/data"
	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// vendored opens the archive once for all tests, as a program does.
var vendored = sync.OnceValues(data.Open)

func dataset(t testing.TB) *flights.Dataset {
	t.Helper()
	d, err := vendored()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func run(t testing.TB, q analysis.Query) *analysis.Result {
	t.Helper()
	r, err := analysis.Run(context.Background(), dataset(t), q, func(analysis.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type goldenGroup struct {
	Flights     int     `json:"flights"`
	MeanDelay   float64 `json:"mean_delay"`
	MedianDelay float64 `json:"median_delay"`
	P90Delay    float64 `json:"p90_delay"`
	LateShare   float64 `json:"late_share"`
}

func (g goldenGroup) statistic(name string) float64 {
	return map[string]float64{
		"mean_delay": g.MeanDelay, "median_delay": g.MedianDelay, "p90_delay": g.P90Delay, "late_share": g.LateShare,
	}[name]
}

func golden(t *testing.T) map[string]map[string]goldenGroup {
	t.Helper()
	content, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g map[string]map[string]goldenGroup
	if err := json.Unmarshal(content, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a)) }

// TestGolden compares counts and estimates of every grouping and statistic with
// those of testdata/golden.py, a computation of its own.
func TestGolden(t *testing.T) {
	t.Parallel()
	all := golden(t)
	queries := map[string]analysis.Query{
		"filtered": {Group: "destination", Limit: 40, Filter: analysis.Filter{
			From: "2001-02-10", To: "2001-03-20", Origins: []string{"ORD", "BOS"}, MinMiles: 300, MaxMiles: 1000,
		}},
	}
	for _, g := range analysis.Groupings() {
		queries[g.Name] = analysis.Query{Group: g.Name}
		if !g.Ordered {
			queries[g.Name] = analysis.Query{Group: g.Name, Limit: 12}
		}
	}
	for name, q := range queries {
		for _, statistic := range analysis.Statistics() {
			q := q
			q.Statistic = statistic.Name
			t.Run(name+"/"+statistic.Name, func(t *testing.T) {
				t.Parallel()
				r, err := analysis.Estimate(dataset(t), q)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Groups) != len(all[name]) {
					t.Errorf("%d groups, want %d", len(r.Groups), len(all[name]))
				}
				for _, g := range r.Groups {
					want, ok := all[name][g.Code]
					if !ok || g.Flights != want.Flights || !near(g.Estimate, want.statistic(statistic.Name)) {
						t.Errorf("group %+v, want %+v", g, want)
					}
				}
				if want := all["all"]["all"]; name != "filtered" && (r.Flights != want.Flights || !near(r.Overall, want.statistic(statistic.Name))) {
					t.Errorf("all flights: %d, %v, want %+v", r.Flights, r.Overall, want)
				}
			})
		}
	}
}

func TestSummaryGolden(t *testing.T) {
	t.Parallel()
	all := golden(t)
	s, err := analysis.Summarize(dataset(t), "")
	if err != nil {
		t.Fatal(err)
	}
	want := all["all"]["all"]
	if s.Flights != want.Flights || !near(s.MeanDelay, want.MeanDelay) || s.MedianDelay != want.MedianDelay || s.P90Delay != want.P90Delay || !near(s.LateShare, want.LateShare) {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if s.Airports != 229 || s.Routes != 3365 || s.First.Format("0102") != "0101" || s.Last.Format("0102") != "0701" {
		t.Errorf("got %+v", s)
	}
	if len(s.Busiest) != 10 {
		t.Fatalf("%d busiest airports, want 10", len(s.Busiest))
	}
	for i, b := range s.Busiest {
		if g := all["origin"][b.Airport.Code]; g.Flights != b.Flights {
			t.Errorf("busiest %d: %+v, want %d flights", i, b, g.Flights)
		}
	}

	one, err := analysis.Summarize(dataset(t), "BOS")
	if err != nil {
		t.Fatal(err)
	}
	from := run(t, analysis.Query{Group: "origin", Statistic: "mean_delay", Resamples: 100, Filter: analysis.Filter{Origins: []string{"BOS"}}})
	to := run(t, analysis.Query{Group: "destination", Statistic: "mean_delay", Resamples: 100, Filter: analysis.Filter{Destinations: []string{"BOS"}}})
	if one.Flights != from.Flights+to.Flights || one.Airport.City != "Boston" {
		t.Errorf("BOS: %+v, want %d departures and %d arrivals", one, from.Flights, to.Flights)
	}
	if mean := (from.Overall*float64(from.Flights) + to.Overall*float64(to.Flights)) / float64(one.Flights); !near(one.MeanDelay, mean) {
		t.Errorf("BOS: mean delay %v, want %v", one.MeanDelay, mean)
	}
	for _, b := range one.Busiest {
		if b.Airport.Code == "BOS" {
			t.Error("BOS is at the other end of its own flights")
		}
	}
}
