package streamer_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// untilEnd works a request off as the other functions would have it: what is to
// be started is started, what waits is offered when its time has come. It
// returns how many invocations there were.
func (s *system) untilEnd(key string) (invocations int) {
	s.t.Helper()
	for {
		it := s.store.item(key)
		switch {
		case it.State.Terminal():
			return invocations
		case invocations > 500:
			s.t.Fatal("no end")
		case it.State == request.Pending && it.Start == it.Epoch:
			invocations++
			s.mustRun(key, it.Epoch)
		default:
			<-time.After(max(time.Until(time.UnixMilli(max(it.RunAt, it.Lease))), time.Second))
			if err := s.invoke(s.t.Context(), s.dispatcher, sqs(work.Hint{Key: key, Epoch: it.Epoch})); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// watchLong makes the client's connection outlive what connections do.
func (s *system) watchLong(key string) {
	s.store.edit(key, func(a request.Attrs) {
		a[c.AttrWatchers] = request.Attrs{"c1": time.Now().Add(100 * time.Hour).Unix()}
	})
}

// events counts what happened under a name.
func (s *system) count(event string) (n int) {
	for _, e := range s.store.events() {
		if e == event {
			n++
		}
	}
	return n
}

type progressState struct {
	Done int
	Pad  string
}

// counting works off n units of a minute each, with a checkpoint after each.
func counting(n int, pad string, ran *[]int) job {
	return func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		var st progressState
		found, err := task.Restore(&st)
		if err != nil {
			return "", err
		}
		if found != (st.Done > 0) || found && st.Pad != pad {
			return "", streamer.Permanent(fmt.Errorf("restored %v %d with %d bytes", found, st.Done, len(st.Pad)))
		}
		for st.Done < n {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
			*ran = append(*ran, st.Done)
			st.Done, st.Pad = st.Done+1, pad
			if err := task.Checkpoint(ctx, st); err != nil {
				return "", err
			}
		}
		return fmt.Sprint(st.Done), nil
	}
}

// A job of twelve hours and more goes through fifty invocations of fifteen
// minutes, costs one attempt, and does nothing twice.
func TestJobOfManyHours(t *testing.T) {
	t.Parallel()
	for want, pad := range map[int]string{50: "", 5: strings.Repeat("x", 5000)} {
		t.Run(fmt.Sprintf("%d bytes", len(pad)), func(t *testing.T) {
			t.Parallel()
			var ran []int
			bubble(t, jobs(counting(14*want, pad, &ran), streamer.Retry(1, linear)), func(t *testing.T, s *system) {
				key, began := s.accept("r1", "job", `{}`), time.Now()
				s.watchLong(key)
				n := s.untilEnd(key)
				it := s.store.item(key)
				if it.State != request.Succeeded || it.Attempt != 1 || n != want || s.count("continue") != want-1 {
					t.Errorf("%s, attempt %d, %d invocations, %d continuations; %+v", it.State, it.Attempt, n, s.count("continue"), it.Failure)
				}
				for i, unit := range ran {
					if unit != i {
						t.Fatalf("unit %d was worked off in place of %d", unit, i)
					}
				}
				if f := s.last("c1"); string(f.Data) != fmt.Sprintf("%q", fmt.Sprint(14*want)) || f.Epoch != int64(2*want) {
					t.Errorf("%+v", f)
				}
				if took := time.Since(began); took < time.Duration(want)*14*time.Minute || took > time.Duration(want)*15*time.Minute {
					t.Errorf("it took %v", took)
				}
				if strings.Contains(s.log.String(), "handler failed") {
					t.Error("a continuation is logged as a failure")
				}
			})
		})
	}
}

// finishes n steps of four minutes each; ran lists the calls.
func stepping(n int, ran *[]string) job {
	return func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		sum := 0
		for i := range n {
			v, err := streamer.Step(ctx, fmt.Sprintf("page %d", i), func(ctx context.Context) (int, error) {
				*ran = append(*ran, streamer.StepKey(ctx))
				select {
				case <-time.After(4 * time.Minute):
					return i, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
			if err != nil {
				return "", err
			}
			sum += v
		}
		return fmt.Sprint(sum), nil
	}
}

func TestStepsAreRememberedAcrossInvocations(t *testing.T) {
	t.Parallel()
	var ran []string
	bubble(t, jobs(stepping(10, &ran), streamer.Retry(1, linear)), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		n := s.untilEnd(key)
		if f := s.last("c1"); string(f.Data) != `"45"` || s.store.item(key).Attempt != 1 {
			t.Errorf("%+v", f)
		}
		// Three fit into each invocation; the fourth is cut off and run again.
		if n != 4 || len(ran) != 13 || s.count("step") != 10 || s.count("steps") != 3 {
			t.Errorf("%d invocations, %d calls, %d stored, %d queries", n, len(ran), s.count("step"), s.count("steps"))
		}
		if ran[0] != key+"/page 0" || ran[3] != ran[4] || ran[3] != key+"/page 3" {
			t.Errorf("%q", ran)
		}
	})
}

// A continuation has to leave less to do; else it is an attempt that ran out of
// time.
func TestContinuationNeedsProgress(t *testing.T) {
	t.Parallel()
	sleep := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name          string
		f             job
		state         request.State
		continuations int
		code          wire.Code
	}{
		{"nothing", func(ctx context.Context, _ *streamer.Task, _ text) (string, error) { return "", sleep(ctx) },
			request.Failed, 0, wire.CodeTimeout},
		{"the same state again", func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			var st int
			if _, err := task.Restore(&st); err != nil {
				return "", err
			}
			if err := task.Checkpoint(ctx, 7); err != nil {
				return "", err
			}
			return "", sleep(ctx)
		}, request.Failed, 1, wire.CodeTimeout},
		{"a state that is never restored", func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			if err := task.Checkpoint(ctx, time.Now()); err != nil {
				return "", err
			}
			return "", sleep(ctx)
		}, request.Failed, 1, wire.CodeTimeout},
		{"a verdict of its own", func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			if err := task.Checkpoint(ctx, 7); err != nil {
				return "", err
			}
			_ = sleep(ctx)
			return "", streamer.Permanent(errors.New("no"))
		}, request.Failed, 0, wire.CodeTimeout},
		{"a panic", func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			if err := task.Checkpoint(ctx, task.Attempt()); err != nil {
				return "", err
			}
			panic(sleep(ctx))
		}, request.Failed, 0, wire.CodeTimeout},
		{"the deadline of the request", func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			var n int
			if _, err := task.Restore(&n); err != nil {
				return "", err
			}
			err := sleep(ctx)
			if err := task.Checkpoint(ctx, n+1); err != nil { // there is still time for it
				return "", err
			}
			return "", err
		}, request.Failed, 97, wire.CodeTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(tt.f, streamer.Retry(2, linear)), func(t *testing.T, s *system) {
				key, began := s.accept("r1", "job", `{}`), time.Now()
				s.untilEnd(key)
				it := s.store.item(key)
				if it.State != tt.state || s.count("continue") != tt.continuations || it.Failure.Code != string(tt.code) {
					t.Errorf("%s %+v after %d continuations, want %d", it.State, it.Failure, s.count("continue"), tt.continuations)
				}
				if took := time.Since(began); took > 24*time.Hour {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestContinuationThatIsCancelledEnds(t *testing.T) {
	t.Parallel()
	var s *system
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		if err := task.Checkpoint(ctx, 1); err != nil {
			return "", err
		}
		<-ctx.Done()
		s.store.edit(task.IdempotencyKey(), func(a request.Attrs) { a[c.AttrCancel] = true })
		return "", ctx.Err()
	})
	bubble(t, app, func(t *testing.T, sys *system) {
		s = sys
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		if it := s.store.item(key); it.State != request.Cancelled || s.last("c1").Code != wire.CodeCancelled {
			t.Errorf("%+v", it)
		}
	})
}

