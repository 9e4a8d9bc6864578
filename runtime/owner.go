package streamer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// owner holds a claimed request: it renews the lease, stores and sends
// progress, and learns of cancellation and loss, all by one write, the beat.
// One goroutine (hold) renews the lease from the claim to the last write; another
// (run) sends what the handler reports while that works, and conclude takes over
// after it has returned. Beats that carry a checkpoint are the handler's own.
type owner struct {
	store   requestStore
	conns   connections
	log     *slog.Logger
	key, id string
	epoch   int64
	lease   time.Duration
	every   time.Duration
	started time.Time
	slot    bool      // the request has one of its tenant's slots
	until   time.Time // no beat after it: a handler that ignores its context is given up
	pieces  *partialLog
	memory  durable

	writing chan struct{} // holds one: a write to the request is under way
	beat    int64         // guarded by writing

	mu       sync.Mutex              // guards the next eleven
	end      context.CancelCauseFunc // ends the handler's context; nil before that is there
	ended    error                   // why it is to end
	robbed   bool                    // another owns the request
	newest   report
	fresh    bool     // newest has not been sent to all
	behind   []string // the connections to which sent was, and that it did not reach
	sent     report
	sentSeq  int64 // of sent; 0: nothing was
	savedSeq int64 // of what is stored
	lastBeat time.Time
	watchers map[string]int64

	signal chan struct{} // holds one: there is something to send
	letGo  func()        // ends hold; see there

	// Of the goroutine that runs, then of conclude.
	seq       int64
	gone      map[string]bool
	pause     time.Duration
	lastFrame time.Time
}

// hold renews the lease until letGo is called, whatever else is done meanwhile:
// the input may take long to read, the handler too, and the result to be stored.
func (o *owner) hold(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	o.letGo = func() { cancel(); <-done }
	// A moment later than due: a call of the handler's that hangs is given up then.
	every := o.lease/3 + time.Millisecond
	go func() {
		defer close(done)
		renew := time.NewTimer(every)
		defer renew.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-renew.C:
			}
			if o.sinceBeat() >= o.lease/3 {
				o.renew(ctx)
			}
			renew.Reset(max(every-o.sinceBeat(), time.Millisecond))
		}
	}()
}

// cancel ends the handler's context. The first cause stays.
func (o *owner) cancel(cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended == nil {
		o.ended = cause
	}
	if o.end != nil {
		o.end(o.ended)
	}
}

// handler says what ends the handler's context.
func (o *owner) handler(end context.CancelCauseFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.end = end; o.ended != nil {
		end(o.ended)
	}
}

// snapshot is what of the newest sent report is stored, and its number; nil
// before the first.
func (o *owner) snapshot() (request.Attrs, int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sentSeq == 0 {
		return nil, 0
	}
	r := o.sent
	s := request.Snapshot{
		Epoch: o.epoch, Seq: o.sentSeq, Percentage: r.percentage, Message: cut(r.message, maxStoredMessage),
	}
	if len(r.metadata) <= maxStoredMetadata {
		s.Metadata = string(r.metadata)
	}
	return s.Attrs(), o.sentSeq
}

func (o *owner) sinceBeat() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Since(o.lastBeat)
}

// renew beats. That it did not get through is not fatal: the fence decides
// whose write counts, not our clock.
func (o *owner) renew(ctx context.Context) {
	if err := o.beatWith(ctx, nil); err != nil && !lostBy(err) && !errors.Is(err, errTooLate) {
		o.log.Warn("beat", "request", o.key, "error", err.Error())
	}
}

// beatWith is the beat, with a checkpoint where there is one. What it brings
// back is what the owner knows of the world.
func (o *owner) beatWith(ctx context.Context, p *request.Checkpoint) error {
	// A call that hangs must not let the lease lapse unnoticed.
	ctx, cancel := context.WithTimeout(ctx, o.lease/3)
	defer cancel()
	return o.exclusively(ctx, func() error {
		now := time.Now()
		o.mu.Lock()
		o.lastBeat = now
		o.mu.Unlock()
		if now.After(o.until) {
			return errTooLate
		}
		o.beat++
		attrs := request.Attrs{request.PEpoch: o.epoch, c.AttrBeat: o.beat, c.AttrLease: now.Add(o.lease).UnixMilli()}
		if p != nil {
			attrs[c.AttrCheckpoint] = p.Attrs()
		}
		s, seq := o.snapshot()
		if s != nil && seq > o.savedSeq {
			attrs[c.AttrProgress] = s
		}
		out, err := o.store.Do(ctx, request.Beat, o.key, attrs)
		switch {
		case err != nil:
			return err
		// Refused with our own epoch: the write had happened, its reply was lost.
		case out.OK || out.Found && out.Item.Epoch == o.epoch:
			o.learn(out.Item, seq)
			return nil
		default:
			return o.lost(out.Item)
		}
	})
}

var errTooLate = errors.New("the request's deadline is long past")

// learn takes over what a write brought back that stored the report of that
// number.
func (o *owner) learn(it request.Item, seq int64) {
	o.mu.Lock()
	o.savedSeq, o.watchers = seq, it.Watchers
	o.mu.Unlock()
	if it.Cancel {
		o.cancel(ErrCancelled)
	}
}
