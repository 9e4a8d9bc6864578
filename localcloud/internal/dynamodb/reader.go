package dynamodb

import (
	"context"
	"fmt"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// StreamReader reads a stream in process, for event source mappings: all
// shards, parents before children, in the order in which the changes were
// made. It is for one goroutine.
type StreamReader struct {
	service *Service
	stream  *stream
	after   uint64
}

// OpenStream returns a reader of a stream from "TRIM_HORIZON" (what is still
// kept) or "LATEST" (what comes from now on). The error is a
// ResourceNotFoundException when there is no such stream.
func (s *Service) OpenStream(streamARN, position string) (*StreamReader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[streamARN]
	if st == nil {
		return nil, streamNotFound(streamARN)
	}
	r := &StreamReader{service: s, stream: st}
	switch position {
	case "TRIM_HORIZON":
	case "LATEST":
		r.after = st.sequence
	default:
		return nil, fmt.Errorf("open stream %s: position %q is neither TRIM_HORIZON nor LATEST", streamARN, position)
	}
	return r, nil
}

// ErrStreamClosed is what Next returns when a disabled stream is drained, or
// the service is closed.
var ErrStreamClosed = refuse("ResourceNotFoundException", "The stream is closed and has no more records")

// Next returns up to limit records, at least one. It blocks until there is
// one, the context ends, or the stream is closed and drained (ErrStreamClosed).
// A caller in the context must have the rights that an event source mapping
// needs on the stream; a context without caller is the cloud itself.
func (r *StreamReader) Next(ctx context.Context, limit int) ([]StreamRecord, error) {
	if err := r.authorize(ctx); err != nil {
		return nil, err
	}
	for {
		records, news, closed := r.poll(limit)
		if len(records) > 0 {
			return records, nil
		}
		if closed {
			return nil, ErrStreamClosed
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-news:
		}
	}
}

// authorize checks the rights that AWS asks of a mapping's role.
func (r *StreamReader) authorize(ctx context.Context) error {
	if _, ok := account.CallerFrom(ctx); !ok {
		return nil
	}
	for _, action := range []string{"DescribeStream", "GetShardIterator", "GetRecords"} {
		if err := r.service.allow(ctx, action, r.stream.arn); err != nil {
			return err
		}
	}
	return r.service.allow(ctx, "ListStreams", tableARN(r.stream.table)+"/stream/*")
}

func (r *StreamReader) poll(limit int) (records []StreamRecord, news <-chan struct{}, closed bool) {
	r.service.mu.Lock()
	defer r.service.mu.Unlock()
	records = r.stream.after(r.after, max(limit, 1))
	if len(records) > 0 {
		r.after = records[len(records)-1].sequence
	}
	return records, r.stream.news, r.stream.closed || r.service.closed
}

// Position is the sequence number of the last record that was read, for Seek.
func (r *StreamReader) Position() string { return sequenceNumber(r.after) }

// Seek makes the next record the one after the given sequence number, so that
// a failed batch can be read again.
func (r *StreamReader) Seek(sequenceNumber string) error {
	n, err := parseSequence(sequenceNumber)
	if err == nil {
		r.after = n
	}
	return err
}
