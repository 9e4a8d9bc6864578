package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/push"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	// saveEvery is how often a snapshot is stored at most: frames that come
	// faster are pushed to the watchers that the last beat brought back.
	saveEvery = 500 * time.Millisecond
	// maxPause bounds how far a sender slows down on 429.
	maxPause = 5 * time.Second
	// maxFlush bounds how long the last report holds the result up.
	maxFlush = time.Second
	// What of a snapshot is stored; the frame carries all of it.
	maxStoredMessage  = 160
	maxStoredMetadata = 128
)

// report is the newest progress as the handler gave it.
type report struct {
	percentage float64
	message    string
	metadata   json.RawMessage
}

// owner holds a claimed request: it renews the lease, stores and sends
// progress, and learns of cancellation and loss, all by one write, the beat.
// One goroutine (run) does that while the handler works; finish takes over
// after it has returned.
type owner struct {
	store    requestStore
	conns    connections
	log      *slog.Logger
	key, id  string
	epoch    int64
	lease    time.Duration
	every    time.Duration
	cancel   context.CancelCauseFunc
	lastBeat time.Time
	started  time.Time
	until    time.Time // no beat after it: a handler that ignores its context is given up

	mu     sync.Mutex // guards newest and fresh
	newest report
	fresh  bool // newest has not been sent

	signal chan struct{} // holds one: newest has changed

	// Of the goroutine that runs, then of finish.
	beat      int64
	seq       int64
	sent      report
	saved     bool // sent is stored
	watchers  map[string]int64
	gone      map[string]bool
	pause     time.Duration
	lastFrame time.Time
}

func (o *owner) report(r report) {
	o.mu.Lock()
	o.newest, o.fresh = r, true
	o.mu.Unlock()
	select {
	case o.signal <- struct{}{}:
	default:
	}
}

func (o *owner) isFresh() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fresh
}

// run beats and sends until stop is closed.
func (o *owner) run(ctx context.Context, stop <-chan struct{}) {
	renew := time.NewTimer(o.lease / 3)
	pace := time.NewTimer(time.Hour)
	defer renew.Stop()
	defer pace.Stop()
	for {
		if o.isFresh() {
			if wait := time.Until(o.lastFrame.Add(o.pause)); wait > 0 {
				pace.Reset(wait)
			} else {
				o.send(ctx)
			}
		}
		renew.Reset(max(time.Until(o.lastBeat.Add(o.lease/3)), time.Millisecond))
		select {
		case <-stop:
			return
		case <-o.signal:
		case <-pace.C:
		case <-renew.C:
			o.renew(ctx)
		}
	}
}

// take returns the newest report, once.
func (o *owner) take() (r report, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, ok = o.newest, o.fresh
	o.fresh = false
	return r, ok
}

// send stores and pushes the newest report.
func (o *owner) send(ctx context.Context) {
	r, ok := o.take()
	if !ok {
		return
	}
	o.seq++
	o.sent, o.saved = r, false
	if time.Since(o.lastBeat) >= min(saveEvery, o.lease/3) || o.seq == 1 {
		o.renew(ctx)
	}
	o.pushProgress(ctx)
}

// flush sends the newest report after the handler has returned, and tries again
// a few times where it did not arrive.
func (o *owner) flush(ctx context.Context) {
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		if o.send(ctx); !o.isFresh() || wait > maxFlush {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// pushProgress sends a frame and paces the next one: slower after a 429, back
// to normal step by step.
func (o *owner) pushProgress(ctx context.Context) {
	o.lastFrame = time.Now()
	r := o.sent
	frame := wire.AppendProgress(nil, o.id, wire.Cursor{Epoch: o.epoch, Seq: o.seq}, r.percentage, r.message, r.metadata)
	if left := o.push(ctx, frame, o.watching()); len(left) > 0 {
		o.mu.Lock()
		o.fresh = true // what did not arrive is sent again, or what is newer by then
		o.mu.Unlock()
		o.pause = min(max(o.pause*2, 100*time.Millisecond), maxPause)
	} else {
		o.pause = max(o.pause*3/4, o.every)
	}
}

// snapshot is what of the newest sent report is stored; nil before the first.
func (o *owner) snapshot() request.Attrs {
	if o.seq == 0 {
		return nil
	}
	r := o.sent
	s := request.Snapshot{
		Epoch: o.epoch, Seq: o.seq, Percentage: r.percentage, Message: cut(r.message, maxStoredMessage),
	}
	if len(r.metadata) <= maxStoredMetadata {
		s.Metadata = string(r.metadata)
	}
	return s.Attrs()
}

// renew is the beat. What it brings back is what the owner knows of the world.
func (o *owner) renew(ctx context.Context) {
	o.lastBeat = time.Now()
	if o.lastBeat.After(o.until) {
		return
	}
	// A call that hangs must not let the lease lapse unnoticed.
	ctx, cancel := context.WithTimeout(ctx, o.lease/3)
	defer cancel()
	o.beat++
	p := request.Attrs{
		request.PEpoch: o.epoch, c.AttrBeat: o.beat, c.AttrLease: o.lastBeat.Add(o.lease).UnixMilli(),
	}
	if s := o.snapshot(); s != nil && !o.saved {
		p[c.AttrProgress] = s
	}
	out, err := o.store.Do(ctx, request.Beat, o.key, p)
	switch {
	case err != nil:
		// Not fatal: the fence decides whose write counts, not our clock.
		o.log.Warn("beat", "request", o.key, "error", err.Error())
	// Refused with our own epoch: the write had happened, its reply was lost.
	case out.OK || out.Found && out.Item.Epoch == o.epoch:
		o.saved = true
		o.watchers = out.Item.Watchers
		if out.Item.Cancel {
			o.cancel(ErrCancelled)
		}
	default:
		if out.Item.State == request.Cancelled {
			o.cancel(ErrCancelled)
		}
		o.cancel(ErrLost) // the first cause stays
	}
}

// watching lists the connections that frames go to.
func (o *owner) watching() []string {
	now := time.Now().Unix()
	ids := make([]string, 0, len(o.watchers))
	for id, until := range o.watchers {
		if until > now && !o.gone[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// push sends a frame to those connections and returns the ones that it did not
// reach and that are not gone.
func (o *owner) push(ctx context.Context, frame []byte, to []string) (left []string) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards left and gone
	for _, id := range to {
		wg.Go(func() {
			err := o.conns.Push(ctx, id, frame)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, push.ErrGone):
				o.gone[id] = true
			case err != nil:
				left = append(left, id)
				if errors.Is(err, push.ErrBusy) {
					return
				}
				o.log.Warn("push", "request", o.key, "connection", id, "error", err.Error())
			}
		})
	}
	wg.Wait()
	return left
}

// pushFinal sends a terminal frame; it insists a little where it does not arrive.
func (o *owner) pushFinal(ctx context.Context, frame []byte) {
	to := o.watching()
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		if to = o.push(ctx, frame, to); len(to) == 0 || wait > maxPause {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
