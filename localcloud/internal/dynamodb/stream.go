package dynamodb

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// stream is the change log of a table. It outlives its table, and being
// disabled, for the retention. The service's lock guards it.
type stream struct {
	arn, label string
	table      string
	key        key
	view       string
	created    time.Time
	closed     bool // disabled, or its table is gone
	shards     []*shard
	sequence   uint64 // of the last record
	retention  time.Duration
	shardLife  time.Duration
	news       chan struct{} // closed and replaced by every append
}

// shard is a part of the log. One takes records at a time; a child follows it
// when it has lived long enough.
type shard struct {
	id, parent string
	opened     time.Time
	closedAt   time.Time // zero while it takes records
	first      uint64    // sequence number from which on records may be in it
	last       uint64    // of the last record, once closed
	records    []StreamRecord
}

// identity says on whose behalf a record was written.
type identity struct{ kind, principal string }

// timeToLive is the identity of deletions of expired items.
func timeToLive() *identity { return &identity{"Service", "dynamodb.amazonaws.com"} }

// StreamRecord is one change of one item. Marshalled to JSON it has the form
// of a record in a Lambda function's event.
type StreamRecord struct {
	// EventID is 32 hex digits, unique for the record.
	EventID string
	// EventName is INSERT, MODIFY or REMOVE.
	EventName string
	// SequenceNumber grows with every record of a stream.
	SequenceNumber string
	// ShardID names the shard that holds the record.
	ShardID string
	// StreamARN names the stream.
	StreamARN string
	// PartitionKey is the same for all records of one hash key, and for no other.
	PartitionKey string
	// Created is when the change was made, to the second.
	Created time.Time
	// SizeBytes counts keys and images.
	SizeBytes int

	sequence uint64
	view     string
	keys     item
	old, now item
	by       *identity
}

// sequenceNumber is of the length that AWS's have; numbers compare as texts.
func sequenceNumber(n uint64) string { return fmt.Sprintf("1000000000%015d", n) }

func parseSequence(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err == nil && n == 0 {
		return 0, nil
	}
	if len(text) != 25 {
		return 0, validation("Invalid SequenceNumber: %s", text)
	}
	if n, err = strconv.ParseUint(text[10:], 10, 64); err != nil {
		return 0, validation("Invalid SequenceNumber: %s", text)
	}
	return n, nil
}

// openStream begins a stream on a table. Labels are times and must differ, so
// one that is taken moves on by a millisecond.
func (s *Service) openStream(t *table, view string) {
	now := time.Now().UTC()
	at := now
	for {
		label := at.Format("2006-01-02T15:04:05.000")
		arn := t.arn + "/stream/" + label
		if s.streams[arn] == nil {
			t.stream = &stream{
				arn: arn, label: label, table: t.spec.Name, key: t.key, view: view, created: now,
				retention: s.options.StreamRetention, shardLife: s.options.ShardLife, news: make(chan struct{}),
			}
			break
		}
		at = at.Add(time.Millisecond)
	}
	s.forgetStreams()
	s.streams[t.stream.arn] = t.stream
	t.stream.roll(now)
	t.spec.Stream = view
}

// closeStream ends the stream of a table; what is in it stays readable.
func (t *table) closeStream() {
	if t.stream == nil {
		return
	}
	st := t.stream
	st.closed = true
	st.tail().close(time.Now(), st.sequence)
	st.wake()
	t.stream = nil
	t.spec.Stream = ""
}

// forgetStreams drops the closed streams whose records are all too old.
func (s *Service) forgetStreams() {
	for arn, st := range s.streams {
		if st.closed && time.Since(st.tail().closedAt) > st.retention {
			delete(s.streams, arn)
		}
	}
}

func (st *stream) tail() *shard { return st.shards[len(st.shards)-1] }

// roll opens the next shard.
func (st *stream) roll(now time.Time) {
	next := &shard{opened: now, first: st.sequence + 1}
	if len(st.shards) > 0 {
		prior := st.tail()
		prior.close(now, st.sequence)
		next.parent = prior.id
	}
	next.id = fmt.Sprintf("shardId-%020d-%08x", now.UnixMilli(), uint32(st.sequence))
	st.shards = append(st.shards, next)
}

func (sh *shard) close(now time.Time, last uint64) {
	sh.closedAt, sh.last = now, last
}

