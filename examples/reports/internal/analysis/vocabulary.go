package analysis

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// Grouping is a way to divide the flights.
type Grouping struct {
	// Name is what a query calls it, Label what people do.
	Name, Label string
	// Ordered says that its groups have an order of their own, which results
	// keep. The others are sorted by their estimate, largest first.
	Ordered bool
	// divide makes the function that numbers a flight's group, from the number
	// of its route and its minute of departure, and the one that names a group.
	divide func(v view) (key func(route uint16, minute int32) int, label func(key int) Label)
}

// Statistic is a number that is estimated of a group's delays.
type Statistic struct {
	// Name is what a query calls it, Label what people do.
	Name, Label string
	// Unit is "min" for minutes or "%".
	Unit             string
	quantile         float64
	takesLateMinutes bool
}

// Label names a group: Code is short and unique within the result, Text says
// more to people and may be empty.
type Label struct{ Code, Text string }

// view is what groups are told apart by.
type view struct {
	first    time.Time
	airports []flights.Airport
	routes   []flights.Route
}

// Groupings lists the ways to group, in the order in which they are offered.
func Groupings() []Grouping {
	return []Grouping{
		{Name: "origin", Label: "airport of origin", divide: byRoute(func(r flights.Route) int { return r.Origin }, airportLabel)},
		{Name: "destination", Label: "airport of destination", divide: byRoute(func(r flights.Route) int { return r.Destination }, airportLabel)},
		{Name: "route", Label: "route", divide: divideByRoute},
		{Name: "distance", Label: "distance", Ordered: true, divide: byRoute(func(r flights.Route) int { return band(r.Miles) }, bandLabel)},
		{Name: "month", Label: "month", Ordered: true, divide: divideByMonth},
		{Name: "weekday", Label: "day of the week", Ordered: true, divide: divideByWeekday},
		{Name: "hour", Label: "hour of departure", Ordered: true, divide: divideByHour},
	}
}

// Statistics lists what can be estimated, in the order in which it is offered.
func Statistics() []Statistic {
	return []Statistic{
		{Name: "mean_delay", Label: "mean arrival delay", Unit: "min"},
		{Name: "median_delay", Label: "median arrival delay", Unit: "min", quantile: 0.5},
		{Name: "p90_delay", Label: "90th percentile of arrival delay", Unit: "min", quantile: 0.9},
		{Name: "late_share", Label: "share of late arrivals", Unit: "%", takesLateMinutes: true},
	}
}

func (g Grouping) name() string  { return g.Name }
func (s Statistic) name() string { return s.Name }

func find[T interface{ name() string }](all []T, name string) (found T, ok bool) {
	for _, one := range all {
		if one.name() == name {
			return one, true
		}
	}
	return found, false
}

func names[T interface{ name() string }](all []T) string {
	list := make([]string, len(all))
	for i, one := range all {
		list[i] = one.name()
	}
	return strings.Join(list, ", ")
}

type divider = func(v view) (func(uint16, int32) int, func(int) Label)

func byRoute(key func(flights.Route) int, label func(view, int) Label) divider {
	return func(v view) (func(uint16, int32) int, func(int) Label) {
		keys := make([]int, len(v.routes))
		for i, r := range v.routes {
			keys[i] = key(r)
		}
		return func(route uint16, _ int32) int { return keys[route] }, func(k int) Label { return label(v, k) }
	}
}

func airportLabel(v view, k int) Label {
	a := v.airports[k]
	return Label{Code: a.Code, Text: strings.Join(nonEmpty(a.City, a.State), ", ")}
}

func nonEmpty(parts ...string) []string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

func divideByRoute(v view) (func(uint16, int32) int, func(int) Label) {
	label := func(k int) Label {
		from, to := v.airports[v.routes[k].Origin], v.airports[v.routes[k].Destination]
		return Label{Code: from.Code + "-" + to.Code, Text: strings.Join(nonEmpty(from.City, to.City), " to ")}
	}
	return func(route uint16, _ int32) int { return int(route) }, label
}

// bandEnds are the lower ends of the distance bands after the first, in miles.
func bandEnds() []int { return []int{250, 500, 750, 1000, 1500, 2000, 2500} }

func band(miles int) int {
	b := 0
	for _, end := range bandEnds() {
		if miles >= end {
			b++
		}
	}
	return b
}

func bandLabel(_ view, k int) Label {
	ends := bandEnds()
	switch k {
	case 0:
		return Label{Code: fmt.Sprintf("under %d mi", ends[0])}
	case len(ends):
		return Label{Code: fmt.Sprintf("%d mi and over", ends[k-1])}
	}
	return Label{Code: fmt.Sprintf("%d to %d mi", ends[k-1], ends[k]-1)}
}

func divideByMonth(v view) (func(uint16, int32) int, func(int) Label) {
	number := func(t time.Time) int { return t.Year()*12 + int(t.Month()) - 1 }
	base := number(v.first)
	// One calendar computation a day, not one a flight.
	var months []int
	key := func(_ uint16, minute int32) int {
		day := int(minute / minutesPerDay)
		for len(months) <= day {
			months = append(months, number(v.first.AddDate(0, 0, len(months)))-base)
		}
		return months[day]
	}
	label := func(k int) Label {
		month := time.Date(0, time.Month(base+k+1), 1, 0, 0, 0, 0, time.UTC)
		return Label{Code: month.Format("2006-01"), Text: month.Format("January 2006")}
	}
	return key, label
}

func divideByWeekday(v view) (func(uint16, int32) int, func(int) Label) {
	// Weeks start on Monday.
	first := (int(v.first.Weekday()) + 6) % 7
	key := func(_ uint16, minute int32) int { return (first + int(minute/minutesPerDay)) % 7 }
	return key, func(k int) Label { return Label{Code: time.Weekday((k + 1) % 7).String()} }
}

func divideByHour(view) (func(uint16, int32) int, func(int) Label) {
	key := func(_ uint16, minute int32) int { return int(minute % minutesPerDay / 60) }
	return key, func(k int) Label { return Label{Code: fmt.Sprintf("%02d:00", k), Text: fmt.Sprintf("to %02d:59", k)} }
}

const minutesPerDay = 24 * 60
