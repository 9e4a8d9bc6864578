package chaos_test

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/streamer-go/streamer/tests/chaos/app"
)

// The small dose. It has no time for the minute after which the sweep finds what
// every hint of was lost: what is open after hurry is hinted at once more.
const (
	smallStorm    = 12 * time.Second
	smallRequests = 200
	hurry         = 5 * time.Second
	// perSecond is how many requests a longer storm has.
	perSecond = 10
)

func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute of real time")
	}
	if _, supported := processes(); !supported {
		t.Skip("processes are found by /proc, which is Linux's")
	}
	storm, requests, hurried := smallStorm, smallRequests, hurry
	if long := os.Getenv("STREAMER_CHAOS"); long != "" {
		var err error
		if storm, err = time.ParseDuration(long); err != nil || storm < smallStorm {
			t.Fatalf("STREAMER_CHAOS is %q, want a duration of at least %s", long, smallStorm)
		}
		requests, hurried = int(storm.Seconds())*perSecond, 0
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("STREAMER_CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal("STREAMER_CHAOS_SEED: ", err)
		}
	}
	t.Logf("STREAMER_CHAOS_SEED=%d", seed)
	began := time.Now()
	system := stand(t)
	stood := time.Since(began)
	w := newWorld(system, draw(seed, storm, requests))
	ctx, cancel := context.WithTimeoutCause(t.Context(), storm+app.Life+3*slack, errNotOver)
	defer cancel()
	s := w.live(ctx, t, hurried)
	if err := system.end(); err != nil {
		t.Error("end the system:", err)
	}
	if len(w.broken) > 0 || t.Failed() {
		t.Error(w.report(s))
		return
	}
	t.Log(w.schedule())
	t.Log(w.summary(s))
	t.Logf("stood after %s, calm for %s before all had ended, at most %d were pointed at, %d clients gave up; %s in all",
		stood.Round(time.Millisecond), w.settled.Round(time.Millisecond), w.nudged, w.gaveUp.Load(), time.Since(began).Round(time.Millisecond))
	w.mustHaveMet(t, s)
}

// live is the run, and the looking at what it has left.
func (w *world) live(ctx context.Context, t *testing.T, hurried time.Duration) *seen {
	defer func() {
		for _, c := range w.clients {
			if err := c.session.Close(); err != nil {
				t.Error(err)
			}
		}
		w.work.Wait()
	}()
	if err := w.rage(ctx); err != nil {
		t.Error("storm:", err)
		return nil
	}
	if err := w.settle(ctx, hurried); err != nil {
		t.Error("after the storm:", err)
		for _, k := range w.calls {
			if _, _, _, done := k.outcome(); !done {
				w.violate(k.request.name(), "is still waited for")
			}
		}
	}
	w.settled = time.Since(w.calm)
	s, err := w.check(context.WithoutCancel(ctx))
	if err != nil {
		t.Error("look at what is left:", err)
	}
	return s
}

// mustHaveMet fails a run that shows nothing, for its faults met nobody.
func (w *world) mustHaveMet(t *testing.T, s *seen) {
	t.Helper()
	succeeded := 0
	for _, k := range w.calls {
		if _, _, err, _ := k.outcome(); err == nil {
			succeeded++
		}
	}
	_, cut, swallowed := w.services.counts()
	switch {
	case succeeded < len(w.calls)/2:
		t.Errorf("only %d of %d requests succeeded", succeeded, len(w.calls))
	case w.kills.Load() == 0, w.frozen.Load() == 0, w.cuts.Load() == 0, cut+swallowed == 0:
		t.Errorf("faults met nobody: %s", w.summary(s))
	}
}
