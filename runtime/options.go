package streamer

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"
)

// Option changes how an action is run.
type Option func(*action)

// Backoff is the wait before the attempt after the n-th (n from 1).
type Backoff func(n int) time.Duration

// maxBackoff bounds the waits of Exponential.
const maxBackoff = 15 * time.Minute

// Exponential doubles from base, up to 15 minutes, and takes a random part of
// the upper half, so that what failed together does not come back together.
func Exponential(base time.Duration) Backoff {
	if base <= 0 {
		panic("streamer: Exponential: want a duration above zero")
	}
	return func(n int) time.Duration {
		d := base
		for ; n > 1 && d < maxBackoff; n-- {
			d *= 2
		}
		d = min(d, maxBackoff)
		return d/2 + rand.N(d/2+1)
	}
}

// Retry allows that many attempts in all (default 3), with that wait between.
func Retry(attempts int, b Backoff) Option {
	if attempts < 1 {
		panic(fmt.Sprintf("streamer: Retry(%d): want at least one attempt", attempts))
	}
	if b == nil {
		panic("streamer: Retry: want a backoff, such as Exponential(time.Second)")
	}
	return func(a *action) { a.attempts, a.backoff = int64(attempts), b }
}

// Require refuses callers without the permission, with FORBIDDEN.
func Require(permissions ...string) Option {
	return func(a *action) { a.require = append(a.require, permissions...) }
}

// Deadline bounds the life of a background request, waiting and retries
// included (default 24 h). After it the request is FAILED with TIMEOUT.
func Deadline(d time.Duration) Option {
	if d <= 0 {
		panic("streamer: Deadline: want a duration above zero")
	}
	return func(a *action) { a.deadline = d }
}

// ProgressEvery sets the shortest time between two progress frames (default
// 500 ms, at least 10 ms). Updates that come faster are coalesced, newest wins.
func ProgressEvery(d time.Duration) Option {
	return func(a *action) { a.every = max(d, 10*time.Millisecond) }
}

// Estimate says how long a plain handler takes, whatever its input.
func Estimate(d time.Duration) Option {
	return func(a *action) { a.estimate = func(any) time.Duration { return d } }
}

// EstimateBy says how long a plain handler takes for an input. In must be the
// handler's input type. It is called for every message and should be cheap.
func EstimateBy[In any](f func(In) time.Duration) Option {
	return func(a *action) {
		if want := reflect.TypeFor[In](); want != a.input {
			panic(fmt.Sprintf("streamer: action %q takes %v, EstimateBy takes %v", a.name, a.input, want))
		}
		a.estimate = func(in any) time.Duration { return f(*in.(*In)) }
	}
}
