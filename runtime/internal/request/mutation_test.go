package request

import (
	"slices"
	"strings"
	"testing"

	c "github.com/streamer-go/streamer/internal/contract"
)

// Each guard of the table is there for a history that goes wrong without it.
// Here they are taken out one by one, and the model has to find that history.
func TestModelMissesEveryGuard(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("explored without the race detector: make test does")
	}
	tests := []struct {
		name   string
		mutate func(m *model)
		want   string // part of what the model says
	}{
		{"accept: absent", without("accept", c.AttrPK), ""},
		{"tombstone: absent", without("cancel (absent)", c.AttrPK), ""},
		{"claim: start", without("claim", c.AttrStart), ""},
		{"claim: takes start away", keeping("claim", c.AttrStart), "is to be started"},
		{"beat: epoch", without("beat", c.AttrEpoch), "owned by"},
		{"beat: count", without("beat", c.AttrBeat), "a late beat"},
		{"beat: takes back a false offer", keeping("beat", c.AttrStart), "claimed what its owner has kept"},
		{"retry: epoch", without("retry", c.AttrEpoch), "owned by"},
		{"retry: no cancel", without("retry", c.AttrCancel), "handed on what was cancelled"},
		{"retry: takes start away", keeping("retry", c.AttrStart), "is to be started"},
		{"continue: epoch", without("continue", c.AttrEpoch), "owned by"},
		{"continue: no cancel", without("continue", c.AttrCancel), "handed on what was cancelled"},
		{"end: epoch", without("end", c.AttrEpoch), "owned by"},
		{"end: leaves the index", keeping("end", c.AttrDueAt, c.AttrDueShard), "still open"},
		{"end: takes start away", keeping("end", c.AttrStart), ""},
		{"end: expires", setting("end", c.AttrExpires), "still open"},
		{"cancel: pending", without("cancel (pending)", c.AttrState), ""},
		{"cancel: leaves the index", keeping("cancel (pending)", c.AttrDueAt), "still open"},
		{"cancel: processing", without("cancel (processing)", c.AttrState), "of nothing"},
		{"watch: present", without("watch", c.AttrPK, c.AttrWatchers), "of nothing"},
		{"offer: epoch", without("advance (offer)", c.AttrEpoch), "changed hands"},
		{"offer: beat", without("advance (offer)", c.AttrBeat), "beaten since"},
		{"offer: counted", setting("advance (offer)", c.AttrOffers), "changes nothing"},
		{"offer: leaves the lane", keeping("advance (offer)", c.AttrLane), "waits for its tenant"},
		{"park: start", without("park", c.AttrStart), ""},
		{"park: takes start away", keeping("park", c.AttrStart), "waits for its tenant"},
		{"beat: leaves the lane", keeping("beat", c.AttrLane), "waits for its tenant"},
		{"postpone: epoch", without("postpone", c.AttrEpoch), "owned by"},
		{"postpone: no cancel", without("postpone", c.AttrCancel), "handed on what was cancelled"},
		{"continue: leaves the lane", keeping("continue", c.AttrLane), "waits for its tenant"},
		{"cancel: leaves the lane", keeping("cancel (pending)", c.AttrLane), "still open"},
		{"end: leaves the lane", setting("end", c.AttrLane), "still open"},
		{"advance (cancel): epoch", without("advance (cancel)", c.AttrEpoch), ""},
		{"advance (cancel): beat", without("advance (cancel)", c.AttrBeat), "beaten since"},
		{"advance (fail): epoch", without("advance (fail)", c.AttrEpoch), "changed hands"},
		{"advance (fail): beat", without("advance (fail)", c.AttrBeat), "beaten since"},
		{"advance (fail): no cancel", without("advance (fail)", c.AttrCancel), "made FAILED"},
		{"settle: failed", without("settle", c.AttrState), "settled what is not dead"},
		{"settle: on the list", without("settle", c.AttrLane), "settled before"},
		{"settle: leaves the list", keeping("settle", c.AttrLane), "settled before"},
		{"nonce", func(m *model) { m.nonces = false }, "had happened"},
		{"nonce: fresh", func(m *model) { m.fresh = false }, "believes to own"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			said := ""
			for _, name := range []string{"cancelled", "parked", "handed on"} {
				m := newModel(scopes[name])
				tt.mutate(m)
				if m.explore(); m.problem != "" {
					said = m.problem
					if strings.Contains(said, tt.want) {
						return
					}
				}
			}
			t.Errorf("the model found %q, want %q", said, tt.want)
		})
	}
}

// TestClaimIsLockedTwice: start is the epoch wherever it stands (the model
// checks that in every state), so claim's own look at the epoch is a second
// lock. It holds when the first is broken: here an end leaves start behind.
func TestClaimIsLockedTwice(t *testing.T) {
	t.Parallel()
	left := Attrs{c.AttrPK: key, c.AttrState: string(Succeeded), c.AttrEpoch: int64(4), c.AttrStart: int64(3)}
	m := newModel(bounds{})
	p := m.params("p", reading{epoch: 3})
	if _, ok := m.table["claim"].Apply(left, key, p); ok {
		t.Error("a terminal request was claimed")
	}
	without("claim", c.AttrEpoch)(m)
	if _, ok := m.table["claim"].Apply(left, key, p); !ok {
		t.Error("the claim is refused by something else than the epoch: say so here")
	}
}

// without takes the conditions on those attributes out.
func without(name string, attrs ...string) func(*model) {
	return change(name, func(t *Transition) {
		t.when = slices.DeleteFunc(slices.Clone(t.when), func(ch check) bool { return slices.Contains(attrs, ch.attr) })
	})
}

// keeping no longer removes those attributes.
func keeping(name string, attrs ...string) func(*model) {
	return change(name, func(t *Transition) {
		t.remove = slices.DeleteFunc(slices.Clone(t.remove), func(a string) bool { return slices.Contains(attrs, a) })
	})
}

// setting no longer sets those attributes.
func setting(name string, attrs ...string) func(*model) {
	return change(name, func(t *Transition) {
		t.sets = slices.DeleteFunc(slices.Clone(t.sets), func(s set) bool { return slices.Contains(attrs, s.attr) })
	})
}

func change(name string, edit func(*Transition)) func(*model) {
	return func(m *model) {
		t := m.table[name]
		was := len(t.when) + len(t.remove) + len(t.sets)
		if edit(&t); len(t.when)+len(t.remove)+len(t.sets) == was {
			panic("the table has no such guard: " + name)
		}
		m.table[name] = t
	}
}
