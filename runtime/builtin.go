package streamer

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// Limits that API Gateway sets and a client has to know.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
const (
	connectionLife = 2 * time.Hour
	idleSeconds    = 600
)

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
			"protocol": wire.Protocol, "user": s.User, "tenant": s.Tenant,
			"connection_expires_at": stamp(s.connected.Add(connectionLife)), "token_expires_at": stamp(s.expires),
			"max_message_bytes": wire.MaxMessage, "idle_seconds": idleSeconds,
		})
	case "$ping":
		return respond(m.ID, map[string]any{"time": stamp(time.Now())})
	case "$get":
		return r.get(ctx, s, m)
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
	Attempt   int64           `json:"attempt"`
	Epoch     int64           `json:"epoch"`
	CreatedAt string          `json:"created_at,omitempty"`
	Retained  string          `json:"retained_until,omitempty"`
	Progress  *progressStatus `json:"progress,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
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
		return wire.AppendError(nil, m.ID, tooLarge(len(frame)), nil)
	}
	return frame
}

func (r *router) status(ctx context.Context, id string, it request.Item) (*status, error) {
	st := &status{
		RequestID: id, Action: it.Action, Status: it.State, Attempt: it.Attempt, Epoch: it.Epoch,
		Retained: stamp(time.Unix(it.Retained, 0)), CreatedAt: stamp(time.UnixMilli(it.CreatedAt)),
	}
	if p := it.Progress; p != nil {
		st.Progress = &progressStatus{Percentage: p.Percentage, Message: p.Message, Epoch: p.Epoch, Seq: p.Seq}
		if p.Metadata != "" {
			st.Progress.Metadata = json.RawMessage(p.Metadata)
		}
	}
	if !it.State.Terminal() {
		return st, nil
	}
	if it.State != request.Succeeded {
		st.Error = storedError(it)
		return st, nil
	}
	data, err := loadBlob(ctx, r.store, it.Key, it.Output)
	st.Result = data
	return st, err
}
