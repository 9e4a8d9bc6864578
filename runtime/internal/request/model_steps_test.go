package request

import (
	"fmt"
	"strconv"

	c "github.com/streamer-go/streamer/internal/contract"
)

// next lists the states that one step leads to.
func (m *model) next(w world) []world {
	out := append(m.routerSteps(w), m.clientSteps(w)...)
	for i := range w.procs {
		out = append(out, m.procSteps(w, i)...)
	}
	out = append(out, m.sweepSteps(w)...)
	out = append(out, m.parkSteps(w)...)
	out = append(out, m.operatorSteps(w)...)
	if w.late != nil { // the copy arrives
		l := w.late
		w.late = nil
		n, _ := m.apply(w, l)
		out = append(out, n)
	}
	return out
}

func (m *model) routerSteps(w world) []world {
	if w.acked || w.sent >= m.bounds.resend {
		return nil
	}
	by := fmt.Sprint("router", w.sent)
	w.sent++
	n, _ := m.apply(w, &write{"accept", by, Attrs{
		c.AttrState: string(Pending), c.AttrEpoch: int64(0), c.AttrStart: int64(0), c.AttrBeat: int64(0), c.AttrBy: by,
		c.AttrAttempt: int64(0), c.AttrMax: int64(2), c.AttrAction: "a", c.AttrDueAt: int64(1), c.AttrDueShard: "00",
		c.AttrWatchers: Attrs{}, c.AttrOffers: int64(0),
	}})
	lost := n
	n.acked = true // refused or not: the id is known, its state is answered
	return []world{n, lost}
}

func (m *model) clientSteps(w world) (out []world) {
	if w.cancels >= m.bounds.cancels {
		return nil
	}
	w.cancels++
	p := Attrs{c.AttrBy: "client", c.AttrExpires: int64(1)}
	for _, name := range []string{"cancel (pending)", "cancel (processing)"} {
		if n, ok := m.apply(w, &write{name, "client", p}); ok {
			out = append(out, n)
		}
	}
	if n, ok := m.apply(w, &write{"cancel (absent)", "client", Attrs{
		c.AttrState: string(Cancelled), c.AttrEpoch: int64(0), c.AttrExpires: int64(1), c.AttrBy: "client",
	}}); ok {
		out = append(out, n)
	}
	return out
}

func (m *model) procSteps(w world, i int) (out []world) {
	p := w.procs[i]
	if p.phase != "" { // it may die at any time
		d := w
		d.procs[i] = proc{life: p.life}
		out = append(out, d)
	}
	switch {
	case p.unsure != nil: // the reply was lost: the same write again
		return append(out, m.send(w, i, p.unsure)...)
	case p.phase == "" && p.life < m.bounds.lives[i] && w.item == nil && m.bounds.once:
		// A router that runs the request itself: it owns what it accepts.
		n := w
		who := "p" + strconv.Itoa(i) + "." + strconv.Itoa(p.life)
		n.procs[i] = proc{phase: "claim", life: p.life + 1, who: who, nonce: who, epoch: 1}
		return append(out, m.send(n, i, &write{"accept", who, Attrs{
			c.AttrState: string(Processing), c.AttrEpoch: int64(1), c.AttrBeat: int64(0), c.AttrBy: who,
			c.AttrAttempt: int64(1), c.AttrMax: int64(2), c.AttrAction: "a", c.AttrDueAt: int64(1), c.AttrDueShard: "00",
			c.AttrLease: int64(1), c.AttrWatchers: Attrs{}, c.AttrOffers: int64(0),
		}})...)
	case p.phase == "" && p.life < m.bounds.lives[i] && w.item != nil:
		// A hint for any epoch that was ever offered, doubled or late.
		for e := int64(0); e <= Decode(w.item).Epoch; e++ {
			n := w
			name := "p" + strconv.Itoa(i)
			who := name + "." + strconv.Itoa(p.life)
			nonce := who
			if !m.fresh {
				nonce = name
			}
			n.procs[i] = proc{phase: "claim", life: p.life + 1, who: who, nonce: nonce, epoch: e}
			out = append(out, m.send(n, i, m.write("claim", n.procs[i]))...)
		}
	case p.phase == "own":
		if p.beat < int64(m.bounds.beats) {
			out = append(out, m.send(w, i, m.write("beat", p))...)
		}
		for _, name := range []string{"retry", "postpone", "continue", "end"} {
			out = append(out, m.send(w, i, m.write(name, p))...)
		}
	}
	return out
}