// What a retry finds is what the attempt before had stored.
func TestRetryGoesOnFromTheCheckpoint(t *testing.T) {
	t.Parallel()
	var found []int
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		n := -1
		if _, err := task.Restore(&n); err != nil {
			return "", err
		}
		found = append(found, n)
		if err := task.Checkpoint(ctx, task.Attempt()); err != nil {
			return "", err
		}
		if _, err := task.Restore(&n); err != nil || n != task.Attempt() {
			return "", fmt.Errorf("restored %d: %w", n, err)
		}
		if task.Attempt() < 3 {
			panic("no")
		}
		return "", nil
	}, streamer.Retry(3, linear))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.untilEnd(key)
		if !reflect.DeepEqual(found, []int{-1, 1, 2}) || s.store.item(key).State != request.Succeeded {
			t.Errorf("%v %+v", found, s.store.item(key))
		}
	})
}

func TestCheckpointErrors(t *testing.T) {
	t.Parallel()
	errGone := errors.New("gone")
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		for _, tt := range []struct {
			state any
			want  string
		}{{make(chan int), "unsupported type"}, {strings.Repeat("x", streamer.MaxCheckpoint), "at most 262144 are allowed"}} {
			if err := task.Checkpoint(ctx, tt.state); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		}
		own, cancel := context.WithCancelCause(ctx)
		cancel(errGone)
		if err := task.Checkpoint(own, 1); !errors.Is(err, errGone) {
			t.Errorf("%v", err)
		}
		if err := task.Checkpoint(ctx, strings.Repeat("x", streamer.MaxCheckpoint-2)); err != nil {
			t.Errorf("the largest: %v", err)
		}
		var n int
		if found, err := task.Restore(&n); err == nil || found {
			t.Errorf("a text was read into a number: %v", found)
		}
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) { s.untilEnd(s.accept("r1", "job", `{}`)) })
}

