package streamer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	// retention is how long a request's outcome can be asked for after its deadline.
	retention = 24 * time.Hour
	// maxWatchers bounds the connections that watch one request.
	maxWatchers = 8
)

// order is the input of a background request as it is stored: what the handler
// needs and no frame of the client can change any more.
type order struct {
	Payload     json.RawMessage `json:"p,omitempty"`
	Metadata    json.RawMessage `json:"m,omitempty"`
	Permissions []string        `json:"r,omitempty"`
}

// accept stores the request, once, and acknowledges it.
func (r *router) accept(ctx context.Context, s session, m wire.Message, a *action) []byte {
	out, answer := r.put(ctx, s, m, a, nil)
	if answer != nil {
		return answer
	}
	return r.placed(ctx, s, m, a, out)
}

// placed answers a request that was stored, now or before.
func (r *router) placed(ctx context.Context, s session, m wire.Message, a *action, out request.Outcome) []byte {
	if out.OK {
		return wire.AppendAcknowledgment(nil, m.ID, string(request.Pending), out.Item.Retained, wire.Cursor{})
	}
	return r.again(ctx, s, m, out.Item, fingerprint(a.name, m.Payload))
}

// put stores the request, once, unless there are too many. With owned, which
// replaces attributes, it is at work at once and not to be started. An answer says
// that it was not stored.
func (r *router) put(ctx context.Context, s session, m wire.Message, a *action, owned request.Attrs) (out request.Outcome, answer []byte) {
	if refusal := r.tooMany(ctx, s, m, a); refusal != nil {
		return out, refusal
	}
	out, err := r.place(ctx, s, m, a, r.nonce(), owned)
	if err != nil {
		answer = r.notPlaced(s, m, err)
	}
	return out, answer
}

// notPlaced is the answer to a request that was not stored, or may not be. What is
// refused for want of a right may be allowed soon: rights take their time to arrive.
func (r *router) notPlaced(s session, m wire.Message, err error) []byte {
	if errors.Is(err, request.ErrTooLarge) {
		return wire.AppendError(nil, m.ID, &Error{
			Code: wire.CodePayloadTooLarge, Message: fmt.Sprintf("a payload of %d bytes cannot be kept for as long as this action's requests are", len(m.Payload)),
		}, nil)
	}
	return r.unavailable(m.ID, keys.Request(s.Tenant, s.User, m.ID), err)
}

// place stores the request. It can be repeated with the same nonce; an error means
// that the outcome is not known, unless it is request.ErrTooLarge.
func (r *router) place(ctx context.Context, s session, m wire.Message, a *action, nonce string, owned request.Attrs) (out request.Outcome, err error) {
	now := time.Now()
	key := keys.Request(s.Tenant, s.User, m.ID)
	deadline := now.Add(a.deadline)
	retained := deadline.Add(retention).Unix()
	input, err := encode(order{Payload: m.Payload, Metadata: m.Metadata, Permissions: s.Permissions})
	if err == nil {
		input, err = storeBlob(ctx, r.store, key, keys.Input(nonce), input, retained)
	}
	if err != nil {
		return out, err
	}
	accepted := request.Accepted{
		Tenant: s.Tenant, User: s.User, ID: m.ID, By: nonce, Action: a.name, Input: input, Print: fingerprint(a.name, m.Payload),
		Max: a.attempts, At: now.UnixMilli(), Deadline: deadline.UnixMilli(), Retained: retained,
		Watchers: request.Attrs{s.connection: s.until()},
	}
	item := accepted.Attrs()
	if s.trace != "" {
		item[c.AttrTrace] = s.trace
	}
	r.limits.mark(item, s, now.UnixMilli(), m.ID)
	if owned != nil {
		delete(item, c.AttrStart)
		maps.Copy(item, owned)
		if due, ok := item[c.AttrDueAt].(int64); ok {
			item[c.AttrDueAt] = min(due, deadline.UnixMilli())
		}
	}
	return r.store.Do(ctx, request.Accept, key, item)
}

// again answers a request whose id is known already.
func (r *router) again(ctx context.Context, s session, m wire.Message, it request.Item, print []byte) []byte {
	switch {
	case it.Action == "": // a tombstone: the cancellation overtook its request
		return wire.AppendError(nil, m.ID, cancelled(), &wire.Cursor{})
	case !bytes.Equal(it.Print, print):
		return wire.AppendError(nil, m.ID, &Error{Code: wire.CodeConflict, Message: "the id was used for another request"}, nil)
	}
	if _, watched := it.Watchers[s.connection]; !watched && !it.State.Terminal() {
		out, err := r.store.Do(ctx, request.Watch, it.Key, watch(s, it))
		if err != nil {
			return r.unavailable(m.ID, it.Key, err)
		}
		if !out.Found { // deleted since: the id is free again
			return r.unavailable(m.ID, it.Key, errors.New("the request has gone meanwhile"))
		}
		it = out.Item
	}
	if !it.State.Terminal() {
		return wire.AppendAcknowledgment(nil, m.ID, string(it.State), it.Retained, cursorOf(it))
	}
	frame, err := terminalFrame(ctx, r.store, it)
	if err != nil {
		return r.unavailable(m.ID, it.Key, err)
	}
	return frame
}

// watch are the parameters that make the session's connection a watcher. When
// there are too many, the one whose token ends first makes room: a client that
// connects again and again leaves those behind.
func watch(s session, it request.Item) request.Attrs {
	p := request.Attrs{request.PWatcher: s.connection, request.PWatchEnd: s.until()}
	if len(it.Watchers) < maxWatchers {
		return p
	}
	p[request.PUnwatch] = firstToEnd(it.Watchers, "")
	return p
}

// unavailable answers what could not be done or read for now; what is not kept any
// more, though its request is still there, is not found.
func (r *router) unavailable(id, key string, err error) []byte {
	if errors.Is(err, request.ErrNoBlob) {
		r.log.Warn("what a request has stored is gone", "request", key, "error", err.Error())
		return wire.AppendError(nil, id, notKept, nil)
	}
	r.log.Error("store is not available", "request", key, "error", err.Error())
	return wire.AppendError(nil, id, &Error{
		Code: wire.CodeUnavailable, Message: "try again with the same id", Retryable: true, SameID: true,
	}, nil)
}

// notKept is told of a request whose data has expired before its item was deleted:
// nothing says in which order they go.
var notKept = &Error{Code: wire.CodeNotFound, Message: "the request is not kept any more"}

// fingerprint tells two requests with one id apart.
func fingerprint(action string, payload []byte) []byte {
	h := sha256.New()
	h.Write([]byte(action))
	h.Write([]byte{0})
	h.Write(payload)
	return h.Sum(nil)[:16]
}

// cursorOf is where the frames of a request stand.
func cursorOf(it request.Item) wire.Cursor {
	if p := it.Progress; p != nil && p.Epoch == it.Epoch {
		return wire.Cursor{Epoch: p.Epoch, Seq: p.Seq}
	}
	return wire.Cursor{Epoch: it.Epoch}
}

// storedError is why a request ended without success.
func storedError(it request.Item) *Error {
	if it.State == request.Cancelled {
		return cancelled()
	}
	if it.Failure == nil {
		return &Error{Code: wire.CodeInternal, Message: "the request failed", Retryable: true}
	}
	e := &Error{Code: wire.Code(it.Failure.Code), Message: it.Failure.Message, Retryable: it.Failure.Retryable}
	if it.Failure.Details != "" {
		_ = json.Unmarshal([]byte(it.Failure.Details), &e.Details) // written by us
	}
	return e
}
