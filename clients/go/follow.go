package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

// follow is a request as its client knows it: which frames it has had, and what
// of the log of partials. Frames may come twice, late and over two connections;
// what it passes on is one story.
type follow struct {
	id     string
	body   []byte // nil: somebody else sent it
	resend bool

	signal chan struct{} // holds one: frames has grown, or err is set

	mu       sync.Mutex // guards all below
	conn     *Conn      // that its frames come over; nil before it was sent
	accepted bool
	ended    bool
	cursor   wire.Cursor
	epoch    int64       // of the log
	have     int64       // pieces of the log
	final    *wire.Frame // the last frame, waiting for pieces that are missing
	frames   []wire.Frame
	err      error
	heard    time.Time
}

func newFollow(id string) *follow { return &follow{id: id, signal: make(chan struct{}, 1)} }

// position is what $resume is told.
func (k *follow) position() map[string]any {
	k.mu.Lock()
	defer k.mu.Unlock()
	return map[string]any{
		"request_id": k.id, "epoch": k.cursor.Epoch, "seq": k.cursor.Seq, "partial_epoch": k.epoch, "partials": k.have,
	}
}

// offer takes a frame; lacks says that pieces of the log are missing, which
// $resume has.
func (k *follow) offer(f wire.Frame) (lacks bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return false
	}
	k.heard = time.Now()
	switch {
	case f.Type == wire.TypeResponse, f.Type == wire.TypeError && !f.Placed:
		// An error without cursor refuses a message, not a request that was accepted.
		if !k.accepted {
			k.end(f)
		}
	case f.Type == wire.TypeAcknowledgment:
		if !k.accepted {
			k.pass(f)
		}
		k.place(f)
	case f.Type == wire.TypeProgress:
		if k.place(f) {
			k.pass(f)
		}
	case f.Type == wire.TypePartial:
		k.place(f)
		if f.Epoch > k.epoch && f.First > 1 {
			return true // what is before it may be another attempt's
		}
		return k.extend(f)
	case f.Type == wire.TypeComplete:
		k.accepted = true
		if f.Partials > 0 && (f.Partials > k.have || f.Epoch-1 != k.epoch) {
			k.final = &f
			return true
		}
		k.end(f)
	case f.Type == wire.TypeError:
		k.accepted = true
		k.end(f)
	default:
		k.pass(f)
	}
	return false
}

// place notes the cursor; it reports whether it was above what there was.
func (k *follow) place(f wire.Frame) bool {
	k.accepted = true
	c := f.Cursor()
	if c.Compare(k.cursor) <= 0 {
		return false
	}
	k.cursor = c
	return true
}

// extend takes pieces of the log. Those of a higher epoch replace what there is
// from their first on: what is before it stands, for the attempt began with the
// first piece or $resume has compared the logs.
func (k *follow) extend(f wire.Frame) (lacks bool) {
	switch {
	case f.Epoch < k.epoch:
		return false
	case f.First > k.have+1:
		return true
	case f.Epoch > k.epoch:
		k.epoch, k.have = f.Epoch, f.First-1
	default:
		known := min(k.have+1-f.First, int64(len(f.Items)))
		f.First, f.Items = f.First+known, f.Items[known:]
	}
	if len(f.Items) == 0 {
		return false
	}
	k.have += int64(len(f.Items))
	k.pass(f)
	return false
}

// replay takes pieces of the log from the answer to $resume. With lost, those
// before them are gone for good.
func (k *follow) replay(f wire.Frame, lost bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return
	}
	if lost && f.Epoch >= k.epoch && f.First > k.have+1 {
		k.have = f.First - 1
	}
	k.extend(f)
}

// reopen takes the refusal of a message back that is going to be sent again.
func (k *follow) reopen() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.body == nil || k.accepted || k.err != nil {
		return false
	}
	k.ended = false
	return true
}

// caughtUp says that there is nothing more to be had of the log.
func (k *follow) caughtUp() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.final != nil && !k.ended {
		k.end(*k.final)
	}
}

func (k *follow) end(f wire.Frame) {
	k.ended = true
	k.pass(f)
}

func (k *follow) pass(f wire.Frame) {
	k.frames = append(k.frames, f)
	k.wake()
}

func (k *follow) wake() {
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// fail ends the request for its client.
func (k *follow) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended {
		k.ended, k.err = true, err
		k.wake()
	}
}

// next returns the next frame of the story.
func (k *follow) next(ctx context.Context) (wire.Frame, error) {
	for {
		k.mu.Lock()
		if len(k.frames) > 0 {
			f := k.frames[0]
			k.frames = k.frames[1:]
			k.mu.Unlock()
			return f, nil
		}
		err := k.err
		k.mu.Unlock()
		if err != nil {
			return wire.Frame{}, err
		}
		select {
		case <-k.signal:
		case <-ctx.Done():
			return wire.Frame{}, context.Cause(ctx)
		}
	}
}

// on says which connection the request is followed over.
func (k *follow) on() (conn *Conn, accepted, ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conn, k.accepted, k.ended
}

func (k *follow) move(conn *Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conn, k.heard = conn, time.Now()
}

// silent says that nothing was heard of an accepted request for long.
func (k *follow) silent(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.accepted && !k.ended && now.Sub(k.heard) >= Silence
}

// unknown is what the service has never heard of: it was not accepted, or ran
// without being stored, or is not kept any more. It reports whether to send it
// again.
func (k *follow) unknown(e *wire.Error) (again bool) {
	_, accepted, _ := k.on()
	switch {
	case accepted || k.body == nil:
		k.fail(e)
	case k.resend:
		return true
	default:
		k.fail(errors.Join(ErrNoAnswer, ErrClosed))
	}
	return false
}
