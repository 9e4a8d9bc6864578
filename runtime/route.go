package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// requestStore is what router and processor need of the tables.
type requestStore interface {
	// Do carries out a transition; an error means that its outcome is unknown.
	Do(ctx context.Context, t request.Transition, key string, p request.Attrs) (request.Outcome, error)
	Get(ctx context.Context, key string) (request.Item, bool, error)
	blobStore
	// UploadURL returns request.ErrTooLarge where objects are switched off.
	UploadURL(ctx context.Context, object string, size int64) (url string, headers map[string]string, until time.Time, err error)
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
	store     routerStore
	conns     connections // nil: connections cannot be closed
	log       *slog.Logger
	metrics   *metrics
	nonce     func() string
	threshold time.Duration
	timeout   time.Duration
	left      leftovers
	alone     bool // in a process that ends with it
	spare     atomic.Pointer[quickRun]
	limits    *limiter // nil: none
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
	return min(s.expires.Unix(), s.connected.Add(contract.ConnectionLife).Unix())
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
	return proxyAnswer(r.message(ctx, s, []byte(e.Body))), nil
}

// proxyAnswer is the answer of a proxy integration whose body is the frame.
func proxyAnswer(frame []byte) []byte {
	const head = `{"statusCode":200,"body":`
	b := append(make([]byte, 0, len(head)+len(frame)+len(frame)/4+8), head...)
	return append(wire.AppendString(b, string(frame)), '}')
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
	if e.Context.ConnectedAt == 0 {
		s.connected = time.Now()
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
	r.left.tell(r.log, r.metrics)
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
	if refusal := r.limits.message(ctx, s, m); refusal != nil {
		return refusal
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
	if m.Ref != "" {
		if bad := r.uploaded(ctx, s, &m); bad != nil {
			return wire.AppendError(nil, m.ID, bad, nil)
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

func tooLarge(n, most int) *Error {
	return &Error{Code: wire.CodePayloadTooLarge, Message: fmt.Sprintf("the answer has %d bytes, at most %d can be kept or delivered", n, most)}
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
