package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Limits of payloads, in bytes.
const (
	maxSync     = 6 << 20
	maxAsync    = 1 << 20
	maxResponse = 6<<20 + 100
)

// InvokeOptions says how a function is invoked. The zero value is a
// synchronous call by the context's caller.
type InvokeOptions struct {
	// Async accepts the event and returns; the service runs and retries it.
	Async bool
	// DryRun checks the permission only.
	DryRun bool
	// Source is the ARN on whose behalf an AWS service invokes; the function's
	// resource policy is asked then, not the caller's role.
	Source string
	// Principal is that service. Default apigateway.amazonaws.com for a Source
	// of execute-api.
	Principal string
	// TraceHeader is the X-Ray trace header; made when "".
	TraceHeader string
	// ClientContext is a JSON object for the function's context, nil for none. An
	// asynchronous invocation has none.
	ClientContext []byte
	// Tail asks for the last 4 KB of the invocation's log.
	Tail bool
	// Rendered says that the caller made the payload itself and that it is JSON.
	Rendered bool
}

// InvokeResult is how an invocation ended.
type InvokeResult struct {
	RequestID       string
	StatusCode      int // 200, 202 for an accepted event, 204 for a dry run
	Payload         []byte
	FunctionError   string // "" or Unhandled
	ExecutedVersion string
	Tail            []byte
}

// event is what one invocation carries.
type event struct {
	id, trace string
	payload   []byte
	client    []byte // context
	tail      *tail
}

// Invoke invokes a function given by name or ARN. When ctx ends first the
// invocation goes on and ctx's error is returned. Errors: *NotFound,
// *Throttled, *TooLarge, *Invalid, *NotPermitted, *account.Denied. A function
// that failed is no error: see InvokeResult.FunctionError.
func (s *Service) Invoke(ctx context.Context, function string, payload []byte, opts InvokeOptions) (InvokeResult, error) {
	if err := s.permit(ctx, function, opts); err != nil {
		return InvokeResult{}, err
	}
	limit := maxSync
	if opts.Async {
		limit = maxAsync
	}
	if len(payload) > limit {
		return InvokeResult{}, &TooLarge{Size: len(payload), Limit: limit}
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	} else if !opts.Rendered && !json.Valid(payload) {
		return InvokeResult{}, &Invalid{Code: "InvalidRequestContentException", Message: "Could not parse request body into json"}
	}
	if !s.known(function) {
		name, _ := splitReference(function)
		return InvokeResult{}, &NotFound{Resource: FunctionARN(name)}
	}
	if opts.DryRun {
		return InvokeResult{StatusCode: 204}, nil
	}
	ev := event{id: newUUID(), trace: opts.TraceHeader, payload: payload}
	if ev.trace == "" {
		ev.trace = newTrace()
	}
	if opts.Async {
		return s.accept(function, ev)
	}
	if opts.Tail {
		ev.tail = &tail{}
	}
	ev.client = opts.ClientContext
	return s.invoke(ctx, function, ev)
}

// permit checks that the caller, or the service on behalf of Source, may invoke.
func (s *Service) permit(ctx context.Context, function string, opts InvokeOptions) error {
	name, qualifier := splitReference(function)
	if principal := opts.principal(); principal != "" {
		return s.permitted(name, principal, opts.Source)
	}
	arn := FunctionARN(name)
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return s.authorize(ctx, "lambda:InvokeFunction", arn)
}

// invoke runs one invocation. It does not ask for permission.
func (s *Service) invoke(ctx context.Context, function string, ev event) (InvokeResult, error) {
	e, err := s.acquire(function)
	if err != nil {
		return InvokeResult{}, err
	}
	if i, ok := e.inst.(interface{ Gone() bool }); ok && i.Gone() {
		s.reset(e) // it died while it was idle: no invocation pays for that
	}
	left := ctx.Done()
	if e.inst == nil && left != nil { // to start an instance takes longer than a caller may wait
		done := make(chan InvokeResult, 1)
		go func() {
			r := s.begin(e, ev)
			done <- s.end(r, s.wait(r, nil))
		}()
		select {
		case res := <-done:
			return res, nil
		case <-left:
			return InvokeResult{}, ctx.Err()
		}
	}
	r := s.begin(e, ev)
	how := s.wait(r, left)
	if errors.Is(how.err, errLeft) {
		go func() { s.end(r, s.wait(r, nil)) }()
		return InvokeResult{}, ctx.Err()
	}
	return s.end(r, how), nil
}

// running is an invocation under way.
type running struct {
	e     *environment
	id    string
	start time.Time
	init  time.Duration // how long the instance took to start, 0 for one that was there
	err   error         // why the instance has not got the event, nil when it has
}

// ending is how an invocation ended.
type ending struct {
	out Outcome
	err error
}

// begin hands ev to e, whose instance it starts if there is none.
func (s *Service) begin(e *environment, ev event) running {
	spec := &e.gen.info.Spec
	e.lines.begin(ev.tail)
	took, failed := s.initialise(e)
	r := running{e: e, id: ev.id, start: time.Now(), init: took}
	e.lines.start(ev.id)
	deadline := r.start.Add(spec.Timeout)
	if e.limit == nil {
		e.limit = time.NewTimer(spec.Timeout)
	} else {
		e.limit.Reset(spec.Timeout)
	}
	if failed {
		ctx, cancel := context.WithDeadline(s.ctx, deadline)
		r.err = s.launch(ctx, e)
		cancel()
	}
	if r.err == nil {
		e.inst.Begin(Invocation{RequestID: ev.id, ARN: e.gen.info.ARN, Trace: ev.trace, ClientContext: ev.client, Deadline: deadline, Payload: ev.payload})
	}
	return r
}

