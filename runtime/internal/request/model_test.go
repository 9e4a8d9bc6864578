package request

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"strconv"
	"testing"

	c "github.com/streamer-go/streamer/internal/contract"
)

// The model explores every interleaving of a router, two processors, a
// dispatcher and a cancelling client over the table, as Transition.Apply
// executes it: replies are lost and writes sent again, copies of writes arrive
// late, processors die at every step, leases are taken for expired at any time.
// No clock is modelled: whatever a clock could allow is allowed.
//
// STREAMER_MODEL=large takes the bounds up to two lives of both processors, a
// cancellation and two sweeps; that run takes many minutes and gigabytes (go
// test -timeout 0). With -short, only the smaller scope is explored.

const key = "-/u/r"

// world is one state. What is a ghost is seen by the checks alone.
type world struct {
	item     Attrs
	procs    [2]proc
	sweep    *reading // what the dispatcher has read
	sent     int      // acceptances sent
	acked    bool
	cancels  int
	sweeps   int
	parks    int
	settled  bool // ghost: an operator was told that it counted
	copied   bool
	late     *write     // a copy still under way
	owners   [10]string // ghost: by epoch, the invocation that claimed it
	finished string     // ghost: who was told that its end counted
}

// reading is what matters of an item that the dispatcher has read.
type reading struct {
	epoch, beat int64
	cancel      bool
}

type proc struct {
	phase  string // "", claim, own
	life   int    // invocations begun
	who    string // names the invocation
	nonce  string
	epoch  int64 // asked for while claiming, owned then
	beat   int64
	unsure *write // its reply was lost
}

type write struct {
	name, who string
	p         Attrs
}

// bounds keep the state space finite.
type bounds struct {
	lives                          [2]int // invocations of each processor
	cancels, sweeps, beats, resend int
	parks                          int
	once                           bool // a router may own what it accepts
}

type model struct {
	table   map[string]Transition
	bounds  bounds
	nonces  bool // own success is recognised by the nonce
	fresh   bool // nonces differ per invocation
	states  int
	seen    map[[16]byte]struct{}
	problem string
	buf     []byte
}

func newModel(b bounds) *model {
	m := &model{
		table: map[string]Transition{}, seen: map[[16]byte]struct{}{}, nonces: true, fresh: true,
		bounds: b,
	}
	for _, t := range Table() {
		m.table[t.Name] = t
	}
	return m
}

// attributes that tell two items of the model apart.
var attributes = []string{
	c.AttrState, c.AttrEpoch, c.AttrStart, c.AttrAttempt, c.AttrOffers, c.AttrBeat, c.AttrBy, c.AttrCancel,
	c.AttrOutput, c.AttrDueAt, c.AttrLease, c.AttrRunAt, c.AttrExpires, c.AttrAction, c.AttrLane,
}

// key is the state as a hash.
func (m *model) key(w *world) [16]byte {
	b := m.buf[:0]
	str := func(s string) { b = append(append(b, s...), 0) }
	num := func(n int64) { b = append(strconv.AppendInt(b, n, 36), 0) }
	wr := func(x *write) {
		if x != nil {
			str(x.name)
			str(x.who)
			e, _ := x.p[PEpoch].(int64)
			n, _ := x.p[c.AttrBeat].(int64)
			num(e)
			num(n)
		}
		str("")
	}
	for _, a := range attributes {
		switch v := w.item[a].(type) {
		case string:
			str(v)
		case int64:
			num(v)
		case []byte:
			str(string(v))
		case bool:
			str("t")
		default:
			b = append(b, 1)
		}
	}
	flag := func(f bool) {
		if f {
			num(1)
		} else {
			num(0)
		}
	}
	flag(w.item == nil)
	flag(w.acked)
	flag(w.copied)
	flag(w.settled)
	num(int64(w.sent))
	num(int64(w.cancels))
	num(int64(w.sweeps))
	num(int64(w.parks))
	for _, o := range w.owners {
		str(o)
	}
	str(w.finished)
	for i := range w.procs {
		p := &w.procs[i]
		str(p.phase)
		num(int64(p.life))
		num(p.epoch)
		num(p.beat)
		wr(p.unsure)
	}
	if w.sweep != nil {
		num(w.sweep.epoch)
		num(w.sweep.beat)
		flag(w.sweep.cancel)
	}
	str("")
	wr(w.late)
	m.buf = b
	h := sha256.Sum256(b)
	return [16]byte(h[:16])
}

// explore visits every state that can be reached, depth first, and stops at the
// first violation.
func (m *model) explore() {
	stack := []world{{}}
	for len(stack) > 0 && m.problem == "" {
		w := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		m.states++
		m.checkState(w)
		for _, n := range m.next(w) {
			k := m.key(&n)
			if _, seen := m.seen[k]; !seen {
				m.seen[k] = struct{}{}
				stack = append(stack, n)
			}
		}
	}
}

func (m *model) fail(format string, args ...any) {
	if m.problem == "" {
		m.problem = fmt.Sprintf(format, args...)
	}
}

// scopes are what is explored by default: all that can happen to three
// invocations without a cancellation, to two with one, and to two when the
// offer is taken back once, or when a router owns what it accepts.
var scopes = map[string]bounds{
	"handed on": {lives: [2]int{2, 1}, cancels: 0, sweeps: 1, beats: 1, resend: 2},
	"cancelled": {lives: [2]int{1, 1}, cancels: 1, sweeps: 1, beats: 1, resend: 2},
	"parked":    {lives: [2]int{1, 1}, cancels: 1, sweeps: 1, beats: 1, resend: 1, parks: 1},
	"at once":   {lives: [2]int{1, 1}, cancels: 1, sweeps: 1, beats: 0, resend: 2, once: true},
}

func TestModelEveryInterleaving(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("explored without the race detector: make test does")
	}
	scopes, least := maps.Clone(scopes), 50_000
	if testing.Short() {
		delete(scopes, "handed on")
	}
	if os.Getenv("STREAMER_MODEL") == "large" {
		scopes["together"] = bounds{lives: [2]int{2, 1}, cancels: 1, sweeps: 1, beats: 1, resend: 2}
		scopes["large"] = bounds{lives: [2]int{2, 2}, cancels: 1, sweeps: 2, beats: 1, resend: 2}
	}
	for name, b := range scopes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModel(b)
			m.explore()
			t.Logf("%d states", m.states)
			if m.problem != "" {
				t.Fatal(m.problem)
			}
			if m.states < least {
				t.Fatalf("explored %d states: the model has lost its actors", m.states)
			}
		})
	}
}
