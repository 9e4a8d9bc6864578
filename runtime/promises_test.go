package streamer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/push"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

func returning(out string) job {
	return func(context.Context, *streamer.Task, text) (string, error) { return out, nil }
}

func TestResultThatIsRefusedForGoodFails(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(returning(strings.Repeat("x", 1000))), func(t *testing.T, s *system) {
		key, began := s.accept("r1", "job", `{}`), time.Now()
		s.store.fault = func(call string) error {
			if call == "put blob" {
				return fmt.Errorf("too large: %w", request.ErrRefused)
			}
			return nil
		}
		s.mustRun(key, 0)
		if st := s.store.item(key).State; st != request.Failed || time.Since(began) > time.Second || s.last("c1").Code != wire.CodeInternal {
			t.Errorf("%s after %v", st, time.Since(began))
		}
	})
}

// One that was robbed tells nobody anything any more.
func TestRobbedOwnerPushesNothing(t *testing.T) {
	t.Parallel()
	var s *system
	var key string
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		<-time.After(time.Second)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrEpoch] = int64(7) })
		task.Progress(streamer.Progress{Percentage: 50})
		if err := task.Emit("piece"); err != nil {
			return "", err
		}
		<-ctx.Done()
		return "", context.Cause(ctx)
	})
	bubble(t, app, func(t *testing.T, sys *system) {
		s, key = sys, sys.accept("r1", "job", `{}`)
		_ = s.run(key, 0)
		if got := append(s.conns.of(wire.TypeProgress), s.conns.of(wire.TypePartial)...); len(got) > 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A connection that is busy does not have the others hear everything twice, and gets
// the newest report in the end.
func TestReportIsSentAgainToThoseThatAreBehind(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		for n := range 3 {
			task.Progress(streamer.Progress{Percentage: float64(n), Message: "report"})
			<-time.After(20 * time.Second)
		}
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.says(elsewhere, `{"id":"r1","action":"job","payload":{}}`) // another tab
		began := time.Now()
		s.conns.fault = func(connection string, _ wire.Frame) error {
			if connection == "c2" && time.Since(began) < 30*time.Second {
				return push.ErrBusy
			}
			return nil
		}
		s.mustRun(key, 0)
		heard := map[string][]float64{}
		for _, f := range s.conns.of(wire.TypeProgress) {
			heard[f.connection] = append(heard[f.connection], f.Percentage)
		}
		if !slices.Equal(heard["c1"], []float64{0, 1, 2}) || !slices.Equal(heard["c2"], []float64{1, 2}) {
			t.Errorf("%v", heard)
		}
	})
}

func TestLastReportIsSentAgainBeforeTheResult(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		task.Progress(streamer.Progress{Percentage: 50, Message: "last"})
		<-time.After(10 * time.Millisecond)
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		refusals := 2
		s.conns.fault = func(string, wire.Frame) error {
			if refusals--; refusals >= 0 {
				return push.ErrBusy
			}
			return nil
		}
		s.mustRun(key, 0)
		if got := s.conns.of(wire.TypeProgress); len(got) != 1 || got[0].Message != "last" || s.last("c1").Type != wire.TypeComplete {
			t.Errorf("%+v", got)
		}
	})
}

func TestTerminalFrameInsistsOnAnyPassingError(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(returning("a")), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		refusals := 3
		s.conns.fault = func(string, wire.Frame) error {
			if refusals--; refusals >= 0 {
				return errors.New("503")
			}
			return nil
		}
		s.mustRun(key, 0)
		if f := s.last("c1"); f.Type != wire.TypeComplete {
			t.Errorf("%+v", f)
		}
	})
}

func TestOwnerIsGivenUpAfterTheDeadline(t *testing.T) {
	t.Parallel()
	app := jobs(func(context.Context, *streamer.Task, text) (string, error) {
		<-time.After(10 * time.Minute) // whatever its context says
		return "", nil
	}, streamer.Deadline(time.Minute))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		deadline := s.store.item(key).Deadline
		time.AfterFunc(time.Second, func() {
			if at := s.store.item(key).DueAt; at != deadline {
				t.Errorf("due at %d, want the deadline %d", at, deadline)
			}
		})
		time.AfterFunc(9*time.Minute, func() {
			if it := s.store.item(key); it.Lease > deadline+(90*time.Second).Milliseconds() {
				t.Errorf("the lease still ends %d ms after the deadline", it.Lease-deadline)
			}
		})
		if err := s.invokeFor(15*time.Minute, work.Hint{Key: key, Deadline: deadline}); err != nil {
			t.Fatal(err)
		}
	})
}

