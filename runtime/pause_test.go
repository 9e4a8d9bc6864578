package streamer_test

import (
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
