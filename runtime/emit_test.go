package streamer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/push"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// emittedLog is a client's log of partials, by the rule of docs/protocol.md.
type emittedLog struct {
	items []string
	epoch int64
	gaps  int
}

func (r *emittedLog) add(epoch, first int64, items []json.RawMessage) {
	switch n := int64(len(r.items)); {
	case epoch < r.epoch:
		return
	case first > n+1:
		r.gaps++
		return
	case epoch > r.epoch:
		r.items, r.epoch = r.items[:first-1], epoch
	}
	for i, item := range items {
		if first+int64(i) == int64(len(r.items))+1 {
			r.items = append(r.items, string(item))
		}
	}
}

// keptLog is the log as history holds it.
func (s *system) keptLog(key string) emittedLog {
	s.t.Helper()
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	var r emittedLog
	for _, name := range slices.Sorted(maps.Keys(s.store.blobs)) {
		rest, ok := strings.CutPrefix(name, key+" "+keys.Partials)
		if !ok {
			continue
		}
		var epoch, first int64
		var items []json.RawMessage
		if _, err := fmt.Sscanf(rest, "%d#%d", &epoch, &first); err != nil {
			s.t.Fatal(err)
		}
		if err := json.Unmarshal(s.store.blobs[name], &items); err != nil {
			s.t.Fatal(err)
		}
		r.add(epoch, first, items)
	}
	return r
}

// seenLog is the log of a connection.
func (s *system) seenLog(connection string) (r emittedLog) {
	for _, f := range s.conns.of(wire.TypePartial) {
		if f.connection == connection {
			r.add(f.Epoch, f.First, f.Items)
		}
	}
	return r
}

// holds checks that the log, as stored and as seen, is 0 to n-1.
func (s *system) holds(key string, n int) {
	s.t.Helper()
	for name, r := range map[string]emittedLog{"stored": s.keptLog(key), "seen": s.seenLog("c1")} {
		if len(r.items) != n || r.gaps != 0 {
			s.t.Fatalf("%s: %d items, %d gaps, want %d items", name, len(r.items), r.gaps, n)
		}
		for i, item := range r.items {
			if item != fmt.Sprint(i) {
				s.t.Fatalf("%s: %s at %d", name, item, i)
			}
		}
	}
	if it := s.store.item(key); it.State == request.Succeeded && it.Partials != int64(n) {
		s.t.Errorf("the item says %d partials", it.Partials)
	}
}

// emitNumbers emits from one number to another, one every step.
func emitNumbers(ctx context.Context, task *streamer.Task, from, to int, step time.Duration) error {
	for i := from; i < to; i++ {
		if err := task.Emit(i); err != nil {
			return err
		}
		if step > 0 {
			select {
			case <-time.After(step):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func TestPartialsAreBatchedStoredAndPushed(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		return "", emitNumbers(ctx, task, 0, 1050, time.Millisecond)
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.conns.fault = func(_ string, f wire.Frame) error {
			s.store.mu.Lock()
			defer s.store.mu.Unlock()
			if _, ok := s.store.blobs[key+" "+keys.Partial(f.Epoch, f.First)]; !ok && f.Type == wire.TypePartial {
				t.Errorf("batch %d was pushed before it was stored", f.First)
			}
			return nil
		}
		s.mustRun(key, 0)
		s.holds(key, 1050)
		if n := len(s.conns.of(wire.TypePartial)); n != 4 { // at 0, 500, 1000 ms, and the last
			t.Errorf("%d frames", n)
		}
		if f := s.last("c1"); f.Type != wire.TypeComplete || f.Partials != 1050 {
			t.Errorf("%+v", f)
		}
		if s.store.item(key).Progress != nil {
			t.Error("partials made a progress")
		}
		if beats := s.store.item(key).Beat; beats != 0 {
			t.Errorf("%d beats in a second of partials", beats)
		}
	})
}

// The handler's order of progress and partials is the frames' order.
func TestOrderOfProgressAndPartials(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		for i := range 500 {
			task.Progress(streamer.Progress{Message: fmt.Sprint(i)})
			if err := task.Emit(i); err != nil {
				return "", err
			}
			<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
		}
		return "", nil
	}, streamer.ProgressEvery(50*time.Millisecond))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.mustRun(key, 0)
		s.holds(key, 500)
		emitted, seq := int64(0), int64(0)
		for _, f := range s.conns.frames {
			if f.Type == wire.TypeComplete {
				continue
			}
			if seq++; f.Seq != seq {
				t.Fatalf("frame %d has seq %d", seq, f.Seq)
			}
			if f.Type == wire.TypePartial {
				emitted = f.First + int64(len(f.Items)) - 1
			} else if f.Message != fmt.Sprint(emitted) {
				t.Fatalf("progress %s after %d partials", f.Message, emitted)
			}
		}
		if p := s.store.item(key).Progress; p.Message != "499" || p.Seq > seq {
			t.Errorf("%+v", p)
		}
	})
}

