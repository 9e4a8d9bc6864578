package analysis_test

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
)

// TestBootstrapByHand draws the resamples of small groups again, in the plainest
// way: whole samples, sorted.
func TestBootstrapByHand(t *testing.T) {
	t.Parallel()
	d := dataset(t)
	delays, err := d.Delays()
	if err != nil {
		t.Fatal(err)
	}
	routeOf, err := d.RouteOf()
	if err != nil {
		t.Fatal(err)
	}
	routes, err := d.Routes()
	if err != nil {
		t.Fatal(err)
	}
	airports, err := d.Airports()
	if err != nil {
		t.Fatal(err)
	}
	for _, statistic := range analysis.Statistics() {
		q := analysis.Query{
			Group: "destination", Statistic: statistic.Name, Resamples: 300, Confidence: 0.9, Seed: 99,
			Filter: analysis.Filter{Origins: []string{"BOS"}}, Limit: 5,
		}
		for _, g := range run(t, q).Groups {
			var own []int16
			for row, r := range routeOf {
				if airports[routes[r].Origin].Code == "BOS" && airports[routes[r].Destination].Code == g.Code {
					own = append(own, delays[row])
				}
			}
			h := fnv.New64a()
			h.Write([]byte(g.Code))
			random := rand.New(rand.NewPCG(99, h.Sum64()))
			estimates := make([]float64, 300)
			for i := range estimates {
				sample := make([]int16, len(own))
				for j := range sample {
					sample[j] = own[random.Uint32N(uint32(len(own)))]
				}
				estimates[i] = plain(statistic.Name, sample)
			}
			slices.Sort(estimates)
			// 300 estimates at 0.9: the 15th, and the 285th, from below.
			if g.Flights != len(own) || !near(g.Low, estimates[14]) || !near(g.High, estimates[284]) || !near(g.Estimate, plain(statistic.Name, own)) {
				t.Errorf("%s: %+v, want %v (%v to %v)", statistic.Name, g, plain(statistic.Name, own), estimates[14], estimates[284])
			}
		}
	}
}

func plain(statistic string, values []int16) float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	sum, late := 0, 0
	for _, v := range values {
		sum += int(v)
		if v >= 15 {
			late++
		}
	}
	n := len(values)
	switch statistic {
	case "mean_delay":
		return float64(sum) / float64(n)
	case "median_delay":
		return float64(values[(n+1)/2-1])
	case "p90_delay":
		return float64(values[(9*n+9)/10-1])
	}
	return 100 * float64(late) / float64(n)
}

// TestIntervalsAreNormal: with thousands of flights a mean is nearly normal, so
// its interval is what the standard error says.
func TestIntervalsAreNormal(t *testing.T) {
	t.Parallel()
	r := run(t, analysis.Query{Group: "month", Statistic: "late_share", Resamples: 1000, Filter: analysis.Filter{Origins: []string{"BOS"}}})
	if len(r.Groups) != 6 {
		t.Errorf("%d months, want 6", len(r.Groups))
	}
	for _, g := range r.Groups {
		share := g.Estimate / 100
		half := 196 * math.Sqrt(share*(1-share)/float64(g.Flights))
		if math.Abs(g.Estimate-g.Low-half) > half/5 || math.Abs(g.High-g.Estimate-half) > half/5 {
			t.Errorf("%+v, want half an interval of %v", g, half)
		}
	}
}

func TestDeterministic(t *testing.T) {
	t.Parallel()
	q := analysis.Query{Group: "origin", Statistic: "mean_delay", Resamples: 100, Limit: 4, Seed: 7, Filter: analysis.Filter{Destinations: []string{"BOS", "JFK", "ORD"}}}
	first := run(t, q)
	if again := run(t, q); !reflect.DeepEqual(intervals(first), intervals(again)) {
		t.Error("the same query gave another result")
	}
	q.Seed = 8
	other := run(t, q)
	for code, g := range intervals(first) {
		o := intervals(other)[code]
		if g.Estimate != o.Estimate || g.Low == o.Low || g.High == o.High {
			t.Errorf("another seed: %+v became %+v, want another interval of the same estimate", g, o)
		}
	}
	q.Seed, q.Limit = 7, 8
	more := intervals(run(t, q))
	for code, g := range intervals(first) {
		if more[code] != g {
			t.Errorf("more groups: %+v became %+v", g, more[code])
		}
	}
}

func intervals(r *analysis.Result) map[string]analysis.Group {
	all := map[string]analysis.Group{}
	for _, g := range r.Groups {
		all[g.Code] = g
	}
	return all
}

