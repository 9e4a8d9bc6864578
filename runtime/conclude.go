package streamer

import (
	"context"
	"errors"
	"fmt"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// conclude writes the verdict, and only then tells the watchers.
func (p *processor) conclude(ctx context.Context, o *owner, it request.Item, v verdict) error {
	o.flush(ctx) // the last report is never dropped
	if v.goesOn {
		return p.goOn(ctx, o, it)
	}
	if v.state == request.Pending {
		return p.retry(ctx, o, it, v)
	}
	return p.end(ctx, o, it, v)
}

// end is the terminal write. It cannot fail for its size: the output is stored
// before it, and error texts are cut.
func (p *processor) end(ctx context.Context, o *owner, it request.Item, v verdict) error {
	attrs := request.Attrs{
		request.PEpoch: o.epoch, request.PNext: o.epoch + 1, request.PState: string(v.state),
		c.AttrExpires: it.Retained, c.AttrBy: p.nonce(),
	}
	if err := p.keepPartials(ctx, o, attrs); err != nil {
		if !errors.Is(err, request.ErrRefused) {
			return err
		}
		if v.state == request.Succeeded { // a success has all of its log
			return p.end(ctx, o, it, p.judge(it, p.unknown(), nil, Permanent(err), nil))
		}
	}
	if v.state == request.Succeeded {
		err := p.insist(ctx, o.key, func() error {
			blob, err := storeBlob(ctx, p.store, o.key, keys.Output(o.epoch), v.output, it.Retained)
			attrs[c.AttrOutput] = blob
			return err
		})
		if errors.Is(err, request.ErrTooLarge) {
			return p.end(ctx, o, it, verdict{state: request.Failed, err: tooLarge(len(v.output), storable(len(v.output)))})
		}
		if errors.Is(err, request.ErrRefused) { // another attempt would end here too
			v = p.judge(it, p.unknown(), nil, Permanent(err), nil)
			return p.end(ctx, o, it, v)
		}
		if err != nil {
			return err
		}
	}
	if v.state == request.Failed {
		p.remember(ctx, o, it, v, time.Time{})
		bury(attrs, o.key)
	}
	out, err := p.write(ctx, o, request.End, v, attrs)
	if err != nil || out == nil {
		return err
	}
	p.metrics.attempt(it.Action, v.state, time.Since(o.started), it.Attempt)
	if v.state == request.Failed {
		p.log.Error("request is dead", "request", o.key, "action", it.Action, "attempt", it.Attempt, "code", v.err.Code, "trace", it.Trace)
	}
	cursor := wire.Cursor{Epoch: o.epoch + 1}
	if v.state == request.Succeeded {
		o.pushFinal(ctx, wire.AppendComplete(nil, o.id, cursor, p.delivered(ctx, out.Item, v.output)))
	} else {
		o.pushFinal(ctx, wire.AppendError(nil, o.id, v.err, &cursor))
	}
	return nil
}

// delivered is a result as its frame carries it.
func (p *processor) delivered(ctx context.Context, it request.Item, data []byte) wire.Result {
	if len(data) <= maxHistory {
		return inParts(data, it.Partials, room)
	}
	res, err := resultOf(ctx, p.store, it, room)
	if err != nil { // $get has the link
		p.log.Warn("link to result", "request", it.Key, "error", err.Error())
	}
	return res
}

// retry gives the request up until its next attempt. The wake message is a
// hint: when it is lost, or the wait is longer than a queue can hold it, the
// sweep starts the attempt.
func (p *processor) retry(ctx context.Context, o *owner, it request.Item, v verdict) error {
	at := time.Now().Add(v.after)
	due, how := at.Add(retryGrace), request.Retry
	if v.after > work.MaxDelay { // no message wakes it: the sweep is not to wait for one
		due = at
	}
	if v.postponed {
		how = request.Postpone
	}
	p.remember(ctx, o, it, v, at)
	out, err := p.write(ctx, o, how, v, request.Attrs{
		request.PEpoch: o.epoch, request.PNext: o.epoch + 1, c.AttrRunAt: at.UnixMilli(),
		c.AttrDueAt: min(due.UnixMilli(), it.Deadline), c.AttrBy: p.nonce(),
	})
	if err != nil || out == nil {
		return err
	}
	if !out.OK { // the flag was raised in between
		return p.end(ctx, o, it, byOwner())
	}
	p.metrics.attempt(it.Action, v.state, time.Since(o.started), it.Attempt)
	if err := p.wake.Wake(ctx, work.Hint{Key: o.key, Epoch: o.epoch + 1}, time.Until(at)); err != nil {
		p.log.Warn("wake", "request", o.key, "error", err.Error())
	}
	return nil
}

// write carries out an owner's last transition, insisting for as long as the
// function lives. A nil outcome means that the request was lost.
func (p *processor) write(ctx context.Context, o *owner, t request.Transition, v verdict, attrs request.Attrs) (*request.Outcome, error) {
	if s, _ := o.snapshot(); s != nil {
		attrs[c.AttrProgress] = s
	}
	if v.err != nil {
		f := storedFailure(v.err)
		f.Waited = v.waited.Milliseconds()
		attrs[c.AttrFailure] = f.Attrs()
	}
	o.letGo() // no beat comes in between, nor after it
	var out request.Outcome
	if err := p.insist(ctx, o.key, func() (err error) { out, err = p.store.Do(ctx, t, o.key, attrs); return err }); err != nil {
		return nil, err
	}
	if !out.OK && out.Item.Epoch != o.epoch {
		p.log.Warn("request has another owner", "request", o.key, "epoch", o.epoch)
		return nil, nil
	}
	if out.OK {
		o.mu.Lock()
		o.watchers = out.Item.Watchers
		o.mu.Unlock()
		if o.slot && t.Name != request.Continue.Name { // what goes on keeps its slot
			o.slot = false
			p.release(ctx, o.key, o.epoch)
		}
	}
	return &out, nil
}

// storedFailure keeps an item under its size: what is stored of an error.
func storedFailure(e *Error) *request.Failure {
	f := &request.Failure{Code: cut(string(e.Code), maxStoredCode), Message: cut(e.Message, maxStoredMessage), Retryable: e.Retryable}
	if raw, err := encode(e.Details); err == nil && len(e.Details) > 0 && len(raw) <= maxStoredMetadata {
		f.Details = string(raw)
	}
	return f
}

// insist repeats what could not be done, for as long as the invocation lives
// and it is not refused for good.
func (p *processor) insist(ctx context.Context, key string, do func() error) error {
	for wait := 100 * time.Millisecond; ; wait = min(wait*2, maxPause) {
		err := do()
		if err == nil {
			return nil
		}
		if errors.Is(err, request.ErrRefused) || errors.Is(err, request.ErrNoBlob) {
			return err
		}
		p.log.Warn("store is not available", "request", key, "error", err.Error())
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}
