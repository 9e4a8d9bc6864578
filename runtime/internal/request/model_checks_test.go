package request

import (
	"reflect"
	"slices"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
)

// apply carries a write out and checks what no write may do.
func (m *model) apply(w world, wr *write) (world, bool) {
	after, ok := m.table[wr.name].Apply(w.item, key, wr.p)
	if !ok {
		return w, false
	}
	before, now := Decode(w.item), Decode(after)
	if before.State.Terminal() && (before.State != now.State || before.Epoch != now.Epoch || string(before.Output) != string(now.Output)) {
		m.fail("%s by %s changed a terminal request: %v → %v", wr.name, wr.who, w.item, after)
	}
	m.checkOwner(w, wr, before, now)
	m.checkSweep(w, wr, before, after)
	if wr.name == "settle" && (w.settled || before.State != Failed) {
		m.fail("an operator settled what is not dead, or was settled before: %v", w.item)
	}
	w.item = after
	if wr.name == "claim" || wr.name == "accept" && now.State == Processing {
		w.owners[now.Epoch] = wr.who
	}
	return w, true
}

// checkOwner: who owns an epoch, and nobody else, writes to it.
func (m *model) checkOwner(w world, wr *write, before, now Item) {
	switch wr.name {
	case "claim":
		if was := w.owners[now.Epoch]; was != "" {
			m.fail("%s claimed epoch %d, owned by %s", wr.who, now.Epoch, was)
		}
		if before.State == Processing {
			m.fail("%s claimed what its owner has kept: %v", wr.who, w.item)
		}
	case "beat", "retry", "postpone", "continue", "end":
		if w.owners[before.Epoch] != wr.who {
			m.fail("%s by %s wrote epoch %d, owned by %q", wr.name, wr.who, before.Epoch, w.owners[before.Epoch])
		}
	}
	if wr.name == "beat" && now.Beat <= before.Beat {
		m.fail("a late beat took the request back from beat %d to %d", before.Beat, now.Beat)
	}
	if before.Cancel && (wr.name == "retry" || wr.name == "postpone" || wr.name == "continue") {
		m.fail("%s by %s handed on what was cancelled", wr.name, wr.who)
	}
}

// checkSweep: a sweep acts on what it has read, or not at all.
func (m *model) checkSweep(w world, wr *write, before Item, after Attrs) {
	if !slices.Contains([]string{"advance (offer)", "advance (fail)", "advance (cancel)"}, wr.name) {
		return
	}
	switch {
	case before.Epoch != wr.p[PEpoch]:
		m.fail("%s by %s: the request has changed hands since it was read", wr.name, wr.who)
	case before.Beat != wr.p[PBeat]:
		m.fail("%s by %s took the request from an owner that has beaten since", wr.name, wr.who)
	case before.Cancel && wr.name == "advance (fail)":
		m.fail("a cancelled request was made FAILED by the sweep")
	case reflect.DeepEqual(w.item, after):
		m.fail("%s changes nothing: the stream does not tell anybody", wr.name)
	}
}

// checkState holds in every state.
func (m *model) checkState(w world) {
	if w.item == nil {
		if w.acked {
			m.fail("an acknowledged request is gone")
		}
		for _, t := range m.table {
			if _, ok := t.Apply(nil, key, m.params("nobody", reading{})); ok && !t.create && t.Who != "owner" {
				m.fail("%s makes a request of nothing", t.Name)
			}
		}
		return
	}
	it := Decode(w.item)
	if w.finished != "" && string(it.Output) != w.finished {
		m.fail("%s was told that its end counted, the request says %q", w.finished, it.Output)
	}
	if it.Start >= 0 && it.Start != it.Epoch {
		m.fail("epoch %d is to be started, the request has %d", it.Start, it.Epoch)
	}
	if it.State.Terminal() {
		if w.item[c.AttrDueAt] != nil || w.item[c.AttrDueShard] != nil || it.Start >= 0 || w.item[c.AttrExpires] == nil || w.item[c.AttrLane] == "wait" {
			m.fail("a terminal request is still open somewhere: %v", w.item)
		}
		return
	}
	if w.item[c.AttrLane] != nil && (it.State == Processing || it.Start >= 0 || w.item[c.AttrRunAt] == nil) {
		m.fail("a request that runs or is to be started waits for its tenant: %v", w.item)
	}
	// It ends by its deadline, even when every hint is lost.
	if w.item[c.AttrDueShard] == nil || w.item[c.AttrDueAt] == nil {
		m.fail("an open request is in no index: %v", w.item)
	}
	next, _ := Advance(it, time.UnixMilli(1<<50))
	name := map[Next]string{Cancel: "advance (cancel)", Fail: "advance (fail)"}[next]
	read := reading{it.Epoch, it.Beat, it.Cancel}
	if after, ok := m.table[name].Apply(w.item, key, m.params("sweep", read)); !ok || !Decode(after).State.Terminal() {
		m.fail("the sweep cannot end %v (%s)", w.item, name)
	}
}

// params are enough for every transition.
func (m *model) params(by string, r reading) Attrs {
	return Attrs{
		PEpoch: r.epoch, PNext: r.epoch + 1, PBeat: r.beat, PState: string(Succeeded), PWatcher: "w", PWatchEnd: int64(1), c.AttrBy: by,
		c.AttrBeat: r.beat + 1, c.AttrLease: int64(1), c.AttrDueAt: int64(1), c.AttrRunAt: int64(1), c.AttrExpires: int64(1),
	}
}
