package sim_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
)

// place is a checkpoint of a handler that tells: how many pieces of the log were
// told by then, and in which run.
type place struct {
	N   int    `json:"n"`
	Run string `json:"run"`
}

// telling emits pieces, each with its number. With Keep it stores a checkpoint now
// and then, and a later run goes on there.
func (w *world) telling(ctx context.Context, task *streamer.Task, in ask) (reply, error) {
	call := streamer.CallFrom(ctx)
	inv, _ := ctx.Value(invocationKey{}).(*invocation)
	r := w.begin(call.Caller.User+"/"+call.ID, call.Attempt, inv)
	var at place
	if _, err := task.Restore(&at); err != nil {
		return reply{}, w.finish(r, err)
	}
	w.mu.Lock()
	log := slices.Clone(w.logs[at])
	w.mu.Unlock()
	if len(log) != at.N {
		w.violate(r.request, "checkpoint %+v is restored, whose log has %d pieces", at, len(log))
	}
	for n := at.N + 1; n <= in.Steps; n++ {
		if err := w.pace(ctx, r, in, n); err != nil {
			return reply{}, w.finish(r, err)
		}
		piece := fmt.Sprintf("%d of %s", n, r.name)
		if err := task.Emit(piece); err != nil {
			return reply{}, w.finish(r, err)
		}
		log = append(log, piece)
		if !in.Keep || n%4 != 0 {
			continue
		}
		w.tell(place{n, r.name}, log)
		if err := task.Checkpoint(ctx, place{n, r.name}); err != nil {
			return reply{}, w.finish(r, err)
		}
	}
	w.tell(place{-1, r.name}, log)
	return w.close(ctx, r, call, in)
}

// tell notes what the log should be at a place; -1 is the end of a run.
func (w *world) tell(at place, log []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logs[at] = slices.Clone(log)
}

// pieces is the log of a request as its client has it.
type pieces struct {
	epoch int64
	items []string
	lacks bool // some are missing; $resume has them
}

// stretch is some pieces of a log, in a frame or in the answer to $resume.
type stretch struct {
	Epoch int64    `json:"epoch"`
	First int      `json:"first"`
	Items []string `json:"items"`
	More  bool     `json:"more"`
	Lost  bool     `json:"lost"`
}

// hear takes a frame.
func (p *pieces) hear(n stretch) {
	if n.Epoch > p.epoch && n.First > 1 {
		p.lacks = true // what is before it may be another attempt's
		return
	}
	p.take(n)
}

// take takes what the server gives knowing what there is.
func (p *pieces) take(n stretch) {
	switch {
	case n.Epoch < p.epoch:
	case n.First > len(p.items)+1:
		p.lacks = true
	default:
		if n.Epoch > p.epoch {
			p.epoch, p.items = n.Epoch, p.items[:n.First-1]
		}
		if known := len(p.items) + 1 - n.First; known < len(n.Items) {
			p.items = append(p.items, n.Items[known:]...)
		}
	}
}

// whole says whether the log is the one that an end of a success counts; what
// is beyond that is dropped.
func (p *pieces) whole(total int, epoch int64) bool {
	if total == 0 {
		p.items = nil
		return true
	}
	if p.epoch != epoch-1 || len(p.items) < total {
		return false
	}
	p.items = p.items[:total]
	return true
}

// position is what $resume and $sync are told of the log.
func (p *pieces) position(in map[string]any) {
	in["partial_epoch"], in["partials"] = p.epoch, len(p.items)
}

// partial takes pieces of a request's log. The caller holds the lock.
func (c *client) partial(a *asked, n stretch, take func(*pieces, stretch)) {
	if a.step.action != "tells" || n.Lost {
		c.breach(a, "gets part of a log: %+v", n)
	}
	if a.done {
		return
	}
	take(&a.pieces, n)
	for i, piece := range a.pieces.items {
		if !strings.HasPrefix(piece, fmt.Sprintf("%d of %s/%s ", i+1, c.plan.user, a.id)) {
			c.breach(a, "has %q as piece %d of its log", piece, i+1)
		}
	}
	c.pursue(a)
}

// pursue asks for what is missing of a request: pieces of its log, parts of its
// result. One of which nothing is missing is done. The caller holds the lock.
func (c *client) pursue(a *asked) {
	e := a.ending
	if e != nil && !a.logged {
		a.logged = e.status != "SUCCEEDED" || a.pieces.whole(e.total, e.epoch)
	}
	switch {
	case e != nil && e.ref != nil && !a.fetched:
		c.fetch(a)
	case e != nil && a.logged:
		a.done = true
	case (e != nil || a.pieces.lacks) && time.Since(a.read) > time.Second:
		a.read, a.sent, a.pieces.lacks = time.Now(), time.Now(), false
		c.running.Go(func() { c.positions("resume", []*asked{a}) })
	}
}