// wait returns when the invocation has ended, or with errLeft when the caller has
// left before: then it goes on.
func (s *Service) wait(r running, left <-chan struct{}) (how ending) {
	if r.err != nil {
		return ending{err: r.err}
	}
	how.out, how.err = r.e.inst.Wait(Ends{Limit: r.e.limit.C, Closed: s.ctx.Done(), Left: left})
	return how
}

// end settles an invocation that has ended and gives its environment back.
func (s *Service) end(r running, how ending) InvokeResult {
	e, spec := r.e, &r.e.gen.info.Spec
	took := time.Since(r.start)
	e.limit.Stop()
	out, status := how.out, ""
	if how.err != nil {
		out, status = s.failure(r.id, spec.Timeout, how.err)
	}
	billed := billedMS(took + r.init)
	s.count(account.MeterInvocations, 1)
	s.count(account.MeterGBSeconds, float64(billed)/1000*float64(spec.MemoryMB)/1024)
	e.lines.report(r.id, report{took: took, init: r.init, billed: billed, memoryMB: spec.MemoryMB, inst: e.inst, status: status})
	res := InvokeResult{
		RequestID: r.id, StatusCode: 200, Payload: out.Payload, FunctionError: out.FunctionError,
		ExecutedVersion: "$LATEST", Tail: e.lines.end(),
	}
	if how.err == nil && !out.Dead {
		s.release(e, true)
		return res
	}
	s.finish(e)
	s.recycle(e)
	return res
}

// recycle resets an environment and puts it back. The next invocation finds
// it there, as on AWS, unless the end of the instance takes its time (SIGTERM):
// the answer does not wait for that.
func (s *Service) recycle(e *environment) {
	const patience = 100 * time.Millisecond
	done := make(chan struct{})
	go func() {
		s.reset(e)
		s.release(e, false)
		close(done)
	}()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// initialise starts the instance of an environment that has none, within the
// limit for that. A failure is tried again as part of the invocation.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
func (s *Service) initialise(e *environment) (took time.Duration, failed bool) {
	if e.inst != nil {
		return 0, false
	}
	if l, ok := s.opts.Launcher.(turns); ok {
		defer l.turn()()
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.InitLimit)
	defer cancel()
	err := s.launch(ctx, e)
	took = time.Since(start)
	if err == nil {
		return took, false
	}
	status := "error\tError Type: Runtime.Unknown"
	var bad *InitError
	switch {
	case errors.As(err, &bad):
		status = "error\tError Type: " + bad.Type
	case errors.Is(err, context.DeadlineExceeded):
		status = "timeout"
	}
	e.lines.platform(fmt.Appendf(nil, "INIT_REPORT Init Duration: %s ms\tPhase: init\tStatus: %s", appendMilliseconds(nil, took), status))
	return took, true
}

func (s *Service) launch(ctx context.Context, e *environment) error {
	inst, err := s.opts.Launcher.Launch(ctx, Process{
		Function: e.gen.info.Name, Role: e.gen.info.Spec.RoleName, InstanceID: e.id,
		Dir: e.gen.code.dir, Temp: e.temp, Env: s.environ(e), LogLine: e.lines.write, Read: e.lines.read,
	})
	if err != nil {
		s.revoke(e)
		return err
	}
	e.inst = inst
	if p, ok := inst.(interface{ PID() int }); ok {
		e.pid.Store(int64(p.PID()))
	}
	return nil
}

// failure returns the error document of an invocation that was not answered,
// and the status that its REPORT line shows.
func (s *Service) failure(id string, timeout time.Duration, err error) (out Outcome, status string) {
	var (
		bad  *InitError
		exit *ExitError
		kind string
		text string
	)
	switch {
	case s.ctx.Err() != nil:
		kind, text = "Runtime.ExitError", (&ExitError{Status: "signal: killed"}).Error()
	case errors.Is(err, context.DeadlineExceeded):
		kind, text = "Sandbox.Timedout", fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds())
		status = "timeout"
	case errors.As(err, &bad) && bad.Document != nil:
		return Outcome{Payload: bad.Document, FunctionError: unhandled}, "error\tError Type: " + bad.Type
	case errors.As(err, &bad):
		kind, text = bad.Type, bad.Message
	case errors.As(err, &exit):
		kind, text = "Runtime.ExitError", exit.Error()
	default:
		kind, text = "Runtime.Unknown", err.Error()
	}
	if status == "" {
		status = "error\tError Type: " + kind
	}
	return Outcome{Payload: errorDocument(kind, "RequestId: "+id+" Error: "+text), FunctionError: unhandled}, status
}

const unhandled = "Unhandled"

// errorDocument renders an error as Lambda's own ones are.
func errorDocument(kind, message string) []byte {
	b, _ := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{kind, message})
	return b
}

// tooLargeDocument is the answer in place of a response over the limit.
func tooLargeDocument() []byte {
	return errorDocument("Function.ResponseSizeTooLarge", fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxResponse))
}
