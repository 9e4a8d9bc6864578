package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// starter invokes the processor asynchronously.
type starter interface {
	Start(ctx context.Context, h work.Hint) error
}

// dueStore is what the dispatcher needs of the tables.
type dueStore interface {
	Do(ctx context.Context, t request.Transition, key string, p request.Attrs) (request.Outcome, error)
	Get(ctx context.Context, key string) (request.Item, bool, error)
	Due(ctx context.Context, shard string, before int64, page any) (due []string, next any, err error)
}

// dispatcher starts what is to be started. It has three sources (the stream,
// the wake queue, the sweep) and never fails a batch on purpose: what it cannot
// start now is due again later.
type dispatcher struct {
	store dueStore
	start starter
	wake  waker
	log   *slog.Logger
	nonce func() string
	gate  gate
	// metrics count the requests that end without an owner.
	metrics *metrics
}

const (
	parallel = 16
	// startRetry is when a start that was refused is tried again.
	startRetry = 5 * time.Second
	// restartWait is when a start whose processor crashed is tried again.
	restartWait = 30 * time.Second
	// alreadyOffered is advance's answer for what waits for its start.
	alreadyOffered = -1
	// maxOfferBackoff bounds the time between two offers of one epoch.
	maxOfferBackoff = 15 * time.Minute
)

// sourceEvent is any of the three: records of the stream or the queue, or the
// schedule's input.
type sourceEvent struct {
	Sweep   string `json:"streamer"`
	Records []struct {
		Source string `json:"eventSource"`
		Body   string `json:"body"`
		Change struct {
			New map[string]attribute `json:"NewImage"`
		} `json:"dynamodb"`
	} `json:"Records"`
}

// attribute is one of a stream record: a text or a number.
type attribute struct{ S, N string }

// Invoke works off one event.
func (d *dispatcher) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	var e sourceEvent
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	if e.Sweep != "" {
		return nil, d.sweep(ctx)
	}
	b := d.gate.batch()
	defer d.checkLater(ctx, b)
	each(e.Records, func(i int) {
		r := &e.Records[i]
		switch r.Source {
		case "aws:dynamodb":
			image := r.Change.New
			if image[c.AttrStart].N == image[c.AttrEpoch].N {
				d.offered(ctx, b, image)
			}
		case "aws:sqs":
			d.woken(ctx, b, r.Body)
		default:
			d.log.Error("record of an unknown source", "source", r.Source)
		}
	})
	return []byte(`{"batchItemFailures":[]}`), nil
}

// offered reads a stream record.
func (d *dispatcher) offered(ctx context.Context, b *batch, image map[string]attribute) {
	key, epoch := image[c.AttrPK].S, image[c.AttrEpoch].N
	n, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || key == "" {
		d.log.Error("stream record without key or epoch", "request", key, "epoch", epoch)
		return
	}
	h := work.Hint{Key: key, Epoch: n, Deadline: whole(image[c.AttrDeadline].N)} // 0: not known
	d.started(ctx, b, &offer{Hint: h, createdAt: whole(image[c.AttrCreatedAt].N), offers: whole(image[c.AttrOffers].N)})
}

// started passes an offered request on to a processor, if it may be started now.
// A start that is refused comes back through the wake queue.
func (d *dispatcher) started(ctx context.Context, b *batch, o *offer) {
	again := o.Hint
	now, err := d.admit(ctx, b, o)
	if err == nil && now {
		err = d.start.Start(ctx, o.Hint)
	}
	if err == nil {
		return
	}
	d.log.Warn("start", "request", o.Key, "error", err.Error())
	if err := d.wake.Wake(ctx, again, startRetry); err != nil {
		d.log.Warn("wake", "request", o.Key, "error", err.Error()) // the sweep finds it
	}
}

