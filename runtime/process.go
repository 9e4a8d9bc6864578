package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// waker sends a hint that arrives after a delay.
type waker interface {
	Wake(ctx context.Context, h work.Hint, delay time.Duration) error
}

// processor runs one request per invocation and owns it by its epoch.
type processor struct {
	app     *App
	store   requestStore
	history historyStore
	conns   connections
	wake    waker
	log     *slog.Logger
	metrics *metrics
	nonce   func() string
	lease   time.Duration
	where   request.Where // this function; no invocation
}

// afterDeadline is when the sweep looks at a request whose function's deadline
// has passed; retryGrace, at one whose wake message was lost.
const (
	afterDeadline = time.Minute
	retryGrace    = time.Minute
)

// Invoke works off one hint. An error makes Lambda send the hint to the wake
// queue, which costs a delay and nothing else.
func (p *processor) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var h work.Hint
	if err := json.Unmarshal(payload, &h); err != nil {
		return nil, fmt.Errorf("read hint: %w", err)
	}
	if h.Push {
		return nil, p.pushOutcome(ctx, h.Key)
	}
	o, it, err := p.claim(ctx, h)
	if err != nil || o == nil {
		return nil, err
	}
	return nil, p.work(ctx, o, it)
}

// pushOutcome tells the watchers how a request ended that had no owner.
func (p *processor) pushOutcome(ctx context.Context, key string) error {
	it, found, err := p.store.Get(ctx, key)
	if err != nil || !found || !it.State.Terminal() {
		return err
	}
	frame, err := terminalFrame(ctx, p.store, it)
	if err != nil {
		return err
	}
	p.owner(it).pushFinal(ctx, frame)
	return nil
}

func (p *processor) owner(it request.Item) *owner {
	_, _, id, _ := keys.Parse(it.Key) // we built it
	log := p.log
	if it.Trace != "" {
		log = log.With("trace", it.Trace) // of the client's message: this function has one of its own
	}
	return &owner{
		store: p.store, conns: p.conns, log: log, key: it.Key, id: id, epoch: it.Epoch, lease: p.lease,
		pieces: newPieces(), writing: make(chan struct{}, 1),
		every: DefaultProgress, pause: DefaultProgress, signal: make(chan struct{}, 1), gone: map[string]bool{},
		watchers: it.Watchers, lastBeat: time.Now(), started: time.Now(), letGo: func() {},
		until: time.UnixMilli(it.Deadline).Add(afterDeadline),
	}
}

// claim takes ownership of what was offered. No owner means that there is
// nothing to do: somebody else has it, or it has ended.
func (p *processor) claim(ctx context.Context, h work.Hint) (*owner, request.Item, error) {
	now := time.Now()
	due := now.Add(afterDeadline)
	if d, ok := ctx.Deadline(); ok {
		due = d.Add(afterDeadline)
	}
	if h.Deadline > 0 {
		due = time.UnixMilli(min(due.UnixMilli(), h.Deadline))
	}
	claimed := request.Claimed{Epoch: h.Epoch + 1, At: now.UnixMilli(), LogStream: p.where.LogStream, RequestID: invocation(ctx)}
	out, err := p.store.Do(ctx, request.Claim, h.Key, request.Attrs{
		request.PEpoch: h.Epoch, request.PNext: h.Epoch + 1, c.AttrLease: now.Add(p.lease).UnixMilli(),
		c.AttrDueAt: due.UnixMilli(), c.AttrBy: p.nonce(), c.AttrClaimed: claimed.Attrs(),
	})
	if err != nil || !out.OK {
		// Nobody will work on it at that epoch; or the offer was taken back, by somebody
		// who did not know of the slot.
		if err == nil && h.Slot && (over(out.Item, h.Epoch) || out.Item.Waiting != "") {
			p.release(ctx, h.Key, h.Epoch)
		}
		return nil, out.Item, err
	}
	p.tell(ctx, out.Before)
	o := p.owner(out.Item)
	o.slot = h.Slot
	return o, out.Item, nil
}

// work runs the handler of a claimed request and writes what came of it.
func (p *processor) work(ctx context.Context, o *owner, it request.Item) error {
	o.hold(ctx)
	defer func() { o.letGo() }()
	a := p.app.actions[it.Action]
	started := time.Now()
	var v verdict
	switch {
	case it.Cancel:
		v = byOwner()
	case started.UnixMilli() >= it.Deadline:
		v = verdict{state: request.Failed, err: wire.NewError(wire.CodeTimeout, "the request's deadline has passed")}
	case it.Attempt > it.Max:
		v = verdict{state: request.Failed, err: wire.NewError(wire.CodeInternal, "every attempt ended without an outcome")}
	case a == nil:
		v = p.postpone(it, outdated, &Error{Code: wire.CodeInvalidAction, Message: "there is no action " + it.Action})
	default:
		v = p.handle(ctx, o, it, a)
	}
	if v.lost {
		p.log.Warn("request has another owner", "request", o.key, "epoch", o.epoch)
		return nil
	}
	return p.conclude(ctx, o, it, v)
}

