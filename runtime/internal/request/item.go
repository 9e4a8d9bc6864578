package request

import (
	"errors"
	"fmt"
	"math"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
)

// Item is a request as it is stored. Times are epoch milliseconds, but for
// Retained and Expires, which are seconds.
type Item struct {
	Key      string
	State    State
	Epoch    int64
	Start    int64 // -1 when the request is not to be started
	Attempt  int64
	Offers   int64
	Beat     int64
	By       string
	Action   string
	Input    []byte
	Output   []byte
	Failure  *Failure
	Print    []byte
	Progress *Snapshot
	Watchers map[string]int64 // connection id → when it ends at the latest, seconds
	Max      int64
	Cancel   bool
	Trace    string
	// Checkpoint is the newest one; nil for none.
	Checkpoint *Checkpoint
	Claimed    *Claimed
	Partials   int64  // of the finished log
	Waiting    string // why it is not started: see the constants
	Redrives   string // id of the dead request that this one repeats

	CreatedAt, Deadline, Lease, RunAt, DueAt, LaneAt int64
	Retained, Expires                                int64
}

// Failure is why a request failed, or why its last attempt did.
type Failure struct {
	Code, Message, Details string // Details is JSON, or ""
	Retryable              bool
	Waited                 int64 // ms: the pauses of attempts that were postponed, up to the next; 0 after one that was not
}

// Claimed is the newest claim of a request: what is known of an attempt that ends
// without a word.
type Claimed struct {
	Epoch, At            int64 // the epoch that it began; ms
	LogStream, RequestID string
}

// Attrs of the claim as they are stored. It is part of every item: its names are short.
func (p *Claimed) Attrs() Attrs {
	return Attrs{"e": p.Epoch, "at": p.At, "log": p.LogStream, "id": p.RequestID}
}

// Checkpoint is what a handler goes on from.
type Checkpoint struct {
	State []byte // a blob
	// Partials says how many of the log it covers, Bytes how many bytes of it.
	Partials, Bytes int64
}

// Reasons for waiting.
const (
	WaitsTenant = "tenant" // the tenant has as many at work as it may have
	WaitsPaused = "paused" // starts are paused
	// WaitsCapacity is never stored: it follows from an offer that nobody takes.
	WaitsCapacity = "capacity"
)

// Attrs of the checkpoint as they are stored.
func (p *Checkpoint) Attrs() Attrs {
	return Attrs{"state": p.State, "partials": p.Partials, "bytes": p.Bytes}
}

// Snapshot is the newest progress.
type Snapshot struct {
	Epoch, Seq int64
	Percentage float64
	Message    string
	Metadata   string // JSON, or ""
}

// Attrs of the failure as they are stored.
func (f *Failure) Attrs() Attrs {
	a := Attrs{"code": f.Code, "message": f.Message, "details": f.Details, "retryable": f.Retryable}
	if f.Waited > 0 {
		a["waited"] = f.Waited
	}
	return a
}

// Attrs of the snapshot as they are stored; the percentage in hundredths.
func (s *Snapshot) Attrs() Attrs {
	return Attrs{
		"epoch": s.Epoch, "seq": s.Seq, "pct": int64(math.Round(s.Percentage * 100)),
		"message": s.Message, "metadata": s.Metadata,
	}
}

