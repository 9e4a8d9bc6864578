package cost_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/runtime/wire"
)

// scenario is a kind of use, and what one of it may use at most.
type scenario struct {
	name, what string
	action     string // of the request
	job        any
	args       component.StreamerArgs
	// frames of each type that the client gets for a request.
	frames map[string]int
	per    string // what there may be a million of; "" for requests
	most   most
	single bool // one request, not an average
	// idle: what is used although there is nothing to do.
	idle bool
	// swept leaves the schedule on; what it uses in the same time without a
	// request is taken off.
	swept bool
	// run replaces the requests: it returns what one of it uses.
	run func(*system) tally
}

// requests is how many are averaged.
const requests = 2

// measure runs the scenario and returns what one of it uses.
func (sc *scenario) measure(t *testing.T) (used tally, trace []*call) {
	n := requests
	if sc.single {
		n = 1
	}
	var took time.Duration
	synctest.Test(t, func(t *testing.T) {
		s := stand(t, sc.swept, sc.args)
		if sc.run != nil {
			used = sc.run(s)
			return
		}
		c := s.warm()
		began := time.Now()
		used = s.measure(func() {
			for range n {
				s.forget()
				for kind, got := range c.ask(sc.action, sc.job) {
					if got != sc.frames[kind] {
						t.Errorf("%d frames of type %s, want %d", got, kind, sc.frames[kind])
					}
				}
				time.Sleep(time.Second)
			}
		})
		took, trace = time.Since(began), s.calls()
	})
	if sc.run != nil {
		return used, nil
	}
	if sc.swept {
		synctest.Test(t, func(t *testing.T) {
			s := stand(t, true, sc.args)
			s.warm()
			used = used.plus(-1, s.measure(func() { time.Sleep(took - settle) }))
		})
	}
	return used.over(float64(n)), trace
}

// warm connects and has each function start an instance.
func (s *system) warm() *conn {
	c := s.connect()
	c.ask("echo", nil)
	c.ask("report", job{Seconds: 1})
	return c
}

// progress are the frames of a request with so many reports.
func progress(n int) map[string]int {
	return map[string]int{wire.TypeAcknowledgment: 1, wire.TypeProgress: n, wire.TypeComplete: 1}
}

// scenarios are all that is measured.
func scenarios() []scenario { return append(longs(), others()...) }

// longs are requests in the background.
func longs() []scenario {
	partials := map[string]int{wire.TypeAcknowledgment: 1, wire.TypePartial: 20, wire.TypeComplete: 1}
	limits := component.StreamerArgs{Limits: &component.Limits{
		MaxOpenPerUser: pulumi.Int(10), MaxOpenPerTenant: pulumi.Int(100), TenantConcurrency: pulumi.Int(10), TenantRate: pulumi.Float64(100),
	}}
	return []scenario{
		{name: "quick", what: "a plain handler, answered at once", action: "echo", frames: map[string]int{wire.TypeResponse: 1},
			job: map[string]any{"text": strings.Repeat("t", 120)}, most: most{messages: 2, invocations: 1, logs: 258}},
		{name: "long", what: "ten seconds in the background, without progress", action: "report", frames: progress(0),
			job: job{Seconds: 9.99}, most: most{messages: 3, invocations: 3, writes: 8, logs: 1207}},
		{name: "20 frames", what: "ten seconds, with progress twice a second", action: "report", frames: progress(20),
			job: job{Seconds: 10, Frames: 20}, most: most{messages: 23, invocations: 3, writes: 28, logs: 1207}},
		{name: "full item", what: "20 frames; input, result, messages and their metadata as large as an item holds", action: "report", frames: progress(20),
			job: job{Seconds: 10, Frames: 20, Message: 160, Meta: 110, Result: 190, Filler: strings.Repeat("f", 140)}, most: most{messages: 23, invocations: 3, writes: 49, logs: 1207}},
		{name: "3 KB", what: "20 frames; an input and a result of 3 KB each", action: "report", frames: progress(20),
			job: job{Seconds: 10, Frames: 20, Result: 3000, Filler: strings.Repeat("f", 3000)}, most: most{messages: 23, invocations: 3, writes: 36, reads: 1, logs: 1207}},
		{name: "limits", what: "20 frames; every one of `Limits` is on", action: "report", frames: progress(20), args: limits,
			job: job{Seconds: 10, Frames: 20}, most: most{messages: 23, invocations: 4, writes: 33, reads: 3.5, queue: 3, logs: 1465}},
		{name: "20 partials", what: "ten seconds, with a piece of the result twice a second", action: "report", frames: partials,
			job: job{Seconds: 10, Partials: 20}, most: most{messages: 23, invocations: 3, writes: 33, logs: 1207}},
		{name: "100 frames/s", what: "ten seconds, with `ProgressEvery(10ms)`", action: "fast", frames: progress(1000), single: true,
			job: job{Seconds: 10, Frames: 1000}, most: most{messages: 1003, invocations: 3, writes: 28, logs: 1205}},
		{name: "retry", what: "20 frames; a first attempt fails after a second", action: "report", frames: progress(20),
			job: job{Seconds: 10, Frames: 20, Fails: 1}, most: most{messages: 23, invocations: 6, writes: 38, reads: 1, queue: 3, logs: 2784}},
		{name: "retry in an hour", what: "the same, and the next attempt an hour later", action: "report", frames: progress(20), swept: true, single: true,
			job: job{Seconds: 10, Frames: 20, Fails: 1, Later: 3600}, most: most{messages: 23, invocations: 5, writes: 38, reads: 1, logs: 2526}},
	}
}

// others are what is used without a request.
func others() []scenario {
	return []scenario{
		{name: "connection", what: "opened and closed", per: "connections", most: most{minutes: 1, invocations: 3, writes: 2, logs: 774}, run: func(s *system) tally {
			s.connect().close()
			return s.measure(func() { s.connect().close() })
		}},
		{name: "connection at rest", what: "for an hour, beyond opening it; `$ping` every five minutes, as the Go client does", per: "hours",
			most: most{minutes: 60, messages: 24, invocations: 12, logs: 3096}, run: func(s *system) tally {
				c := s.connect()
				used := s.measure(func() {
					for range 12 {
						time.Sleep(5 * time.Minute)
						c.ask(wire.ActionPing, nil)
					}
				})
				// What is open is metered when it ends: the two kinds are told apart here.
				used.bill["apigateway.connection-minutes"] = s.measure(c.close).bill["apigateway.connection-minutes"] - 1
				return used
			}},
		{name: "idle", what: "nobody is there, for an hour", per: "hours", swept: true, idle: true,
			most: most{invocations: 60, reads: 480, schedules: 60, logs: 60 * 258}, run: func(s *system) tally {
				return s.measure(func() { time.Sleep(time.Hour - settle) })
			}},
	}
}
