package streamer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

// Error is an error that the client may read: a code of the wire's vocabulary,
// a message, and the paths of what is wrong. Any other error, and one with another
// code, reaches clients as INTERNAL_ERROR with a reference that is also in the log.
// SameID is the runtime's own: it is not sent for an error of a handler.
type Error = wire.Error

// Detail is one thing that is wrong with an input: where, and why.
type Detail = wire.Detail

// Causes of a handler's cancelled context, read with context.Cause.
var (
	// ErrCancelled: the owner cancelled the request.
	ErrCancelled = errors.New("the request was cancelled")
	// ErrDeadline: the function or the request is about to run out of time.
	ErrDeadline = errors.New("the deadline is near")
	// ErrLost: another invocation owns the request now; what this one still
	// does is not recorded.
	ErrLost = errors.New("the request has another owner")
)

// Invalid is the error for an input that is wrong at that path, such as
// "payload.rows[3].n", and wherever else more says; a frame carries the first
// ten. It fails the request at once with VALIDATION_ERROR.
func Invalid(path, reason string, more ...Detail) error {
	return &Error{Code: wire.CodeValidation, Message: "the payload is not valid", Details: append([]Detail{{Path: path, Reason: reason}}, more...)}
}

// Permanent fails the request now, whatever its policy for retries.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// RetryAfter asks for the next attempt after d, if the policy still has one.
// err says why; nil is allowed.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		err = errors.New("asked to be retried")
	}
	return &retryError{err, max(d, 0)}
}

type retryError struct {
	error
	after time.Duration
}

func (e *retryError) Unwrap() error { return e.error }

// panicError is a panic of a handler, with its stack for the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// declared is the *Error in err; nil when there is none.
func declared(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e // nil for one that is a nil pointer
	}
	return nil
}

// cancelled is what the owner of a cancelled request is told.
func cancelled() *Error {
	return &Error{Code: wire.CodeCancelled, Message: ErrCancelled.Error()}
}

// known is the error in err that a client may read; nil when there is none, or
// none with a code of the wire's: clients know no other.
func known(err error) *Error {
	e := declared(err)
	if e == nil || !e.Code.Known() {
		return nil
	}
	if e.SameID { // the runtime's alone: it has clients send the message again
		told := *e
		told.SameID = false
		return &told
	}
	return e
}

// public is what a client may know of err. The reference ties an internal
// error to the log; it is empty when the client is told everything.
func public(err error, reference string) *Error {
	if e := known(err); e != nil {
		return e
	}
	var permanent *permanentError
	e := &Error{Code: wire.CodeInternal, Retryable: !errors.As(err, &permanent), Message: "internal error, reference " + reference}
	if d := declared(err); d != nil { // its code is nobody's, but that it has decided
		e.Retryable = e.Retryable && d.Retryable
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrDeadline) {
		e.Code, e.Message = wire.CodeTimeout, "the handler ran out of time, reference "+reference
	}
	return e
}