// woken reads a wake message, or the record of a processor that failed.
func (d *dispatcher) woken(ctx context.Context, b *batch, body string) {
	var m struct {
		work.Hint
		Failed *work.Hint `json:"requestPayload"`
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		d.log.Error("wake message is not readable", "error", err.Error())
		return
	}
	if m.Tenant != "" {
		d.handsOn(ctx, m.Hint)
		return
	}
	h := m.Hint
	newest := h.Epoch // the youngest epoch that the hint can be about
	if m.Failed != nil {
		h = *m.Failed
		newest = h.Epoch + 1 // it may have been claimed
		d.log.Warn("processor failed", "request", h.Key, "epoch", h.Epoch)
	}
	if h.Key == "" || h.Push {
		return // a push that failed is no state: its owner asks
	}
	it, again, err := d.advance(ctx, h.Key, newest)
	if err == nil && m.Failed != nil && h.Slot && over(it, h.Epoch) {
		d.handsOn(ctx, work.Hint{Tenant: keys.Tenant(h.Key), Key: h.Key, Epoch: h.Epoch + 1})
	}
	if err != nil {
		d.log.Warn("advance", "request", h.Key, "error", err.Error())
		again = startRetry
	} else {
		h = work.Hint{Key: h.Key, Epoch: it.Epoch, Deadline: it.Deadline}
	}
	if again == alreadyOffered {
		if m.Failed == nil {
			d.started(ctx, b, &offer{Hint: h, createdAt: it.CreatedAt, offers: it.Offers}) // a claim of any other epoch is refused
			return
		}
		again = restart(it, time.Now())
	}
	if again > 0 {
		if err := d.wake.Wake(ctx, h, again); err != nil {
			d.log.Warn("wake", "request", h.Key, "error", err.Error())
		}
	}
}

// restart is when an offer is started again whose processor failed before it
// had claimed it: soon while the offer is young, for a crash at a cold start is
// mostly a passing one, else when the sweep offers it again.
func restart(it request.Item, now time.Time) time.Duration {
	if now.Sub(offeredAt(it)) < time.Minute {
		return restartWait
	}
	return 0
}

// offeredAt is when a request was offered that waits for a processor.
func offeredAt(it request.Item) time.Time {
	return time.UnixMilli(it.DueAt).Add(-offerWait(max(it.Offers-1, 0)))
}

// margins are what a sweep leaves of the function's time.
type margins struct {
	end  time.Duration // for what is under way
	look time.Duration // more than that, when it stops listing: for looking at what it has listed
}

// marginsOf are a few seconds, or parts of a function's time that has not many.
func marginsOf(ctx context.Context) margins {
	m := margins{4 * time.Second, 8 * time.Second}
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		m = margins{min(m.end, left/5), min(m.look, left*2/5)}
	}
	return m
}

// errNoTime ends a sweep that is not through; the next one goes on.
var errNoTime = errors.New("there is no time for more")

// sweep looks at everything that is due: whatever hint was lost, here it is
// found again.
func (d *dispatcher) sweep(ctx context.Context) error {
	now := time.Now().UnixMilli()
	leave := marginsOf(ctx)
	errs := make([]error, c.DueShards)
	each(errs, func(shard int) { errs[shard] = d.sweepShard(ctx, keys.Shard(shard), now, leave) })
	early := 0
	for i, err := range errs {
		if errors.Is(err, errNoTime) {
			errs[i], early = nil, early+1
		}
	}
	if early > 0 {
		d.log.Warn("more is due than a sweep has time for", "shards", early)
	}
	return errors.Join(errs...)
}

// sweepShard lists what is due, which is cheap, and begins anywhere in it: the time
// may be over before all is looked at, and it must not be the same part that is
// not, for as long as starts are paused, say.
func (d *dispatcher) sweepShard(ctx context.Context, shard string, now int64, leave margins) (err error) {
	var pages [][]string
	for next := any(nil); ; {
		due, more, bad := d.store.Due(ctx, shard, now, next)
		if bad != nil {
			return bad
		}
		pages = append(pages, due)
		if next = more; next == nil {
			break
		}
		if !timeFor(ctx, leave.end+leave.look) {
			err = errNoTime
			break
		}
	}
	begin := int(share(shard, now, time.Duration(len(pages))))
	for n := range pages {
		if n > 0 && !timeFor(ctx, leave.end) {
			return errNoTime
		}
		page := pages[(begin+n)%len(pages)]
		each(page, func(i int) {
			if _, _, err := d.advance(ctx, page[i], math.MaxInt64); err != nil {
				d.log.Warn("advance", "request", page[i], "error", err.Error())
			}
		})
	}
	return err
}