func TestOrderAndOmitted(t *testing.T) {
	t.Parallel()
	r, err := analysis.Estimate(dataset(t), analysis.Query{Group: "origin", Statistic: "late_share", Limit: 10, MinFlights: 1000})
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for i, g := range r.Groups {
		shown += g.Flights
		if i > 0 && g.Estimate > r.Groups[i-1].Estimate {
			t.Errorf("%s comes after a smaller estimate", g.Code)
		}
	}
	if len(r.Groups) != 10 || r.Small.Groups == 0 || r.Beyond.Groups == 0 {
		t.Errorf("%d groups, small %+v, beyond %+v", len(r.Groups), r.Small, r.Beyond)
	}
	if all := shown + r.Small.Flights + r.Beyond.Flights; all != r.Flights {
		t.Errorf("%d flights in groups shown or not, want %d", all, r.Flights)
	}
	if total := len(r.Groups) + r.Small.Groups + r.Beyond.Groups; total != 229 {
		t.Errorf("%d groups, want 229", total)
	}
	if r.Draws != int64(shown) {
		t.Errorf("%d draws, want %d", r.Draws, shown)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var last analysis.Progress
	stages, calls := "", 0
	r, err := analysis.Run(context.Background(), dataset(t), analysis.Query{
		Group: "weekday", Statistic: "mean_delay", Resamples: 300, Filter: analysis.Filter{Origins: []string{"DFW", "ORD"}},
	}, func(p analysis.Progress) {
		calls++
		if p.Stage != last.Stage {
			stages += p.Stage + " "
		}
		if p.Share < last.Share || p.RowsDone < last.RowsDone || p.GroupsDone < last.GroupsDone || p.ResamplesDone < last.ResamplesDone {
			t.Errorf("progress fell from %+v to %+v", last, p)
		}
		if p.Share < 0 || p.Share > 1 || p.RowsDone > p.RowsTotal || p.ResamplesDone > p.ResamplesTotal {
			t.Errorf("progress out of bounds: %+v", p)
		}
		last = p
	})
	if err != nil {
		t.Fatal(err)
	}
	want := analysis.Progress{
		Stage: "done", RowsDone: 500_000, RowsTotal: 500_000, GroupsDone: 7, GroupsTotal: 7, ResamplesDone: 2100, ResamplesTotal: 2100, Share: 1,
	}
	if last != want || stages != "read resample done " {
		t.Errorf("ended with %+v after %s, want %+v", last, stages, want)
	}
	if calls < int(r.Draws/(1<<20)) {
		t.Errorf("%d reports for %d draws", calls, r.Draws)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	cause := errors.New("the client gave up")
	for _, stage := range []string{"read", "resample"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			after := 0
			r, err := analysis.Run(ctx, dataset(t), analysis.Query{Group: "month", Statistic: "p90_delay", Resamples: 10_000}, func(p analysis.Progress) {
				if ctx.Err() != nil {
					after++
				}
				if p.Stage == stage && p.RowsDone > 0 {
					cancel(cause)
				}
			})
			if r != nil || !errors.Is(err, cause) {
				t.Errorf("got %v, %v, want the cause of the cancellation", r, err)
			}
			// No more than one chunk of rows or 1<<20 draws are worked off after it.
			if after > 0 {
				t.Errorf("%d reports after the cancellation", after)
			}
		})
	}
}

func TestNothingMatches(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		q    analysis.Query
		path string
	}{
		"airport":    {analysis.Query{Filter: analysis.Filter{Origins: []string{"BOS", "XXX", "ord"}}}, "filter.origins[1]: unknown airport \"XXX\"; filter.origins[2]: unknown airport \"ord\""},
		"to":         {analysis.Query{Filter: analysis.Filter{Destinations: []string{strings.Repeat("é", 99)}}}, "filter.destinations[0]: unknown airport \"" + strings.Repeat("é", 40) + "…\""},
		"dates":      {analysis.Query{Filter: analysis.Filter{From: "2030-01-01"}}, "filter: no flight matches"},
		"ages ago":   {analysis.Query{Filter: analysis.Filter{To: "0001-01-01"}}, "filter: no flight matches"},
		"in ages":    {analysis.Query{Filter: analysis.Filter{From: "9999-12-31", To: "9999-12-31"}}, "filter: no flight matches"},
		"miles":      {analysis.Query{Filter: analysis.Filter{MinMiles: 19_000}}, "filter: no flight matches"},
		"min_flight": {analysis.Query{MinFlights: 90_000}, "min_flights: no group has that many flights"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.q.Group, test.q.Statistic = "origin", "mean_delay"
			_, err := analysis.Run(context.Background(), dataset(t), test.q, func(analysis.Progress) {})
			var problems analysis.Problems
			if !errors.As(err, &problems) || err.Error() != test.path {
				t.Errorf("got %v, want %s", err, test.path)
			}
		})
	}
}