// Large batches go out before their time, and the handler waits for the store
// alone.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 10_000)
	var took []time.Duration
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		for range 100 {
			from := time.Now()
			if err := task.Emit(big); err != nil {
				return "", err
			}
			took = append(took, time.Since(from))
		}
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key, began := s.accept("r1", "job", `{}`), time.Now()
		down := func() bool { return time.Since(began) < 10*time.Second }
		s.store.fault = func(call string) error {
			if call == "put blob" && down() {
				return errDown
			}
			return nil
		}
		s.mustRun(key, 0)
		if r := s.keptLog(key); len(r.items) != 100 || r.gaps > 0 {
			t.Errorf("%d items, %d gaps", len(r.items), r.gaps)
		}
		if slices.Max(took[:6]) != 0 || slices.Max(took) < 9*time.Second {
			t.Errorf("%v", took)
		}
		for _, f := range s.conns.of(wire.TypePartial) {
			size := 0
			for _, item := range f.Items {
				size += len(item)
			}
			if size > 32<<10 {
				t.Errorf("a batch of %d bytes", size)
			}
		}
	})
}

func TestEmitThatWaitsIsCancelled(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		for {
			if err := task.Emit(strings.Repeat("x", 10_000)); err != nil {
				if !errors.Is(err, streamer.ErrCancelled) {
					t.Errorf("%v", err)
				}
				return "", err
			}
		}
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.store.fault = func(call string) error {
			if call == "put blob" && time.Now().UnixMilli() < s.store.created(key)+60_000 {
				return errDown
			}
			return nil
		}
		time.AfterFunc(time.Second, func() { s.store.edit(key, func(a request.Attrs) { a[c.AttrCancel] = true }) })
		s.mustRun(key, 0)
		if st := s.store.item(key).State; st != request.Cancelled {
			t.Errorf("%s", st)
		}
	})
}

// created is asked for by faults, which hold the lock.
func (m *memory) created(key string) int64 { n, _ := m.items[key][c.AttrCreatedAt].(int64); return n }

func TestBoundsOfPartials(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		f    func(task *streamer.Task) (int, error)
		n    int
		want string
	}{
		{"count", func(task *streamer.Task) (n int, err error) {
			for ; err == nil; n++ {
				err = task.Emit(n)
			}
			return n - 1, err
		}, streamer.MaxPartials, "has 10000 pieces"},
		{"bytes", func(task *streamer.Task) (n int, err error) {
			for ; err == nil; n++ {
				err = task.Emit(strings.Repeat("x", streamer.MaxPartial-2))
			}
			return n - 1, err
		}, streamer.MaxPartialBytes / streamer.MaxPartial, "over 4194304 bytes"},
		{"one", func(task *streamer.Task) (int, error) {
			return 0, task.Emit(strings.Repeat("x", streamer.MaxPartial-1))
		},
			0, "32769 bytes of JSON, at most 32768 are allowed"},
		{"no JSON", func(task *streamer.Task) (int, error) { return 0, task.Emit(make(chan int)) }, 0, "unsupported type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
				n, err := tt.f(task)
				if n != tt.n || err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%d, %v; want %d, %q", n, err, tt.n, tt.want)
				}
				return "", err
			})
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.mustRun(key, 0)
				it := s.store.item(key)
				if r := s.keptLog(key); it.State != request.Failed || len(r.items) != tt.n || it.Partials != int64(tt.n) {
					t.Errorf("%s, %d stored, item says %d", it.State, len(r.items), it.Partials)
				}
			})
		})
	}
}

