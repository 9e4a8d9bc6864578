package streamer

import (
	"context"
	"errors"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// journal begins the handler's memory for the invocation whose context is ctx.
func (p *processor) journal(ctx, handler context.Context, o *owner, it request.Item) (*journal, context.CancelFunc) {
	o.memory = &tables{
		store: p.store, history: p.history, owner: o, newest: it.Checkpoint, first: it.Epoch == 1, expires: it.Retained,
	}
	return newJournal(ctx, handler, o.memory, o, it)
}

// context is the handler's, with its memory.
func (j *journal) context() context.Context { return context.WithValue(j.ctx, journalKey{}, j) }

// goesOn says whether a handler that returned err continues in a fresh
// invocation: its time was up and the request's is not, and it has done
// something that the next one need not do again. What the handler itself
// decides stays decided.
func (j *journal) goesOn(it request.Item, err, cause error) bool {
	var permanent *permanentError
	var later *retryError
	var panicked *panicError
	told := declared(err)
	switch {
	case !errors.Is(cause, ErrDeadline), time.Now().UnixMilli() >= it.Deadline:
		return false
	case errors.As(err, &permanent), errors.As(err, &later), errors.As(err, &panicked), told != nil && !told.Retryable:
		return false
	}
	return j.moved()
}

// goOn gives the request up to a fresh invocation. It costs no attempt, and the
// stream starts it; when that is lost, the sweep does.
func (p *processor) goOn(ctx context.Context, o *owner, it request.Item) error {
	out, err := p.write(ctx, o, request.Continue, verdict{}, request.Attrs{
		request.PEpoch: o.epoch, request.PNext: o.epoch + 1, c.AttrBy: p.nonce(),
		c.AttrDueAt: request.StartDue(time.Now(), it.Deadline),
	})
	if err != nil || out == nil {
		return err
	}
	if !out.OK { // the flag was raised in between
		return p.end(ctx, o, it, byOwner())
	}
	p.log.Info("request goes on", "request", o.key, "action", it.Action, "epoch", o.epoch+1)
	return nil
}
