package scheduler

import (
	"strconv"
	"strings"
	"time"
)

// cron is the six fields of AWS's form: minutes, hours, day of month, month,
// day of week (1 is Sunday), year. One of the two days is "?".
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
type cron struct {
	zone                         *time.Location
	minutes, hours, months, year set
	days, weekdays               *dayField // one is nil
}

// set is the values that a field allows.
type set map[int]bool

// dayField is a day of month or week, with its wildcards of its own.
type dayField struct {
	plain set
	// last is L of a day of month: 0 is the last day, n the nth before it.
	last []int
	// near is nW: the weekday nearest to that day; lastWeekday is LW.
	near        []int
	lastWeekday bool
	// nth is d#n, lastOf is dL: the nth or last such weekday of the month.
	nth    []nthWeekday
	lastOf []time.Weekday
}

type nthWeekday struct {
	day time.Weekday
	n   int
}

var (
	monthNames   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdayNames = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

const firstYear, lastYear = 1970, 2199

func parseCron(body string, zone *time.Location) (times, error) {
	f := strings.Fields(strings.ToUpper(body))
	if len(f) != 6 {
		return nil, invalid("cron(%s) must have six fields: minutes hours day-of-month month day-of-week year", body)
	}
	if (f[2] == "?") == (f[4] == "?") {
		return nil, invalid("cron(%s): one of day-of-month and day-of-week must be ?, and only one", body)
	}
	c := &cron{zone: zone}
	var err error
	for _, field := range []struct {
		into     *set
		text     string
		min, max int
		names    []string
	}{
		{&c.minutes, f[0], 0, 59, nil}, {&c.hours, f[1], 0, 23, nil},
		{&c.months, f[3], 1, 12, monthNames}, {&c.year, f[5], firstYear, lastYear, nil},
	} {
		if *field.into, err = parseSet(field.text, field.min, field.max, field.names); err != nil {
			return nil, invalid("cron(%s): %s", body, err)
		}
	}
	if f[2] != "?" {
		c.days, err = parseDays(f[2])
	} else {
		c.weekdays, err = parseWeekdays(f[4])
	}
	if err != nil {
		return nil, invalid("cron(%s): %s", body, err)
	}
	return c, nil
}

func parseSet(text string, lo, hi int, names []string) (set, error) {
	out := set{}
	for item := range strings.SplitSeq(text, ",") {
		if err := out.add(item, lo, hi, names); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// add adds *, n, n-m, or one of these with /step.
func (s set) add(item string, lo, hi int, names []string) error {
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 {
			return invalid("%q has no positive step", item)
		}
		step = n
	}
	from, to := lo, hi
	if span != "*" {
		a, b, ranged := strings.Cut(span, "-")
		var err error
		if from, err = value(a, lo, hi, names); err != nil {
			return err
		}
		switch {
		case ranged:
			if to, err = value(b, lo, hi, names); err != nil {
				return err
			}
			if to < from {
				return invalid("%q runs backwards", item)
			}
		case !stepped:
			to = from
		}
	}
	for v := from; v <= to; v += step {
		s[v] = true
	}
	return nil
}

func value(text string, lo, hi int, names []string) (int, error) {
	for i, name := range names {
		if text == name {
			return lo + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < lo || n > hi {
		return 0, invalid("%q is not in %d to %d", text, lo, hi)
	}
	return n, nil
}

func parseDays(text string) (*dayField, error) {
	d := &dayField{plain: set{}}
	for item := range strings.SplitSeq(text, ",") {
		switch {
		case item == "L":
			d.last = append(d.last, 0)
		case item == "LW":
			d.lastWeekday = true
		case strings.HasPrefix(item, "L-"):
			n, err := value(item[2:], 0, 30, nil)
			if err != nil {
				return nil, err
			}
			d.last = append(d.last, n)
		case strings.HasSuffix(item, "W"):
			n, err := value(strings.TrimSuffix(item, "W"), 1, 31, nil)
			if err != nil {
				return nil, err
			}
			d.near = append(d.near, n)
		default:
			if err := d.plain.add(item, 1, 31, nil); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func parseWeekdays(text string) (*dayField, error) {
	d := &dayField{plain: set{}}
	for item := range strings.SplitSeq(text, ",") {
		day, n, counted := strings.Cut(item, "#")
		last, isLast := strings.CutSuffix(item, "L")
		switch {
		case counted:
			w, err := value(day, 1, 7, weekdayNames)
			if err != nil {
				return nil, err
			}
			nth, err := value(n, 1, 5, nil)
			if err != nil {
				return nil, err
			}
			d.nth = append(d.nth, nthWeekday{time.Weekday(w - 1), nth})
		case item == "L": // the last day of the week
			d.plain[7] = true
		case isLast:
			w, err := value(last, 1, 7, weekdayNames)
			if err != nil {
				return nil, err
			}
			d.lastOf = append(d.lastOf, time.Weekday(w-1))
		default:
			if err := d.plain.add(item, 1, 7, weekdayNames); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func (c *cron) first(now time.Time) (time.Time, bool) { return c.next(now) }

// next looks day by day, and at the minutes of a day that matches only.
func (c *cron) next(t time.Time) (time.Time, bool) {
	t = t.In(c.zone)
	start := t.Truncate(time.Minute).Add(time.Minute)
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, c.zone)
	for day.Year() <= lastYear {
		switch {
		case !c.year[day.Year()]:
			day = time.Date(day.Year()+1, 1, 1, 0, 0, 0, 0, c.zone)
			continue
		case !c.months[int(day.Month())]:
			day = time.Date(day.Year(), day.Month()+1, 1, 0, 0, 0, 0, c.zone)
			continue
		case c.onDay(day):
			if at, ok := c.onMinute(day, start); ok {
				return at, true
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

func (c *cron) onMinute(day, start time.Time) (time.Time, bool) {
	for hour := range 24 {
		if !c.hours[hour] {
			continue
		}
		for minute := range 60 {
			if !c.minutes[minute] {
				continue
			}
			at := time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, c.zone)
			// A time that the change to summer time skips does not happen.
			if at.Hour() == hour && !at.Before(start) {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

func (c *cron) onDay(day time.Time) bool {
	if c.days != nil {
		return c.days.ofMonth(day)
	}
	return c.weekdays.ofWeek(day)
}

func daysIn(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, t.Location()).Day()
}

func (d *dayField) ofMonth(t time.Time) bool {
	length := daysIn(t)
	if d.plain[t.Day()] {
		return true
	}
	for _, before := range d.last {
		if t.Day() == length-before {
			return true
		}
	}
	for _, n := range d.near {
		if n <= length && t.Day() == nearestWeekday(t, n) {
			return true
		}
	}
	return d.lastWeekday && t.Day() == nearestWeekday(t, length)
}

// nearestWeekday is the day from Monday to Friday nearest to day n of t's
// month, in the same month.
func nearestWeekday(t time.Time, n int) int {
	day := time.Date(t.Year(), t.Month(), n, 0, 0, 0, 0, t.Location())
	switch {
	case day.Weekday() == time.Saturday && n == 1:
		return 3
	case day.Weekday() == time.Saturday:
		return n - 1
	case day.Weekday() == time.Sunday && n == daysIn(t):
		return n - 2
	case day.Weekday() == time.Sunday:
		return n + 1
	}
	return n
}

func (d *dayField) ofWeek(t time.Time) bool {
	if d.plain[int(t.Weekday())+1] {
		return true
	}
	for _, nth := range d.nth {
		if t.Weekday() == nth.day && (t.Day()-1)/7+1 == nth.n {
			return true
		}
	}
	for _, w := range d.lastOf {
		if t.Weekday() == w && t.Day()+7 > daysIn(t) {
			return true
		}
	}
	return false
}
