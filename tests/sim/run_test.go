package sim_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// report is what came of a run.
type report struct {
	plan        *plan
	violations  []violation
	story       *story
	digest      string
	fired       []string
	requests    int // that were accepted
	mutated     int64
	invocations int
	virtual     time.Duration
	real        time.Duration
}

// play runs a plan in a bubble of its own.
func play(t *testing.T, p *plan) *report {
	t.Helper()
	began := time.Now()
	r := &report{plan: p}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, p)
		w.live()
		w.end()
		r.violations, r.story, r.digest = w.broken, w.story, w.story.digest()
		r.fired, r.requests, r.mutated, r.invocations = w.fired, len(w.past.changes), w.mutated.Load(), len(w.invocations)
		r.virtual = w.since()
	})
	r.real = time.Since(began)
	return r
}

// idle is when API Gateway closes a connection on which nothing happens.
const idle = 10 * time.Minute

// live lets the clients do what they do, and then looks at what has become of it.
func (w *world) live() {
	until, done := context.WithTimeout(w.ctx, w.plan.storm+w.plan.stay)
	defer done()
	for _, p := range w.plan.clients {
		c := &client{world: w, plan: p, asked: map[string]*asked{}, queries: map[string]*query{}}
		w.clients = append(w.clients, c)
	}
	finished := make(chan struct{}, len(w.clients))
	for _, c := range w.clients {
		w.running.Go(func() {
			c.live(until)
			finished <- struct{}{}
		})
	}
	for range w.clients {
		<-finished
	}
	if rest := w.plan.storm - w.since(); rest > 0 {
		time.Sleep(rest)
	}
	w.settle(until)
	// Whatever is still under way, some of it for hours, comes now, and nothing
	// may change by it.
	w.catchUp()
	time.Sleep(idle + time.Minute)
	w.settle(until)
	w.checkQuiet()
	w.past.read()
	for _, check := range checks {
		check(w)
	}
}

// settle waits until nothing is open.
func (w *world) settle(until context.Context) {
	for until.Err() == nil && w.open() > 0 {
		time.Sleep(time.Minute)
	}
}

// end ends the cloud and waits for all that has run in it.
func (w *world) end() {
	w.stop()
	if err := w.cloud.Close(); err != nil {
		w.violate("", "close the cloud: %v", err)
	}
	w.running.Wait()
}

func (r *report) String() string {
	return fmt.Sprintf("seed %d: %d clients, %d requests (%d accepted), %d faults, %d invocations, %s virtual in %s, digest %s",
		r.plan.seed, len(r.plan.clients), r.plan.requests(), r.requests, len(r.fired), r.invocations,
		r.virtual.Round(time.Second), r.real.Round(time.Millisecond), r.digest)
}

// about are the requests that the violations name.
func (r *report) about() []string {
	var out []string
	for _, v := range r.violations {
		if v.request != "" && !slices.Contains(out, v.request) {
			out = append(out, v.request)
		}
	}
	return out
}
