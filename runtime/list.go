package streamer

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// listStore is what $sync and $list read.
type listStore interface {
	// Batch reads up to 100 requests; what is not there is not in the map.
	Batch(ctx context.Context, keys []string) (map[string]request.Item, error)
	// Owned lists an owner's requests, the newest first, those before a place or
	// from the newest on; fewer than limit are the last.
	Owned(ctx context.Context, owner, before string, limit int) ([]request.Listed, error)
}

// routerStore is what the router needs of the tables.
type routerStore interface {
	requestStore
	listStore
	logStore
}

const (
	// defaultList and maxList are how many requests $list answers with.
	defaultList = 20
	maxList     = 50
	// listPages bounds what one $list looks at; pageOfList is what it reads at a time.
	listPages  = 5
	pageOfList = 100
)

// listPlace is where a list goes on: see keys.Created.
var listPlace = regexp.MustCompile(`^[0-9]{13}#[A-Za-z0-9._:-]{1,128}$`)

// listing is the payload of $list.
type listing struct {
	Status request.State `json:"status"`
	Open   bool          `json:"open"`
	Limit  *int          `json:"limit"`
	After  *string       `json:"after"`
}

func readListing(m wire.Message) (in listing, limit int, bad *Error) {
	if bad := wire.Decode(m.Payload, &in); bad != nil {
		return in, 0, bad
	}
	states := []request.State{"", request.Pending, request.Processing, request.Succeeded, request.Failed, request.Cancelled}
	limit = defaultList
	if in.Limit != nil {
		limit = *in.Limit
	}
	switch {
	case !slices.Contains(states, in.Status):
		return in, 0, asInvalid(Invalid("payload.status", "is no state of a request"))
	case limit < 1 || limit > maxList:
		return in, 0, asInvalid(Invalid("payload.limit", "must be from 1 to 50"))
	case in.After != nil && !listPlace.MatchString(*in.After):
		return in, 0, asInvalid(Invalid("payload.after", "must be the after of an answer"))
	}
	return in, limit, nil
}

func (l *listing) wants(it request.Item) bool {
	return (l.Status == "" || it.State == l.Status) && !(l.Open && it.State.Terminal())
}

// list answers $list with the caller's own requests: the index is asked for the
// caller, so another user's cannot be named.
func (r *router) list(ctx context.Context, s session, m wire.Message) []byte {
	in, limit, bad := readListing(m)
	if bad != nil {
		return wire.AppendError(nil, m.ID, bad, nil)
	}
	owner, after := keys.Owner(s.Tenant, s.User), ""
	if in.After != nil {
		after = *in.After
	}
	size := pageOfList
	if in.Status == "" && !in.Open {
		size = limit // every one counts
	}
	out := make([]json.RawMessage, 0, limit)
	room := maxAnswer
	for range listPages {
		page, err := r.listed(ctx, owner, after, size)
		if err != nil {
			return r.unavailable(m.ID, owner, err)
		}
		for _, l := range page {
			raw := l.text(&in)
			if raw != nil && (len(out) == limit || len(raw)+1 > room) {
				return listAnswer(m.ID, out, after)
			}
			after = l.Created
			if raw != nil {
				out, room = append(out, raw), room-len(raw)-1
			}
		}
		if len(page) < size {
			return listAnswer(m.ID, out, "")
		}
		if len(out) == limit {
			break
		}
	}
	return listAnswer(m.ID, out, after)
}

// listed is a request of the list; there is false for one that has gone.
type listed struct {
	request.Listed
	item  request.Item
	there bool
}

func (l *listed) text(in *listing) json.RawMessage {
	_, _, id, err := keys.Parse(l.Key)
	if err != nil || !l.there || !in.wants(l.item) {
		return nil
	}
	raw, err := encode(describe(id, l.item))
	if err != nil {
		return nil // strings, numbers and JSON that was stored as such
	}
	return raw
}

// listed reads a page of the list.
func (r *router) listed(ctx context.Context, owner, after string, size int) ([]listed, error) {
	page, err := r.store.Owned(ctx, owner, after, size)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(page))
	for i, l := range page {
		names[i] = l.Key
	}
	items, err := r.store.Batch(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make([]listed, len(page))
	for i, l := range page {
		all[i].Listed = l
		all[i].item, all[i].there = items[l.Key]
	}
	return all, nil
}

func listAnswer(id string, requests []json.RawMessage, after string) []byte {
	data := map[string]any{"requests": requests}
	if after != "" {
		data["after"] = after
	}
	return respond(id, data)
}
