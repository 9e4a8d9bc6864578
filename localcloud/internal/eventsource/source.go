package eventsource

import (
	"context"
	"encoding/json"
	"time"
)

// Streams opens readers of DynamoDB streams. The context carries the caller
// that the mapping acts as.
type Streams interface {
	// OpenStream returns a reader at position TRIM_HORIZON or LATEST.
	OpenStream(ctx context.Context, streamARN, position string) (StreamReader, error)
}

// StreamReader reads one stream in order.
type StreamReader interface {
	// Next blocks until there are records and returns at most max of them.
	Next(ctx context.Context, max int) ([]Record, error)
	Close()
}

// Record is one stream record.
type Record struct {
	// Data is the record as Lambda events carry it (eventID, eventName, dynamodb…).
	Data json.RawMessage
	// ShardID names the shard in failure records; "" for an only shard.
	ShardID string
}

// Queues receives from SQS queues. The context carries the caller that the
// mapping acts as.
type Queues interface {
	// VisibilityTimeout tells that of a queue; ok is false when there is no such queue.
	VisibilityTimeout(queueARN string) (timeout time.Duration, ok bool)
	// ReceiveMessages waits up to wait for messages and returns at most max (1 to 10) of them.
	ReceiveMessages(ctx context.Context, queueARN string, max int, wait time.Duration) ([]Message, error)
	// DeleteMessages deletes by receipt handle.
	DeleteMessages(ctx context.Context, queueARN string, receipts []string) error
}

// Message is one message of a queue.
type Message struct {
	ID, Receipt, Body      string
	MD5OfBody              string
	MD5OfMessageAttributes string            // "" without attributes
	Attributes             map[string]string // ApproximateReceiveCount, SentTimestamp, …
	MessageAttributes      map[string]Attribute
}

// Attribute is a message attribute as Lambda events carry it.
type Attribute struct {
	StringValue      *string  `json:"stringValue,omitempty"`
	BinaryValue      []byte   `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues [][]byte `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

// Function is what a mapping must know of its function.
type Function struct {
	Name, ARN, Role string
	Timeout         time.Duration
}

// Result is how an invocation ended.
type Result struct {
	RequestID, ExecutedVersion string
	Payload                    []byte
	FunctionError              string // "" when the function succeeded
}
