package streamer

import (
	"context"
	"encoding/json"
	"slices"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// keepPieces stores what was emitted up to that number.
func (o *owner) keepPieces(ctx context.Context, upTo int64) error {
	if err := turn(ctx, o.pieces.storing); err != nil {
		return err
	}
	defer func() { <-o.pieces.storing }()
	for {
		first, batch := o.pieces.seal(upTo)
		if len(batch) == 0 {
			return nil
		}
		if o.sinceBeat() >= o.lease/3 {
			o.renew(ctx)
		}
		err := o.keepBatch(ctx, first, batch)
		if o.pieces.keep(err); err != nil {
			o.log.Warn("store partials", "request", o.key, "first", first, "error", err.Error())
			return err
		}
	}
}

func (o *owner) keepBatch(ctx context.Context, first int64, batch []json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, o.lease/3)
	defer cancel()
	raw := []byte{'['}
	for i, item := range batch {
		if i > 0 {
			raw = append(raw, ',')
		}
		raw = append(raw, item...)
	}
	return o.memory.partials(ctx, first, append(raw, ']'))
}

// sendPieces stores and pushes what was emitted up to that number.
func (o *owner) sendPieces(ctx context.Context, upTo int64) (arrived bool) {
	if !o.pieces.waiting() {
		return true
	}
	err := o.keepPieces(ctx, upTo)
	if o.sinceBeat() >= min(joinEvery, o.lease/3) {
		o.renew(ctx)
	}
	return o.pushPieces(ctx, upTo) && err == nil
}

// pushPieces sends each watcher what it lacks of what is stored, up to that
// number. One that joins has asked for what was before. Those that a frame does
// not reach are sent it again later, with what comes next.
func (o *owner) pushPieces(ctx context.Context, upTo int64) (arrived bool) {
	lacks, end := o.pieces.lacking(o.watching(), upTo)
	slow := map[string]int64{}
	for {
		from := end + 1
		for _, n := range lacks {
			from = min(from, n)
		}
		items, first, last := o.pieces.between(from, end)
		if len(items) == 0 {
			o.pieces.pushed(end, slow)
			return len(slow) == 0
		}
		var to []string
		for id, n := range lacks {
			if n <= last {
				to = append(to, id)
			}
		}
		o.seq++
		left := o.push(ctx, wire.AppendPartial(nil, o.id, wire.Cursor{Epoch: o.epoch, Seq: o.seq}, first, items), to)
		for _, id := range to {
			if slices.Contains(left, id) {
				slow[id] = lacks[id]
				delete(lacks, id)
			} else {
				lacks[id] = last + 1
			}
		}
	}
}

// keepPartials stores what is left of the log and notes how long it is.
func (p *processor) keepPartials(ctx context.Context, o *owner, attrs request.Attrs) error {
	end := o.pieces.last()
	if end == 0 {
		return nil
	}
	err := p.insist(ctx, o.key, func() error { return o.keepPieces(ctx, end) })
	if err == nil {
		attrs[c.AttrPartials] = end
	}
	return err
}
