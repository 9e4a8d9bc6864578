// Package sources fits the local DynamoDB and SQS services to event source
// mappings. It holds no state and is safe for concurrent use; only what wires
// the local cloud imports it.
package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// Streams returns the streams of a DynamoDB service.
func Streams(s *dynamodb.Service) eventsource.Streams { return streams{s} }

// Queues returns the queues of an SQS service.
func Queues(s *sqs.Service) eventsource.Queues { return queues{s} }

// Send returns the function that puts records into queues of an SQS service.
func Send(s *sqs.Service) func(ctx context.Context, queueARN, body string) error {
	return func(ctx context.Context, queueARN, body string) error {
		_, err := s.Send(ctx, queueARN, body, -1, nil)
		return err
	}
}

type streams struct{ service *dynamodb.Service }

func (s streams) OpenStream(_ context.Context, arn, position string) (eventsource.StreamReader, error) {
	r, err := s.service.OpenStream(arn, position)
	if err != nil {
		return nil, err
	}
	return reader{r}, nil
}

type reader struct{ stream *dynamodb.StreamReader }

func (r reader) Next(ctx context.Context, max int) ([]eventsource.Record, error) {
	got, err := r.stream.Next(ctx, max)
	if err != nil {
		return nil, err
	}
	out := make([]eventsource.Record, len(got))
	for i := range got {
		if out[i].Data, err = json.Marshal(got[i]); err != nil {
			return nil, fmt.Errorf("render stream record: %w", err)
		}
	}
	return out, nil
}

// Close implements eventsource.StreamReader; a reader holds nothing.
func (reader) Close() {}

type queues struct{ service *sqs.Service }

func (q queues) ReceiveMessages(ctx context.Context, arn string, max int, wait time.Duration) ([]eventsource.Message, error) {
	got, err := q.service.ReceiveBatch(ctx, arn, max, wait)
	if err != nil {
		return nil, err
	}
	out := make([]eventsource.Message, len(got))
	for i := range got {
		m := &got[i]
		out[i] = eventsource.Message{
			ID: m.ID, Receipt: m.ReceiptHandle, Body: m.Body, MD5OfBody: m.MD5OfBody(),
			MD5OfMessageAttributes: m.MD5OfAttributes(), Attributes: m.System, MessageAttributes: attributes(m.Attributes),
		}
	}
	return out, nil
}

func attributes(in map[string]sqs.Attribute) map[string]eventsource.Attribute {
	out := make(map[string]eventsource.Attribute, len(in))
	for name, a := range in {
		to := eventsource.Attribute{DataType: a.DataType, BinaryValue: a.BinaryValue, StringListValues: []string{}, BinaryListValues: [][]byte{}}
		if a.BinaryValue == nil {
			to.StringValue = &a.StringValue
		}
		out[name] = to
	}
	return out
}

func (q queues) DeleteMessages(ctx context.Context, arn string, receipts []string) error {
	return q.service.DeleteBatch(ctx, arn, receipts)
}
