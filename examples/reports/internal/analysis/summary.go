package analysis

import (
	"cmp"
	"slices"
	"time"

	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// Summary is what the dataset holds, as far as one airport or all are concerned.
type Summary struct {
	// Airport that was asked for; its zero value for all.
	Airport flights.Airport
	// Flights that count, of Rows in the dataset.
	Flights, Rows int
	// First and Last are the days of the first and last departure that counts.
	First, Last time.Time
	// Airports is how many airports those flights connect, Routes how many pairs.
	Airports, Routes int
	// MeanDelay, MedianDelay, P90Delay are in minutes; LateShare is in percent,
	// of arrivals 15 minutes late or more.
	MeanDelay, MedianDelay, P90Delay, LateShare float64
	// Busiest lists airports by their flights, at most 10: by departures, or, for
	// one airport, those at the other end of its flights.
	Busiest []Traffic
}

// onTimeMinutes is the delay from which the US Department of Transportation
// counts an arrival as late.
const onTimeMinutes = 15

// Traffic is an airport and how many flights it has.
type Traffic struct {
	Airport flights.Airport
	Flights int
}

// Summarize describes the flights that start or end at the airport with that
// code, or all when it is empty. An unknown code is a Problems.
func Summarize(d *flights.Dataset, code string) (*Summary, error) {
	v, err := newView(d)
	if err != nil {
		return nil, err
	}
	airport := -1
	if code != "" {
		at, ok := airportIndex(v.airports, code)
		if !ok {
			var p Problems
			p.add("airport", "unknown airport %q", clip(code))
			return nil, p
		}
		airport = at
	}
	return summarize(d, v, airport)
}

func summarize(d *flights.Dataset, v view, airport int) (*Summary, error) {
	routeOf, err := d.RouteOf()
	if err != nil {
		return nil, err
	}
	departures, err := d.Departures()
	if err != nil {
		return nil, err
	}
	delays, err := d.Delays()
	if err != nil {
		return nil, err
	}
	counted := make([]bool, len(v.routes))
	for i, r := range v.routes {
		counted[i] = airport < 0 || r.Origin == airport || r.Destination == airport
	}
	perRoute := make([]int, len(v.routes))
	h := newHistogram()
	first, last := int32(-1), int32(0)
	for row, r := range routeOf {
		if !counted[r] {
			continue
		}
		if first < 0 {
			first = departures[row]
		}
		last = departures[row]
		perRoute[r]++
		h.add(delays[row])
	}
	s := &Summary{Flights: h.flights, Rows: len(delays)}
	if airport >= 0 {
		s.Airport = v.airports[airport]
	}
	if h.flights == 0 {
		return s, nil
	}
	s.First, s.Last = dayOf(v.first, first), dayOf(v.first, last)
	s.traffic(v, perRoute, airport)
	s.MeanDelay, s.LateShare = h.mean(), 100*float64(h.from(onTimeMinutes))/float64(h.flights)
	s.MedianDelay, s.P90Delay = h.quantile(0.5), h.quantile(0.9)
	return s, nil
}

// traffic counts airports and routes from the flights of each route.
func (s *Summary) traffic(v view, perRoute []int, airport int) {
	seen, flown := make([]bool, len(v.airports)), make([]int, len(v.airports))
	for i, r := range v.routes {
		if perRoute[i] == 0 {
			continue
		}
		s.Routes++
		seen[r.Origin], seen[r.Destination] = true, true
		end := r.Origin
		if end == airport {
			end = r.Destination
		}
		flown[end] += perRoute[i]
	}
	for i, a := range v.airports {
		if seen[i] {
			s.Airports++
		}
		if flown[i] > 0 {
			s.Busiest = append(s.Busiest, Traffic{Airport: a, Flights: flown[i]})
		}
	}
	slices.SortStableFunc(s.Busiest, func(a, b Traffic) int { return cmp.Compare(b.Flights, a.Flights) })
	s.Busiest = s.Busiest[:min(len(s.Busiest), 10)]
}
