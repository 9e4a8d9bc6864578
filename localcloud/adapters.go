package localcloud

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
	"github.com/streamer-go/streamer/localcloud/internal/scheduler"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// streams are the DynamoDB streams, as event source mappings want them.
type streams struct{ tables *dynamodb.Service }

var _ eventsource.Streams = streams{}

func (s streams) OpenStream(_ context.Context, arn, position string) (eventsource.StreamReader, error) {
	reader, err := s.tables.OpenStream(arn, position)
	if err != nil {
		return nil, err
	}
	return streamReader{reader}, nil
}

type streamReader struct{ *dynamodb.StreamReader }

// Close has nothing to do: a reader holds nothing but its position.
func (streamReader) Close() {}

func (r streamReader) Next(ctx context.Context, limit int) ([]eventsource.Record, error) {
	records, err := r.StreamReader.Next(ctx, limit)
	if err != nil {
		return nil, err
	}
	out := make([]eventsource.Record, len(records))
	for i, rec := range records {
		data, err := json.Marshal(rec)
		if err != nil {
			return nil, fmt.Errorf("marshal record %s: %w", rec.EventID, err)
		}
		out[i] = eventsource.Record{Data: data, ShardID: rec.ShardID}
	}
	return out, nil
}

// queues are the queues, as event source mappings want them.
type queues struct{ service *sqs.Service }

var _ eventsource.Queues = queues{}

func (q queues) VisibilityTimeout(arn string) (time.Duration, bool) {
	info, ok := q.service.Queue(arn)
	return info.Spec.VisibilityTimeout, ok
}

func (q queues) ReceiveMessages(ctx context.Context, arn string, limit int, wait time.Duration) ([]eventsource.Message, error) {
	got, err := q.service.ReceiveBatch(ctx, arn, limit, wait)
	if err != nil {
		return nil, err
	}
	out := make([]eventsource.Message, len(got))
	for i := range got {
		m := &got[i]
		out[i] = eventsource.Message{
			ID: m.ID, Receipt: m.ReceiptHandle, Body: m.Body, Attributes: maps.Clone(m.System),
			MD5OfBody: m.MD5OfBody(), MD5OfMessageAttributes: m.MD5OfAttributes(),
			MessageAttributes: map[string]eventsource.Attribute{},
		}
		for name, a := range m.Attributes {
			rec := eventsource.Attribute{DataType: a.DataType, BinaryValue: a.BinaryValue, StringListValues: []string{}, BinaryListValues: [][]byte{}}
			if a.BinaryValue == nil {
				rec.StringValue = &a.StringValue
			}
			out[i].MessageAttributes[name] = rec
		}
	}
	return out, nil
}

func (q queues) DeleteMessages(ctx context.Context, arn string, receipts []string) error {
	return q.service.DeleteBatch(ctx, arn, receipts)
}

// routes invokes functions for API Gateway, whose right comes from the
// function's resource policy.
type routes struct{ functions *lambda.Service }

var _ gateway.Invoker = routes{}

func (r routes) Invoke(ctx context.Context, call gateway.Invocation) (gateway.Answer, error) {
	res, err := r.functions.Invoke(ctx, call.Function, call.Payload, lambda.InvokeOptions{
		Source: call.SourceARN, Principal: "apigateway.amazonaws.com", TraceHeader: call.TraceHeader,
		Rendered: true,
	})
	if err != nil {
		return gateway.Answer{}, err
	}
	return gateway.Answer{Payload: res.Payload, FunctionError: res.FunctionError}, nil
}

// events invokes functions for the scheduler, whose right is its role's.
type events struct{ functions *lambda.Service }

var _ scheduler.Invoker = events{}

func (e events) InvokeAsync(ctx context.Context, arn string, payload []byte) error {
	_, err := e.functions.Invoke(ctx, arn, payload, lambda.InvokeOptions{Async: true})
	return err
}

// launcher starts instances and ends with the cloud.
type launcher interface {
	lambda.Launcher
	kill(instanceID string) bool
	close()
}

func (c Config) launcher(cloud *Cloud) (launcher, error) {
	start := c.Funcs
	switch {
	case start != nil:
	case c.InMemory:
		// No process could reach the cloud, and the socket of the Runtime API
		// would keep the time of a bubble from passing.
		start = noProcess
	default:
		l, err := lambda.NewProcessLauncher(lambda.ProcessOptions{GracefulStop: c.GracefulStop})
		if err != nil {
			return nil, fmt.Errorf("start runtime api: %w", err)
		}
		return processes{l}, nil
	}
	return funcs{lambda.NewFuncLauncher(func(p lambda.Process) (func(context.Context, []byte) ([]byte, error), error) {
		return start(Instance{
			Function: p.Function, Role: p.Role, ID: p.InstanceID, Env: p.Env, HTTP: cloud.client,
			Log: func(line string) { p.LogLine("stdout", line) },
		})
	})}, nil
}

// noProcess starts what answers every invocation with the reason of its failure.
func noProcess(in Instance) (func(context.Context, []byte) ([]byte, error), error) {
	return func(context.Context, []byte) ([]byte, error) {
		return nil, fmt.Errorf("start function %s: a process cannot reach a cloud in memory; set Config.Funcs", in.Function)
	}, nil
}

type processes struct{ *lambda.ProcessLauncher }

func (processes) kill(string) bool { return false }
func (p processes) close()         { p.Close() }

type funcs struct{ *lambda.FuncLauncher }

func (f funcs) kill(id string) bool { return f.Kill(id) }
func (f funcs) close()              { f.Wait() }

// meter counts what would be billed.
type meter struct {
	mu    sync.Mutex
	items map[string]float64
}

func newMeter() *meter { return &meter{items: map[string]float64{}} }

func (m *meter) Count(item string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items[item] += n
}

func (m *meter) bill() map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.items)
}
