package streamer_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

func TestPaused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var parts streamer.Parts
		s := newSystem(t, handlers(), func(p *streamer.Parts) { p.Limits.Paused = true; parts = *p })
		all := s.ask(3)
		s.dispatch(s.offers(all...))
		for _, key := range all {
			it := s.store.item(key)
			if it.Waiting != request.WaitsPaused || it.State != request.Pending || it.Start != -1 || it.RunAt > time.Now().UnixMilli() {
				t.Errorf("%+v", it)
			}
		}
		s.store.edit(all[0], func(a request.Attrs) { a[c.AttrDeadline] = time.Now().UnixMilli() })
		before := len(s.store.events())
		for range 3 {
			<-time.After(time.Minute)
			s.dispatch(c.SweepEvent)
			s.dispatch(sqs(work.Hint{Key: all[1]}))
		}
		if got := s.store.events()[before:]; !reflect.DeepEqual(got, []string{"advance (fail)"}) {
			t.Errorf("paused, there was %v", got)
		}
		if got := s.start.taken(); len(got) != 1 || !got[0].Push {
			t.Errorf("started %+v", got)
		}
		parts.Limits.Paused = false
		s.dispatcher = streamer.NewDispatcher(parts)
		s.dispatch(c.SweepEvent)
		s.dispatch(s.offers(all[1:]...))
		if got := s.runStarted(); len(got) != 2 {
			t.Errorf("then, %v ran", got)
		}
		if f := s.conns.of(wire.TypeComplete); len(f) != 2 {
			t.Errorf("%+v", f)
		}
	})
}

// While more is due than a sweep has time for, and stays so, all of it is looked at
// sooner or later: here two whose deadline has passed, among many that wait for the
// end of a pause.
func TestSweepWithoutTimeForAll(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{10 * time.Second, 15 * time.Second} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			sweepsFor(t, timeout)
		})
	}
}

func sweepsFor(t *testing.T, timeout time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, handlers(), func(p *streamer.Parts) { p.Limits.Paused = true })
		all := s.ask(60)
		s.dispatch(s.offers(all...))
		for _, key := range all {
			s.store.edit(key, func(a request.Attrs) { a[c.AttrDueShard] = "03" })
		}
		late := []string{all[25], all[50]}
		for _, key := range late {
			s.store.edit(key, func(a request.Attrs) { a[c.AttrDeadline] = time.Now().UnixMilli() })
		}
		s.store.hang = func(_ context.Context, call string) error {
			if call == "get" {
				<-time.After(time.Second)
			}
			return nil
		}
		ended := func(key string) bool { return s.store.item(key).State == request.Failed }
		sweeps := 0
		for !ended(late[0]) || !ended(late[1]) {
			<-time.After(time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			began := time.Now()
			if err := s.invoke(ctx, s.dispatcher, c.SweepEvent); err != nil || time.Since(began) > timeout-2*time.Second {
				t.Fatalf("%v after %s", err, time.Since(began))
			}
			cancel()
			if sweeps++; sweeps > 30 {
				t.Fatal("the two are not found")
			}
		}
		if !strings.Contains(s.log.String(), "more is due than a sweep has time for") {
			t.Error("the log does not say so")
		}
	})
}

// What waits in the stream when the pause begins keeps its place, and a slot
// that comes free is not handed on.
func TestPausedWithSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var parts streamer.Parts
		s := newSystem(t, handlers(), func(p *streamer.Parts) { p.Limits.TenantConcurrency = 1; parts = *p })
		all := s.ask(2)
		s.dispatch(s.offers(all...))
		parts.Limits.Paused = true
		s.dispatcher = streamer.NewDispatcher(parts)
		s.runStarted()
		s.about()
		if n := len(s.start.all()) + len(s.store.holders("acme")); n != 0 || strings.Contains(s.log.String(), "ERROR") {
			t.Errorf("%d: %s", n, s.log)
		}
	})
}
