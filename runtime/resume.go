package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	// maxResume and maxSync bound the requests that one message may name.
	maxResume = 20
	maxSync   = 100
	// maxAnswer is what the entries of an answer may take of a message.
	maxAnswer = wire.MaxMessage - envelope
)

// position is what a client has of a request.
type position struct {
	RequestID    string `json:"request_id"`
	Epoch        int64  `json:"epoch"`
	Seq          int64  `json:"seq"`
	PartialEpoch int64  `json:"partial_epoch"`
	Partials     *int64 `json:"partials"`
}

func (p *position) cursor() wire.Cursor { return wire.Cursor{Epoch: p.Epoch, Seq: p.Seq} }

// entry is how a request stands, and what its client lacks.
type entry struct {
	RequestID string          `json:"request_id"`
	Status    request.State   `json:"status,omitempty"`
	Waiting   string          `json:"waiting,omitempty"`
	Epoch     *int64          `json:"epoch,omitempty"`
	Seq       *int64          `json:"seq,omitempty"`
	Attempt   *int64          `json:"attempt,omitempty"`
	Retained  string          `json:"retained_until,omitempty"`
	Progress  *progressStatus `json:"progress,omitempty"`
	Partials  *pieces         `json:"partials,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Ref       *wire.Ref       `json:"ref,omitempty"`
	Error     *Error          `json:"error,omitempty"`
	Total     int64           `json:"partials_total,omitempty"`
	More      bool            `json:"more,omitempty"`
}

// lookup is a request as it was read for a position.
type lookup struct {
	item  request.Item
	there bool
	err   error
}

// resume answers $resume: the connection becomes a watcher of the requests, and
// is told what it has missed. The watcher is added before anything is read, so
// that what is not read here is pushed.
func (r *router) resume(ctx context.Context, s session, m wire.Message) []byte {
	all, bad := positions(m, maxResume)
	if bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	read := make([]lookup, len(all))
	each(all, func(i int) { read[i] = r.follow(ctx, s, keys.Request(s.Tenant, s.User, all[i].RequestID)) })
	return r.positionsAnswer(ctx, m.ID, all, read, false)
}

// sync answers $sync: what differs, and nobody watches anything.
func (r *router) sync(ctx context.Context, s session, m wire.Message) []byte {
	all, bad := positions(m, maxSync)
	if bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = keys.Request(s.Tenant, s.User, all[i].RequestID)
	}
	items, err := r.store.Batch(ctx, names)
	if err != nil {
		return r.unavailable(m.ID, keys.Owner(s.Tenant, s.User), err)
	}
	read := make([]lookup, len(all))
	for i, key := range names {
		read[i].item, read[i].there = items[key]
	}
	return r.positionsAnswer(ctx, m.ID, all, read, true)
}

// positions reads the payload of $resume and $sync.
func positions(m wire.Message, most int) ([]position, *Error) {
	var in struct {
		Requests []position `json:"requests"`
	}
	if bad := wire.Decode(m.Payload, &in); bad != nil {
		return nil, bad
	}
	var wrong []Detail
	if n := len(in.Requests); n < 1 || n > most {
		wrong = append(wrong, Detail{Path: "payload.requests", Reason: fmt.Sprintf("must have 1 to %d items, has %d", most, n)})
	}
	seen := make(map[string]bool, len(in.Requests))
	for i, p := range in.Requests {
		at := "payload.requests[" + strconv.Itoa(i) + "]."
		switch {
		case !wire.ValidID(p.RequestID):
			wrong = append(wrong, Detail{Path: at + "request_id", Reason: "must be the id of a request"})
		case seen[p.RequestID]:
			wrong = append(wrong, Detail{Path: at + "request_id", Reason: "is there twice"})
		case p.Epoch < 0 || p.Seq < 0 || p.PartialEpoch < 0 || p.Partials != nil && *p.Partials < 0:
			wrong = append(wrong, Detail{Path: at + "request_id", Reason: "its position has a number below zero"})
		}
		seen[p.RequestID] = true
	}
	if len(wrong) > 0 {
		return nil, asInvalid(Invalid(wrong[0].Path, wrong[0].Reason, wrong[1:]...))
	}
	return in.Requests, nil
}

// follow makes the session's connection a watcher, in one write that returns the
// item. When there are too many then, the one whose token ends first goes.
func (r *router) follow(ctx context.Context, s session, key string) lookup {
	out, err := r.store.Do(ctx, request.Watch, key, request.Attrs{request.PWatcher: s.connection, request.PWatchEnd: s.until()})
	if err == nil && out.OK && len(out.Item.Watchers) > maxWatchers {
		w := request.Attrs{request.PWatcher: s.connection, request.PWatchEnd: s.until()}
		w[request.PUnwatch] = firstToEnd(out.Item.Watchers, s.connection)
		out, err = r.store.Do(ctx, request.Watch, key, w)
	}
	// Refused, yet there: a tombstone, which nobody watches.
	return lookup{out.Item, out.Found, err}
}

// firstToEnd is the watcher whose connection ends first, but for one.
func firstToEnd(watchers map[string]int64, but string) string {
	first := ""
	for id, until := range watchers {
		if id != but && (first == "" || until < watchers[first]) {
			first = id
		}
	}
	return first
}

// positionsAnswer makes the entries one after the other, for as long as there is
// room. With changed, what does not differ from its position is left out.
func (r *router) positionsAnswer(ctx context.Context, id string, all []position, read []lookup, changed bool) []byte {
	entries := make([]json.RawMessage, 0, len(all))
	// What is left is enough to say of every request that there is more.
	room := maxAnswer - len(all)*len(`{"request_id":"","more":true},`)
	for i := range all {
		room -= len(all[i].RequestID)
	}
	for i := range all {
		raw := r.entryText(ctx, &all[i], read[i], room, len(entries) == 0, changed)
		if raw == nil {
			continue
		}
		room -= len(raw)
		entries = append(entries, raw)
	}
	return respond(id, map[string]any{"requests": entries})
}

// entryText is the entry of a request as JSON, in at most room bytes; nil for
// one that is left out. What does not fit is only named, to be asked for again;
// the first of an answer has room enough for anything.
func (r *router) entryText(ctx context.Context, p *position, f lookup, room int, first, changed bool) []byte {
	e, err := r.entry(ctx, p, f, room, first, changed)
	if errors.Is(err, request.ErrNoBlob) {
		e, err = &entry{RequestID: p.RequestID, Error: notKept}, nil
	}
	if err != nil {
		r.log.Error("store is not available", "request", f.item.Key, "error", err.Error())
		e = &entry{RequestID: p.RequestID, Error: &Error{Code: wire.CodeUnavailable, Message: "try again", Retryable: true}}
	}
	if e == nil {
		return nil
	}
	raw, err := encode(e)
	if err != nil || len(raw) > room {
		raw, _ = encode(&entry{RequestID: p.RequestID, More: true}) // two plain fields
	}
	return raw
}

func (r *router) entry(ctx context.Context, p *position, f lookup, room int, first, changed bool) (*entry, error) {
	switch {
	case f.err != nil:
		return nil, f.err
	case !f.there:
		return &entry{RequestID: p.RequestID, Error: &Error{Code: wire.CodeNotFound, Message: "there is no request with that id"}}, nil
	}
	it, now := f.item, cursorOf(f.item)
	e := &entry{
		RequestID: p.RequestID, Status: it.State, Waiting: waitsFor(it), Epoch: &now.Epoch, Seq: &now.Seq,
		Attempt: &it.Attempt, Retained: retainedText(it),
	}
	if s := it.Progress; s != nil && (wire.Cursor{Epoch: s.Epoch, Seq: s.Seq}).Compare(p.cursor()) > 0 {
		e.Progress = progressOf(s)
	}
	if !changed || p.Partials != nil {
		var err error
		if e.Partials, err = r.missed(ctx, p, it, room-entryRoom); err != nil {
			return nil, err
		}
	}
	if !it.State.Terminal() {
		if changed && e.Partials == nil && now.Compare(p.cursor()) <= 0 {
			return nil, nil
		}
		return e, nil
	}
	return e, r.outcome(ctx, e, it, room, first)
}

// entryRoom is more than an entry takes besides pieces and result.
const entryRoom = 4 << 10

// outcome adds how the request has ended, when all pieces are told and there is
// room for it.
func (r *router) outcome(ctx context.Context, e *entry, it request.Item, room int, first bool) error {
	if e.Partials != nil {
		room -= e.Partials.size
		first = first && len(e.Partials.Items) == 0
		if e.Partials.More {
			e.More = true
			return nil
		}
	}
	e.Total = it.Partials
	if it.State != request.Succeeded {
		e.Error = storedError(it)
		return nil
	}
	res, err := resultOf(ctx, r.store, it, room-entryRoom)
	if err != nil {
		return err
	}
	if res.Ref != nil && res.Ref.URL == "" && !first && int(res.Ref.Size) <= maxAnswer-2*entryRoom {
		e.More, e.Total = true, 0 // the next answer has room
		return nil
	}
	e.Result, e.Ref = res.Data, res.Ref
	if e.Result == nil && e.Ref == nil {
		e.Result = json.RawMessage("null")
	}
	return nil
}
