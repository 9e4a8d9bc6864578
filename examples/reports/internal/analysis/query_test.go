package analysis_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	good := analysis.Query{Group: "origin", Statistic: "late_share"}
	for name, test := range map[string]struct {
		change func(*analysis.Query)
		paths  string
	}{
		"defaults":        {func(*analysis.Query) {}, ""},
		"everything":      {everything, ""},
		"no group":        {func(q *analysis.Query) { q.Group = "" }, "group"},
		"unknown group":   {func(q *analysis.Query) { q.Group = "airline" }, "group"},
		"statistic":       {func(q *analysis.Query) { q.Statistic = "mode" }, "statistic"},
		"late low":        {func(q *analysis.Query) { q.LateMinutes = -1 }, "late_minutes"},
		"late high":       {func(q *analysis.Query) { q.LateMinutes = 241 }, "late_minutes"},
		"late of a mean":  {func(q *analysis.Query) { q.Statistic, q.LateMinutes = "mean_delay", 15 }, "late_minutes"},
		"limit":           {func(q *analysis.Query) { q.Limit = 41 }, "limit"},
		"limit of months": {func(q *analysis.Query) { q.Group, q.Limit = "month", 3 }, "limit"},
		"min_flights":     {func(q *analysis.Query) { q.MinFlights = 1 }, "min_flights"},
		"few resamples":   {func(q *analysis.Query) { q.Resamples = 99 }, "resamples"},
		"many resamples":  {func(q *analysis.Query) { q.Resamples = 10_001 }, "resamples"},
		"low confidence":  {func(q *analysis.Query) { q.Confidence = 0.49 }, "confidence"},
		"high confidence": {func(q *analysis.Query) { q.Confidence = 1 }, "confidence"},
		"no confidence":   {func(q *analysis.Query) { q.Confidence = math.NaN() }, "confidence"},
		"too few for it":  {func(q *analysis.Query) { q.Resamples, q.Confidence = 1999, 0.999 }, "resamples"},
		"just enough":     {func(q *analysis.Query) { q.Resamples, q.Confidence = 2000, 0.999 }, ""},
		"seed":            {func(q *analysis.Query) { q.Seed = 1 << 53 }, "seed"},
		"negative seed":   {func(q *analysis.Query) { q.Seed = -1 }, "seed"},
		"from":            {func(q *analysis.Query) { q.Filter.From = "2001-02-30" }, "filter.from"},
		"order of days":   {func(q *analysis.Query) { q.Filter.From, q.Filter.To = "2001-02-02", "2001-02-01" }, "filter.to"},
		"airports":        {func(q *analysis.Query) { q.Filter.Destinations = make([]string, 51) }, "filter.destinations"},
		"miles":           {func(q *analysis.Query) { q.Filter.MinMiles, q.Filter.MaxMiles = 600, 500 }, "filter.max_miles"},
		"negative miles":  {func(q *analysis.Query) { q.Filter.MinMiles = -5 }, "filter.min_miles"},
		"all at once": {func(q *analysis.Query) {
			*q = analysis.Query{Limit: 99, Resamples: 1, Seed: -1, Filter: analysis.Filter{From: "x", To: "y"}}
		}, "group statistic limit resamples resamples seed filter.from filter.to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := good
			test.change(&q)
			var paths []string
			if err := q.Check(); err != nil {
				for _, p := range err.(analysis.Problems) {
					paths = append(paths, p.Path)
					if p.Reason == "" || len(p.Reason) > 200 {
						t.Errorf("%s: reason %q", p.Path, p.Reason)
					}
				}
			}
			if got := strings.Join(paths, " "); got != test.paths {
				t.Errorf("problems with %q, want %q", got, test.paths)
			}
		})
	}
}

func everything(q *analysis.Query) {
	*q = analysis.Query{
		Group: "route", Statistic: "late_share", LateMinutes: 240, Limit: 40, MinFlights: 2, Resamples: 10_000, Confidence: 0.999, Seed: analysis.MaxSeed,
		Filter: analysis.Filter{From: "2001-01-01", To: "2001-01-01", Origins: []string{"BOS"}, Destinations: []string{"ORD"}, MinMiles: 100, MaxMiles: 100},
	}
}

func TestRunChecks(t *testing.T) {
	t.Parallel()
	_, err := analysis.Run(context.Background(), dataset(t), analysis.Query{Group: "origin"}, func(analysis.Progress) { t.Error("work was begun") })
	if err == nil || !strings.HasPrefix(err.Error(), "statistic: required") {
		t.Errorf("got %v, want a problem with the statistic", err)
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	var names []string
	for _, g := range analysis.Groupings() {
		names = append(names, g.Name)
	}
	for _, s := range analysis.Statistics() {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a name is there twice: %v", names)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := analysis.Query{Group: "hour", Statistic: "late_share"}.WithDefaults()
	if got.LateMinutes != 15 || got.Limit != 0 || got.MinFlights != 30 || got.Resamples != 2000 || got.Confidence != 0.95 {
		t.Errorf("defaults are %+v", got)
	}
	if err := got.Check(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}
