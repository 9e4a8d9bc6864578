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
	// maxFlush bounds how long the last report holds the result up, and so do the
	// calls that were under way when the handler returned.
	maxFlush = time.Second
	// What of a snapshot is stored; the frame carries all of it.
	maxStoredMessage  = 160
	maxStoredMetadata = 128
	maxStoredCode     = 64
)

// report is the newest progress as the handler gave it.
type report struct {
	percentage float64
	message    string
	metadata   json.RawMessage
	after      int64 // the number of the last partial before it
}

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

	mu       sync.Mutex              // guards the next nine
	end      context.CancelCauseFunc // ends the handler's context; nil before that is there
	ended    error                   // why it is to end
	newest   report
	fresh    bool // newest has not been sent
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

func (o *owner) report(r report) {
	r.after = o.pieces.last()
	o.mu.Lock()
	o.newest, o.fresh = r, true
	o.mu.Unlock()
	o.wakeUp()
}

func (o *owner) wakeUp() {
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

// hold renews the lease until letGo is called, whatever else is done meanwhile:
// the input may take long to read, the handler too, and the result to be stored.
func (o *owner) hold(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	o.letGo = func() { cancel(); <-done }
	go func() {
		defer close(done)
		renew := time.NewTimer(o.lease / 3)
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
			renew.Reset(max(o.lease/3-o.sinceBeat(), time.Millisecond))
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

// run sends what is reported until stop is closed.
func (o *owner) run(ctx context.Context, stop <-chan struct{}) {
	pace := time.NewTimer(time.Hour)
	defer pace.Stop()
	for {
		select {
		case <-stop: // before all else: what is left is conclude's
			return
		default:
		}
		if o.isFresh() || o.pieces.waiting() {
			wait := time.Until(o.lastFrame.Add(o.pause))
			switch urgent := o.pieces.urgent(); {
			case wait <= 0 || urgent && o.pause <= o.every:
				o.send(ctx)
				wait = o.pause
			case urgent: // a connection that is slow does not hold the handler up
				_ = o.keepPieces(ctx, o.pieces.last()) // it has logged why not, and tries again
			}
			pace.Reset(wait)
		}
		select {
		case <-stop:
			return
		case <-o.signal:
		case <-pace.C:
		}
	}
}

// running runs the owner's loop until the function that comes back is called. A
// call that is under way then is given up after a moment.
func (o *owner) running(ctx context.Context) (quiet func()) {
	sending, giveUp := context.WithCancel(ctx)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { defer close(stopped); o.run(sending, stop) }()
	return func() {
		close(stop)
		patience := time.AfterFunc(lastFrames(ctx), giveUp)
		<-stopped
		patience.Stop()
		giveUp()
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

// send stores and pushes the newest report and the partials, in the order in
// which the handler gave them.
func (o *owner) send(ctx context.Context) {
	o.lastFrame = time.Now()
	end := o.pieces.last()
	r, ok := o.take()
	if !ok {
		o.paceBy(o.sendPieces(ctx, end))
		return
	}
	arrived := o.sendPieces(ctx, r.after)
	o.seq++
	o.mu.Lock()
	first := o.sentSeq == 0
	o.sent, o.sentSeq = r, o.seq
	o.mu.Unlock()
	if o.sinceBeat() >= min(saveEvery, o.lease/3) || first {
		o.renew(ctx)
	}
	arrived = o.pushProgress(ctx) && arrived
	o.paceBy(o.sendPieces(ctx, max(end, r.after)) && arrived)
}

// lastFrames is the time for frames after the handler has returned: what is left
// for the function is needed to write down what came of it.
func lastFrames(ctx context.Context) time.Duration {
	d := maxFlush
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end)/4)
	}
	return max(d, 0)
}

// flush sends what is left after the handler has returned, and tries again where
// it did not arrive, while there is time. The last report is stored with the
// next write in any case.
func (o *owner) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastFrames(ctx))
	defer cancel()
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait *= 2 {
		if o.send(ctx); !o.isFresh() && !o.pieces.waiting() {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	if r, ok := o.take(); ok {
		o.seq++
		o.mu.Lock()
		defer o.mu.Unlock()
		o.sent, o.sentSeq = r, o.seq
	}
}

func (o *owner) pushProgress(ctx context.Context) (arrived bool) {
	r := o.sent
	frame := wire.AppendProgress(nil, o.id, wire.Cursor{Epoch: o.epoch, Seq: o.seq}, r.percentage, r.message, r.metadata)
	left := o.push(ctx, frame, o.watching())
	if len(left) > 0 {
		o.mu.Lock()
		o.fresh = true // what did not arrive is sent again, or what is newer by then
		o.mu.Unlock()
	}
	return len(left) == 0
}

// paceBy paces the next frames: slower after a 429, back to normal step by step.
func (o *owner) paceBy(arrived bool) {
	if !arrived {
		o.pause = min(max(o.pause*2, 100*time.Millisecond), maxPause)
	} else {
		o.pause = max(o.pause*3/4, o.every)
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

// watching lists the connections that frames go to.
func (o *owner) watching() []string {
	o.mu.Lock()
	watchers := o.watchers
	o.mu.Unlock()
	now := time.Now().Unix()
	ids := make([]string, 0, len(watchers))
	for id, until := range watchers {
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
				if errors.Is(err, push.ErrBusy) || ctx.Err() != nil {
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