// A log that cannot be stored for good fails the request, now.
func TestLogThatCannotBeStored(t *testing.T) {
	t.Parallel()
	for _, ignores := range []bool{true, false} {
		t.Run(fmt.Sprint("ignores ", ignores), func(t *testing.T) {
			t.Parallel()
			app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
				err := emitNumbers(ctx, task, 0, 10, time.Second)
				if err == nil || !errors.Is(err, request.ErrRefused) {
					t.Errorf("%v", err)
				}
				if ignores {
					err = nil
				}
				return "", err
			})
			bubble(t, app, func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.store.fault = func(call string) error {
					if call == "put blob" {
						return request.ErrRefused
					}
					return nil
				}
				s.mustRun(key, 0)
				if it := s.store.item(key); it.State != request.Failed || s.last("c1").Type != wire.TypeError {
					t.Errorf("%+v", it)
				}
			})
		})
	}
}

// A retry without a memory starts the log again, under its higher epoch.
func TestRetryStartsTheLogAgain(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		if task.Attempt() == 1 {
			if err := emitNumbers(ctx, task, 100, 130, time.Millisecond); err != nil {
				return "", err
			}
			return "", errors.New("once more")
		}
		return "", emitNumbers(ctx, task, 0, 20, time.Second)
	}, streamer.Retry(2, linear))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.untilEnd(key)
		s.holds(key, 20)
		if f := s.last("c1"); f.Partials != 20 {
			t.Errorf("%+v", f)
		}
	})
}

// What was emitted before the checkpoint is not emitted again; what came after
// it is.
func TestLogGoesOnFromTheCheckpoint(t *testing.T) {
	t.Parallel()
	for _, restores := range []bool{true, false} {
		t.Run(fmt.Sprint("restores ", restores), func(t *testing.T) {
			t.Parallel()
			var s *system
			app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
				from := 0
				if restores {
					if _, err := task.Restore(&from); err != nil {
						return "", err
					}
				}
				if err := emitNumbers(ctx, task, from, 70, time.Millisecond); err != nil {
					return "", err
				}
				if task.Attempt() == 1 {
					if err := task.Checkpoint(ctx, 70); err != nil {
						return "", err
					}
					if n := len(s.keptLog(task.IdempotencyKey()).items); n != 70 { // a crash here would lose the rest
						t.Errorf("%d pieces are stored after the checkpoint that covers 70", n)
					}
					if err := emitNumbers(ctx, task, 1000, 1010, time.Second); err != nil {
						return "", err
					}
					return "", errors.New("once more")
				}
				return "", emitNumbers(ctx, task, 70, 100, 100*time.Millisecond)
			}, streamer.Retry(2, linear))
			bubble(t, app, func(t *testing.T, sys *system) {
				s = sys
				key := s.accept("r1", "job", `{}`)
				s.untilEnd(key)
				s.holds(key, 100)
				for _, f := range s.conns.of(wire.TypePartial) {
					if f.Epoch > 1 && f.First < 71 {
						t.Errorf("item %d again", f.First)
					}
				}
			})
		})
	}
}

// A job that emits in and between its steps, crashes anywhere, and has its
// lease taken over, leaves one log.
func TestLogGoesOnFromTheSteps(t *testing.T) {
	t.Parallel()
	var s *system
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		n := 0
		emit := func(k int, step time.Duration) error {
			n += k
			return emitNumbers(ctx, task, n-k, n, step)
		}
		for i := range 60 {
			if err := emit(3, 0); err != nil {
				return "", err
			}
			if i%7 == task.Attempt() {
				return "", errors.New("once more")
			}
			at, err := streamer.Step(ctx, fmt.Sprint(i), func(context.Context) (int, error) {
				return n + 5, emitNumbers(ctx, task, n, n+5, time.Duration(i%2)*40*time.Second)
			})
			if err != nil {
				return "", err
			}
			n = at
			if got := len(s.keptLog(task.IdempotencyKey()).items); got < n {
				t.Errorf("%d pieces are stored after a step that covers %d", got, n)
			}
		}
		return "", nil
	}, streamer.Retry(9, linear))
	bubble(t, app, func(t *testing.T, sys *system) {
		s = sys
		key := s.accept("r1", "job", `{}`)
		s.watchLong(key)
		s.untilEnd(key)
		s.holds(key, 480)
		if it := s.store.item(key); it.State != request.Succeeded || it.Attempt < 6 || s.count("continue") < 4 {
			t.Errorf("%+v, %d continuations", it, s.count("continue"))
		}
	})
}

