package analysis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// selection decides which flights count.
type selection struct {
	routes   []bool
	from, to int32 // minutes of departure; to is excluded
}

// newSelection resolves a filter that Check has passed.
func newSelection(f Filter, v view) (selection, error) {
	var problems Problems
	origins := airportSet(&problems, "filter.origins", f.Origins, v.airports)
	destinations := airportSet(&problems, "filter.destinations", f.Destinations, v.airports)
	if len(problems) > 0 {
		return selection{}, problems
	}
	s := selection{routes: make([]bool, len(v.routes)), to: 1<<31 - 1}
	for i, r := range v.routes {
		s.routes[i] = (origins == nil || origins[r.Origin]) && (destinations == nil || destinations[r.Destination]) &&
			r.Miles >= f.MinMiles && (f.MaxMiles == 0 || r.Miles <= f.MaxMiles)
	}
	if f.From != "" {
		s.from = minuteOf(v.first, f.From, 0)
	}
	if f.To != "" {
		s.to = minuteOf(v.first, f.To, 1)
	}
	return s, nil
}

// minuteOf counts the minutes from first to the midnight that starts day, or that
// many days later. Check has seen that day is one.
func minuteOf(first time.Time, day string, later int) int32 {
	t, _ := time.Parse(time.DateOnly, day)
	minutes := t.AddDate(0, 0, later).Unix()/60 - first.Unix()/60
	return int32(max(-1<<31, min(minutes, 1<<31-1)))
}

// airportSet is nil when every airport is meant.
func airportSet(p *Problems, path string, codes []string, airports []flights.Airport) map[int]bool {
	if len(codes) == 0 {
		return nil
	}
	set := make(map[int]bool, len(codes))
	for i, code := range codes {
		at, ok := airportIndex(airports, code)
		if !ok {
			p.add(fmt.Sprintf("%s[%d]", path, i), "unknown airport %q", clip(code))
		}
		set[at] = true
	}
	return set
}

func airportIndex(airports []flights.Airport, code string) (int, bool) {
	return slices.BinarySearchFunc(airports, code, func(a flights.Airport, code string) int {
		switch {
		case a.Code < code:
			return -1
		case a.Code > code:
			return 1
		}
		return 0
	})
}

// bucket is a group with the delays of its flights.
type bucket struct {
	key    int
	delays []int16
}

// gathered is what one pass over the flights brings.
type gathered struct {
	buckets  []bucket // by key
	all      []int16
	from, to int32 // first and last departure of the flights that count
}

// chunk is how many rows are read between two looks at the context.
const chunk = 16_384

// gather divides the flights that count into groups.
func gather(ctx context.Context, d *flights.Dataset, s selection, key func(uint16, int32) int, rowsDone func(int)) (gathered, error) {
	routes, err := d.RouteOf()
	if err != nil {
		return gathered{}, err
	}
	departures, err := d.Departures()
	if err != nil {
		return gathered{}, err
	}
	delays, err := d.Delays()
	if err != nil {
		return gathered{}, err
	}
	var g gathered
	at := map[int]int{}
	for start := 0; start < len(delays); start += chunk {
		if ctx.Err() != nil {
			return gathered{}, context.Cause(ctx)
		}
		end := min(start+chunk, len(delays))
		for row := start; row < end; row++ {
			minute := departures[row]
			if !s.routes[routes[row]] || minute < s.from || minute >= s.to {
				continue
			}
			if len(g.all) == 0 {
				g.from = minute
			}
			g.to = minute
			g.all = append(g.all, delays[row])
			k := key(routes[row], minute)
			i, ok := at[k]
			if !ok {
				i = len(g.buckets)
				at[k], g.buckets = i, append(g.buckets, bucket{key: k})
			}
			g.buckets[i].delays = append(g.buckets[i].delays, delays[row])
		}
		rowsDone(end)
	}
	slices.SortFunc(g.buckets, func(a, b bucket) int { return a.key - b.key })
	return g, nil
}
