package lambda

import (
	"context"
	"errors"
	"time"
)

// Launcher starts instances of functions.
type Launcher interface {
	// Launch starts an instance and returns once its initialisation is over.
	// It returns an *InitError when that went wrong, ctx's error when ctx ended
	// first; nothing of the instance is left behind then.
	Launch(ctx context.Context, p Process) (Instance, error)
}

// Process is what a Launcher starts.
type Process struct {
	Function   string            // name of the function
	Role       string            // name of its role
	InstanceID string            // stable over resets of the same environment
	Dir        string            // unpacked code and working directory, "" without code
	Temp       string            // directory that stands for /tmp, "" for none; kept over resets
	Env        map[string]string // the whole environment
	// LogLine takes a line that the instance wrote, without the line break;
	// stream is "stdout" or "stderr". It is called from several goroutines.
	LogLine func(stream, line string)
	// Read says whether anybody reads the lines at present. When nobody does they
	// may come after the end of the invocation that wrote them. nil: always.
	Read func() bool
}

// Instance is one running execution environment. It has one invocation at a
// time; Stop may be called whenever.
type Instance interface {
	// Begin hands over an invocation. How it ends, Wait says.
	Begin(in Invocation)
	// Wait returns how the invocation ended, an *ExitError when the instance died
	// without having answered, or the error of what came first of ends; unless
	// that is errLeft the caller then stops the instance.
	Wait(ends Ends) (Outcome, error)
	// Stop ends the instance and returns when it is gone.
	Stop()
}

// Ends are what a wait for an invocation ends with besides its outcome.
type Ends struct {
	Limit  <-chan time.Time // of the function's time: context.DeadlineExceeded
	Closed <-chan struct{}  // the service ends: errClosed
	Left   <-chan struct{}  // nobody waits for the answer: errLeft; nil for never
}

// errLeft ends a wait, not the invocation.
var errLeft = errors.New("the caller has left")

// Invocation is one event for an instance.
type Invocation struct {
	RequestID string
	ARN       string // ARN of the function as invoked
	Trace     string // X-Ray trace header
	Deadline  time.Time
	Payload   []byte
	// ClientContext is a JSON object in one line, nil for none.
	ClientContext []byte
}

// Outcome is how an invocation ended.
type Outcome struct {
	Payload []byte
	// FunctionError is "Unhandled" when the function reported an error, whose
	// document is then the Payload; else "".
	FunctionError string
	// Dead is true when the instance ended while it answered: it cannot be
	// invoked again.
	Dead bool
}

// InitError is an initialisation that ended without the runtime asking for work.
type InitError struct {
	Type string // Runtime.InvalidEntrypoint, Runtime.ExitError, or what the runtime reported
	// Message is the error text without the "RequestId: … Error: " prefix.
	Message string
	// Document is the error document that the runtime posted, nil without one.
	Document []byte
}

func (e *InitError) Error() string { return e.Type + ": " + e.Message }

// ExitError is an instance that ended during an invocation.
type ExitError struct {
	Status string // "exit status 1", "signal: killed", "" for exit status 0
}

func (e *ExitError) Error() string {
	if e.Status == "" {
		return "Runtime exited without providing a reason"
	}
	return "Runtime exited with error: " + e.Status
}

// errStopped is the end of an instance by Stop before it was invoked.
var errStopped = errors.New("instance is stopped")
