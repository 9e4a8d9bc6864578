package scheduler

import (
	"strconv"
	"strings"
	"time"
)

// times are the times of a schedule.
type times interface {
	// first is the first time from now on.
	first(now time.Time) (at time.Time, ok bool)
	// next is the first time after t; ok is false when there is none.
	next(t time.Time) (at time.Time, ok bool)
}

// rate is a time again and again.
type rate time.Duration

func (r rate) first(now time.Time) (time.Time, bool) { return now, true }

func (r rate) next(t time.Time) (time.Time, bool) { return t.Add(time.Duration(r)), true }

func parseExpression(s string, zone *time.Location) (times, error) {
	kind, rest, ok := strings.Cut(s, "(")
	body, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed {
		return nil, invalid("schedule expression %q is neither rate(…) nor cron(…)", s)
	}
	switch kind {
	case "rate":
		return parseRate(body)
	case "cron":
		return parseCron(body, zone)
	case "at":
		return nil, invalid("one-time schedules are not supported by the local cloud: %s", s)
	}
	return nil, invalid("schedule expression %q is neither rate(…) nor cron(…)", s)
}

func parseRate(body string) (times, error) {
	fields := strings.Fields(body)
	if len(fields) != 2 {
		return nil, invalid("rate(%s) must be a number and a unit", body)
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil || n < 1 || n > 100_000 {
		return nil, invalid("rate(%s) must begin with a positive number", body)
	}
	unit, plural := strings.CutSuffix(fields[1], "s")
	if plural != (n > 1) {
		return nil, invalid("rate(%s): the unit is singular for 1, else plural", body)
	}
	switch unit {
	case "minute":
		return rate(time.Duration(n) * time.Minute), nil
	case "hour":
		return rate(time.Duration(n) * time.Hour), nil
	case "day":
		return rate(time.Duration(n) * 24 * time.Hour), nil
	}
	return nil, invalid("rate(%s): the unit must be minute, hour or day", body)
}
