package analysis

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// Progress tells how far a run is. Its numbers never fall.
type Progress struct {
	// Stage is "read", "resample" or "done", Group the code of the group at work.
	Stage, Group string
	// RowsDone of RowsTotal flights were looked at.
	RowsDone, RowsTotal int
	// GroupsDone of GroupsTotal have their interval. Totals are 0 until known.
	GroupsDone, GroupsTotal int
	// ResamplesDone of ResamplesTotal were drawn, over all groups.
	ResamplesDone, ResamplesTotal int
	// Share of the work that is done, 0 to 1: flights looked at and drawn.
	Share float64
}

// Result is the answer to a query.
type Result struct {
	// Query is the one that was answered, defaults filled in.
	Query Query
	// Grouping and Statistic are its words.
	Grouping  Grouping
	Statistic Statistic
	// Flights counted, of Rows in the dataset, which holds a sample of Source.
	Flights, Rows, Source int
	// From and To are the first and last day on which one of them departed.
	From, To time.Time
	// Overall is the statistic of all of them, in groups that are shown or not.
	Overall float64
	// Groups in the order of the grouping, or largest estimate first.
	Groups []Group
	// Small are the groups left out since they have fewer than MinFlights,
	// Beyond those left out by Limit.
	Small, Beyond Omitted
	// Draws is how many flights were drawn for the intervals.
	Draws int64
}

// Group is a group with its estimate and interval, in the statistic's unit.
type Group struct {
	Label
	Flights             int
	Estimate, Low, High float64
}

// Omitted counts groups, and flights in them, that are not shown.
type Omitted struct{ Groups, Flights int }

// Run answers a query. Progress is called on the same goroutine, often; it must
// not block. The error is a Problems when the query is at fault, the cause of ctx
// when that ended, or says what is wrong with the dataset.
func Run(ctx context.Context, d *flights.Dataset, q Query, progress func(Progress)) (*Result, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	return answer(ctx, d, q.WithDefaults(), progress)
}

func answer(ctx context.Context, d *flights.Dataset, q Query, progress func(Progress)) (*Result, error) {
	grouping, _ := find(Groupings(), q.Group)
	statistic, _ := find(Statistics(), q.Statistic)
	v, err := newView(d)
	if err != nil {
		return nil, err
	}
	selected, err := newSelection(q.Filter, v)
	if err != nil {
		return nil, err
	}
	meter := newMeter(d.Meta().Rows, q.Resamples, progress)
	key, label := grouping.divide(v)
	g, err := gather(ctx, d, selected, key, meter.rows)
	if err != nil {
		return nil, err
	}
	if len(g.all) == 0 {
		return nil, Problems{{"filter", "no flight matches"}}
	}
	r := &Result{
		Query: q, Grouping: grouping, Statistic: statistic,
		Flights: len(g.all), Rows: d.Meta().Rows, Source: d.Meta().SourceRows,
		From: dayOf(v.first, g.from), To: dayOf(v.first, g.to),
		Overall: newEstimator(statistic, q.LateMinutes, g.all).observed(),
	}
	kept := r.choose(g.buckets)
	if len(kept) == 0 {
		return nil, Problems{{"min_flights", "no group has that many flights"}}
	}
	if err := r.estimate(ctx, kept, label, meter); err != nil {
		return nil, err
	}
	if !grouping.Ordered {
		slices.SortStableFunc(r.Groups, func(a, b Group) int {
			return cmp.Or(cmp.Compare(b.Estimate, a.Estimate), cmp.Compare(a.Code, b.Code))
		})
	}
	meter.done()
	return r, nil
}

func newView(d *flights.Dataset) (view, error) {
	airports, err := d.Airports()
	if err != nil {
		return view{}, err
	}
	routes, err := d.Routes()
	if err != nil {
		return view{}, err
	}
	return view{first: d.Meta().FirstDay, airports: airports, routes: routes}, nil
}

func dayOf(first time.Time, minute int32) time.Time {
	return first.AddDate(0, 0, int(minute/minutesPerDay))
}

// choose keeps the groups that are shown, by key, and counts the others.
func (r *Result) choose(buckets []bucket) []bucket {
	var kept []bucket
	for _, b := range buckets {
		if len(b.delays) < r.Query.MinFlights {
			r.Small.Groups++
			r.Small.Flights += len(b.delays)
			continue
		}
		kept = append(kept, b)
	}
	if r.Grouping.Ordered || len(kept) <= r.Query.Limit {
		return kept
	}
	slices.SortStableFunc(kept, func(a, b bucket) int { return len(b.delays) - len(a.delays) })
	for _, b := range kept[r.Query.Limit:] {
		r.Beyond.Groups++
		r.Beyond.Flights += len(b.delays)
	}
	kept = kept[:r.Query.Limit]
	slices.SortFunc(kept, func(a, b bucket) int { return a.key - b.key })
	return kept
}

func (r *Result) estimate(ctx context.Context, kept []bucket, label func(int) Label, meter *meter) error {
	flown := 0
	for _, b := range kept {
		flown += len(b.delays)
	}
	r.Draws = int64(flown) * int64(r.Query.Resamples)
	meter.groups(len(kept), r.Draws)
	for _, b := range kept {
		g := Group{Label: label(b.key), Flights: len(b.delays)}
		e := newEstimator(r.Statistic, r.Query.LateMinutes, b.delays)
		g.Estimate = e.observed()
		meter.start(g.Code)
		var err error
		g.Low, g.High, err = bootstrap(ctx, r.Query, g.Code, len(b.delays), e, meter.step)
		if err != nil {
			return err
		}
		r.Groups = append(r.Groups, g)
		meter.finish()
	}
	return nil
}
