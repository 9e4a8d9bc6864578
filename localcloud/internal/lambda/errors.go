package lambda

import (
	"errors"
	"fmt"
)

var errClosed = errors.New("lambda service is closed")

// NotFound is a function that does not exist.
type NotFound struct {
	Resource string // ARN of the function, or what was asked for
}

func (e *NotFound) Error() string { return "Function not found: " + e.Resource }

// Throttled is an invocation refused for want of concurrency.
type Throttled struct {
	Function string
	// Reason is ReservedFunctionConcurrentInvocationLimitExceeded or
	// ConcurrentInvocationLimitExceeded.
	Reason string
}

func (e *Throttled) Error() string { return "Rate Exceeded." }

// The reasons of Throttled.
const (
	ReasonReserved = "ReservedFunctionConcurrentInvocationLimitExceeded"
	ReasonAccount  = "ConcurrentInvocationLimitExceeded"
)

// TooLarge is a payload over the limit of its invocation type.
type TooLarge struct {
	Size, Limit int // bytes
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("%d byte payload is too large for the invocation (limit %d bytes)", e.Size, e.Limit)
}

// Invalid is a request or a specification that Lambda refuses.
type Invalid struct {
	Code    string // as AWS names it: InvalidParameterValueException, InvalidRequestContentException
	Message string
}

func (e *Invalid) Error() string { return e.Message }

func invalid(format string, args ...any) error {
	return &Invalid{Code: "InvalidParameterValueException", Message: fmt.Sprintf(format, args...)}
}

// Conflict is a resource that exists already, or still does.
type Conflict struct{ Message string }

func (e *Conflict) Error() string { return e.Message }

// NotPermitted is an invocation by an AWS service that no statement of the
// function's resource policy allows.
type NotPermitted struct {
	Function, Principal, SourceARN string
}

func (e *NotPermitted) Error() string {
	return fmt.Sprintf("%s (source %s) is not permitted to perform: lambda:InvokeFunction on resource: %s", e.Principal, e.SourceARN, e.Function)
}
