package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Func is a function that runs in this process. Its context carries the
// lambdacontext and the trace header, ends at the deadline, and ends with
// ErrKilled when the instance is stopped or killed.
type Func func(ctx context.Context, payload []byte) ([]byte, error)

// ErrKilled is the cause of the end of a Func's context when its instance is
// ended while it runs: what it does from then on, a real process would not do.
var ErrKilled = errors.New("instance is killed")

// FuncLauncher runs Go functions as instances, for simulations. A panic ends
// the instance as it ends a process; a Func that is still running when its
// instance was ended is on its own, but FuncLauncher.Wait waits for it.
type FuncLauncher struct {
	start func(Process) (Func, error)

	mu        sync.Mutex // guards instances
	instances map[string]*funcInstance
	running   sync.WaitGroup
}

var (
	_ Launcher = (*FuncLauncher)(nil)
	_ Instance = (*funcInstance)(nil)
)

// NewFuncLauncher returns a Launcher whose instances come from start: it is
// called for every new instance, as a process's main is. An error of start is
// an initialisation that failed.
func NewFuncLauncher(start func(Process) (func(context.Context, []byte) ([]byte, error), error)) *FuncLauncher {
	return &FuncLauncher{instances: map[string]*funcInstance{}, start: func(p Process) (Func, error) { return start(p) }}
}

// Launch implements Launcher.
func (l *FuncLauncher) Launch(ctx context.Context, p Process) (Instance, error) {
	type started struct {
		fn  Func
		err error
	}
	done := make(chan started, 1)
	l.running.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				done <- started{err: &InitError{Type: "Runtime.ExitError", Message: "Runtime exited with error: exit status 2"}}
			}
		}()
		fn, err := l.start(p)
		done <- started{fn, err}
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case s := <-done:
		if s.err != nil {
			var init *InitError
			if errors.As(s.err, &init) {
				return nil, init
			}
			return nil, &InitError{Type: "Runtime.ExitError", Message: "Runtime exited with error: exit status 1"}
		}
		i := &funcInstance{launcher: l, id: p.InstanceID, fn: s.fn}
		i.ctx, i.kill = context.WithCancelCause(context.Background())
		l.mu.Lock()
		l.instances[p.InstanceID] = i
		l.mu.Unlock()
		return i, nil
	}
}

// Kill ends an instance as kill -9 ends a process; false when there is none.
func (l *FuncLauncher) Kill(instanceID string) bool {
	l.mu.Lock()
	i := l.instances[instanceID]
	l.mu.Unlock()
	if i == nil {
		return false
	}
	i.kill(ErrKilled)
	return true
}

// Wait returns when no Func runs any more. Call it after Service.Close.
func (l *FuncLauncher) Wait() { l.running.Wait() }

type funcInstance struct {
	launcher *FuncLauncher
	id       string
	fn       Func
	ctx      context.Context // ends with the instance
	kill     context.CancelCauseFunc

	done     chan Outcome // of the invocation under way; nil for an instance that was killed before
	deadline time.Time
}

// Stop implements Instance.
func (i *funcInstance) Stop() {
	i.kill(ErrKilled)
	i.launcher.mu.Lock()
	if i.launcher.instances[i.id] == i {
		delete(i.launcher.instances, i.id)
	}
	i.launcher.mu.Unlock()
}

// Begin implements Instance.
func (i *funcInstance) Begin(in Invocation) {
	i.done, i.deadline = nil, in.Deadline
	if i.ctx.Err() != nil {
		return
	}
	run, cancel := context.WithDeadline(i.ctx, in.Deadline)
	about := &lambdacontext.LambdaContext{AwsRequestID: in.RequestID, InvokedFunctionArn: in.ARN}
	if in.ClientContext != nil {
		// What has another shape than aws-lambda-go's is as good as none.
		_ = json.Unmarshal(in.ClientContext, &about.ClientContext)
	}
	run = lambdacontext.NewContext(run, about)
	run = context.WithValue(run, "x-amzn-trace-id", in.Trace) //nolint:staticcheck // the key that aws-lambda-go uses
	done := make(chan Outcome, 1)
	i.done = done
	i.launcher.running.Go(func() {
		defer cancel()
		done <- i.call(run, in.Payload)
	})
}

// Wait implements Instance.
func (i *funcInstance) Wait(ends Ends) (Outcome, error) {
	select {
	case out := <-i.done:
		if !time.Now().Before(i.deadline) {
			// In virtual time the end of the function's context and the kill fall
			// on one instant; the kill wins, always.
			return Outcome{}, context.DeadlineExceeded
		}
		return out, nil
	case <-i.ctx.Done():
		return Outcome{}, &ExitError{Status: "signal: killed"}
	case <-ends.Limit:
		return Outcome{}, context.DeadlineExceeded
	case <-ends.Closed:
		return Outcome{}, errClosed
	case <-ends.Left:
		return Outcome{}, errLeft
	}
}

// call runs the function and renders errors as aws-lambda-go does.
func (i *funcInstance) call(ctx context.Context, payload []byte) (out Outcome) {
	defer func() {
		if r := recover(); r != nil {
			out = Outcome{Payload: handlerError(r), FunctionError: unhandled, Dead: true}
		}
	}()
	res, err := i.fn(ctx, payload)
	switch {
	case err != nil:
		return Outcome{Payload: handlerError(err), FunctionError: unhandled}
	case len(res) > maxResponse:
		return Outcome{Payload: tooLargeDocument(), FunctionError: unhandled, Dead: true}
	}
	return Outcome{Payload: res}
}

// handlerError is the document that aws-lambda-go posts for an error or panic value.
func handlerError(v any) []byte {
	var doc messages.InvokeResponse_Error
	if err, ok := v.(error); ok && errors.As(err, &doc) {
		b, _ := json.Marshal(doc)
		return b
	}
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	b, _ := json.Marshal(&messages.InvokeResponse_Error{Type: t.Name(), Message: fmt.Sprint(v)})
	return b
}
