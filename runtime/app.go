package streamer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"github.com/streamer-go/streamer/runtime/wire"
)

// App is a registry of actions. One registry serves router and processor.
type App struct {
	actions map[string]*action
}

// New makes an empty registry.
func New() *App { return &App{actions: map[string]*action{}} }

// action is a registered handler with its types erased.
type action struct {
	name     string
	long     bool
	input    reflect.Type
	require  []string
	attempts int64
	backoff  Backoff
	retryIf  func(error) bool // nil: as the error says
	deadline time.Duration
	every    time.Duration
	// Of quick handlers: their own deadline (0: the router's), and what is allowed.
	timeout    time.Duration
	promote    bool
	idempotent bool
	// What in is: a pointer to the input.
	estimate func(in any) time.Duration // nil: quick
	decode   func(json.RawMessage) (any, *Error)
	run      func(ctx context.Context, task *Task, in any) (any, error)
}

// Defaults of an action.
const (
	DefaultAttempts = 3
	DefaultDeadline = 24 * time.Hour
	DefaultProgress = 500 * time.Millisecond
)

// Handle registers a plain handler. In and Out are JSON: unknown fields of the
// payload are refused with their path, and an In with a method Validate() error
// is asked. It panics when the action is registered already or its name or
// options make no sense, for that is a mistake of the program.
func Handle[In, Out any](app *App, name string, handler func(context.Context, In) (Out, error), opts ...Option) {
	a := newAction[In](name, opts)
	a.run = func(ctx context.Context, _ *Task, in any) (any, error) { return handler(ctx, *in.(*In)) }
	app.add(a)
}

// HandleTask registers a long handler: it always runs in the background, at
// least once, and reports through its Task. See Handle for the types.
func HandleTask[In, Out any](app *App, name string, handler func(context.Context, *Task, In) (Out, error), opts ...Option) {
	a := newAction[In](name, opts)
	a.long = true
	a.run = func(ctx context.Context, t *Task, in any) (any, error) { return handler(ctx, t, *in.(*In)) }
	app.add(a)
}

var actionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

func (app *App) add(a *action) {
	if !actionName.MatchString(a.name) {
		panic(fmt.Sprintf("streamer: action %q: want 1 to 128 of A-Z a-z 0-9 . _ : - and no leading sign", a.name))
	}
	if app.actions[a.name] != nil {
		panic(fmt.Sprintf("streamer: action %q is registered twice", a.name))
	}
	a.checkQuick()
	app.actions[a.name] = a
}

func newAction[In any](name string, opts []Option) *action {
	a := &action{
		name: name, input: reflect.TypeFor[In](), attempts: DefaultAttempts, backoff: Exponential(time.Second),
		deadline: DefaultDeadline, every: DefaultProgress, decode: decoder[In](),
	}
	for _, o := range opts {
		o(a)
	}
	return a
}

type validator interface{ Validate() error }

// decoder reads and validates a payload. The method may be the input's or its
// pointer's.
func decoder[In any]() func(json.RawMessage) (any, *Error) {
	pointer := reflect.TypeFor[In]().Kind() == reflect.Pointer
	return func(payload json.RawMessage) (any, *Error) {
		in := new(In)
		if err := wire.Decode(payload, in); err != nil {
			return nil, err
		}
		v, ok := any(in).(validator)
		if pointer && !reflect.ValueOf(in).Elem().IsNil() {
			v, ok = any(*in).(validator)
		}
		if !ok {
			return in, nil
		}
		if err := v.Validate(); err != nil {
			if bad := asInvalid(err); bad != nil {
				return nil, bad
			}
		}
		return in, nil
	}
}

// asInvalid makes a validation error of what Validate returned. Its text is
// meant for the client. A nil *Error means that nothing is wrong.
func asInvalid(err error) *Error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // a wrapped one may carry text that is not for the client
		if e == nil || e.Code.Known() && !e.SameID {
			return e
		}
		told := *e
		if told.SameID = false; !told.Code.Known() {
			told.Code = wire.CodeValidation
		}
		return &told
	}
	return &Error{Code: wire.CodeValidation, Message: "the payload is not valid", Details: []wire.Detail{{Path: "payload", Reason: err.Error()}}}
}

// call runs the handler and returns its result as JSON. A panic of the handler,
// or of its result's MarshalJSON, is an error.
func (a *action) call(ctx context.Context, task *Task, in any) (data []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			data, err = nil, &panicError{value: v, stack: debug.Stack()}
		}
	}()
	out, err := a.run(ctx, task, in)
	if e, ok := err.(*Error); ok && e == nil { //nolint:errorlint // exactly that: a nil pointer in an error
		err = errors.New("the handler returned a nil *Error as its error")
	}
	if err != nil {
		_, _ = err.Error(), declared(err) // methods of the handler's, which may panic: here, not later
		return nil, err
	}
	if data, err = encode(out); err != nil {
		return nil, Permanent(fmt.Errorf("marshal result: %w", err))
	}
	return data, nil
}

// encode writes JSON as it is meant for sockets and tables: < and > need no
// escape there, and one would make six bytes of each. What is not UTF-8, as
// json.RawMessage lets it pass, would cost clients their connection: it is
// replaced by U+FFFD, as encoding/json does in strings.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	raw := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if !utf8.Valid(raw) {
		raw = bytes.ToValidUTF8(raw, []byte("\uFFFD"))
	}
	return raw, nil
}

// wait is the time before the attempt after the n-th. A policy that panics or
// makes no sense costs the default wait, not the request.
func (a *action) wait(n int) (d time.Duration) {
	defer func() {
		if recover() != nil || d < 0 {
			d = Exponential(time.Second)(n)
		}
	}()
	return a.backoff(n)
}
