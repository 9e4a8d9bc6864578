package streamer_test

import (
	"context"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/push"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// A call that hangs costs one beat, not the lease.
func TestBeatThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	app := jobs(func(context.Context, *streamer.Task, text) (string, error) {
		<-time.After(35 * time.Second)
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key, began := s.accept("r1", "job", `{}`), time.Now()
		var hung []time.Duration
		s.store.hang = func(ctx context.Context, call string) error {
			if call != "beat" || len(hung) > 0 {
				return nil
			}
			from := time.Now()
			<-ctx.Done()
			hung = append(hung, from.Sub(began), time.Since(began))
			return ctx.Err()
		}
		time.AfterFunc(25*time.Second, func() {
			it := s.store.item(key)
			if ends := time.UnixMilli(it.Lease).Sub(began).Round(time.Second); it.Beat != 2 || ends != 50*time.Second {
				t.Errorf("beat %d, lease until %v, want 2 until 50 s", it.Beat, ends)
			}
		})
		s.mustRun(key, 0)
		if len(hung) != 2 || hung[0].Round(10*time.Millisecond) != 10*time.Second || hung[1].Round(10*time.Millisecond) != 20*time.Second {
			t.Errorf("the call hung from %v, want from 10 s to 20 s, a third of the lease", hung)
		}
		if st := s.store.item(key).State; st != request.Succeeded {
			t.Errorf("%s", st)
		}
	})
}

// A frame is on its way for a second and does not arrive. What is sent in its
// place is what the handler has said by then.
func TestNewestReportIsResent(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		task.Progress(streamer.Progress{Percentage: 10, Message: "old"})
		<-time.After(500 * time.Millisecond)
		task.Progress(streamer.Progress{Percentage: 20, Message: "new"})
		<-time.After(20 * time.Second)
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		refused := ""
		s.conns.fault = func(_ string, f wire.Frame) error {
			if refused != "" {
				return nil
			}
			refused = f.Message
			<-time.After(time.Second)
			return push.ErrBusy
		}
		s.mustRun(key, 0)
		got := s.conns.of(wire.TypeProgress)
		if refused != "old" || len(got) != 1 || got[0].Message != "new" || got[0].Percentage != 20 {
			t.Errorf("refused %q, sent %+v; want the new report, once", refused, got)
		}
		if p := s.store.item(key).Progress; p == nil || p.Message != "new" || p.Seq != got[0].Seq {
			t.Errorf("stored %+v", p)
		}
	})
}

// A beat that is refused with the owner's own epoch had happened: who watches
// now is known from what it brings back, without another write.
func TestBeatRefusedWithItsOwnEpochBringsTheWatchers(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		task.Progress(streamer.Progress{Message: "first"})
		<-time.After(10*time.Second + 100*time.Millisecond)
		task.Progress(streamer.Progress{Message: "second"})
		<-time.After(100 * time.Millisecond)
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		time.AfterFunc(time.Second, func() {
			s.store.edit(key, func(a request.Attrs) {
				until := time.Now().Add(time.Hour).Unix()
				a[c.AttrBeat], a[c.AttrWatchers] = int64(2), request.Attrs{"c1": until, "c2": until}
			})
		})
		s.mustRun(key, 0)
		var told []string
		for _, f := range s.conns.of(wire.TypeProgress) {
			if f.connection == "c2" {
				told = append(told, f.Message)
			}
		}
		if len(told) != 1 || told[0] != "second" {
			t.Errorf("the watcher that joined was told %q, want the second report", told)
		}
	})
}
