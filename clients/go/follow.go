package client

import (
	"context"
	"fmt"
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
	cursor   wire.Cursor // the highest
	shown    wire.Cursor // of the newest progress
	epoch    int64       // of the log
	have     int64       // pieces of the log
	final    *wire.Frame // the last frame, waiting for pieces that are missing
	lacks    bool        // pieces are missing that were not asked for yet
	filling  bool        // somebody asks for them
	moving   bool        // somebody resumes it
	frames   []wire.Frame
	err      error
	heard    time.Time
}

func newFollow(id string) *follow { return &follow{id: id, signal: make(chan struct{}, 1)} }

// position is what $resume is told. A partial that came does not say that the
// progress before it did, which may have gone to another connection.
func (k *follow) position() map[string]any {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.shown
	if k.cursor.Epoch > at.Epoch {
		at = wire.Cursor{Epoch: k.cursor.Epoch}
	}
	return map[string]any{
		"request_id": k.id, "epoch": at.Epoch, "seq": at.Seq, "partial_epoch": k.epoch, "partials": k.have,
	}
}

// mark is what of a request has come.
type mark struct {
	shown       wire.Cursor
	epoch, have int64
}

func (k *follow) mark() mark {
	k.mu.Lock()
	defer k.mu.Unlock()
	return mark{k.shown, k.epoch, k.have}
}

// offer takes a frame. With fill, pieces of the log are missing that nobody asks
// for yet: $resume has them.
func (k *follow) offer(f wire.Frame) (fill bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return false
	}
	k.heard = time.Now()
	if k.hear(f) {
		k.lacks = true
	}
	if k.lacks && !k.filling {
		k.filling = true
		return true
	}
	return false
}

// hear notes and passes on what of a frame is new; lacks says that pieces before
// it are missing.
func (k *follow) hear(f wire.Frame) (lacks bool) {
	switch {
	case k.final != nil && f.Type != wire.TypePartial: // all is said but the log
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
		c := f.Cursor()
		if c.Epoch >= k.cursor.Epoch && c.Compare(k.shown) > 0 {
			k.shown = c
			k.pass(f)
		}
		k.place(f)
	case f.Type == wire.TypePartial:
		k.place(f)
		if f.Epoch > k.epoch && f.First > 1 {
			return true // what is before it may be another attempt's
		}
		return k.extend(f)
	case f.Type == wire.TypeComplete:
		k.accepted = true
		if k.whole(f) {
			k.end(f)
			return false
		}
		k.final = &f
		return true
	case f.Type == wire.TypeError:
		k.accepted = true
		k.end(f)
	default:
		k.pass(f)
	}
	return false
}

// place notes the cursor.
func (k *follow) place(f wire.Frame) {
	k.accepted = true
	if c := f.Cursor(); c.Compare(k.cursor) > 0 {
		k.cursor = c
	}
}

// whole says whether the log is the one that a last frame counts.
func (k *follow) whole(last wire.Frame) bool {
	return last.Partials == 0 || last.Partials <= k.have && last.Epoch-1 == k.epoch
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
		cuts := f.First <= k.have
		k.epoch, k.have = f.Epoch, f.First-1+int64(len(f.Items))
		if cuts || len(f.Items) > 0 {
			k.pass(f)
		}
	default:
		known := min(k.have+1-f.First, int64(len(f.Items)))
		f.First, f.Items = f.First+known, f.Items[known:]
		k.have += int64(len(f.Items))
		if len(f.Items) > 0 {
			k.pass(f)
		}
	}
	if k.final != nil && k.whole(*k.final) {
		k.end(*k.final)
	}
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

// told takes a frame that stands for what the service answered about a request;
// all says that there is nothing more to be had of the log.
func (k *follow) told(f wire.Frame, all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return
	}
	k.heard = time.Now()
	k.hear(f)
	if all && k.final != nil && !k.ended {
		k.end(*k.final)
	}
}

// more says whether pieces are missing, once for those that are; then the
// caller has to ask for them.
func (k *follow) more() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended || !k.lacks {
		k.filling = false
		return false
	}
	k.lacks = false
	return true
}

// lack says that pieces are missing still.
func (k *follow) lack() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lacks = true
}

// expired says that a frame refuses the message because the connection's token
// has ended. A handler of the user's may answer with that code for reasons of
// its own, before that.
func (k *follow) expired(f wire.Frame) bool {
	if f.Type != wire.TypeError || f.Code != wire.CodeUnauthorized || f.Placed {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conn != nil && !k.conn.until.IsZero() && !time.Now().Before(k.conn.until)
}

// reopen takes the refusal of a message back that is going to be sent again.
// Until then it is on no connection: what becomes of those does not matter to it.
func (k *follow) reopen() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.body == nil || k.accepted || k.err != nil {
		return false
	}
	k.ended, k.conn = false, nil
	return true
}

// end passes the last frame on, and before it what takes pieces from the log
// that do not count any more.
func (k *follow) end(f wire.Frame) {
	k.ended = true
	if f.Type == wire.TypeComplete && f.Partials < k.have {
		k.have = f.Partials
		k.pass(wire.Frame{Type: wire.TypePartial, RequestID: k.id, First: f.Partials + 1, Epoch: f.Epoch - 1, Placed: true})
	}
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
	k.stop(err)
}

func (k *follow) stop(err error) {
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

// on says which connection the request is followed over; nil: none, see reopen.
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

// claim takes a request that is to be resumed; release gives it back. One that is
// on no connection is going to be sent over the next, and one that was not
// answered yet is left to a connection that may still answer.
func (k *follow) claim() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.moving || k.ended || k.conn == nil || !k.accepted && !k.conn.gone() {
		return false
	}
	k.moving = true
	return true
}

func (k *follow) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.moving = false
}

// overdue says that nothing was heard of an accepted request for long, once in
// that time: then the caller has to ask for it.
func (k *follow) overdue(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.accepted || k.ended || now.Sub(k.heard) < Silence {
		return false
	}
	k.heard = now
	return true
}

// unknown is what the service had never heard of when it was asked: it was not
// accepted, or ran without being stored, or is not kept any more. accepted says
// whether its client knew better then. It reports whether to send the request
// again, and whether to ask again: it was accepted while the answer was on its way.
func (k *follow) unknown(e *wire.Error, accepted bool) (send, ask bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.ended:
	case k.accepted && !accepted:
		return false, true
	case k.accepted || k.body == nil:
		k.stop(e)
	case k.conn == nil: // its sender is about to
	case k.resend:
		return true, false
	default:
		k.stop(k.conn.unanswered(fmt.Errorf("%w, and the service does not know it", ErrNoAnswer)))
	}
	return false, false
}