// timeFor says whether that much is left of the function's time.
func timeFor(ctx context.Context, d time.Duration) bool {
	end, ok := ctx.Deadline()
	return !ok || time.Until(end) > d
}

// advance reads a request and does what its state asks for, unless it is past
// the newest epoch that the hint can be about. It returns the item as read and
// how long to wait when it is too early, 0 when there is nothing to wait for,
// and alreadyOffered when it waits for its start, not for us.
func (d *dispatcher) advance(ctx context.Context, key string, newest int64) (it request.Item, wait time.Duration, err error) {
	it, found, err := d.store.Get(ctx, key)
	if err != nil || !found || it.Epoch > newest {
		return it, 0, err
	}
	now := time.Now()
	next, at := request.Advance(it, now)
	p := request.Attrs{request.PEpoch: it.Epoch, request.PBeat: it.Beat, request.PNext: it.Epoch + 1, c.AttrExpires: it.Retained}
	switch next {
	case request.Wait:
		if it.State == request.Pending && it.Start == it.Epoch {
			return it, alreadyOffered, nil
		}
		return it, time.UnixMilli(at).Sub(now), nil
	case request.Again:
		if d.gate.paused {
			return it, 0, nil // the first sweep that may offers it
		}
		p[c.AttrDueAt] = offerDue(it, now).UnixMilli()
		_, err := d.store.Do(ctx, request.Offer, key, p)
		return it, 0, err
	case request.Cancel:
		return it, 0, d.end(ctx, request.AdvanceCancel, it, request.Cancelled, p)
	case request.Fail:
		p[c.AttrFailure] = storedFailure(spent(it, now)).Attrs()
		bury(p, key)
		return it, 0, d.end(ctx, request.AdvanceFail, it, request.Failed, p)
	default:
		return it, 0, nil
	}
}

// offerWait backs off by the offers made.
func offerWait(offers int64) time.Duration {
	return min(request.StartGrace<<min(offers, 8), maxOfferBackoff)
}

// offerDue is when the sweep looks at an offer again, never after the deadline.
func offerDue(it request.Item, now time.Time) time.Time {
	due, deadline := now.Add(offerWait(it.Offers)), time.UnixMilli(it.Deadline)
	if deadline.After(now) && due.After(deadline) {
		return deadline
	}
	return due
}

// spent is why a request without owner fails.
func spent(it request.Item, now time.Time) *Error {
	switch {
	case now.UnixMilli() >= it.Deadline:
		return wire.NewError(wire.CodeTimeout, "the request's deadline has passed")
	case it.Failure != nil && it.State == request.Pending:
		return storedError(it)
	default:
		return wire.NewError(wire.CodeInternal, "the last attempt ended without an outcome")
	}
}

func (d *dispatcher) end(ctx context.Context, t request.Transition, it request.Item, state request.State, p request.Attrs) error {
	p[c.AttrBy] = d.nonce()
	out, err := d.store.Do(ctx, t, it.Key, p)
	if err != nil || !out.OK {
		return err
	}
	d.metrics.attempt(it.Action, state, 0, it.Attempt)
	if it.Waiting == "" { // what waits has no slot, but for one whose offer was lost: that expires
		d.handsOn(ctx, work.Hint{Tenant: keys.Tenant(it.Key), Key: it.Key, Epoch: it.Epoch})
	}
	if state == request.Failed {
		d.log.Error("request is dead", "request", it.Key, "action", it.Action, "attempt", it.Attempt, "event", t.Name, "trace", it.Trace)
	}
	return d.start.Start(ctx, work.Hint{Key: it.Key, Epoch: it.Epoch + 1, Push: true})
}

// each calls do for every index, sixteen at a time, and waits for all.
func each[T any](items []T, do func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i := range items {
		slots <- struct{}{}
		wg.Go(func() { defer func() { <-slots }(); do(i) })
	}
	wg.Wait()
}
