package streamer

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Bounds of the log of partials.
const (
	MaxPartial      = 32 << 10 // bytes of one, as JSON
	MaxPartials     = 10_000   // in all
	MaxPartialBytes = 4 << 20  // in all
)

const (
	// maxBatch keeps the frame of a batch under what API Gateway meters as one.
	maxBatch = 32<<10 - 512
	// maxUnstored is how far a handler may be ahead of the table.
	maxUnstored = 64 << 10
	// maxTail is how much of what is stored is kept for connections that are
	// slow; what they miss of the rest they ask for.
	maxTail = 128 << 10
	// joinEvery is how often the watchers are asked for while partials flow.
	joinEvery = 2 * time.Second
)

// Emit adds a piece of the result, such as a word of a text, to the request's
// log of partials, and soon sends it to the watchers: in order, none left out.
// Pieces that come faster than the action's ProgressEvery travel together. Each
// batch is stored before it is sent.
//
// A handler that is run again emits again. What was emitted before the newest
// checkpoint or the last finished step is not added twice: Restore and a step
// that is remembered go on behind it, and what is emitted up to there is
// skipped. Without either the log starts again.
//
// Emit does not wait for the network, but when 64 KB are not stored yet, and
// once in a later invocation, to learn what is remembered. It returns an error
// when v is no JSON or over MaxPartial, when the log would be over MaxPartials
// or MaxPartialBytes, when the log cannot be stored, and, once the handler's
// context has ended, its cause.
func (t *Task) Emit(v any) error {
	raw, err := encode(v)
	if err != nil {
		return Permanent(fmt.Errorf("emit: %w", err))
	}
	if len(raw) > MaxPartial {
		return Permanent(fmt.Errorf("emit: the piece has %d bytes of JSON, at most %d are allowed", len(raw), MaxPartial))
	}
	return t.journal.emit(raw)
}

// partialLog is the log of partials in the hands of one invocation: what is not
// stored yet, and what is stored but has not reached everybody. A piece is
// known by its number, from 1.
type partialLog struct {
	storing chan struct{} // holds one: a batch is being stored

	mu       sync.Mutex // guards the rest
	emitted  place      // by the handler, as far as it is; skipped ones included
	high     place      // what is remembered of earlier invocations
	items    []json.RawMessage
	base     int64 // the number of items[0]
	unstored int   // bytes
	tail     int   // bytes of the items that are stored
	stored   int64 // the last that is stored
	sealed   int64 // the last of the batch that is being stored
	sent     int64 // the last that was sent
	failing  bool  // the last batch could not be stored
	broken   error // and never will be
	room     chan struct{}

	// behind is the number that connections lack which lack more than the others.
	behind map[string]int64
}

func newPieces() *partialLog {
	return &partialLog{storing: make(chan struct{}, 1), room: make(chan struct{})}
}

// last is the number of the newest piece.
func (p *partialLog) last() int64 { return p.place().n }

// place is how far the handler is.
func (p *partialLog) place() place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.emitted
}

// remember says that earlier invocations came that far.
func (p *partialLog) remember(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.n > p.high.n {
		p.high = at
	}
}

// jump goes on behind a place that is remembered.
func (p *partialLog) jump(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.n > p.emitted.n {
		p.emitted = at
	}
}

// waiting says whether something is to be stored or sent.
func (p *partialLog) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken == nil && p.unstored > 0 || p.sent < p.stored || len(p.behind) > 0
}

// urgent says whether the handler will have to wait soon.
func (p *partialLog) urgent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unstored >= maxBatch && !p.failing && p.broken == nil
}