// unknown stands for an action that is not registered here.
func (p *processor) unknown() *action { return &action{backoff: Exponential(10 * time.Second)} }

// inputTime bounds how long an input is tried to be read in one invocation.
const inputTime = 30 * time.Second

// input reads what the handler is to work on.
func (p *processor) input(ctx context.Context, it request.Item) (raw []byte, err error) {
	limit := inputTime
	if d, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(d)/3)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = p.insist(ctx, it.Key, func() error { raw, err = loadBlob(ctx, p.store, it.Key, it.Input); return err })
	return raw, err
}

// handle runs the handler while the owner beats.
func (p *processor) handle(ctx context.Context, o *owner, it request.Item, a *action) verdict {
	tenant, user, id, _ := keys.Parse(it.Key)
	o.every, o.pause = a.every, a.every
	raw, err := p.input(ctx, it)
	switch {
	case errors.Is(err, request.ErrRefused), errors.Is(err, request.ErrNoBlob):
		return p.judge(it, a, nil, Permanent(fmt.Errorf("read input: %w", err)), nil)
	case err != nil: // the handler has not begun: that is no attempt
		return p.postpone(it, "its input cannot be read", &Error{Code: wire.CodeUnavailable, Message: "the input cannot be read"})
	}
	var ord order
	if err := json.Unmarshal(raw, &ord); err != nil {
		return p.judge(it, a, nil, Permanent(fmt.Errorf("read input: %w", err)), nil)
	}
	in, bad := a.decodeSafely(ord.Payload, p.log)
	if bad != nil { // the router accepted it: its version of the type was another
		return p.postpone(it, outdated, bad)
	}
	hctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hctx, release := context.WithDeadlineCause(hctx, handlerDeadline(ctx, it), ErrDeadline)
	defer release()
	o.handler(cancel)
	call := Call{
		ID: id, Action: a.name, Metadata: ord.Metadata, Attempt: int(it.Attempt), Deadline: time.UnixMilli(it.Deadline),
		Caller: Caller{User: user, Tenant: tenant, Permissions: ord.Permissions},
	}
	j, end := p.journal(ctx, hctx, o, it)
	defer end()
	quiet := o.running(ctx)
	data, err := a.call(withCall(j.context(), call), &Task{call: call, owner: o, log: p.log, journal: j}, in)
	cause := context.Cause(hctx) // as it was for the handler: what follows takes its time
	j.close()
	quiet()
	if err != nil && j.goesOn(it, err, cause) {
		return verdict{state: request.Pending, goesOn: true}
	}
	return p.judge(it, a, data, err, cause)
}

// handlerDeadline leaves the function time to write down what came of it.
func handlerDeadline(ctx context.Context, it request.Item) time.Time {
	end := time.UnixMilli(it.Deadline)
	if d, ok := ctx.Deadline(); ok {
		margin := min(10*time.Second, time.Until(d)/5)
		if d = d.Add(-margin); d.Before(end) {
			end = d
		}
	}
	return end
}

// verdict is what came of an attempt.
type verdict struct {
	state     request.State // terminal, or PENDING for another attempt
	output    []byte
	err       *Error
	after     time.Duration // until the next attempt
	lost      bool
	goesOn    bool          // in a fresh invocation, from where this one came to
	postponed bool          // the attempt costs nothing
	waited    time.Duration // all of its pauses, this one included
	// text and reference are what operators are told of err.
	text, reference string
}

// byOwner is the verdict on a request that was cancelled.
func byOwner() verdict { return verdict{state: request.Cancelled, err: cancelled()} }

// judge reads the handler's verdict from what it returned.
func (p *processor) judge(it request.Item, a *action, data []byte, err, cause error) verdict {
	if errors.Is(cause, ErrLost) {
		return verdict{lost: true}
	}
	if err == nil {
		return verdict{state: request.Succeeded, output: data}
	}
	if errors.Is(cause, ErrCancelled) {
		return byOwner()
	}
	told, ref := known(err), ""
	if told == nil {
		ref = reference()
		logFailure(p.log, err, "action", it.Action, "request", it.Key, "attempt", it.Attempt, "reference", ref, "trace", it.Trace)
		if errors.Is(cause, ErrDeadline) {
			err = fmt.Errorf("%w: %w", ErrDeadline, err)
		}
		told = public(err, ref)
	}
	var permanent *permanentError
	var later *retryError
	after := a.wait(int(it.Attempt))
	if errors.As(err, &later) {
		after = later.after
	}
	final := errors.As(err, &permanent) || it.Attempt >= it.Max || time.Now().Add(after).UnixMilli() >= it.Deadline
	if !final && later == nil {
		again, panicked := a.retryable(err, told)
		if panicked != nil {
			p.log.Error("RetryIf panicked", "action", it.Action, "request", it.Key, "panic", fmt.Sprint(panicked))
		}
		final = !again
	}
	v := verdict{state: request.Pending, err: told, after: after, text: err.Error(), reference: ref}
	if final {
		v.state, v.after = request.Failed, 0
	}
	return v
}
