package streamer

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// idleSeconds is a limit that API Gateway sets and a client has to know.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
const idleSeconds = 600

// builtin answers the actions that start with $.
func (r *router) builtin(ctx context.Context, s session, m wire.Message) []byte {
	if m.Action == "$hello" || m.Action == "$ping" {
		if bad := wire.Decode(m.Payload, &struct{}{}); bad != nil {
			return wire.AppendError(nil, m.ID, bad, nil)
		}
	}
	switch m.Action {
	case "$hello":
		return respond(m.ID, map[string]any{
			"protocol": wire.Protocol, "time": stamp(time.Now()), "user": s.User, "tenant": s.Tenant,
			"connection_expires_at": stamp(s.connected.Add(c.ConnectionLife)), "token_expires_at": stamp(s.expires),
			"max_message_bytes": wire.MaxMessage, "idle_seconds": idleSeconds,
		})
	case "$ping":
		return respond(m.ID, map[string]any{"time": stamp(time.Now())})
	case "$get":
		return r.get(ctx, s, m)
	case "$cancel":
		return r.cancel(ctx, s, m)
	case "$resume":
		return r.resume(ctx, s, m)
	case "$sync":
		return r.sync(ctx, s, m)
	case "$list":
		return r.list(ctx, s, m)
	case "$fetch":
		return r.fetch(ctx, s, m)
	case "$upload":
		return r.upload(ctx, s, m)
	default:
		return wire.AppendError(nil, m.ID, &Error{Code: wire.CodeInvalidAction, Message: "there is no action " + strconv.Quote(m.Action)}, nil)
	}
}

func respond(id string, data any) []byte {
	raw, err := encode(data)
	if err != nil { // maps of strings, numbers and valid JSON only
		return wire.AppendError(nil, id, &Error{Code: wire.CodeInternal, Message: "internal error"}, nil)
	}
	return wire.AppendResponse(nil, id, raw)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// status is what $get answers.
type status struct {
	RequestID string          `json:"request_id"`
	Action    string          `json:"action,omitempty"`
	Status    request.State   `json:"status"`
	Waiting   string          `json:"waiting,omitempty"`
	Attempt   int64           `json:"attempt"`
	Epoch     int64           `json:"epoch"`
	CreatedAt string          `json:"created_at,omitempty"`
	Retained  string          `json:"retained_until,omitempty"`
	Progress  *progressStatus `json:"progress,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Ref       *wire.Ref       `json:"ref,omitempty"`
	Partials  int64           `json:"partials,omitempty"`
	Redrives  string          `json:"redrives,omitempty"`
	Error     *Error          `json:"error,omitempty"`
}

type progressStatus struct {
	Percentage float64         `json:"percentage"`
	Message    string          `json:"message,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	Epoch      int64           `json:"epoch"`
	Seq        int64           `json:"seq"`
}

// get answers with the state of one of the caller's own requests: the key is
// built from the caller, so another user's request cannot be named.
func (r *router) get(ctx context.Context, s session, m wire.Message) []byte {
	var in struct {
		RequestID string `json:"request_id"`
	}
	if bad := wire.Decode(m.Payload, &in); bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	if !wire.ValidID(in.RequestID) {
		return wire.AppendError(nil, m.ID, asInvalid(Invalid("payload.request_id", "must be the id of a request")), nil)
	}
	key := keys.Request(s.Tenant, s.User, in.RequestID)
	it, found, err := r.store.Get(ctx, key)
	if err != nil {
		return r.unavailable(m.ID, key, err)
	}
	if !found {
		return wire.AppendError(nil, m.ID, &Error{Code: wire.CodeNotFound, Message: "there is no request with that id"}, nil)
	}
	st, err := r.status(ctx, in.RequestID, it)
	if err != nil {
		return r.unavailable(m.ID, key, err)
	}
	frame := respond(m.ID, st)
	if len(frame) > wire.MaxMessage {
		return wire.AppendError(nil, m.ID, tooLarge(len(frame), wire.MaxMessage), nil)
	}
	return frame
}

// status is what $get answers, with a result that leaves room for the rest.
func (r *router) status(ctx context.Context, id string, it request.Item) (*status, error) {
	st := describe(id, it)
	if it.State != request.Succeeded {
		return st, nil
	}
	res, err := resultOf(ctx, r.store, it, wire.MaxMessage-entryRoom)
	st.Result, st.Ref = res.Data, res.Ref
	return st, err
}

// describe is the state of a request without its result.
func describe(id string, it request.Item) *status {
	st := &status{
		RequestID: id, Action: it.Action, Status: it.State, Waiting: waitsFor(it), Attempt: it.Attempt, Epoch: it.Epoch,
		Retained: retainedText(it), CreatedAt: stamp(time.UnixMilli(it.CreatedAt)), Progress: progressOf(it.Progress),
		Partials: it.Partials, Redrives: it.Redrives,
	}
	if it.State.Terminal() && it.State != request.Succeeded {
		st.Error = storedError(it)
	}
	return st
}

// startTime is what a start takes while there is a function for it.
const startTime = 3 * time.Second

// waitsFor is why a request is not started, "" for no reason: what has been offered
// and is not taken waits for a function, of which as many are at work as there
// may be.
func waitsFor(it request.Item) string {
	offered := it.State == request.Pending && it.Start == it.Epoch
	if it.Waiting == "" && offered && time.Since(later(offeredAt(it), time.UnixMilli(it.CreatedAt))) > startTime {
		return request.WaitsCapacity
	}
	return it.Waiting
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// retainedText is until when the request is kept; "" when that is not known.
func retainedText(it request.Item) string {
	if it.Retained == 0 {
		return ""
	}
	return stamp(time.Unix(it.Retained, 0))
}

func progressOf(p *request.Snapshot) *progressStatus {
	if p == nil {
		return nil
	}
	return &progressStatus{Percentage: p.Percentage, Message: p.Message, Metadata: json.RawMessage(p.Metadata), Epoch: p.Epoch, Seq: p.Seq}
}
