package streamer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	// quickGrace is what a handler has to return after its deadline.
	quickGrace = time.Second
	// answerTime is what the function needs to write its answer down.
	answerTime = 500 * time.Millisecond
)

// ErrPromoted is the cause of a quick handler's cancelled context when its
// action allows promotion: the handler is to return soon, and the request is
// carried on in the background.
var ErrPromoted = errors.New("the request is carried on in the background")

// Timeout is the deadline of a quick handler, up to 25 s (default QuickTimeout
// of the deployment, 10 s), and no longer than the function has left less 1.5 s.
// Then its context is cancelled; it has one second to return, and is given up with
// TIMEOUT otherwise.
func Timeout(d time.Duration) Option {
	if d <= 0 || d > c.MaxQuickTimeout {
		panic(fmt.Sprintf("streamer: Timeout(%v): want more than zero and at most %v", d, c.MaxQuickTimeout))
	}
	return func(a *action) { a.timeout = d }
}

// Promote allows a quick request that takes too long to be carried on in the
// background: at its deadline the handler's context is cancelled with
// ErrPromoted, and when it returns an error within a second the request is
// accepted as a long one, under the same id, and its handler is called again
// there. A handler that ignores its context is answered with TIMEOUT instead:
// two copies never run. An error that is final (Permanent, or an *Error that is
// not retryable) is answered, not promoted.
//
// A message that is sent again runs again, also when its request was promoted
// before: with Idempotent it does not.
func Promote() Option { return func(a *action) { a.promote = true } }

// Idempotent stores the quick requests of the action, so that a message that is
// sent again with the same id does not run twice: it is answered with the
// outcome of the first. It costs two writes, and one more each for an input and a
// result of more than 256 bytes. A router that dies over a request leaves it to a
// processor, which runs the handler again: its effects are at least once, its
// outcome is stored once. An error is an outcome too, and not on the list of the
// dead: its caller was answered.
func Idempotent() Option { return func(a *action) { a.idempotent = true } }

// checkQuick panics when options for quick handlers are given to a long one.
func (a *action) checkQuick() {
	if a.long && (a.timeout > 0 || a.promote || a.idempotent || a.estimate != nil) {
		panic(fmt.Sprintf("streamer: action %q takes a *Task: Timeout, Promote, Idempotent and estimates are for plain handlers", a.name))
	}
}

// quickRun is a goroutine that runs quick handlers, one after the other: for one
// that ignores its context must not hold up its answer. One that was answered for
// while it still ran is not used again.
type quickRun struct {
	start   chan struct{} // holds one: what is to run is there; closed when nothing will be
	done    chan struct{} // holds one: data and err are there
	timer   *time.Timer
	started time.Time

	// What is to run, for start; what came of it, for done.
	action *action
	ctx    context.Context
	in     any
	data   []byte
	err    error
	dead   bool // the goroutine is over

	state atomic.Int32 // running, then returned or given up: whoever is first
}

const (
	running int32 = iota
	returned
	givenUp
)

// begin runs the handler on the goroutine that ran the one before, if nobody else
// has that: a router answers one message at a time on Lambda.
func (r *router) begin(ctx context.Context, a *action, in any, started time.Time, limit time.Duration) *quickRun {
	q := r.spare.Swap(nil)
	if q == nil {
		q = &quickRun{start: make(chan struct{}, 1), done: make(chan struct{}, 1), timer: time.NewTimer(limit)}
		go r.run(q)
	} else {
		q.timer.Reset(limit)
	}
	q.action, q.ctx, q.in, q.started = a, ctx, in, started
	q.state.Store(running)
	q.start <- struct{}{}
	return q
}

// run is the goroutine.
func (r *router) run(q *quickRun) {
	over := true
	defer func() {
		if !over { // runtime.Goexit ends the goroutine, not the request
			q.data, q.err, q.dead = nil, errors.New("the handler called runtime.Goexit"), true
			r.finish(q)
		}
	}()
	for range q.start {
		over = false
		q.data, q.err = q.action.call(q.ctx, nil, q.in)
		over = true
		if !r.finish(q) {
			return
		}
	}
}

// finish hands over what came of a handler. It returns false when nobody waits for
// that any more.
func (r *router) finish(q *quickRun) bool {
	if !q.state.CompareAndSwap(running, returned) {
		r.left.remove(q, r.log)
		return false
	}
	q.done <- struct{}{}
	return true
}

// quickEnd is how a quick handler came back.
type quickEnd struct {
	data      []byte
	err       error
	late      bool // after its deadline
	abandoned bool // it is still running
	started   time.Time
}

