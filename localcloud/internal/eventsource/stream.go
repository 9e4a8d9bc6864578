package eventsource

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"time"
)

const (
	// maxRead is how many records one read of a shard returns.
	maxRead = 1000
	// maxPayload bounds the records of one invocation, in bytes; the envelope
	// of the event needs the rest of the 6 MB.
	maxPayload = 6<<20 - 64<<10
	// laneBuffer is how many reads a lane that is blocked takes before the
	// reader, and so the other lanes, wait for it.
	laneBuffer = 16
)

// record is a stream record with what the poller reads of it.
type record struct {
	data     json.RawMessage
	shard    string
	key      string // the item's key, as text
	sequence string
	created  time.Time
}

func parseRecord(r Record) (record, error) {
	var head struct {
		DynamoDB struct {
			Keys     json.RawMessage
			Sequence string  `json:"SequenceNumber"`
			Created  float64 `json:"ApproximateCreationDateTime"`
		} `json:"dynamodb"`
	}
	if err := json.Unmarshal(r.Data, &head); err != nil {
		return record{}, err
	}
	shard := r.ShardID
	if shard == "" {
		shard = "shardId-00000000000000000000-00000000"
	}
	return record{
		data: r.Data, shard: shard, key: string(head.DynamoDB.Keys), sequence: head.DynamoDB.Sequence,
		created: time.UnixMilli(int64(head.DynamoDB.Created * 1000)),
	}, nil
}

// lane is a part of the shard whose batches run one after the other. All
// records of a key are in one lane, which keeps their order.
type lane struct {
	in      chan []record
	pending []record // taken from in, not yet in a batch
}

// runStream reads the stream and feeds the lanes until ctx ends; what was read
// but not processed is in mp.backlog then.
func (mp *mapping) runStream(ctx context.Context) {
	lanes := make([]*lane, mp.spec.Parallelization)
	left := make([][]record, len(lanes))
	done := make(chan struct{})
	for i := range lanes {
		l := &lane{in: make(chan []record, laneBuffer)}
		lanes[i] = l
		go func() {
			left[i] = mp.runLane(ctx, l)
			done <- struct{}{}
		}()
	}
	backlog := mp.backlog
	mp.backlog = nil
	unsent := feed(ctx, lanes, backlog)
	for tries := 0; ctx.Err() == nil; {
		records, err := mp.read(ctx)
		if ctx.Err() != nil {
			unsent = append(unsent, records...)
			break
		}
		if err != nil {
			tries++
			mp.report(err)
			sleep(ctx, mp.manager.backoff(tries))
			continue
		}
		tries = 0
		unsent = append(unsent, feed(ctx, lanes, records)...)
	}
	for range lanes {
		<-done
	}
	for _, rest := range left {
		mp.backlog = append(mp.backlog, rest...)
	}
	for _, l := range lanes {
		for len(l.in) > 0 {
			mp.backlog = append(mp.backlog, <-l.in...)
		}
	}
	mp.backlog = append(mp.backlog, unsent...)
}

// read returns the next records that pass the filters.
func (mp *mapping) read(ctx context.Context) ([]record, error) {
	ctx = mp.asRole(ctx)
	if err := mp.authorize(ctx, "dynamodb:GetRecords"); err != nil {
		return nil, err
	}
	raw, err := mp.reader.Next(ctx, maxRead)
	if err != nil {
		return nil, err
	}
	records := make([]record, 0, len(raw))
	for _, r := range raw {
		if !matchAny(mp.filters, r.Data) {
			continue
		}
		rec, err := parseRecord(r)
		if err != nil {
			mp.log("drop record that is not JSON: " + err.Error())
			continue
		}
		records = append(records, rec)
	}
	return records, nil
}

// feed hands records to their lanes and returns those that ctx kept back.
func feed(ctx context.Context, lanes []*lane, records []record) []record {
	parts := make([][]record, len(lanes))
	for _, r := range records {
		i := 0
		if len(lanes) > 1 {
			h := fnv.New32a()
			h.Write([]byte(r.key))
			i = int(h.Sum32() % uint32(len(lanes)))
		}
		parts[i] = append(parts[i], r)
	}
	var unsent []record
	for i, part := range parts {
		if len(part) == 0 {
			continue
		}
		select {
		case lanes[i].in <- part:
		case <-ctx.Done():
			unsent = append(unsent, part...)
		}
	}
	return unsent
}

// runLane processes batches until ctx ends, and returns what it had taken by then.
func (mp *mapping) runLane(ctx context.Context, l *lane) []record {
	for {
		if len(l.pending) == 0 {
			select {
			case l.pending = <-l.in:
			case <-ctx.Done():
				return nil
			}
		}
		if !l.fill(ctx, mp.spec.BatchSize, mp.spec.Window) {
			return l.pending
		}
		batch := l.pending[:fitting(l.pending, mp.spec.BatchSize)]
		l.pending = l.pending[len(batch):]
		if left := mp.process(ctx, batch, 0); len(left) > 0 {
			return append(left, l.pending...)
		}
	}
}

// fill adds records until there is a full batch or the window, which began
// with the first record, is over. It returns false when ctx ended.
func (l *lane) fill(ctx context.Context, size int, window time.Duration) bool {
	var over <-chan time.Time
	if window > 0 {
		t := time.NewTimer(window)
		defer t.Stop()
		over = t.C
	}
	for fitting(l.pending, size+1) == len(l.pending) && len(l.pending) < size {
		if window > 0 {
			select {
			case more := <-l.in:
				l.pending = append(l.pending, more...)
			case <-over:
				return true
			case <-ctx.Done():
				return false
			}
			continue
		}
		select {
		case more := <-l.in:
			l.pending = append(l.pending, more...)
		default:
			return ctx.Err() == nil
		}
	}
	return ctx.Err() == nil
}

// fitting returns how many records, of at most size, one invocation can carry.
func fitting(records []record, size int) int {
	bytes := 0
	for i, r := range records {
		bytes += len(r.data) + 1
		if i == size || i > 0 && bytes > maxPayload {
			return i
		}
	}
	return len(records)
}
