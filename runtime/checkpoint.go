package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// MaxCheckpoint bounds a checkpoint, in bytes of JSON.
const MaxCheckpoint = 256 << 10

// Checkpoint stores state, as JSON, for the invocation that goes on with this
// request when this one ends early: because its time is up, by a retry, or by a
// crash. It replaces the checkpoint before, and is durable when it returns.
//
// It can still be called after the context has ended with ErrDeadline, for some
// seconds. It returns an error when state is no JSON or over MaxCheckpoint,
// ErrLost or ErrCancelled when the request has another owner, and ctx's cause
// when that ends before it could be stored.
func (t *Task) Checkpoint(ctx context.Context, state any) error {
	raw, err := encode(state)
	if err != nil {
		return Permanent(fmt.Errorf("checkpoint: %w", err))
	}
	if len(raw) > MaxCheckpoint {
		return Permanent(fmt.Errorf("checkpoint: the state has %d bytes of JSON, at most %d are allowed", len(raw), MaxCheckpoint))
	}
	return t.journal.checkpoint(ctx, raw)
}

// Restore reads the newest checkpoint of the request into state, a pointer; false
// says that there is none and state is as it was. Call it first: the log of
// partials goes on where it was then, and only an invocation that has restored
// what was there can be continued for the checkpoints that it stores itself.
func (t *Task) Restore(state any) (bool, error) {
	raw, found, err := t.journal.restore()
	if err != nil || !found {
		return false, err
	}
	if err := json.Unmarshal(raw, state); err != nil {
		return false, fmt.Errorf("restore: read checkpoint: %w", err)
	}
	return true, nil
}

func (j *journal) restore() (state []byte, found bool, err error) {
	if err := j.open(); err != nil {
		return nil, false, err
	}
	err = j.inTurn(j.ctx, func() error {
		j.mu.Lock()
		state = j.state
		j.mu.Unlock()
		if found = state != nil; found || !j.before {
			return nil
		}
		return j.insist(j.ctx, "load checkpoint", func(ctx context.Context) (err error) {
			if state, found, err = j.memory.restore(ctx); err != nil || !found {
				return err
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			j.state, j.initial, j.restored = state, state, true
			j.owner.pieces.jump(j.at)
			return nil
		})
	})
	return state, found, err
}

func (j *journal) checkpoint(ctx context.Context, state []byte) error {
	ctx, stop, err := j.writing(ctx)
	if err != nil {
		return err
	}
	defer stop()
	return j.inTurn(ctx, func() error {
		at, err := j.settle(ctx)
		if err != nil {
			return err
		}
		err = j.insist(ctx, "store checkpoint", func(ctx context.Context) error { return j.memory.checkpoint(ctx, state, at) })
		if err != nil {
			return err
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.state = state
		return nil
	})
}

// writing is ctx for writing down what was done: it does not end with the
// handler's time, but a little later.
func (j *journal) writing(ctx context.Context) (context.Context, func(), error) {
	j.mu.Lock()
	closed := j.closed
	j.mu.Unlock()
	if closed {
		return nil, nil, errReturned
	}
	ended := func() error {
		if cause := context.Cause(ctx); !errors.Is(cause, ErrDeadline) {
			return cause
		}
		return nil
	}
	if err := ended(); err != nil {
		return nil, nil, err
	}
	w, cancel := context.WithCancelCause(j.life)
	unwatch := context.AfterFunc(ctx, func() {
		if err := ended(); err != nil {
			cancel(err)
		}
	})
	return w, func() { unwatch(); cancel(nil) }, nil
}
