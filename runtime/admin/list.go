package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Filter says which of the dead are meant. The zero value means all.
type Filter struct {
	// Tenant, when it is not nil; a pointer to "" means those without a tenant.
	Tenant *string
	// Action, when it is not empty. Each request is read for it.
	Action string
	// Since is the earliest time of death.
	Since time.Time
	// Limit is how many are wanted, 50 by default, 1000 at most.
	Limit int
	// After is where to go on: the After of the page before.
	After string
}

// Page is a part of the list, the latest death first.
type Page struct {
	Requests []Request `json:"requests"`
	// After is where the next page begins; empty after the last.
	After string `json:"after,omitempty"`
}

const (
	defaultLimit = 50
	maxLimit     = 1000
	batchSize    = 100
	endOfTime    = 1 << 53 // milliseconds, and exact in JSON
)

// List returns what failed for good and was neither redriven nor dropped since.
// The list is a moment behind.
func (a *Admin) List(ctx context.Context, f Filter) (Page, error) {
	limit := f.Limit
	switch {
	case limit < 0 || limit > maxLimit:
		return Page{}, fmt.Errorf("list dead: limit %d: want 1 to %d", limit, maxLimit)
	case limit == 0:
		limit = defaultLimit
	}
	in := window{until: endOfTime}
	if !f.Since.IsZero() {
		in.since = f.Since.UnixMilli()
	}
	if f.After != "" {
		after, err := parseCursor(f.After)
		if err != nil {
			return Page{}, fmt.Errorf("list dead: %w", err)
		}
		in.until, in.after = after.At, &after
	}
	w := a.walk(in)
	var page Page
	for {
		batch, err := w.batch(ctx, f, min(batchSize, limit-len(page.Requests)))
		if err != nil {
			return Page{}, fmt.Errorf("list dead: %w", err)
		}
		if len(batch) == 0 {
			return page, nil
		}
		found, err := a.read(ctx, batch, f)
		if err != nil {
			return Page{}, fmt.Errorf("list dead: %w", err)
		}
		page.Requests = append(page.Requests, found...)
		if len(page.Requests) == limit {
			page.After = cursor(batch[len(batch)-1])
			return page, nil
		}
	}
}

// read returns the requests of a batch that are dead still, in its order.
func (a *Admin) read(ctx context.Context, batch []request.Dead, f Filter) (found []Request, err error) {
	names := make([]string, len(batch))
	for i, d := range batch {
		names[i] = d.Key
	}
	items, err := a.store.Batch(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		it, ok := items[name]
		if !ok || !dead(it) || f.Action != "" && it.Action != f.Action {
			continue
		}
		r, err := describe(it)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, nil
}

// window is a part of the list by time of death, both ends included, and only
// what comes after a place in it.
type window struct {
	since, until int64
	after        *request.Dead
}

// order of the list: the latest first.
func order(a, b request.Dead) int {
	return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.Key, b.Key))
}

func cursor(d request.Dead) string { return strconv.FormatInt(d.At, 10) + "|" + d.Key }

func parseCursor(s string) (request.Dead, error) {
	at, key, ok := strings.Cut(s, "|")
	ms, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil {
		return request.Dead{}, fmt.Errorf("after %q: want the after of a page", s)
	}
	return request.Dead{Key: key, At: ms}, nil
}

// walk merges the shards of the list.
type walk struct {
	window
	admin *Admin
	lanes []lane // one each shard
}

// lane is what was read of a shard and not yet returned.
type lane struct {
	shard string
	read  []request.Dead
	page  any
	begun bool
}

func (a *Admin) walk(in window) *walk {
	w := &walk{window: in, admin: a, lanes: make([]lane, c.DueShards)}
	for i := range w.lanes {
		w.lanes[i].shard = keys.Shard(i)
	}
	return w
}

// next returns the next of the list; ok is false after the last.
func (w *walk) next(ctx context.Context) (d request.Dead, ok bool, err error) {
	for {
		if err := w.fill(ctx); err != nil {
			return d, false, err
		}
		var first *lane
		for i := range w.lanes {
			if l := &w.lanes[i]; len(l.read) > 0 && (first == nil || order(l.read[0], first.read[0]) < 0) {
				first = l
			}
		}
		if first == nil {
			return d, false, nil
		}
		d, first.read = first.read[0], first.read[1:]
		if w.after == nil || order(d, *w.after) > 0 {
			return d, true, nil
		}
	}
}

// batch returns the next ones that the filter may mean, fewer at the end.
func (w *walk) batch(ctx context.Context, f Filter, n int) (batch []request.Dead, err error) {
	for len(batch) < n {
		d, ok, err := w.next(ctx)
		if err != nil || !ok {
			return batch, err
		}
		key, err := ParseKey(d.Key)
		if err != nil || f.Tenant != nil && key.Tenant != *f.Tenant {
			continue
		}
		batch = append(batch, d)
	}
	return batch, nil
}

// fill reads on in every shard that could have the next one: where nothing is
// left, or only such as died in the same millisecond, whose order is ours.
func (w *walk) fill(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(w.lanes))
	for i := range w.lanes {
		if l := &w.lanes[i]; l.short() {
			wg.Go(func() { errs[i] = l.more(ctx, w) })
		}
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// short says whether the first of the lane is not known for certain.
func (l *lane) short() bool {
	more := !l.begun || l.page != nil
	return more && (len(l.read) == 0 || l.read[0].At == l.read[len(l.read)-1].At)
}

func (l *lane) more(ctx context.Context, w *walk) error {
	for l.short() {
		found, next, err := w.admin.store.Dead(ctx, l.shard, w.since, w.until, l.page)
		if err != nil {
			return err
		}
		l.begun, l.page = true, next
		l.read = append(l.read, found...)
	}
	slices.SortFunc(l.read, order)
	return nil
}