func (s *system) invokeFor(d time.Duration, h work.Hint) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	return s.invoke(ctx, s.processor, h)
}

func TestBeatRefusedWithItsOwnEpochBringsTheFlag(t *testing.T) {
	t.Parallel()
	var cause error
	bubble(t, jobs(waiting(&cause)), func(t *testing.T, s *system) {
		key, began := s.accept("r1", "job", `{}`), time.Now()
		time.AfterFunc(time.Second, func() {
			s.store.edit(key, func(a request.Attrs) { a[c.AttrCancel], a[c.AttrBeat] = true, int64(1) })
		})
		s.mustRun(key, 0)
		if took := time.Since(began); !errors.Is(cause, streamer.ErrCancelled) || took.Round(10*time.Millisecond) != 10*time.Second {
			t.Errorf("%v after %v, want ErrCancelled by the first beat", cause, took)
		}
	})
}

func TestSignsThatHTMLEscapesAreNotMadeLonger(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, _ *streamer.Task, in text) (string, error) { return in.Text, nil })
	bubble(t, app, func(t *testing.T, s *system) {
		signs := strings.Repeat("<", 120<<10)
		key := s.accept("r1", "job", `{"text":"`+signs+`"}`)
		s.mustRun(key, 0)
		for name, blob := range s.store.blobs {
			if len(blob) > 130<<10 {
				t.Errorf("%s has %d bytes", name, len(blob))
			}
		}
		if f := s.last("c1"); string(f.Data) != `"`+signs+`"` {
			t.Errorf("%s %s", f.Type, f.Message)
		}
		if f := s.says(alice, `{"id":"g","action":"$get","payload":{"request_id":"r1"}}`); f.Type != wire.TypeResponse {
			t.Errorf("$get: %s %s", f.Type, f.Message)
		}
	})
}

func TestMistakesOfAHandlerCostAnAttempt(t *testing.T) {
	t.Parallel()
	for name, app := range map[string]*streamer.App{
		"nil *Error": jobs(func(context.Context, *streamer.Task, text) (string, error) { var e *streamer.Error; return "", e }),
		"backoff that panics": jobs(func(context.Context, *streamer.Task, text) (string, error) { return "", errors.New("x") },
			streamer.Retry(2, func(int) time.Duration { panic("in backoff") })),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.mustRun(key, 0)
				if it := s.store.item(key); it.State != request.Pending || it.Failure.Code != string(wire.CodeInternal) || len(s.wake.all()) != 1 {
					t.Errorf("%+v", it)
				}
			})
		})
	}
	defer func() {
		if recover() == nil {
			t.Error("Exponential(0) is accepted")
		}
	}()
	streamer.Exponential(0)
}

func TestWatcherEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		who := alice
		who.expires = 5 * time.Hour
		s.says(who, `{"id":"r1","action":"task","payload":{}}`)
		if got, want := s.store.item("acme/alice/r1").Watchers["c1"], time.Now().Add(2*time.Hour).Unix(); got != want {
			t.Errorf("watches until %d, want %d", got, want)
		}
	})
}

func TestDeadRequestsAreCountedOnceTheyAreWritten(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{}`)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrDeadline] = time.Now().UnixMilli() })
		s.store.fault = once("advance (fail)", errDown)
		s.dispatch(sqs(work.Hint{Key: key}))
		if s.emf.String() != "" {
			t.Errorf("counted before it was written: %s", s.emf)
		}
		s.dispatch(sqs(work.Hint{Key: key}))
		if n := strings.Count(s.emf.String(), `"Failed":1`); n != 1 {
			t.Errorf("counted %d times: %s", n, s.emf)
		}
	})
}
