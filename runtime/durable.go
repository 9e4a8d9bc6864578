package streamer

import (
	"context"
	"errors"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// durable remembers what a handler has done, from one invocation to the next.
// What a call stores is there when it returns; an error means that this is not
// known, but request.ErrRefused, which comes again, and ErrLost and
// ErrCancelled: another owns the request now. The tables serve it here; a
// service that keeps such a memory itself could.
type durable interface {
	// restore returns the newest checkpoint; found is false for none.
	restore(ctx context.Context) (state []byte, found bool, err error)
	checkpoint(ctx context.Context, state []byte, at place) error
	// steps lists those that earlier invocations have finished.
	steps(ctx context.Context) ([]request.Step, error)
	// step stores a finished one and returns the one that counts.
	step(ctx context.Context, s request.Step) (request.Step, error)
	// partials stores a batch of the log; first is the number of its first.
	partials(ctx context.Context, first int64, batch []byte) error
}

// historyStore is what the tables need beside the store of requests.
type historyStore interface {
	Steps(ctx context.Context, key string) ([]request.Step, error)
	// PutStep stores a step, once, and only while the request has that epoch.
	PutStep(ctx context.Context, key string, epoch int64, s request.Step, expires int64) (request.Kept, error)
}

// place is where the log of partials stands: how many, and their bytes.
type place struct{ n, bytes int64 }

// tables is the memory of one owner: checkpoints are named by the request and
// held by it or by history, everything else is in history. What has no fence of
// its own has the epoch in its key, so that a lost owner overwrites nothing.
type tables struct {
	store   requestStore
	history historyStore
	owner   *owner
	newest  *request.Checkpoint // as the claim brought it; nil for none
	first   bool                // no invocation was before this one
	expires int64
	// Checkpoints take turns with as few names as it takes: what the request holds is
	// never overwritten, nor what it may hold since a reply was lost.
	held  int64          // the name that it holds for sure; 0: another owner's
	tried map[int64]bool // since then
}

// maxInlineState keeps a request with a checkpoint under one kilobyte, which is
// what a write is paid for.
const maxInlineState = 128

func (t *tables) restore(ctx context.Context) ([]byte, bool, error) {
	if t.newest == nil {
		return nil, false, nil
	}
	state, err := loadBlob(ctx, t.store, t.owner.key, t.newest.State)
	return state, true, err
}

// checkpoint is called by one goroutine at a time.
func (t *tables) checkpoint(ctx context.Context, state []byte, at place) error {
	blob, n := append([]byte{tagInline}, state...), int64(0)
	if len(state) > maxInlineState {
		for n = 1; n == t.held || t.tried[n]; n++ {
		}
		name := keys.Checkpoint(t.owner.epoch, n)
		if err := t.store.PutBlob(ctx, t.owner.key, name, state, t.expires); err != nil {
			return err
		}
		blob = append([]byte{tagHistory}, name...)
		if t.tried == nil {
			t.tried = map[int64]bool{}
		}
		t.tried[n] = true
	}
	err := t.owner.beatWith(ctx, &request.Checkpoint{State: blob, Partials: at.n, Bytes: at.bytes})
	if err == nil { // earlier beats, which may be under way still, come too late now
		t.held = n
		clear(t.tried)
	}
	return err
}

func (t *tables) steps(ctx context.Context) ([]request.Step, error) {
	if t.first {
		return nil, nil
	}
	return t.history.Steps(ctx, t.owner.key)
}

func (t *tables) step(ctx context.Context, s request.Step) (counts request.Step, err error) {
	o := t.owner
	// A call that hangs must not keep the beats from the lease.
	ctx, cancel := context.WithTimeout(ctx, o.lease/3)
	defer cancel()
	// The transaction would be refused by a beat that is under way, and a beat by it.
	err = o.exclusively(ctx, func() error {
		kept, err := t.history.PutStep(ctx, o.key, o.epoch, s, t.expires)
		if err == nil && kept.Lost {
			err = o.lost(kept.Item)
		}
		counts = kept.Step
		return err
	})
	return counts, err
}

func (t *tables) partials(ctx context.Context, first int64, batch []byte) error {
	return t.store.PutBlob(ctx, t.owner.key, keys.Partial(t.owner.epoch, first), batch, t.expires)
}

// exclusively lets one call at a time write to the request.
func (o *owner) exclusively(ctx context.Context, do func() error) error {
	if err := turn(ctx, o.writing); err != nil {
		return err
	}
	defer func() { <-o.writing }()
	return do()
}

// turn takes a lock, a channel that holds one. Who has to wait for it goes on a
// moment after who had it, and does not run beside what that one does next: then
// the order of what both do is the same each time that the same happens.
func turn(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	default:
	}
	select {
	case lock <- struct{}{}:
		time.Sleep(time.Microsecond)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lost ends the handler's context; old is the item that refused its owner.
func (o *owner) lost(old request.Item) error {
	cause := ErrLost
	if old.State == request.Cancelled {
		cause = ErrCancelled
	}
	o.mu.Lock()
	o.robbed = true
	o.mu.Unlock()
	o.cancel(cause)
	return cause
}

// lostBy says whether a write was refused because another owns the request.
func lostBy(err error) bool { return errors.Is(err, ErrLost) || errors.Is(err, ErrCancelled) }
