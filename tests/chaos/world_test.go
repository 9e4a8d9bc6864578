package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/streamer-go/streamer/tests/chaos/app"
)

// world is a run.
type world struct {
	*system
	counts
	plan    *plan
	planned map[string]*request // by name
	ear     ear
	clients []*caller
	calls   []*call
	work    sync.WaitGroup
	began   time.Time
	calm    time.Time // when the storm was over
	settled time.Duration

	mu     sync.Mutex // guards the rest
	met    []happening
	broken []violation
	nudged int
}

var errNotOver = errors.New("not over in time")

// happening is a fault that came.
type happening struct {
	from, to time.Time
	name     string
	what     string
}

// violation is a promise that was not kept.
type violation struct{ request, text string }

func newWorld(s *system, p *plan) *world {
	w := &world{system: s, plan: p, planned: map[string]*request{}}
	for i := range p.requests {
		r := &p.requests[i]
		w.planned[r.name()] = r
		w.calls = append(w.calls, &call{request: r})
	}
	return w
}

func (w *world) violate(request, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, violation{request, fmt.Sprintf(format, args...)})
}

// rest waits, and says whether it was let.
func (w *world) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// rage lets the storm happen; it returns when all faults are over. Calls go on
// in the background.
func (w *world) rage(ctx context.Context) error {
	for n, user := range w.plan.clients {
		c, err := w.connect(ctx, fmt.Sprintf("%s's client %d", user, n), user)
		if err != nil {
			return err
		}
		w.clients = append(w.clients, c)
	}
	w.began = time.Now()
	for _, k := range w.calls {
		w.work.Go(func() {
			if w.rest(ctx, k.request.at) {
				w.ask(ctx, k)
			}
		})
	}
	var weather sync.WaitGroup
	for i := range w.plan.faults {
		f := &w.plan.faults[i]
		weather.Go(func() {
			if !w.rest(ctx, f.at) {
				return
			}
			from := time.Now()
			what := f.do(ctx, w, f, rand.New(rand.NewPCG(f.dice, 1)))
			w.mu.Lock()
			defer w.mu.Unlock()
			w.met = append(w.met, happening{from, time.Now(), f.name, what})
		})
	}
	weather.Wait()
	w.rest(ctx, time.Until(w.began.Add(w.plan.storm)))
	w.calm = time.Now()
	return ctx.Err()
}

// settle waits until all calls have ended and nothing is open. With hurry, what
// is open after a while is pointed at, so that nobody has to wait for the sweep.
func (w *world) settle(ctx context.Context, hurry time.Duration) error {
	all := make(chan struct{})
	go func() { w.work.Wait(); close(all) }()
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	// Who has just woken up may speak. Then: the session asks after what it has not
	// heard of only after half a minute, or when its connection is lost.
	w.rest(ctx, 3*time.Second)
	w.cutAll()
	for ended := false; ; {
		keys, err := w.open(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("read what is open: %w", err)
		case ended && len(keys) == 0:
			return nil
		case hurry > 0 && time.Since(w.calm) > hurry && len(keys) > 0:
			for _, key := range keys {
				err = errors.Join(err, w.hint(ctx, key))
			}
			if err != nil {
				return err
			}
			w.nudged = max(w.nudged, len(keys))
			hurry += 3 * time.Second
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		select {
		case <-all:
			ended = true
		default:
		}
	}
}

// notes reads what handlers have written: all of it, or the newest bytes.
func (w *world) notes(newest int64) (notes []app.Note, err error) {
	f, err := os.Open(filepath.Join(w.dir, app.Notes))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	whole := newest >= info.Size()
	raw, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-newest), newest))
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(raw) {
		var n app.Note
		if !whole || !bytes.HasSuffix(line, []byte("\n")) { // the first of the newest, or one that is being written
			whole = true
			continue
		}
		if err := json.Unmarshal(line, &n); err != nil {
			return nil, fmt.Errorf("read note %q: %w", line, err)
		}
		notes = append(notes, n)
	}
	return notes, nil
}

// recent is how many bytes of notes tell who is at work.
const recent = 1 << 20

// atWork draws a run of a long handler that has begun and not ended, in a
// process that lives.
func (w *world) atWork(r *rand.Rand, of func(request string) bool) (app.Note, bool) {
	notes, err := w.notes(recent)
	if err != nil {
		return app.Note{}, false // it is read again at the end
	}
	var runs []app.Note
	ended := map[string]bool{}
	for _, n := range notes {
		if n.What == "failed" || n.What == "returns" {
			ended[n.Run] = true
		}
	}
	alive := map[int]bool{}
	for _, pid := range w.processes("") {
		alive[pid] = true
	}
	for _, n := range notes {
		if p := w.planned[n.Request]; n.What == "begin" && !ended[n.Run] && alive[n.PID] && p != nil && p.action != "once" && of(n.Request) {
			runs = append(runs, n)
		}
	}
	if len(runs) == 0 {
		return app.Note{}, false
	}
	return runs[r.IntN(len(runs))], true
}
