package streamer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/push"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	// cancelTries bounds how often a cancellation is chosen again: each refusal
	// means that the request has moved on.
	cancelTries = 5
	// pushTime bounds how long the router tells watchers of an end; whom it does
	// not reach asks.
	pushTime = 3 * time.Second
)

// readID reads the payload of an action that is about one request.
func readID(m wire.Message) (id string, bad *Error) {
	var in struct {
		RequestID string `json:"request_id"`
	}
	if bad := wire.Decode(m.Payload, &in); bad != nil {
		return "", bad
	}
	if !wire.ValidID(in.RequestID) {
		return "", asInvalid(Invalid("payload.request_id", "must be the id of a request"))
	}
	return in.RequestID, nil
}

// cancel answers $cancel: what has no owner ends here, an owner is told by its
// next beat, and what has not arrived yet leaves a tombstone.
func (r *router) cancel(ctx context.Context, s session, m wire.Message) []byte {
	id, bad := readID(m)
	if bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	key := keys.Request(s.Tenant, s.User, id)
	it, found, err := r.store.Get(ctx, key)
	for range cancelTries {
		if err != nil {
			return r.unavailable(m.ID, key, err)
		}
		if found && (it.State.Terminal() || it.State == request.Processing && it.Cancel) {
			return respond(m.ID, map[string]any{"request_id": id, "status": it.State})
		}
		var out request.Outcome
		out, err = r.cancelOnce(ctx, key, it, found)
		if err == nil && out.OK && found && out.Item.State == request.Cancelled {
			r.metrics.attempt(it.Action, request.Cancelled, 0, it.Attempt)
			r.pushEnd(ctx, out.Item, "")
		}
		it, found = out.Item, out.Found // as it is now; refused: choose again by it
	}
	return r.unavailable(m.ID, key, fmt.Errorf("cancel request: it changed %d times meanwhile", cancelTries))
}

// cancelOnce carries out the cancellation that the item as read asks for.
func (r *router) cancelOnce(ctx context.Context, key string, it request.Item, found bool) (request.Outcome, error) {
	switch {
	case !found:
		now := time.Now()
		retained := now.Add(DefaultDeadline + retention).Unix()
		return r.store.Do(ctx, request.Tombstone, key, request.Attrs{
			c.AttrState: string(request.Cancelled), c.AttrEpoch: int64(0), c.AttrBy: r.nonce(),
			c.AttrCreatedAt: now.UnixMilli(), c.AttrRetained: retained, c.AttrExpires: retained,
		})
	case it.State == request.Pending:
		return r.store.Do(ctx, request.CancelPending, key, request.Attrs{c.AttrExpires: it.Retained, c.AttrBy: r.nonce()})
	default:
		return r.store.Do(ctx, request.CancelRunning, key, request.Attrs{})
	}
}

// pushEnd tells the watchers of a request that the router has ended, but for one
// that is answered anyhow. It tries once: whom it does not reach asks.
func (r *router) pushEnd(ctx context.Context, it request.Item, but string) {
	now := time.Now().Unix()
	var to []string
	for id, until := range it.Watchers {
		if until > now && id != but {
			to = append(to, id)
		}
	}
	if r.conns == nil || len(to) == 0 {
		return
	}
	frame, err := terminalFrame(ctx, r.store, it)
	if err != nil {
		r.log.Warn("push", "request", it.Key, "error", err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pushTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, id := range to {
		wg.Go(func() {
			if err := r.conns.Push(ctx, id, frame); err != nil && !errors.Is(err, push.ErrGone) {
				r.log.Warn("push", "request", it.Key, "connection", id, "error", err.Error())
			}
		})
	}
	wg.Wait()
}