func (m *model) write(name string, p proc) *write {
	a := m.params(p.nonce, reading{epoch: p.epoch, beat: p.beat})
	if name == "end" {
		a[c.AttrOutput] = []byte(p.who)
	}
	return &write{name, p.who, a}
}

// send carries a write out; its reply comes or is lost, and once in a history
// a copy of it stays under way.
func (m *model) send(w world, i int, wr *write) []world {
	n, ok := m.apply(w, wr)
	lost := n
	lost.procs[i].unsure = wr
	out := []world{lost}
	if !n.copied {
		twice := n
		twice.copied, twice.late = true, wr
		out = append(out, m.reply(twice, i, wr, ok))
	}
	return append(out, m.reply(n, i, wr, ok))
}

// reply is what the processor makes of the answer.
func (m *model) reply(w world, i int, wr *write, ok bool) world {
	p := w.procs[i]
	p.unsure = nil
	it := Decode(w.item)
	if !ok && wr.name != "beat" && it.By == p.nonce {
		if ok = m.nonces; !ok {
			m.fail("%s's %s had happened, and nobody goes on with it", wr.who, wr.name)
		}
	}
	switch {
	case !ok && wr.name == "beat" && it.Epoch == p.epoch: // an older copy
		p.beat++
	case ok && (wr.name == "claim" || wr.name == "accept"):
		p.phase, p.epoch, p.beat = "own", it.Epoch, it.Beat
		if w.owners[p.epoch] != p.who {
			m.fail("%s believes to own epoch %d of %q", p.who, p.epoch, w.owners[p.epoch])
		}
	case ok && wr.name == "beat":
		p.beat++
	case ok && wr.name == "end":
		w.finished = p.who
		p = proc{life: p.life}
	default: // lost, or given up
		p = proc{life: p.life}
	}
	w.procs[i] = p
	return w
}

func (m *model) sweepSteps(w world) (out []world) {
	if w.item == nil {
		return nil
	}
	if w.sweep == nil {
		if it := Decode(w.item); w.sweeps < m.bounds.sweeps && !it.State.Terminal() {
			w.sweeps++
			w.sweep = &reading{it.Epoch, it.Beat, it.Cancel}
			out = append(out, w)
		}
		return out
	}
	read := *w.sweep
	w.sweep = nil
	names := []string{"advance (offer)", "advance (fail)"} // any clock: the deadline may have passed
	if read.cancel {
		names = []string{"advance (cancel)"}
	}
	for _, name := range names {
		p := m.params(fmt.Sprint("sweep", w.sweeps), read)
		if name == "advance (fail)" {
			p[c.AttrLane], p[c.AttrLaneAt] = "dead", int64(1)
		}
		n, _ := m.apply(w, &write{name, "sweep", p})
		out = append(out, n)
	}
	return append(out, w) // or the dispatcher dies
}

// parkSteps: a record of the stream, for any epoch that was ever offered, whose
// tenant has what it may have.
func (m *model) parkSteps(w world) (out []world) {
	if w.item == nil || w.parks >= m.bounds.parks {
		return nil
	}
	w.parks++
	for e := int64(0); e <= Decode(w.item).Epoch; e++ {
		p := m.params("park", reading{epoch: e})
		p[c.AttrWaiting], p[c.AttrLane], p[c.AttrLaneAt] = "tenant", "wait", int64(1)
		if n, ok := m.apply(w, &write{"park", "dispatcher", p}); ok {
			out = append(out, n)
		}
	}
	return out
}

// operatorSteps: somebody who takes the request for dead.
func (m *model) operatorSteps(w world) []world {
	n, ok := m.apply(w, &write{"settle", "operator", Attrs{}})
	if !ok {
		return nil
	}
	n.settled = true
	return []world{n}
}
