package streamer

import (
	"bytes"
	"context"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	// onceLease is what a router has after the handler's deadline to write down
	// what came of it, before the sweep gives the request to a processor.
	onceLease = 10 * time.Second
	// onceEpoch is the epoch that an idempotent quick request is accepted with: it
	// is owned at once.
	onceEpoch = 1
	// endTries bounds how often its end is written.
	endTries = 4
)

// once runs a quick handler as the owner of its request: accepted and claimed in
// one write, ended in another.
func (r *router) once(ctx context.Context, s session, m wire.Message, a *action, in any) []byte {
	limit := r.quickLimit(ctx, a)
	lease := time.Now().Add(limit + onceLease).UnixMilli()
	out, answer := r.put(ctx, s, m, a, request.Attrs{
		c.AttrState: string(request.Processing), c.AttrEpoch: int64(onceEpoch), c.AttrAttempt: int64(1),
		c.AttrLease: lease, c.AttrDueAt: lease,
	})
	switch {
	case answer != nil:
		return answer
	case !out.OK:
		return r.onceAgain(ctx, s, m, a, out.Item)
	}
	it := out.Item
	call := Call{
		ID: m.ID, Action: a.name, Metadata: m.Metadata, Caller: s.Caller, Attempt: 1, Deadline: time.UnixMilli(it.Deadline),
	}
	end := r.attempt(ctx, a, call, in, limit)
	if end.promotable(a) {
		return r.handOn(ctx, s, m, a, it)
	}
	data, bad := r.quickVerdict(a, m.ID, end)
	frame := wire.AppendResponse(nil, m.ID, data)
	if len(frame) > wire.MaxMessage {
		bad = tooLarge(len(frame), wire.MaxMessage)
	}
	state := request.Succeeded
	if bad != nil {
		state = request.Failed
		frame = wire.AppendError(nil, m.ID, bad, &wire.Cursor{Epoch: onceEpoch + 1})
	}
	return r.endOnce(ctx, s, m, a, it, state, data, bad, frame)
}

// endOnce stores the outcome and answers with the frame.
func (r *router) endOnce(ctx context.Context, s session, m wire.Message, a *action, it request.Item, state request.State, data []byte, bad *Error, frame []byte) []byte {
	attrs := request.Attrs{
		request.PEpoch: int64(onceEpoch), request.PNext: int64(onceEpoch + 1), request.PState: string(state),
		c.AttrExpires: it.Retained, c.AttrBy: r.nonce(),
	}
	var out request.Outcome
	err := tryEnd(ctx, func() (err error) {
		if state == request.Succeeded {
			if attrs[c.AttrOutput], err = storeBlob(ctx, r.store, it.Key, keys.Output(onceEpoch), data, it.Retained); err != nil {
				return err
			}
		} else {
			attrs[c.AttrFailure] = storedFailure(bad).Attrs() // an answer, not a death: its caller hears it
		}
		out, err = r.store.Do(ctx, request.End, it.Key, attrs)
		return err
	})
	switch {
	case err != nil: // its id is answered with what is known by then
		return r.unavailable(m.ID, it.Key, err)
	case !out.OK: // the lease was over: another has it
		return r.onceAgain(ctx, s, m, a, out.Item)
	}
	if state == request.Failed {
		r.metrics.attempt(a.name, state, time.Since(time.UnixMilli(it.CreatedAt)), 1)
	}
	r.pushEnd(ctx, out.Item, s.connection)
	return frame
}

// handOn gives the request to a processor, at once.
func (r *router) handOn(ctx context.Context, s session, m wire.Message, a *action, it request.Item) []byte {
	attrs := request.Attrs{
		request.PEpoch: int64(onceEpoch), request.PNext: int64(onceEpoch + 1), c.AttrBy: r.nonce(),
		c.AttrDueAt: request.StartDue(time.Now(), it.Deadline),
	}
	var out request.Outcome
	err := tryEnd(ctx, func() (err error) { out, err = r.store.Do(ctx, request.Continue, it.Key, attrs); return err })
	switch {
	case err != nil:
		return r.unavailable(m.ID, it.Key, err)
	case out.OK:
		return wire.AppendAcknowledgment(nil, m.ID, string(out.Item.State), out.Item.Retained, cursorOf(out.Item))
	case out.Item.Epoch == onceEpoch && out.Item.Cancel:
		bad := cancelled()
		return r.endOnce(ctx, s, m, a, it, request.Cancelled, nil, bad, wire.AppendError(nil, m.ID, bad, &wire.Cursor{Epoch: onceEpoch + 1}))
	default:
		return r.onceAgain(ctx, s, m, a, out.Item)
	}
}

// onceAgain answers a message whose id is known already: as the first one was
// answered, or will be.
func (r *router) onceAgain(ctx context.Context, s session, m wire.Message, a *action, it request.Item) []byte {
	print := fingerprint(a.name, m.Payload)
	if it.State != request.Succeeded || !bytes.Equal(it.Print, print) {
		return r.again(ctx, s, m, it, print)
	}
	res, err := resultOf(ctx, r.store, it, wire.MaxMessage-envelope/2)
	if err != nil {
		return r.unavailable(m.ID, it.Key, err)
	}
	if res.Ref != nil { // a processor's, and too large for a response
		return r.again(ctx, s, m, it, print)
	}
	return wire.AppendResponse(nil, m.ID, res.Data)
}

// tryEnd repeats a last write a few times: the client waits.
func tryEnd(ctx context.Context, do func() error) (err error) {
	for wait, n := 100*time.Millisecond, 1; ; wait, n = 2*wait, n+1 {
		if err = do(); err == nil || n == endTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}
