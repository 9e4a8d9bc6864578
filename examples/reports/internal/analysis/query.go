// Package analysis answers questions about flights: it groups them, estimates a
// statistic of each group's delays, and says by bootstrap how sure the estimate
// is. The same dataset and query give the same result, to the last bit.
//
// Its functions keep no state and may be called by many goroutines at once. It
// imports the flights package and the standard library only.
package analysis

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Query is a question. A zero field stands for its default; Group and Statistic
// have none.
type Query struct {
	// Group is what makes a group: see Groupings.
	Group string
	// Statistic is what is estimated of each group: see Statistics.
	Statistic string
	// LateMinutes is the delay from which a flight counts as late, for the
	// statistic late_share only: 1 to 240, default 15.
	LateMinutes int
	// Filter says which flights count.
	Filter Filter
	// Limit is how many groups are kept, those with the most flights: 1 to 40,
	// default 20. It is for groupings whose groups have no order of their own.
	Limit int
	// MinFlights is how many flights a group must have: 2 to 100 000, default 30.
	MinFlights int
	// Resamples is the number of bootstrap resamples: 100 to 10 000, default 2000.
	Resamples int
	// Confidence is the level of the intervals: 0.5 to 0.999, default 0.95.
	Confidence float64
	// Seed starts the random generator: 0 to 2^53-1, the integers of JavaScript.
	Seed int64
}

// Filter says which flights count; its zero value lets all pass.
type Filter struct {
	// From and To are days of departure (2001-01-31), both included.
	From, To string
	// Origins and Destinations are airport codes, at most 50 each.
	Origins, Destinations []string
	// MinMiles and MaxMiles bound the distance, both included; 0 is no bound.
	MinMiles, MaxMiles int
}

// Problem is something wrong with a query: where, as a path from its root such
// as "filter.origins[2]", and why.
type Problem struct{ Path, Reason string }

// Problems is an error that lists everything that is wrong with a query.
type Problems []Problem

// Error joins the problems.
func (p Problems) Error() string {
	parts := make([]string, len(p))
	for i, one := range p {
		parts[i] = one.Path + ": " + one.Reason
	}
	return strings.Join(parts, "; ")
}

func (p *Problems) add(path, format string, args ...any) {
	*p = append(*p, Problem{path, fmt.Sprintf(format, args...)})
}

// between reports a number outside of its bounds; 0 stands for the default.
func (p *Problems) between(path string, n, low, high int) {
	if n != 0 && (n < low || n > high) {
		p.add(path, "%d is not between %d and %d", n, low, high)
	}
}

func (p *Problems) atMost(path string, airports []string, n int) {
	if len(airports) > n {
		p.add(path, "%d airports, at most %d", len(airports), n)
	}
}

// Bounds of a query.
const (
	MaxLimit    = 40
	MaxAirports = 50
	MaxSeed     = 1<<53 - 1
)

// WithDefaults fills in what the query leaves open.
func (q Query) WithDefaults() Query {
	if s, ok := find(Statistics(), q.Statistic); ok && s.takesLateMinutes {
		q.LateMinutes = orDefault(q.LateMinutes, onTimeMinutes)
	}
	if g, ok := find(Groupings(), q.Group); ok && !g.Ordered {
		q.Limit = orDefault(q.Limit, 20)
	}
	q.MinFlights = orDefault(q.MinFlights, 30)
	q.Resamples = orDefault(q.Resamples, 2000)
	q.Confidence = orDefault(q.Confidence, 0.95)
	return q
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Check finds everything that is wrong with a query, as far as it can be told
// without the flights. The error, if any, is of type Problems.
func (q Query) Check() error {
	var p Problems
	grouping, ok := find(Groupings(), q.Group)
	if !ok {
		p.add("group", "%s, want %s", unknown(q.Group), names(Groupings()))
	}
	if ok && grouping.Ordered && q.Limit != 0 {
		p.add("limit", "does not apply to group %s, which shows all its groups", q.Group)
	}
	statistic, ok := find(Statistics(), q.Statistic)
	if !ok {
		p.add("statistic", "%s, want %s", unknown(q.Statistic), names(Statistics()))
	}
	if ok && !statistic.takesLateMinutes && q.LateMinutes != 0 {
		p.add("late_minutes", "does not apply to statistic %s", q.Statistic)
	}
	p.between("late_minutes", q.LateMinutes, 1, 240)
	p.between("limit", q.Limit, 1, MaxLimit)
	p.between("min_flights", q.MinFlights, 2, 100_000)
	p.between("resamples", q.Resamples, 100, 10_000)
	q.checkConfidence(&p)
	if q.Seed < 0 || q.Seed > MaxSeed {
		p.add("seed", "%d is not between 0 and %d", q.Seed, int64(MaxSeed))
	}
	q.Filter.check(&p)
	if len(p) == 0 {
		return nil
	}
	return p
}

func (q Query) checkConfidence(p *Problems) {
	// Written so that NaN fails as well.
	if q.Confidence != 0 && !(q.Confidence >= 0.5 && q.Confidence <= 0.999) {
		p.add("confidence", "%v is not between 0.5 and 0.999", q.Confidence)
		return
	}
	// An end of the interval needs a resample beyond it to be more than the extreme.
	full := q.WithDefaults()
	if need := int(math.Ceil(2/(1-full.Confidence) - 1e-6)); full.Resamples < need {
		p.add("resamples", "%d are too few for confidence %v, which needs %d", full.Resamples, full.Confidence, need)
	}
}

func (f Filter) check(p *Problems) {
	from, to := f.day(p, "filter.from", f.From), f.day(p, "filter.to", f.To)
	if !from.IsZero() && !to.IsZero() && to.Before(from) {
		p.add("filter.to", "%s is before from, %s", f.To, f.From)
	}
	p.atMost("filter.origins", f.Origins, MaxAirports)
	p.atMost("filter.destinations", f.Destinations, MaxAirports)
	p.between("filter.min_miles", f.MinMiles, 1, 20_000)
	p.between("filter.max_miles", f.MaxMiles, 1, 20_000)
	if f.MaxMiles > 0 && f.MaxMiles < f.MinMiles {
		p.add("filter.max_miles", "%d is below min_miles, %d", f.MaxMiles, f.MinMiles)
	}
}

// day reads a day, or notes that it is none. Empty is the zero time.
func (f Filter) day(p *Problems, path, s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		p.add(path, "%q is not a day such as 2001-01-31", clip(s))
		return time.Time{}
	}
	return day
}

func unknown(name string) string {
	if name == "" {
		return "required"
	}
	return fmt.Sprintf("unknown name %q", clip(name))
}

// clip keeps what a client sent from filling an error.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return s
}
