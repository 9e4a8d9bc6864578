package dynamodb

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// iteratorLife is how long a shard iterator can be used.
const iteratorLife = 15 * time.Minute

// Limits of one GetRecords.
const (
	maxRecords     = 1000
	maxRecordBytes = 1 << 20
)

func streamNotFound(arn string) *Error {
	return refuse("ResourceNotFoundException", "Requested resource not found: Stream: %s not found", arn)
}

func (s *Service) lookupStream(arn string) (*stream, error) {
	s.forgetStreams()
	st := s.streams[arn]
	if st == nil {
		return nil, streamNotFound(arn)
	}
	st.trim(time.Now())
	return st, nil
}

type listStreamsInput struct {
	TableName               string
	Limit                   *int
	ExclusiveStartStreamArn string
}

func (s *Service) listStreams(ctx context.Context, in *listStreamsInput) (any, error) {
	name := shortName(in.TableName)
	resource := "*"
	if name != "" {
		resource = name
	}
	if err := s.allow(ctx, "ListStreams", tableARN(resource)+"/stream/*"); err != nil {
		return nil, err
	}
	limit := 100
	if in.Limit != nil {
		limit = min(limit, *in.Limit)
	}
	if limit < 1 {
		return nil, constraint("0", "limit", "have value greater than or equal to 1")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetStreams()
	type entry struct{ StreamArn, StreamLabel, TableName string }
	found := []entry{}
	out := map[string]any{}
	for _, arn := range sortedNames(s.streams) {
		st := s.streams[arn]
		if name != "" && st.table != name || arn <= in.ExclusiveStartStreamArn {
			continue
		}
		if len(found) == limit {
			out["LastEvaluatedStreamArn"] = found[limit-1].StreamArn
			break
		}
		found = append(found, entry{st.arn, st.label, st.table})
	}
	out["Streams"] = found
	return out, nil
}

type describeStreamInput struct {
	StreamArn             string
	Limit                 *int
	ExclusiveStartShardId string
	ShardFilter           *struct{ Type, ShardId string }
}

type shardOutput struct {
	ShardId             string
	ParentShardId       string `json:",omitempty"`
	SequenceNumberRange map[string]string
}

func (s *Service) describeStream(ctx context.Context, in *describeStreamInput) (any, error) {
	if err := s.allow(ctx, "DescribeStream", in.StreamArn); err != nil {
		return nil, err
	}
	if in.ShardFilter != nil {
		if err := oneOf("shardFilter.type", in.ShardFilter.Type, "CHILD_SHARDS"); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.lookupStream(in.StreamArn)
	if err != nil {
		return nil, err
	}
	limit := 100
	if in.Limit != nil {
		limit = min(limit, max(*in.Limit, 1))
	}
	status := "ENABLED"
	if st.closed {
		status = "DISABLED"
	}
	description := map[string]any{
		"StreamArn": st.arn, "StreamLabel": st.label, "StreamStatus": status, "StreamViewType": st.view,
		"TableName": st.table, "CreationRequestDateTime": float64(st.created.Unix()), "KeySchema": st.key.schema(),
	}
	shards := []shardOutput{}
	from := 1 + slices.IndexFunc(st.shards, func(sh *shard) bool { return sh.id == in.ExclusiveStartShardId })
	for _, sh := range st.shards[from:] {
		if in.ShardFilter != nil && sh.parent != in.ShardFilter.ShardId {
			continue
		}
		if len(shards) == limit {
			description["LastEvaluatedShardId"] = shards[limit-1].ShardId
			break
		}
		shards = append(shards, sh.describe())
	}
	description["Shards"] = shards
	return map[string]any{"StreamDescription": description}, nil
}

func (sh *shard) describe() shardOutput {
	out := shardOutput{ShardId: sh.id, ParentShardId: sh.parent, SequenceNumberRange: map[string]string{
		"StartingSequenceNumber": sequenceNumber(sh.first),
	}}
	if !sh.closedAt.IsZero() {
		out.SequenceNumberRange["EndingSequenceNumber"] = sequenceNumber(max(sh.last, sh.first))
	}
	return out
}

// iterator is what a shard iterator's token says.
type iterator struct {
	Shard  string
	After  uint64 // the records that follow are read
	Issued int64  // Unix nanoseconds
}

func (it iterator) token(st *stream) string {
	data, _ := json.Marshal(it) // strings and numbers always marshal
	return st.arn + "|1|" + base64.StdEncoding.EncodeToString(data)
}

type iteratorInput struct {
	StreamArn, ShardId, ShardIteratorType, SequenceNumber string
	Timestamp                                             *float64 // Unix seconds
}

func (s *Service) getShardIterator(ctx context.Context, in *iteratorInput) (any, error) {
	if err := s.allow(ctx, "GetShardIterator", in.StreamArn); err != nil {
		return nil, err
	}
	if err := oneOf("shardIteratorType", in.ShardIteratorType, "AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON", "AT_TIMESTAMP"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.lookupStream(in.StreamArn)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(st.shards, func(sh *shard) bool { return sh.id == in.ShardId })
	if i < 0 {
		return nil, refuse("ResourceNotFoundException", "Requested resource not found: Shard does not exist")
	}
	it := iterator{Shard: in.ShardId, Issued: time.Now().UnixNano()}
	if it.After, err = st.shards[i].position(in, st.sequence); err != nil {
		return nil, err
	}
	return map[string]any{"ShardIterator": it.token(st)}, nil
}

// position is the sequence number after which an iterator begins.
func (sh *shard) position(in *iteratorInput, last uint64) (uint64, error) {
	horizon := last + 1
	switch {
	case len(sh.records) > 0:
		horizon = sh.records[0].sequence
	case !sh.closedAt.IsZero():
		horizon = sh.last + 1
	}
	switch in.ShardIteratorType {
	case "TRIM_HORIZON":
		return horizon - 1, nil
	case "LATEST":
		return last, nil
	case "AT_TIMESTAMP":
		if in.Timestamp == nil {
			return 0, validation("Timestamp must be specified when ShardIteratorType is AT_TIMESTAMP")
		}
		for _, r := range sh.records {
			if float64(r.Created.Unix()) >= *in.Timestamp {
				return r.sequence - 1, nil
			}
		}
		return last, nil
	}
	if in.SequenceNumber == "" {
		return 0, validation("SequenceNumber must be specified when ShardIteratorType is %s", in.ShardIteratorType)
	}
	n, err := parseSequence(in.SequenceNumber)
	if err != nil {
		return 0, err
	}
	if n < sh.first || !sh.closedAt.IsZero() && n > max(sh.last, sh.first) {
		return 0, validation("Invalid SequenceNumber: %s is not in the range of shard %s", in.SequenceNumber, sh.id)
	}
	if in.ShardIteratorType == "AT_SEQUENCE_NUMBER" {
		n--
	}
	if n+1 < horizon {
		return 0, trimmed()
	}
	return min(n, last), nil
}

func trimmed() *Error {
	return refuse("TrimmedDataAccessException", "The operation attempted to read past the oldest stream record in a shard")
}

type recordsInput struct {
	ShardIterator string
	Limit         *int
}

func (s *Service) getRecords(ctx context.Context, in *recordsInput) (any, error) {
	arn, encoded, _ := strings.Cut(in.ShardIterator, "|1|")
	var it iterator
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || json.Unmarshal(data, &it) != nil {
		return nil, validation("Invalid ShardIterator")
	}
	if err := s.allow(ctx, "GetRecords", arn); err != nil {
		return nil, err
	}
	limit := maxRecords
	if in.Limit != nil {
		if *in.Limit < 1 || *in.Limit > maxRecords {
			return nil, validation("Limit must be between 1 and %d", maxRecords)
		}
		limit = *in.Limit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := s.lookupStream(arn)
	if err != nil {
		return nil, err
	}
	return st.page(it, limit)
}

// page reads from one shard.
func (st *stream) page(it iterator, limit int) (any, error) {
	if time.Since(time.Unix(0, it.Issued)) > iteratorLife {
		return nil, refuse("ExpiredIteratorException", "Iterator expired. The iterator was created more than 15 minutes ago")
	}
	i := slices.IndexFunc(st.shards, func(sh *shard) bool { return sh.id == it.Shard })
	if i < 0 {
		return nil, trimmed()
	}
	sh := st.shards[i]
	if len(sh.records) > 0 && it.After+1 < sh.records[0].sequence {
		return nil, trimmed()
	}
	records, bytes := []map[string]any{}, 0
	for _, r := range sh.after(it.After, limit) {
		if bytes += r.SizeBytes; bytes > maxRecordBytes && len(records) > 0 {
			break
		}
		records = append(records, r.wire())
		it.After = r.sequence
	}
	out := map[string]any{"Records": records}
	// No next iterator: the shard is closed and drained.
	if sh.closedAt.IsZero() || it.After < sh.last {
		it.Issued = time.Now().UnixNano()
		out["NextShardIterator"] = it.token(st)
	}
	return out, nil
}
