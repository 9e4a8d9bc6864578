package streamer_test

import (
	"cmp"
	"context"
	"slices"
	"strings"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

func (m *memory) Batch(_ context.Context, keys []string) (map[string]request.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("batch"); err != nil {
		return nil, err
	}
	out := map[string]request.Item{}
	for _, k := range keys {
		if a := m.items[k]; a != nil {
			out[k] = request.Decode(a)
		}
	}
	return out, nil
}

func (m *memory) Owned(_ context.Context, owner, before string, limit int) ([]request.Listed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("owned"); err != nil {
		return nil, err
	}
	var all []request.Listed
	for key, a := range m.items {
		created, _ := a[c.AttrCreated].(string)
		if a[c.AttrOwner] == owner && (before == "" || created < before) {
			all = append(all, request.Listed{Key: key, Created: created})
		}
	}
	slices.SortFunc(all, func(a, b request.Listed) int { return cmp.Compare(b.Created, a.Created) })
	return all[:min(limit, len(all))], nil
}

// batches of a request's log between two range keys, in order.
func (m *memory) batches(key, from, to string) (all []request.Batch) {
	names := []string{}
	for name := range m.blobs {
		if sk, ok := strings.CutPrefix(name, key+" "); ok && strings.HasPrefix(sk, keys.Partials) && sk >= from && sk <= to {
			names = append(names, sk)
		}
	}
	slices.Sort(names)
	for _, sk := range names {
		epoch, first, _ := keys.ParsePartial(sk)
		all = append(all, request.Batch{Epoch: epoch, First: first, Items: m.blobs[key+" "+sk]})
	}
	return all
}

// Partials answers in pages of two.
func (m *memory) Partials(_ context.Context, key string, epoch, first int64, page any) (all []request.Batch, next any, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("partials"); err != nil {
		return nil, nil, err
	}
	from := keys.Partial(epoch, first)
	if s, ok := page.(string); ok {
		from = s + "~"
	}
	all = m.batches(key, from, keys.Partials+"~")
	if len(all) > 2 {
		all = all[:2]
		next = keys.Partial(all[1].Epoch, all[1].First)
	}
	return all, next, nil
}

func (m *memory) LastPartial(_ context.Context, key string, epoch, number int64) (b request.Batch, found bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("last partial"); err != nil {
		return b, false, err
	}
	all := m.batches(key, keys.Partial(epoch, 0), keys.Partial(epoch, number))
	if len(all) == 0 {
		return b, false, nil
	}
	return all[len(all)-1], true, nil
}