// result takes what the handler returned. In a process of its own the router keeps
// the goroutine for the next message: a fresh one costs as much as all else that a
// message costs here, most of it for its stack, which grows anew each time.
func (r *router) result(q *quickRun, late bool) quickEnd {
	q.timer.Stop()
	end := quickEnd{data: q.data, err: q.err, late: late, started: q.started}
	q.action, q.ctx, q.in, q.data, q.err = nil, nil, nil, nil, nil
	if r.alone && !q.dead {
		q = r.spare.Swap(q)
	}
	if q != nil {
		close(q.start)
	}
	return end
}

// quickLimit is the time of a quick handler: the action's or the router's, and
// not so much that the function would end before its answer.
func (r *router) quickLimit(ctx context.Context, a *action) time.Duration {
	limit := r.timeout
	if a.timeout > 0 {
		limit = a.timeout
	}
	if d, ok := ctx.Deadline(); ok {
		left := time.Until(d)
		limit = min(limit, max(left-quickGrace-answerTime, left/2))
	}
	return limit
}

// attempt runs a quick handler and waits for it, no longer than it may take.
func (r *router) attempt(ctx context.Context, a *action, call Call, in any, limit time.Duration) quickEnd {
	if r.left.of(a.name) >= maxAbandoned {
		return quickEnd{abandoned: true, late: true, started: time.Now()}
	}
	hctx := withLimit(ctx, limit)
	defer hctx.end()
	if a.promote {
		hctx.cause = ErrPromoted
	}
	q := r.begin(withCall(hctx, call), a, in, hctx.deadline.Add(-limit), limit)
	select {
	case <-q.done:
		// The context may have ended a moment before the timer did.
		return r.result(q, !time.Now().Before(hctx.deadline))
	case <-q.timer.C:
	}
	q.timer.Reset(quickGrace)
	select {
	case <-q.done:
		return r.result(q, true)
	case <-q.timer.C:
	}
	if r.left.add(q) {
		return quickEnd{abandoned: true, late: true, started: q.started}
	}
	<-q.done // in this moment
	return r.result(q, true)
}

// quick runs the handler and answers in the route response.
func (r *router) quick(ctx context.Context, s session, m wire.Message, a *action, in any) []byte {
	if a.idempotent {
		return r.once(ctx, s, m, a, in)
	}
	if a.promote { // there may be too many to carry it on: say so before it runs
		if refusal := r.tooMany(ctx, s, m, a); refusal != nil {
			return refusal
		}
	}
	call := Call{ID: m.ID, Action: a.name, Metadata: m.Metadata, Caller: s.Caller}
	end := r.attempt(ctx, a, call, in, r.quickLimit(ctx, a))
	if end.promotable(a) {
		return r.carryOn(ctx, s, m, a)
	}
	data, bad := r.quickVerdict(a, m.ID, end)
	if bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	frame := wire.AppendResponse(make([]byte, 0, len(data)+64+len(m.ID)), m.ID, data)
	if len(frame) > wire.MaxMessage {
		return wire.AppendError(nil, m.ID, tooLarge(len(frame), wire.MaxMessage), nil)
	}
	return frame
}

// carryOn accepts a quick request whose handler gave up at its deadline. It never
// asks for the message again: it would run beside the one in the background.
func (r *router) carryOn(ctx context.Context, s session, m wire.Message, a *action) []byte {
	nonce := r.nonce()
	var out request.Outcome
	err := tryEnd(ctx, func() (err error) { out, err = r.place(ctx, s, m, a, nonce, nil); return err })
	switch {
	case errors.Is(err, request.ErrTooLarge):
		return r.notPlaced(s, m, err)
	case err != nil:
		r.log.Error("store is not available", "request", keys.Request(s.Tenant, s.User, m.ID), "error", err.Error())
		return wire.AppendError(nil, m.ID, &Error{
			Code: wire.CodeUnavailable, Message: "it is not known whether the request is carried on in the background: ask with $get", Retryable: true,
		}, nil)
	default:
		return r.placed(ctx, s, m, a, out)
	}
}

// promotable says that the handler gave up because of its deadline, and may go
// on in the background.
func (e *quickEnd) promotable(a *action) bool {
	if !a.promote || !e.late || e.err == nil {
		return false
	}
	var permanent *permanentError
	told := declared(e.err)
	return !errors.As(e.err, &permanent) && (told == nil || told.Retryable)
}

// quickVerdict is what the client is told, and counts what ran out of time.
func (r *router) quickVerdict(a *action, id string, end quickEnd) (data []byte, bad *Error) {
	switch {
	case end.abandoned:
		ref := reference()
		r.log.Error("handler ignores its context", "action", a.name, "request_id", id, "reference", ref, "age", time.Since(end.started).String())
		r.metrics.quick(a.name, 1, 0)
		return nil, public(context.DeadlineExceeded, ref)
	case end.err == nil:
		return end.data, nil
	}
	bad = r.failure(a, id, end.err)
	if end.late && bad.Code == wire.CodeTimeout {
		r.metrics.quick(a.name, 1, 0)
	}
	return nil, bad
}
