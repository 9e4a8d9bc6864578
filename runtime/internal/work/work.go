// Package work carries hints: wake messages through the wake queue, and
// asynchronous invocations of the processor. Every hint may be lost, doubled,
// late or reordered; the table of package request makes each harmless.
package work

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Hint is the body of a wake message and the payload of the processor.
type Hint struct {
	Key   string `json:"key"`
	Epoch int64  `json:"epoch"`
	// Deadline of the request in epoch milliseconds, 0 when it is not known.
	Deadline int64 `json:"deadline,omitempty"`
	// Push asks the processor to push what the item says, not to run it.
	Push bool `json:"push,omitempty"`
	// Slot says that the request was given one of its tenant's slots, which is to
	// be handed on when it ends or is given up.
	Slot bool `json:"slot,omitempty"`
	// Tenant makes it a message about that tenant, as keys.Tenant returns it: the
	// request of Key, if there is one, needs its slot for no epoch up to Epoch any more.
	Tenant string `json:"tenant,omitempty"`
}

// MaxDelay is the longest delay of a message.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
const MaxDelay = 900 * time.Second

// Queue is the wake queue.
type Queue struct {
	client *sqs.Client
	url    string
}

// NewQueue makes a queue.
func NewQueue(client *sqs.Client, url string) *Queue { return &Queue{client: client, url: url} }

// Wake sends a hint that arrives after delay, rounded up to seconds. A delay
// above MaxDelay is left to the sweep: nothing is sent.
func (q *Queue) Wake(ctx context.Context, h Hint, delay time.Duration) error {
	if delay > MaxDelay {
		return nil
	}
	body, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("wake %s: %w", h.Key, err)
	}
	seconds := int32(math.Ceil(max(delay, 0).Seconds()))
	_, err = q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: aws.String(string(body)), DelaySeconds: seconds})
	if err != nil {
		return fmt.Errorf("wake %s: %w", h.Key, err)
	}
	return nil
}

// Processor starts the processor function.
type Processor struct {
	client   *lambda.Client
	function string
}

// NewProcessor makes a starter.
func NewProcessor(client *lambda.Client, function string) *Processor {
	return &Processor{client: client, function: function}
}

// Start invokes the processor asynchronously with the hint.
func (p *Processor) Start(ctx context.Context, h Hint) error {
	payload, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("start %s: %w", h.Key, err)
	}
	_, err = p.client.Invoke(ctx, &lambda.InvokeInput{
		FunctionName: &p.function, InvocationType: lambdatypes.InvocationTypeEvent, Payload: payload,
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", h.Key, err)
	}
	return nil
}
