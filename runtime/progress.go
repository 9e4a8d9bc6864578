package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/push"
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

func (o *owner) report(r report) {
	r.after = o.pieces.last()
	o.mu.Lock()
	o.newest, o.fresh, o.behind = r, true, nil
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

// take returns the newest report, once; and again while connections are behind,
// which it returns then.
func (o *owner) take() (r report, behind []string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, behind, ok = o.newest, o.behind, o.fresh
	o.fresh, o.behind = false, nil
	return r, behind, ok
}

// next numbers a report. The caller has it from take.
func (o *owner) next(r report) {
	o.seq++
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent, o.sentSeq = r, o.seq
}

// send stores and pushes the newest report and the partials, in the order in
// which the handler gave them.
func (o *owner) send(ctx context.Context) {
	o.lastFrame = time.Now()
	end := o.pieces.last()
	r, behind, ok := o.take()
	if !ok {
		o.paceBy(o.sendPieces(ctx, end))
		return
	}
	arrived := o.sendPieces(ctx, r.after)
	first := o.seq == 0
	if behind == nil {
		o.next(r)
	}
	if o.sinceBeat() >= min(saveEvery, o.lease/3) || first {
		o.renew(ctx)
	}
	arrived = o.pushProgress(ctx, r, behind) && arrived
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
	if r, behind, ok := o.take(); ok && behind == nil {
		o.next(r)
	}
}

// pushProgress pushes the report that was numbered last, to those that are behind
// or, when there are none, to all.
func (o *owner) pushProgress(ctx context.Context, r report, behind []string) (arrived bool) {
	to := o.watching()
	if behind != nil {
		to = slices.DeleteFunc(to, func(id string) bool { return !slices.Contains(behind, id) })
	}
	frame := wire.AppendProgress(nil, o.id, wire.Cursor{Epoch: o.epoch, Seq: o.seq}, r.percentage, r.message, r.metadata)
	left := o.push(ctx, frame, to)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(left) > 0 && !o.fresh { // else what is newer goes to all
		o.fresh, o.behind = true, left
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

// watching lists the connections that frames go to: none from one that was robbed.
func (o *owner) watching() []string {
	o.mu.Lock()
	watchers := o.watchers
	if o.robbed {
		watchers = nil
	}
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