// A connection that is slow holds neither the handler nor the others up, and
// gets what it lacks when it listens again.
func TestSlowConnection(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		return "", emitNumbers(ctx, task, 0, 3000, 10*time.Millisecond)
	}, streamer.ProgressEvery(100*time.Millisecond))
	bubble(t, app, func(t *testing.T, s *system) {
		key, began := s.accept("r1", "job", `{}`), time.Now()
		s.store.edit(key, func(a request.Attrs) {
			at := time.Now().Add(time.Hour).Unix()
			a[c.AttrWatchers] = request.Attrs{"c1": at, "slow": at}
		})
		refused := 0
		s.conns.fault = func(connection string, f wire.Frame) error {
			if since := time.Since(began); connection == "slow" && since > time.Second && since < 8*time.Second {
				refused++
				return push.ErrBusy
			}
			return nil
		}
		s.mustRun(key, 0)
		s.holds(key, 3000)
		if r := s.seenLog("slow"); len(r.items) != 3000 || r.gaps != 0 {
			t.Errorf("the slow one has %d items, %d gaps", len(r.items), r.gaps)
		}
		if took := time.Since(began); took > 31*time.Second || refused == 0 || refused > 10 {
			t.Errorf("it took %v, %d frames were refused", took, refused)
		}
	})
}

// What a slow connection lacks is not kept without bounds: it sees a gap, and
// the log has all.
func TestVerySlowConnection(t *testing.T) {
	t.Parallel()
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		for range 100 {
			if err := task.Emit(strings.Repeat("x", 10_000)); err != nil {
				return "", err
			}
			<-time.After(100 * time.Millisecond)
		}
		return "", nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key, began := s.accept("r1", "job", `{}`), time.Now()
		s.conns.fault = func(string, wire.Frame) error {
			if since := time.Since(began); since < 8*time.Second {
				return push.ErrBusy
			}
			return nil
		}
		s.mustRun(key, 0)
		if r := s.keptLog(key); len(r.items) != 100 {
			t.Errorf("%d stored", len(r.items))
		}
		frames := s.conns.of(wire.TypePartial)
		first, last := frames[0], frames[len(frames)-1]
		if first.First < 20 || last.First+int64(len(last.Items))-1 != 100 {
			t.Errorf("from %d to %d", first.First, last.First+int64(len(last.Items))-1)
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// One that joins is told within two seconds.
func TestWatcherThatJoinsTheLog(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		return "", emitNumbers(ctx, task, 0, 100, 100*time.Millisecond)
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		time.AfterFunc(5*time.Second, func() {
			s.says(client{"alice", "acme", "c2", "", time.Hour}, `{"id":"r1","action":"job","payload":{}}`)
		})
		s.mustRun(key, 0)
		s.holds(key, 100)
		var got []int64
		for _, f := range s.conns.of(wire.TypePartial) {
			if f.connection == "c2" {
				got = append(got, f.First)
			}
		}
		if len(got) == 0 || got[0] > 71 || got[0] < 40 || !reflect.DeepEqual(got, slices.Compact(slices.Sorted(slices.Values(got)))) {
			t.Errorf("%v", got)
		}
		if beats := s.store.item(key).Beat; beats > 6 {
			t.Errorf("%d beats in ten seconds", beats)
		}
	})
}

// A batch whose storing has an unknown outcome is repeated as it was, however
// much was emitted since.
func TestBatchIsRepeatedAsItWas(t *testing.T) {
	t.Parallel()
	app := jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
		return "", emitNumbers(ctx, task, 0, 100, 50*time.Millisecond)
	})
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		n, sizes := 0, map[string][]int{}
		s.store.fault = func(call string) error {
			if n++; call == "put blob" && n%3 > 0 {
				return errDown
			}
			return nil
		}
		s.store.watch = func(name string, data []byte) { sizes[name] = append(sizes[name], len(data)) }
		s.mustRun(key, 0)
		s.holds(key, 100)
		repeated := 0
		for name, of := range sizes {
			if repeated += len(of) - 1; slices.Min(of) != slices.Max(of) {
				t.Errorf("%s: %v", name, of)
			}
		}
		if repeated < 3 {
			t.Errorf("%d repetitions", repeated)
		}
	})
}
