package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// requestStore is what router, processor and dispatcher need of the tables.
type requestStore interface {
	// Do carries out a transition; an error means that its outcome is unknown.
	Do(ctx context.Context, t request.Transition, key string, p request.Attrs) (request.Outcome, error)
	Get(ctx context.Context, key string) (request.Item, bool, error)
	PutBlob(ctx context.Context, key, name string, data []byte, expires int64) error
	GetBlob(ctx context.Context, key, name string) ([]byte, error)
}

// connections is how frames reach clients.
type connections interface {
	// Push returns push.ErrGone or push.ErrBusy where those apply.
	Push(ctx context.Context, connection string, frame []byte) error
	Close(ctx context.Context, connection string) error
}

// router answers one message per invocation. It reads no table to know who is
// calling, and a quick request makes no call at all.
type router struct {
	app       *App
	store     requestStore
	conns     connections // nil: connections cannot be closed
	log       *slog.Logger
	nonce     func() string
	threshold time.Duration
	timeout   time.Duration
}

// messageEvent is what a route's integration gets of a message.
type messageEvent struct {
	Body    string `json:"body"`
	Context struct {
		EventType    string `json:"eventType"`
		ConnectionID string `json:"connectionId"`
		ConnectedAt  int64  `json:"connectedAt"`
		RequestID    string `json:"requestId"`
		Authorizer   struct {
			User        string `json:"user"`
			Tenant      string `json:"tenant"`
			Permissions string `json:"permissions"`
			Expires     string `json:"exp"`
		} `json:"authorizer"`
	} `json:"requestContext"`
}

// session is what is known of the sender without asking anybody.
type session struct {
	Caller
	connection string
	connected  time.Time
	expires    time.Time
	trace      string
}

// until is when nothing more can be pushed to the connection, epoch seconds.
func (s *session) until() int64 {
	return min(s.expires.Unix(), s.connected.Add(connectionLife).Unix())
}

// Invoke answers one event of the route $default.
func (r *router) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	var e messageEvent
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	s, err := e.session()
	if err != nil {
		return nil, err
	}
	s.trace, _ = ctx.Value("x-amzn-trace-id").(string)
	return json.Marshal(struct {
		Status int    `json:"statusCode"`
		Body   string `json:"body"`
	}{200, string(r.message(ctx, s, []byte(e.Body)))})
}

func (e *messageEvent) session() (session, error) {
	a := &e.Context.Authorizer
	exp, err := strconv.ParseInt(a.Expires, 10, 64)
	if err != nil || a.User == "" {
		return session{}, fmt.Errorf("read event: the authorizer's context has no %s or %s", contract.CtxUser, contract.CtxExpires)
	}
	s := session{
		Caller:     Caller{User: a.User, Tenant: a.Tenant},
		connection: e.Context.ConnectionID, connected: time.UnixMilli(e.Context.ConnectedAt), expires: time.Unix(exp, 0),
	}
	if a.Permissions != "" {
		if err := json.Unmarshal([]byte(a.Permissions), &s.Permissions); err != nil {
			return session{}, fmt.Errorf("read event: authorizer's permissions: %w", err)
		}
	}
	return s, nil
}

// message answers one frame with one frame.
func (r *router) message(ctx context.Context, s session, body []byte) []byte {
	if !time.Now().Before(s.expires) {
		return r.expired(ctx, s, body)
	}
	if len(body) > wire.MaxMessage {
		return wire.AppendError(nil, "", &Error{Code: wire.CodePayloadTooLarge, Message: "a message may have 128 KB"}, nil)
	}
	m, bad := wire.Parse(body)
	if bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	if m.Action[0] == '$' {
		return r.builtin(ctx, s, m)
	}
	a := r.app.actions[m.Action]
	if a == nil {
		return wire.AppendError(nil, m.ID, &Error{Code: wire.CodeInvalidAction, Message: "there is no action " + strconv.Quote(m.Action)}, nil)
	}
	for _, p := range a.require {
		if !s.May(p) {
			return wire.AppendError(nil, m.ID, &Error{Code: wire.CodeForbidden, Message: "permission " + p + " is required"}, nil)
		}
	}
	in, bad := a.decodeSafely(m.Payload, r.log)
	long := a.long
	if bad == nil && !long && a.estimate != nil {
		bad = a.safely(r.log, func() { long = a.estimate(in) > r.threshold })
	}
	if bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	if long {
		return r.accept(ctx, s, m, a)
	}
	return r.quick(ctx, s, m, a, in)
}

// decodeSafely reads the payload of a message.
func (a *action) decodeSafely(payload json.RawMessage, log *slog.Logger) (in any, bad *Error) {
	panicked := a.safely(log, func() { in, bad = a.decode(payload) })
	if panicked != nil {
		return nil, panicked
	}
	return in, bad
}

// safely keeps a panic of the user's code (UnmarshalJSON, Validate, EstimateBy)
// with its request.
func (a *action) safely(log *slog.Logger, do func()) (bad *Error) {
	defer func() {
		if v := recover(); v != nil {
			ref := reference()
			log.Error("payload check panicked", "action", a.name, "reference", ref, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			bad = public(fmt.Errorf("panic: %v", v), ref)
		}
	}()
	do()
	return nil
}

// quick runs the handler and answers in the route response.
func (r *router) quick(ctx context.Context, s session, m wire.Message, a *action, in any) []byte {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	ctx = withCall(ctx, Call{ID: m.ID, Action: a.name, Metadata: m.Metadata, Caller: s.Caller})
	data, err := a.call(ctx, nil, in)
	if err != nil {
		return wire.AppendError(nil, m.ID, r.failure(a, m.ID, err), nil)
	}
	frame := wire.AppendResponse(make([]byte, 0, len(data)+64+len(m.ID)), m.ID, data)
	if len(frame) > wire.MaxMessage {
		return wire.AppendError(nil, m.ID, tooLarge(len(frame)), nil)
	}
	return frame
}

// failure is what the client is told of a handler's error, and logs the rest.
func (r *router) failure(a *action, id string, err error) *Error {
	if e := known(err); e != nil {
		return e
	}
	ref := reference()
	logFailure(r.log, err, "action", a.name, "request_id", id, "reference", ref)
	return public(err, ref)
}

func logFailure(log *slog.Logger, err error, args ...any) {
	args = append(args, "error", err.Error())
	var p *panicError
	if errors.As(err, &p) {
		args = append(args, "stack", string(p.stack))
	}
	log.Error("handler failed", args...)
}

func tooLarge(n int) *Error {
	return &Error{Code: wire.CodePayloadTooLarge, Message: fmt.Sprintf("the result makes a message of %d bytes, at most %d can be sent", n, wire.MaxMessage)}
}

// expired refuses a message whose token has run out, and closes the connection
// where the function was given the right to.
func (r *router) expired(ctx context.Context, s session, body []byte) []byte {
	m, _ := wire.Parse(body)
	if r.conns != nil {
		if err := r.conns.Close(ctx, s.connection); err != nil {
			r.log.Warn("close expired connection", "connection", s.connection, "error", err.Error())
		}
	}
	return wire.AppendError(nil, m.ID, &Error{Code: wire.CodeUnauthorized, Message: "the token has expired; connect again with a fresh one"}, nil)
}
