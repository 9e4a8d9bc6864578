package streamer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/push"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// reporting reports n times, one every step.
func reporting(n int, step time.Duration) job {
	return func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		for i := range n {
			task.Progress(streamer.Progress{Percentage: float64(i+1) * 100 / float64(n), Message: fmt.Sprint(i + 1)})
			<-time.After(step)
		}
		return "", nil
	}
}

// ordered checks what holds for any progress: cursors rise without gaps, the
// newest is never older than what came before, and the last report is there.
func ordered(t *testing.T, frames []received, last string) {
	t.Helper()
	for i, f := range frames {
		if f.Epoch != 1 || f.Seq != int64(i+1) {
			t.Errorf("frame %d has cursor %d.%d", i, f.Epoch, f.Seq)
		}
		if i > 0 && f.Percentage < frames[i-1].Percentage {
			t.Errorf("frame %d goes back to %v", i, f.Percentage)
		}
	}
	if n := len(frames); n == 0 || frames[n-1].Message != last {
		t.Errorf("the last of %d frames is not the last report", n)
	}
}

func TestProgressIsCoalesced(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(reporting(1050, time.Millisecond)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		frames := s.conns.of(wire.TypeProgress)
		ordered(t, frames, "1050")
		if len(frames) != 4 { // at 0, 500, 1000 ms, and the last
			t.Errorf("%d frames", len(frames))
		}
		if frames[1].Message != "501" && frames[1].Message != "500" {
			t.Errorf("the second frame says %s: not the newest then", frames[1].Message)
		}
		if p := s.store.item(key).Progress; p == nil || p.Message != "1050" || p.Seq != 4 || p.Percentage != 100 {
			t.Errorf("stored %+v", p)
		}
		if f := s.last("c1"); f.Cursor().Compare(frames[3].Cursor()) <= 0 {
			t.Errorf("the end has cursor %v", f.Cursor())
		}
	})
}

func TestProgressAsFastAsAsked(t *testing.T) {
	t.Parallel()
	app := jobs(reporting(2000, time.Millisecond), streamer.ProgressEvery(10*time.Millisecond))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		frames := s.conns.of(wire.TypeProgress)
		ordered(t, frames, "2000")
		if n := len(frames); n < 200 || n > 202 {
			t.Errorf("%d frames in two seconds, want 100 a second", n)
		}
		if beats := s.store.item(key).Beat; beats > 5 {
			t.Errorf("%d writes in two seconds", beats)
		}
	})
}

func TestSnapshotIsReadWhileItRuns(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(reporting(4, time.Second)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		time.AfterFunc(2500*time.Millisecond, func() {
			f := s.says(alice, `{"id":"g","action":"$get","payload":{"request_id":"r1"}}`)
			if !strings.Contains(string(f.Data), `"percentage":75,"message":"3"`) {
				t.Errorf("%s", f.Data)
			}
			again := s.says(alice, `{"id":"r1","action":"job","payload":{}}`)
			if again.Cursor() != (wire.Cursor{Epoch: 1, Seq: 3}) || again.Status != "PROCESSING" {
				t.Errorf("%+v", again)
			}
		})
		s.mustRun(key, 0)
	})
}

func TestBusyConnectionSlowsDownAndRecovers(t *testing.T) {
	t.Parallel()
	app := jobs(reporting(20_000, time.Millisecond), streamer.ProgressEvery(10*time.Millisecond))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		began := time.Now()
		refused := 0
		s.conns.fault = func(_ string, f wire.Frame) error {
			if since := time.Since(began); since > time.Second && since < 5*time.Second {
				refused++
				return push.ErrBusy
			}
			return nil
		}
		s.mustRun(key, 0)
		if refused == 0 || refused > 10 {
			t.Errorf("%d frames while the connection was busy for four seconds", refused)
		}
		frames := s.conns.of(wire.TypeProgress)
		late := 0
		for _, f := range frames {
			if f.at.Sub(began) >= 19*time.Second {
				late++
			}
		}
		if late < 95 {
			t.Errorf("%d frames in the last second: it has not recovered", late)
		}
		if last := frames[len(frames)-1]; last.Message != "20000" {
			t.Errorf("the last report is %s", last.Message)
		}
	})
}

func TestTerminalFrameInsistsOnABusyConnection(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(returns(nil)), func(t *testing.T, s *system) {
		key, began := s.accept("r1", "job", `{}`), time.Now()
		s.conns.fault = func(string, wire.Frame) error {
			if time.Since(began) < time.Second {
				return push.ErrBusy
			}
			return nil
		}
		s.mustRun(key, 0)
		if f := s.last("c1"); f.Type != wire.TypeComplete {
			t.Errorf("%+v", f)
		}
		s.conns.fault = func(string, wire.Frame) error { return push.ErrBusy }
		key = s.accept("r2", "job", `{}`)
		began = time.Now()
		s.mustRun(key, 0)
		if took := time.Since(began); took > 10*time.Second || s.store.item(key).State != request.Succeeded {
			t.Errorf("it insisted for %v", took)
		}
	})
}

func TestGoneConnectionIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(reporting(3, time.Second)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.store.edit(key, func(a request.Attrs) {
			at := time.Now().Add(time.Hour).Unix()
			a[c.AttrWatchers] = request.Attrs{"c1": at, "c2": at, "expired": time.Now().Unix()}
		})
		s.conns.fault = func(connection string, _ wire.Frame) error {
			if connection == "c1" {
				return push.ErrGone
			}
			return nil
		}
		s.mustRun(key, 0)
		if s.conns.calls["c1"] != 1 || s.conns.calls["c2"] != 4 || s.conns.calls["expired"] != 0 {
			t.Errorf("%v", s.conns.calls)
		}
	})
}

func TestWatcherThatJoinsIsToldByTheNextBeat(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(reporting(4, time.Second)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		time.AfterFunc(1500*time.Millisecond, func() {
			s.says(client{"alice", "acme", "c2", "", time.Hour}, `{"id":"r1","action":"job","payload":{}}`)
		})
		s.mustRun(key, 0)
		if s.conns.calls["c1"] != 5 || s.conns.calls["c2"] != 3 || s.last("c2").Type != wire.TypeComplete {
			t.Errorf("%v", s.conns.calls)
		}
	})
}

func TestProgressMetadata(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		for i, m := range []any{map[string]int{"n": 1}, "no object", map[string]string{"x": strings.Repeat("x", 5000)}, make(chan int),
			map[string]string{"x": strings.Repeat("x", 300)}} {
			task.Progress(streamer.Progress{Percentage: float64(i), Message: strings.Repeat("é", 200), Metadata: m})
			<-time.After(time.Second)
		}
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		for i, want := range []int{7, 0, 0, 0, 308} {
			if f := s.conns.of(wire.TypeProgress)[i]; len(f.Metadata) != want || len(f.Message) != 400 {
				t.Errorf("%d: metadata %s, message of %d bytes", i, f.Metadata, len(f.Message))
			}
		}
		if n := strings.Count(s.log.String(), "progress metadata dropped"); n != 1 {
			t.Errorf("%d lines in the log", n)
		}
		if p := s.store.item(key).Progress; len(p.Message) != 160 || p.Metadata != "" {
			t.Errorf("stored %d bytes of message, metadata %s", len(p.Message), p.Metadata)
		}
	})
}
