package streamer

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// logStore is where the log of partials is read.
type logStore interface {
	// Partials lists batches in the order of their epochs, then of their first,
	// from that one or a page on; next is nil after the last.
	Partials(ctx context.Context, key string, epoch, first int64, page any) (all []request.Batch, next any, err error)
	// LastPartial is the last batch of an epoch that begins at number or before.
	LastPartial(ctx context.Context, key string, epoch, number int64) (b request.Batch, found bool, err error)
}

// pieces are what a client lacks of the log of partials: all of it from first on.
type pieces struct {
	Epoch int64             `json:"epoch"`
	First int64             `json:"first"`
	Items []json.RawMessage `json:"items"`
	More  bool              `json:"more,omitempty"`
	Lost  bool              `json:"lost,omitempty"`

	stands int64 // how many of the client's count
	size   int   // bytes of the items, with what separates them
}

// end is the number behind the last piece.
func (p *pieces) end() int64 { return p.First + int64(len(p.Items)) }

// cut drops the pieces from number on.
func (p *pieces) cut(number int64) {
	p.stands = min(p.stands, number-1)
	keep := min(max(number-p.First, 0), int64(len(p.Items)))
	for _, item := range p.Items[keep:] {
		p.size -= len(item) + 1
	}
	p.Items = p.Items[:keep]
	p.First = min(p.First, number)
}

// add puts a batch behind what is before it, as a client does. It returns false
// when there is no room for all of it.
func (p *pieces) add(b request.Batch, room int) (bool, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(b.Items, &items); err != nil {
		return false, fmt.Errorf("read partials %d of epoch %d: %w", b.First, b.Epoch, err)
	}
	first := b.First
	if b.Epoch == p.Epoch && first < p.end() { // the client has some of it
		known := min(p.end()-first, int64(len(items)))
		first, items = first+known, items[known:]
	}
	if len(items) == 0 {
		return true, nil
	}
	if p.size+len(items[0])+1 > room {
		return false, nil // what there is comes first, also when the batch replaces it
	}
	if b.Epoch > p.Epoch {
		p.cut(first)
	}
	if first > p.end() { // what is between is not kept any more
		p.First, p.Items, p.size = first, p.Items[:0], 0
	}
	p.Epoch = b.Epoch
	for _, item := range items {
		if p.size+len(item)+1 > room {
			return false, nil
		}
		p.Items, p.size = append(p.Items, item), p.size+len(item)+1
	}
	return true, nil
}

// missed reads what a client lacks of a request's log; nil for nothing. Batches
// are applied in the order of their epochs, from the client's position on: what
// has been applied when there is no room left is the beginning of the log as it
// was at that epoch, and the next answer goes on from there.
func (r *router) missed(ctx context.Context, pos *position, it request.Item, room int) (*pieces, error) {
	have := int64(0)
	if pos.Partials != nil {
		have = *pos.Partials
	}
	whole := it.State == request.Succeeded
	if it.Epoch == 0 || whole && (it.Partials == 0 || it.Partials == have && pos.PartialEpoch == it.Epoch-1) {
		return nil, nil // it never ran; or partials_total says everything
	}
	p := &pieces{Epoch: pos.PartialEpoch, First: have + 1, Items: []json.RawMessage{}, stands: have}
	if err := r.gather(ctx, it.Key, p, room); err != nil {
		return nil, err
	}
	if whole && !p.More && p.end() > it.Partials+1 {
		p.cut(it.Partials + 1) // attempts before the last had gone further
	}
	p.Lost = p.First > p.stands+1
	if len(p.Items) == 0 && !p.More && p.Epoch == pos.PartialEpoch {
		return nil, nil
	}
	return p, nil
}

func (r *router) gather(ctx context.Context, key string, p *pieces, room int) error {
	if have := p.First - 1; have > 0 { // the client may have a part of a batch
		b, found, err := r.store.LastPartial(ctx, key, p.Epoch, have)
		if err != nil {
			return err
		}
		if found {
			all, err := p.add(b, room)
			if p.More = !all; err != nil || !all {
				return err
			}
		}
	}
	epoch, first := p.Epoch, p.First
	for page := any(nil); ; {
		batches, next, err := r.store.Partials(ctx, key, epoch, first, page)
		if err != nil {
			return err
		}
		for _, b := range batches {
			all, err := p.add(b, room)
			if p.More = !all; err != nil || !all {
				return err
			}
		}
		if page = next; page == nil {
			return nil
		}
	}
}