// Decode reads an item. Attributes that are missing are zero, Start is -1.
func Decode(a Attrs) Item {
	it := Item{
		Key: str(a, c.AttrPK), State: State(str(a, c.AttrState)), Epoch: num(a, c.AttrEpoch), Start: -1,
		Attempt: num(a, c.AttrAttempt), Offers: num(a, c.AttrOffers), Beat: num(a, c.AttrBeat), By: str(a, c.AttrBy),
		Action: str(a, c.AttrAction), Input: raw(a, c.AttrInput), Output: raw(a, c.AttrOutput), Print: raw(a, c.AttrPrint),
		Max: num(a, c.AttrMax), Trace: str(a, c.AttrTrace), CreatedAt: num(a, c.AttrCreatedAt), Deadline: num(a, c.AttrDeadline),
		Lease: num(a, c.AttrLease), RunAt: num(a, c.AttrRunAt), DueAt: num(a, c.AttrDueAt),
		LaneAt: num(a, c.AttrLaneAt), Retained: num(a, c.AttrRetained), Expires: num(a, c.AttrExpires),
		Partials: num(a, c.AttrPartials), Waiting: str(a, c.AttrWaiting), Redrives: str(a, c.AttrRedrives),
	}
	it.Cancel, _ = a[c.AttrCancel].(bool)
	if s, ok := a[c.AttrStart].(int64); ok {
		it.Start = s
	}
	if f, ok := a[c.AttrFailure].(Attrs); ok {
		it.Failure = &Failure{Code: str(f, "code"), Message: str(f, "message"), Details: str(f, "details"), Waited: num(f, "waited")}
		it.Failure.Retryable, _ = f["retryable"].(bool)
	}
	if p, ok := a[c.AttrClaimed].(Attrs); ok {
		it.Claimed = &Claimed{Epoch: num(p, "e"), At: num(p, "at"), LogStream: str(p, "log"), RequestID: str(p, "id")}
	}
	if p, ok := a[c.AttrCheckpoint].(Attrs); ok {
		it.Checkpoint = &Checkpoint{State: raw(p, "state"), Partials: num(p, "partials"), Bytes: num(p, "bytes")}
	}
	if p, ok := a[c.AttrProgress].(Attrs); ok {
		it.Progress = &Snapshot{
			Epoch: num(p, "epoch"), Seq: num(p, "seq"), Percentage: float64(num(p, "pct")) / 100,
			Message: str(p, "message"), Metadata: str(p, "metadata"),
		}
	}
	if w, ok := a[c.AttrWatchers].(Attrs); ok {
		it.Watchers = make(map[string]int64, len(w))
		for id := range w {
			it.Watchers[id] = num(w, id)
		}
	}
	return it
}

func str(a Attrs, k string) string { s, _ := a[k].(string); return s }
func num(a Attrs, k string) int64  { n, _ := a[k].(int64); return n }
func raw(a Attrs, k string) []byte { b, _ := a[k].([]byte); return b }

// Next is what advance does with an item.
type Next int

// What advance finds.
const (
	Rest   Next = iota // terminal, or nothing to do
	Wait               // not yet: look again at the time returned
	Again              // offer it
	Cancel             // end it, CANCELLED
	Fail               // end it, FAILED
)

// Advance reads an item and says what is to be done with it at that time, and,
// for Wait, when (epoch milliseconds) to look again. Clocks only decide when
// somebody tries: that the write is right is the condition's business.
func Advance(it Item, now time.Time) (Next, int64) {
	ms := now.UnixMilli()
	if it.State.Terminal() || it.State == "" {
		return Rest, 0
	}
	ready := it.Lease
	if it.State == Pending {
		ready = it.RunAt
		if it.Start == it.Epoch {
			ready = it.DueAt // it is offered already: again only when that was lost
		}
	}
	spent := ms >= it.Deadline
	if it.State == Pending && (spent || it.Cancel) {
		ready = ms // nobody owns it: no lease to respect
	}
	switch {
	case ready > ms:
		return Wait, ready
	case it.Cancel:
		return Cancel, 0
	case spent || it.Attempt >= it.Max:
		return Fail, 0
	default:
		return Again, 0
	}
}

// Outcome of a transition: OK when it holds now, with the item after it;
// otherwise the item that refused it, and Found false when there is none.
type Outcome struct {
	OK, Found bool
	Item      Item
	// Before is the item before a transition that asks for it; nil where the reply to
	// the write was lost.
	Before *Item
}

// ErrRefused is returned for a call that will be refused again however often it
// is made: no permission, no such table, or an item that cannot be stored.
var ErrRefused = errors.New("refused for good")

// ErrTooLarge is returned for what nothing can hold: more than history takes,
// where objects are not switched on.
var ErrTooLarge = fmt.Errorf("%w: too large to be stored", ErrRefused)

// ErrNoBlob is returned for a blob that is not there, or no longer.
var ErrNoBlob = errors.New("no such blob")
