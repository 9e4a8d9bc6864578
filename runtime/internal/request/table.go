// Package request is the life of a request as one table: for each event its
// condition and its writes, as data. From this file come the DynamoDB
// expressions (Transition.Write), the interpreter that the model test explores
// (Transition.Apply) and the table in the documentation (Document), so that
// what is proven is what runs.
//
// The rules behind it: the item is the truth and everything else is a hint;
// epoch is the one fence, +1 whenever ownership is taken or given up; no
// condition reads a clock; every write that moves the epoch carries a nonce in
// by, and no other write touches by.
//
// Everything here is immutable and safe for concurrent use. The package
// imports the contract of the tables and the standard library only.
package request

import c "github.com/streamer-go/streamer/internal/contract"

// State of a request.
type State string

// States. The last three are terminal.
const (
	Pending    State = "PENDING"
	Processing State = "PROCESSING"
	Succeeded  State = "SUCCEEDED"
	Failed     State = "FAILED"
	Cancelled  State = "CANCELLED"
)

// Terminal says whether s is an end.
func (s State) Terminal() bool { return s == Succeeded || s == Failed || s == Cancelled }

// op is a comparison of an attribute with a parameter or constant.
type op string

const (
	equal   op = "="
	less    op = "<"
	present op = "present"
	absent  op = "absent"
)

// check is one condition; all checks of a transition must hold.
type check struct {
	attr string
	op   op
	to   value
}

// value is the right-hand side: a parameter by name, or a constant.
type value struct {
	param string
	fixed any
}

func param(name string) value { return value{param: name} }
func fixed(v any) value       { return value{fixed: v} }

// set is one assignment. With add, the value is added to the attribute as it
// was; optional ones are left out when the parameter is missing, and those with
// orNone take the attribute away then; with at, the parameter named there is the key inside a map attribute, and drop names the
// parameter that, when given, is another key to be taken out of it.
type set struct {
	attr     string
	to       value
	add      bool
	optional bool
	orNone   bool
	at, drop string
}

// Transition is a row of the table.
type Transition struct {
	// Name of the event, and who writes it.
	Name, Who string
	// Then says in words what follows.
	Then   string
	when   []check
	sets   []set
	remove []string
	// create: the item is put whole, from the parameters.
	create bool
	// before: the item is asked for as it was; what it is follows from that.
	before bool
}

// Before says whether the write is to return the item as it was before.
func (t Transition) Before() bool { return t.before }

// Names of parameters that are not attributes of the same name.
const (
	PEpoch    = "e"     // the epoch as read or owned
	PNext     = "next"  // the epoch after the write
	PBeat     = "b"     // the beat as read
	PState    = "state" // the terminal state
	PWatcher  = "watcher"
	PWatchEnd = "watch_end"
	PUnwatch  = "unwatch" // optional: the watcher that makes room
)

var (
	atEpoch  = check{c.AttrEpoch, equal, param(PEpoch)}
	asRead   = []check{atEpoch, {c.AttrBeat, equal, param(PBeat)}}
	noCancel = check{c.AttrCancel, absent, value{}}
	nonce    = set{attr: c.AttrBy, to: param(c.AttrBy)}
	moved    = set{attr: c.AttrEpoch, to: param(PNext)}
	expires  = set{attr: c.AttrExpires, to: param(c.AttrExpires)}
	due      = set{attr: c.AttrDueAt, to: param(c.AttrDueAt)}
	progress = set{attr: c.AttrProgress, to: param(c.AttrProgress), optional: true}
	failure  = set{attr: c.AttrFailure, to: param(c.AttrFailure), optional: true}
	// What is dead is listed until it expires.
	dead = []set{
		{attr: c.AttrLane, to: param(c.AttrLane), optional: true, orNone: true},
		{attr: c.AttrLaneAt, to: param(c.AttrLaneAt), optional: true, orNone: true},
	}
	// What waits for its tenant is in a lane; what was started is not.
	queued = []string{c.AttrLane, c.AttrLaneAt, c.AttrWaiting}
	// An owner that gives up leaves nothing of its own, nor of a false sweep.
	givesUp = append([]string{c.AttrStart, c.AttrLease}, queued...)
	// A terminal item is in no index of open work and is never started.
	closes = []string{c.AttrDueShard, c.AttrDueAt, c.AttrStart, c.AttrRunAt, c.AttrLease, c.AttrOpen, c.AttrOpenAt, c.AttrWaiting}
	leaves = append(closes[:len(closes):len(closes)], c.AttrLane, c.AttrLaneAt)
)