// TestWritesOfALostOwner: it learns it from the write, not from the next beat.
func TestWritesOfALostOwner(t *testing.T) {
	t.Parallel()
	checkpoint := func(ctx context.Context, task *streamer.Task) error { return task.Checkpoint(ctx, 1) }
	step := func(ctx context.Context, _ *streamer.Task) error {
		_, err := streamer.Step(ctx, "a", func(context.Context) (int, error) { return 1, nil })
		return err
	}
	for name, write := range map[string]func(context.Context, *streamer.Task) error{"checkpoint": checkpoint, "step": step} {
		for _, state := range []request.State{request.Processing, request.Cancelled} {
			t.Run(fmt.Sprint(name, " ", state), func(t *testing.T) {
				t.Parallel()
				want := map[request.State]error{request.Processing: streamer.ErrLost, request.Cancelled: streamer.ErrCancelled}[state]
				var s *system
				var key string
				app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
					s.store.edit(key, func(a request.Attrs) {
						a[c.AttrEpoch], a[c.AttrBy], a[c.AttrState] = int64(7), "thief", string(state)
					})
					err := write(ctx, task)
					if !errors.Is(err, want) || !errors.Is(context.Cause(ctx), want) {
						t.Errorf("%v, cause %v, want %v", err, context.Cause(ctx), want)
					}
					return "", err
				})
				bubble(t, app, func(t *testing.T, sys *system) {
					s = sys
					key = s.accept("r1", "job", `{}`)
					s.mustRun(key, 0)
					if got := s.store.events(); !reflect.DeepEqual(got, []string{"accept", "claim"}) {
						t.Errorf("%v", got)
					}
				})
			})
		}
	}
}

// A store that is down for a while costs time, and a lost reply nothing.
func TestDurableWritesInsist(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		call  string
		fault error
	}{{"beat", errDown}, {"beat", errLost}, {"put step", errDown}, {"put step", errLost}, {"put blob", errDown}, {"steps", errDown}} {
		t.Run(fmt.Sprint(tt.call, " ", tt.fault), func(t *testing.T) {
			t.Parallel()
			runs := 0
			app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
				if err := task.Checkpoint(ctx, strings.Repeat("x", 500)); err != nil {
					return "", err
				}
				v, err := streamer.Step(ctx, "a", func(context.Context) (int, error) { runs++; return runs, nil })
				if err == nil && task.Attempt() == 1 {
					err = errors.New("once more")
				}
				return fmt.Sprint(v), err
			}, streamer.Retry(2, linear))
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				left := 3
				s.store.fault = func(call string) error {
					if call == tt.call && left > 0 {
						left--
						return tt.fault
					}
					return nil
				}
				s.untilEnd(key)
				if f := s.last("c1"); string(f.Data) != `"1"` || runs != 1 || left != 0 {
					t.Errorf("%+v, fn ran %d times, %d faults left", f, runs, left)
				}
			})
		})
	}
}

func TestRefusedForGoodFailsAtOnce(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"beat", "put step"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
				if err := task.Checkpoint(ctx, 1); err != nil {
					return "", err
				}
				return streamer.Step(ctx, "a", func(context.Context) (string, error) { return "", nil })
			})
			bubble(t, app, func(t *testing.T, s *system) {
				key, began := s.accept("r1", "job", `{}`), time.Now()
				s.store.fault = func(c string) error {
					if c == call {
						return request.ErrRefused
					}
					return nil
				}
				s.mustRun(key, 0)
				if it := s.store.item(key); it.State != request.Failed || time.Since(began) > time.Second {
					t.Errorf("%+v after %v", it, time.Since(began))
				}
			})
		})
	}
}

