package streamer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// journal is what one invocation of a handler knows of its own past, and adds
// to it. It is safe for concurrent use.
type journal struct {
	memory durable
	owner  *owner
	log    *slog.Logger
	ctx    context.Context // the handler's
	// life is the time for writing down what the handler has done: its own, and
	// some of what is left for the function after it.
	life context.Context
	// before says that a checkpoint was there when the invocation began, and at
	// where the log stood then.
	before bool
	at     place
	turn   chan struct{} // holds one: the past is being read, or a checkpoint stored

	mu       sync.Mutex // guards the rest
	closed   bool       // the handler has returned
	loaded   bool       // known holds what earlier invocations have finished
	known    map[string]request.Step
	used     map[string]bool // names of this invocation: finished, or at work
	results  int             // bytes of the results in known
	running  int             // steps
	finished int             // steps, of this invocation
	restored bool
	state    []byte // the newest checkpoint, once it is known
	initial  []byte // the one that was there, once it is known
}

// lifeAfter is the part of the time after the handler's end that is for
// writing down.
const lifeAfter = 5 * time.Second

// errReturned is what a handler's goroutine is told that outlives it.
var errReturned = errors.New("the handler has returned")

// newJournal begins the invocation of a handler that has that context; ctx is
// the function's. The journal is to be closed with the function that comes
// back.
func newJournal(ctx, handler context.Context, memory durable, o *owner, it request.Item) (j *journal, end context.CancelFunc) {
	j = &journal{
		memory: memory, owner: o, log: o.log, ctx: handler, before: it.Checkpoint != nil,
		turn: make(chan struct{}, 1), known: map[string]request.Step{}, used: map[string]bool{},
	}
	j.life, end = ctx, func() {}
	if own, ok := handler.Deadline(); ok {
		until := own.Add(lifeAfter)
		if d, ok := ctx.Deadline(); ok && own.Add(d.Sub(own)/2).Before(until) {
			until = own.Add(d.Sub(own) / 2)
		}
		j.life, end = context.WithDeadlineCause(ctx, until, ErrDeadline)
	}
	if p := it.Checkpoint; p != nil {
		j.at = place{p.Partials, p.Bytes}
		o.pieces.remember(j.at)
	}
	return j, end
}

// close is called when the handler has returned.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
}

// open returns why nothing more can be done in this invocation, nil when it can.
func (j *journal) open() error {
	j.mu.Lock()
	closed := j.closed
	j.mu.Unlock()
	if closed {
		return errReturned
	}
	return context.Cause(j.ctx)
}

// moved says whether this invocation leaves more than it found, so that the
// next one has less to do.
func (j *journal) moved() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	changed := j.state != nil && !bytes.Equal(j.state, j.initial) && (!j.before || j.restored)
	return j.finished > 0 || changed
}

// inTurn lets one at a time.
func (j *journal) inTurn(ctx context.Context, do func() error) error {
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
		return do()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// insist repeats what could not be done, for as long as there is time and it is
// not refused for good.
func (j *journal) insist(ctx context.Context, what string, do func(context.Context) error) error {
	for wait := 100 * time.Millisecond; ; wait = min(wait*2, maxPause) {
		err := do(ctx)
		switch {
		case err == nil, lostBy(err):
			return err
		case errors.Is(err, request.ErrRefused), errors.Is(err, request.ErrNoBlob):
			return Permanent(fmt.Errorf("%s: %w", what, err))
		}
		j.log.Warn(what, "request", j.owner.key, "error", err.Error())
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (last: %w)", what, context.Cause(ctx), err)
		case <-time.After(wait):
		}
	}
}

// load reads what earlier invocations have finished, once.
func (j *journal) load(ctx context.Context) error {
	loaded := func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.loaded
	}
	if loaded() {
		return nil
	}
	return j.inTurn(ctx, func() error {
		if loaded() {
			return nil
		}
		return j.insist(ctx, "load steps", func(ctx context.Context) error {
			steps, err := j.memory.steps(ctx)
			if err != nil {
				return err
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			j.loaded = true
			for _, s := range steps {
				j.known[s.Name] = s
				j.results += len(s.Result)
				j.owner.pieces.remember(place{s.Partials, s.Bytes})
			}
			return nil
		})
	})
}

// settle stores the log as far as the handler is, and returns that place: what
// a checkpoint or a step covers is not emitted again.
func (j *journal) settle(ctx context.Context) (place, error) {
	at := j.owner.pieces.place()
	err := j.insist(ctx, "store partials", func(ctx context.Context) error { return j.owner.keepPieces(ctx, at.n) })
	return at, err
}

func (j *journal) emit(raw json.RawMessage) error {
	if err := j.open(); err != nil {
		return err
	}
	if err := j.load(j.ctx); err != nil {
		return err
	}
	for {
		room, full, err := j.owner.pieces.add(raw)
		j.owner.wakeUp()
		if !full {
			return err
		}
		select {
		case <-room:
		case <-j.ctx.Done():
			return context.Cause(j.ctx)
		}
	}
}