// add appends a piece; with full it has not, and room is closed when there is
// some again.
func (p *partialLog) add(raw json.RawMessage) (room <-chan struct{}, full bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch n := len(raw); {
	case p.broken != nil:
		return nil, false, p.broken
	case p.emitted.n < p.high.n: // it is in the log
		if p.emitted.n++; p.emitted.n == p.high.n {
			p.emitted.bytes = p.high.bytes
		}
		return nil, false, nil
	case p.emitted.n >= MaxPartials:
		return nil, false, Permanent(fmt.Errorf("emit: the log has %d pieces, no more are allowed", MaxPartials))
	case p.emitted.bytes+int64(n) > MaxPartialBytes:
		return nil, false, Permanent(fmt.Errorf("emit: the log would have over %d bytes, no more are allowed", MaxPartialBytes))
	case p.unstored > 0 && p.unstored+n > maxUnstored:
		return p.room, true, nil
	}
	if len(p.items) == 0 {
		p.base = p.emitted.n + 1
		p.stored, p.sealed, p.sent = p.emitted.n, p.emitted.n, p.emitted.n
	}
	p.items = append(p.items, raw)
	p.emitted.n++
	p.emitted.bytes += int64(len(raw))
	p.unstored += len(raw)
	return nil, false, nil
}

// seal returns the next batch to be stored, up to that number; none is left
// when it is empty. A batch that may have been stored is not made longer.
func (p *partialLog) seal(upTo int64) (first int64, batch []json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.items) == 0 { // what is remembered of earlier invocations is stored, and not here
		return 0, nil
	}
	if p.sealed == p.stored {
		_, p.sealed = p.chunk(p.stored+1, min(upTo, p.emitted.n))
	}
	if p.sealed == p.stored {
		return 0, nil
	}
	return p.stored + 1, p.items[p.stored+1-p.base : p.sealed+1-p.base]
}

// chunk returns what fits into one batch, from one number to another at most,
// and the number of its last.
func (p *partialLog) chunk(from, to int64) (items []json.RawMessage, last int64) {
	last = from - 1
	for size := 0; last < to; last++ {
		if size += len(p.items[last+1-p.base]) + 1; size > maxBatch && last >= from {
			break
		}
	}
	if last < from {
		return nil, last
	}
	return p.items[from-p.base : last+1-p.base], last
}

// keep notes whether the sealed batch was stored.
func (p *partialLog) keep(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(err, request.ErrRefused):
		p.broken = Permanent(fmt.Errorf("emit: %w", err))
	case err != nil:
		p.failing = true
		return
	default:
		for _, item := range p.items[p.stored+1-p.base : p.sealed+1-p.base] {
			p.unstored -= len(item)
			p.tail += len(item)
		}
		p.stored, p.failing = p.sealed, false
		p.trim(p.base)
	}
	close(p.room)
	p.room = make(chan struct{})
}

// trim forgets the pieces before that number, and more when they are too many;
// never one that is not stored.
func (p *partialLog) trim(before int64) {
	for len(p.items) > 0 && p.base <= p.stored && (p.base < before || p.tail > maxTail) {
		p.tail -= len(p.items[0])
		p.items[0] = nil
		p.items = p.items[1:]
		p.base++
	}
	p.sent = max(p.sent, p.base-1)
}

// lacking lists which number each connection lacks, and the last that can be
// sent now.
func (p *partialLog) lacking(connections []string, upTo int64) (lacks map[string]int64, end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lacks = make(map[string]int64, len(connections))
	for _, id := range connections {
		lacks[id] = p.sent + 1
		if n := p.behind[id]; n > 0 {
			lacks[id] = n
		}
	}
	return lacks, max(p.sent, min(upTo, p.stored))
}

// between returns what there is from one number to another, as far as it fits
// into one frame.
func (p *partialLog) between(from, to int64) (items []json.RawMessage, first, last int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first = max(from, p.base)
	items, last = p.chunk(first, to)
	return items, first, last
}

// pushed notes what was sent, and which number the connections lack that it did
// not reach.
func (p *partialLog) pushed(end int64, behind map[string]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent, p.behind = max(p.sent, end), behind
	low := p.sent + 1
	for _, n := range behind {
		low = min(low, n)
	}
	p.trim(low)
}