func TestStepErrors(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	app := jobs(func(ctx context.Context, _ *streamer.Task, _ text) (string, error) {
		calls := 0
		step := func(name string, out any, fail error) error {
			_, err := streamer.Step(ctx, name, func(context.Context) (any, error) { calls++; return out, fail })
			return err
		}
		check := func(what string, err error, want string, called bool) {
			if err == nil || !strings.Contains(err.Error(), want) || called != (calls > 0) {
				t.Errorf("%s: %v, want %q; fn was called %d times", what, err, want, calls)
			}
			calls = 0
		}
		check("no name", step("", 1, nil), "1 to 128 characters", false)
		check("long name", step(strings.Repeat("é", 129), 1, nil), "1 to 128 characters", false)
		check("not UTF-8", step("\xff", 1, nil), "1 to 128 characters", false)
		check("no JSON", step("a", make(chan int), nil), "unsupported type", true)
		check("too large", step("a", strings.Repeat("x", streamer.MaxStepResult), nil), "at most 262144 are allowed", true)
		if err := step("a", 1, boom); err != boom {
			t.Errorf("%v", err)
		}
		calls = 0
		if err := errors.Join(step("a", 1, nil), step(strings.Repeat("é", 128), 1, nil)); err != nil || calls != 2 {
			t.Errorf("%v: %d", err, calls)
		}
		calls = 0
		check("twice", step("a", 2, nil), "used twice", false)
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		if s.untilEnd(key); s.store.item(key).State != request.Succeeded || s.count("step") != 2 {
			t.Errorf("%d stored", s.count("step"))
		}
	})
}

func TestBoundsOfAllSteps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, result, want string
		steps              int
	}{
		{"count", "x", "has 1000 steps", streamer.MaxSteps},
		{"bytes", strings.Repeat("x", streamer.MaxStepResult-2), "have 16777216 bytes", streamer.MaxStepResults / streamer.MaxStepResult},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
				for i := range tt.steps + 1 {
					_, err := streamer.Step(ctx, fmt.Sprint(i), func(context.Context) (string, error) { return tt.result, nil })
					if err != nil {
						if i != tt.steps || !strings.Contains(err.Error(), tt.want) {
							t.Errorf("step %d: %v", i, err)
						}
						if task.Attempt() == 1 && tt.name == "count" {
							return "", errors.New("once more")
						}
						return "", err
					}
				}
				return "", nil
			}, streamer.Retry(2, linear))
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				if s.untilEnd(key); s.store.item(key).State != request.Failed || s.count("step") != tt.steps {
					t.Errorf("%d stored", s.count("step"))
				}
			})
		})
	}
}

// What Step returns is what a later invocation would be given.
func TestStepResultTravelsThroughJSON(t *testing.T) {
	t.Parallel()
	type result struct {
		Shown  int
		hidden int
	}
	app := jobs(func(ctx context.Context, _ *streamer.Task, _ text) (string, error) {
		r, err := streamer.Step(ctx, "a", func(context.Context) (result, error) { return result{1, 2}, nil })
		return fmt.Sprint(r.Shown, r.hidden), err
	})
	bubble(t, app, func(t *testing.T, s *system) {
		s.untilEnd(s.accept("r1", "job", `{}`))
		if f := s.last("c1"); string(f.Data) != `"1 0"` {
			t.Errorf("%s", f.Data)
		}
	})
}

// A step in a panic is not remembered, and its name is free again.
func TestStepThatPanics(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, _ *streamer.Task, _ text) (string, error) {
		func() {
			defer func() { _ = recover() }()
			_, _ = streamer.Step(ctx, "a", func(context.Context) (int, error) { panic("no") })
		}()
		_, err := streamer.Step(ctx, "a", func(context.Context) (int, error) { return 1, nil })
		return "", err
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		if s.untilEnd(key); s.store.item(key).State != request.Succeeded {
			t.Errorf("%+v", s.store.item(key).Failure)
		}
	})
}