func state(s State) set { return set{attr: c.AttrState, to: fixed(string(s))} }

// The table.
var (
	// Accept makes the item. Its parameters are the item's attributes.
	Accept = Transition{
		Name: "accept", Who: "router", create: true,
		when: []check{{c.AttrPK, absent, value{}}},
		Then: "acknowledge; refused: a tombstone answers CANCELLED, else compare fingerprint and nonce",
	}
	// Claim takes ownership of what was offered.
	Claim = Transition{
		Name: "claim", Who: "processor", before: true,
		when: []check{atEpoch, {c.AttrStart, equal, param(PEpoch)}},
		sets: []set{
			state(Processing), moved, {attr: c.AttrAttempt, to: fixed(int64(1)), add: true},
			{attr: c.AttrLease, to: param(c.AttrLease)},
			{attr: c.AttrBeat, to: fixed(int64(0))}, {attr: c.AttrOffers, to: fixed(int64(0))}, due, nonce,
			{attr: c.AttrClaimed, to: param(c.AttrClaimed), optional: true},
		},
		remove: []string{c.AttrStart, c.AttrRunAt},
		Then:   "cancelled meanwhile: CANCELLED; attempts or deadline spent: FAILED; else run the handler",
	}
	// Beat renews the lease, stores snapshot and checkpoint and brings back the
	// item. It takes back what a false sweep has offered.
	Beat = Transition{
		Name: "beat", Who: "owner",
		when: []check{atEpoch, {c.AttrBeat, less, param(c.AttrBeat)}},
		sets: []set{
			{attr: c.AttrLease, to: param(c.AttrLease)}, state(Processing),
			{attr: c.AttrBeat, to: param(c.AttrBeat)}, progress,
			{attr: c.AttrCheckpoint, to: param(c.AttrCheckpoint), optional: true},
		},
		remove: append([]string{c.AttrStart, c.AttrRunAt}, queued...),
		Then:   "refused with another epoch: the owner is lost; refused with its own: an older copy, fine",
	}
	// Retry gives the request up until run_at.
	Retry = Transition{
		Name: "retry", Who: "owner",
		when: []check{atEpoch, noCancel},
		sets: []set{
			state(Pending), moved, {attr: c.AttrRunAt, to: param(c.AttrRunAt)}, due, progress, failure, nonce,
		},
		remove: givesUp,
		Then:   "a delayed wake message, a hint; refused by the flag: end CANCELLED",
	}
	// Postpone is a retry that costs no attempt: what the handler needs is not
	// deployed here yet.
	Postpone = Transition{
		Name: "postpone", Who: "owner",
		when: []check{atEpoch, noCancel},
		sets: []set{
			state(Pending), moved, {attr: c.AttrAttempt, to: fixed(int64(-1)), add: true},
			{attr: c.AttrRunAt, to: param(c.AttrRunAt)}, due, progress, failure, nonce,
		},
		remove: givesUp,
		Then:   "as retry",
	}
	// Continue gives the request up to a fresh invocation.
	Continue = Transition{
		Name: "continue", Who: "owner",
		when: []check{atEpoch, noCancel},
		sets: []set{
			state(Pending), moved, {attr: c.AttrStart, to: param(PNext)},
			{attr: c.AttrAttempt, to: fixed(int64(-1)), add: true}, due, progress, nonce,
		},
		// What failed before is over: the work has gone on since.
		remove: append(givesUp[1:len(givesUp):len(givesUp)], c.AttrFailure),
		Then:   "the stream starts it",
	}
	// End is the owner's terminal write.
	End = Transition{
		Name: "end", Who: "owner",
		when: []check{atEpoch},
		sets: append([]set{
			{attr: c.AttrState, to: param(PState)}, moved,
			{attr: c.AttrOutput, to: param(c.AttrOutput), optional: true}, progress, failure, expires, nonce,
			{attr: c.AttrPartials, to: param(c.AttrPartials), optional: true},
		}, dead...),
		remove: closes,
		Then:   "push to the watchers that came back",
	}
	// CancelPending ends what no owner holds.
	CancelPending = Transition{
		Name: "cancel (pending)", Who: "router",
		when:   []check{{c.AttrState, equal, fixed(string(Pending))}},
		sets:   []set{state(Cancelled), {attr: c.AttrEpoch, to: fixed(int64(1)), add: true}, expires, nonce},
		remove: leaves,
		Then:   "push; refused: choose again by the old item",
	}
	// CancelRunning raises the flag that the next beat brings back.
	CancelRunning = Transition{
		Name: "cancel (processing)", Who: "router",
		when: []check{{c.AttrState, equal, fixed(string(Processing))}},
		sets: []set{{attr: c.AttrCancel, to: fixed(true)}},
		Then: "the beat sees it",
	}
	// Tombstone cancels a request that has not arrived yet. Its parameters are
	// the item's attributes.
	Tombstone = Transition{
		Name: "cancel (absent)", Who: "router", create: true,
		when: []check{{c.AttrPK, absent, value{}}},
		Then: "the request that arrives later is answered CANCELLED",
	}
	// Watch adds a watcher, whatever the state.
	Watch = Transition{
		Name: "watch", Who: "router",
		when: []check{{c.AttrPK, present, value{}}, {c.AttrWatchers, present, value{}}},
		sets: []set{{attr: c.AttrWatchers, at: PWatcher, drop: PUnwatch, to: param(PWatchEnd)}},
		Then: "answer the state it returns",
	}
	// Offer starts what is due: run_at or the lease was past when it was read.
	// offers is counted because a write that changes nothing emits no record;
	// beat is in the condition because a sweep that read before a renewal would
	// rob a living owner.
	Offer = Transition{
		Name: "advance (offer)", Who: "dispatcher", when: asRead,
		sets: []set{
			state(Pending), {attr: c.AttrStart, to: param(PEpoch)},
			{attr: c.AttrOffers, to: fixed(int64(1)), add: true}, due,
		},
		remove: queued,
		Then:   "the stream starts it",
	}
	// Park takes an offer back that cannot be started now: its tenant has what it
	// may have, or starts are paused.
	Park = Transition{
		Name: "park", Who: "dispatcher",
		when: []check{atEpoch, {c.AttrStart, equal, param(PEpoch)}},
		sets: []set{
			{attr: c.AttrRunAt, to: param(c.AttrRunAt)}, due, {attr: c.AttrWaiting, to: param(c.AttrWaiting)},
			{attr: c.AttrLane, to: param(c.AttrLane)}, {attr: c.AttrLaneAt, to: param(c.AttrLaneAt)},
		},
		remove: []string{c.AttrStart},
		Then:   "offered again when a slot is free, or when run_at is past",
	}
	// AdvanceCancel ends what was cancelled and has no living owner.
	AdvanceCancel = Transition{
		Name: "advance (cancel)", Who: "dispatcher", when: asRead,
		sets:   []set{state(Cancelled), moved, expires, nonce},
		remove: leaves,
		Then:   "the processor is invoked to push what the item says",
	}
	// AdvanceFail ends what has no attempt or no time left.
	AdvanceFail = Transition{
		Name: "advance (fail)", Who: "dispatcher", when: append(asRead[:2:2], noCancel),
		sets:   append([]set{state(Failed), moved, failure, expires, nonce}, dead...),
		remove: closes,
		Then:   "the processor is invoked to push what the item says",
	}
	// Settle takes a dead request off the list, once. It stays until it expires.
	Settle = Transition{
		Name: "settle", Who: "operator",
		when:   []check{{c.AttrState, equal, fixed(string(Failed))}, {c.AttrLane, present, value{}}},
		remove: []string{c.AttrLane, c.AttrLaneAt},
		Then:   "nothing; in one transaction with the accept of the request that repeats it, it was redriven",
	}
)

// Table is every row, in the order of a request's life.
func Table() []Transition {
	return []Transition{
		Accept, Claim, Beat, Retry, Postpone, Continue, End, CancelPending, CancelRunning, Tombstone, Watch,
		Offer, Park, AdvanceCancel, AdvanceFail, Settle,
	}
}