// wake lets all blocked readers look again.
func (st *stream) wake() {
	close(st.news)
	st.news = make(chan struct{})
}

// append logs one modification.
func (st *stream) append(k key, old, now item, by *identity) {
	at := time.Now()
	st.trim(at)
	if at.Sub(st.tail().opened) >= st.shardLife {
		st.roll(at)
	}
	st.sequence++
	r := StreamRecord{
		EventName: "MODIFY", SequenceNumber: sequenceNumber(st.sequence), sequence: st.sequence,
		ShardID: st.tail().id, StreamARN: st.arn, Created: at.Truncate(time.Second), view: st.view, by: by,
	}
	image := now
	switch {
	case old == nil:
		r.EventName = "INSERT"
	case now == nil:
		r.EventName, image = "REMOVE", old
	}
	r.keys = k.of(image)
	r.PartitionKey = string(k.hashKind) + image[k.hash].text
	if st.view == "NEW_IMAGE" || st.view == "NEW_AND_OLD_IMAGES" {
		r.now = now
	}
	if st.view == "OLD_IMAGE" || st.view == "NEW_AND_OLD_IMAGES" {
		r.old = old
	}
	r.SizeBytes = r.keys.size() + r.now.size() + r.old.size()
	sum := md5.Sum([]byte(st.arn + r.SequenceNumber))
	r.EventID = hex.EncodeToString(sum[:])
	tail := st.tail()
	tail.records = append(tail.records, r)
	st.wake()
}

// trim drops what is older than the retention, and closed shards with it.
func (st *stream) trim(now time.Time) {
	horizon := now.Add(-st.retention)
	for _, sh := range st.shards {
		n := 0
		for n < len(sh.records) && sh.records[n].Created.Before(horizon) {
			n++
		}
		sh.records = sh.records[n:]
	}
	for len(st.shards) > 1 && len(st.shards[0].records) == 0 && st.shards[0].closedAt.Before(horizon) {
		st.shards = st.shards[1:]
	}
}

// after returns up to limit records that follow a sequence number, of all shards.
func (st *stream) after(sequence uint64, limit int) []StreamRecord {
	st.trim(time.Now())
	var out []StreamRecord
	for _, sh := range st.shards {
		if sh.closedAt.IsZero() || sh.last > sequence {
			out = append(out, sh.after(sequence, limit-len(out))...)
		}
		if len(out) == limit {
			break
		}
	}
	return out
}

func (sh *shard) after(sequence uint64, limit int) []StreamRecord {
	from := 0
	if len(sh.records) > 0 && sequence >= sh.records[0].sequence {
		// Sequence numbers in a shard have no gaps.
		from = min(int(sequence-sh.records[0].sequence)+1, len(sh.records))
	}
	return sh.records[from:min(from+limit, len(sh.records))]
}

type recordBody struct {
	ApproximateCreationDateTime float64
	Keys                        item
	NewImage                    item `json:",omitempty"`
	OldImage                    item `json:",omitempty"`
	SequenceNumber              string
	SizeBytes                   int
	StreamViewType              string
}

func (r *StreamRecord) body() recordBody {
	return recordBody{
		ApproximateCreationDateTime: float64(r.Created.Unix()), Keys: r.keys, NewImage: r.now, OldImage: r.old,
		SequenceNumber: r.SequenceNumber, SizeBytes: r.SizeBytes, StreamViewType: r.view,
	}
}

// MarshalJSON writes the record as a Lambda event holds it.
func (r StreamRecord) MarshalJSON() ([]byte, error) {
	body := r.fields()
	body["eventSourceARN"] = r.StreamARN
	if r.by != nil {
		body["userIdentity"] = map[string]string{"type": r.by.kind, "principalId": r.by.principal}
	}
	return json.Marshal(body)
}

// wire is the record as GetRecords returns it: without its stream, and with
// other spellings in userIdentity.
func (r *StreamRecord) wire() map[string]any {
	body := r.fields()
	if r.by != nil {
		body["userIdentity"] = map[string]string{"Type": r.by.kind, "PrincipalId": r.by.principal}
	}
	return body
}

func (r *StreamRecord) fields() map[string]any {
	return map[string]any{
		"eventID": r.EventID, "eventName": r.EventName, "eventVersion": "1.1",
		"eventSource": "aws:dynamodb", "awsRegion": account.Region, "dynamodb": r.body(),
	}
}