func TestStepsAtTheSameTime(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		errs := make(chan error, 20)
		for i := range 20 {
			go func() {
				v, err := streamer.Step(ctx, fmt.Sprint(i), func(context.Context) (int, error) {
					<-time.After(time.Duration(i) * time.Second)
					return i, nil
				})
				if err == nil && v != i {
					err = fmt.Errorf("step %d returned %d", i, v)
				}
				errs <- err
			}()
		}
		var all []error
		for range 20 {
			all = append(all, <-errs)
		}
		if task.Attempt() == 1 {
			all = append(all, errors.New("once more"))
		}
		return "", errors.Join(all...)
	}, streamer.Retry(2, linear))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		if s.untilEnd(key); s.store.item(key).State != request.Succeeded || s.count("step") != 20 {
			t.Errorf("%+v", s.store.item(key).Failure)
		}
	})
}

// A plain handler steps too, when it runs long; when it is quick, no store is
// asked.
func TestStepInAPlainHandler(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	runs := 0
	plain := func(ctx context.Context, _ text) (string, error) {
		return streamer.Step(ctx, "a", func(ctx context.Context) (string, error) { runs++; return streamer.StepKey(ctx), nil })
	}
	streamer.Handle(app, "quick", plain)
	streamer.Handle(app, "long", plain, streamer.Estimate(time.Minute))
	bubble(t, app, func(t *testing.T, s *system) {
		f := s.says(alice, `{"id":"q","action":"quick","payload":{}}`)
		if string(f.Data) != `"acme/alice/q/a"` || len(s.store.events()) != 0 || runs != 1 {
			t.Errorf("%+v, %v", f, s.store.events())
		}
		key := s.accept("r", "long", `{}`)
		s.untilEnd(key)
		if f := s.last("c1"); string(f.Data) != `"acme/alice/r/a"` || s.count("step") != 1 || runs != 2 {
			t.Errorf("%+v", f)
		}
		if streamer.StepKey(t.Context()) != "" {
			t.Error("a key outside of a step")
		}
	})
}

// What outlives its handler is told so.
func TestTaskAfterItsHandler(t *testing.T) {
	t.Parallel()
	var done chan []error
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		go func() {
			<-time.After(time.Second)
			_, restore := task.Restore(new(int))
			_, step := streamer.Step(ctx, "a", func(context.Context) (int, error) { t.Error("it ran"); return 0, nil })
			done <- []error{task.Checkpoint(context.Background(), 1), task.Emit(1), restore, step}
		}()
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		done = make(chan []error, 1)
		s.untilEnd(s.accept("r1", "job", `{}`))
		for i, err := range <-done {
			if err == nil || err.Error() != "the handler has returned" {
				t.Errorf("%d: %v", i, err)
			}
		}
		if i := slices.Index(s.store.events(), "end"); i != len(s.store.events())-1 {
			t.Errorf("%v", s.store.events())
		}
	})
}

// A transaction and a beat on one request would refuse each other: the beat
// waits, and not for longer than the lease bears.
func TestStepAndBeatDoNotMeet(t *testing.T) {
	t.Parallel()
	for took, wantBeat := range map[time.Duration]time.Duration{9 * time.Second: 15 * time.Second, time.Hour: 16 * time.Second} {
		t.Run(took.String(), func(t *testing.T) {
			t.Parallel()
			app := jobs(func(ctx context.Context, _ *streamer.Task, _ text) (string, error) {
				<-time.After(6 * time.Second)
				return streamer.Step(ctx, "a", func(context.Context) (string, error) { return "", nil })
			})
			bubble(t, app, func(t *testing.T, s *system) {
				key, began := s.accept("r1", "job", `{}`), time.Now()
				steps, inStep, beat := 0, false, time.Duration(0)
				s.store.hang = func(ctx context.Context, call string) error {
					switch call {
					case "beat":
						if inStep {
							t.Error("a beat while a step is stored")
						}
						if beat == 0 {
							beat = time.Since(began).Round(10 * time.Millisecond)
						}
					case "put step":
						if steps++; steps > 1 {
							return nil
						}
						inStep = true
						defer func() { inStep = false }()
						select {
						case <-time.After(took):
						case <-ctx.Done():
							return ctx.Err()
						}
					}
					return nil
				}
				s.mustRun(key, 0)
				if st := s.store.item(key).State; beat != wantBeat || st != request.Succeeded {
					t.Errorf("the beat came at %v, want %v; %s", beat, wantBeat, st)
				}
			})
		})
	}
}
