package sqs_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// operations are all calls of the wire, each with the right that it needs. A
// batch needs the right of its parts.
func operations(c *cloud, ctx context.Context, q *string) map[string]struct {
	right string
	call  func() error
} {
	type operation = struct {
		right string
		call  func() error
	}
	body, handle := aws.String("a"), aws.String("h")
	return map[string]operation{
		"SendMessage": {"SendMessage", func() error {
			_, err := c.sdk.SendMessage(ctx, &sdk.SendMessageInput{QueueUrl: q, MessageBody: body})
			return err
		}},
		"SendMessageBatch": {"SendMessage", func() error {
			_, err := c.sdk.SendMessageBatch(ctx, &sdk.SendMessageBatchInput{QueueUrl: q, Entries: []types.SendMessageBatchRequestEntry{{Id: body, MessageBody: body}}})
			return err
		}},
		"ReceiveMessage": {"ReceiveMessage", func() error {
			_, err := c.sdk.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{QueueUrl: q})
			return err
		}},
		"DeleteMessage": {"DeleteMessage", func() error {
			_, err := c.sdk.DeleteMessage(ctx, &sdk.DeleteMessageInput{QueueUrl: q, ReceiptHandle: handle})
			return err
		}},
		"DeleteMessageBatch": {"DeleteMessage", func() error {
			_, err := c.sdk.DeleteMessageBatch(ctx, &sdk.DeleteMessageBatchInput{QueueUrl: q, Entries: []types.DeleteMessageBatchRequestEntry{{Id: body, ReceiptHandle: handle}}})
			return err
		}},
		"ChangeMessageVisibility": {"ChangeMessageVisibility", func() error {
			_, err := c.sdk.ChangeMessageVisibility(ctx, &sdk.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: handle})
			return err
		}},
		"ChangeMessageVisibilityBatch": {"ChangeMessageVisibility", func() error {
			_, err := c.sdk.ChangeMessageVisibilityBatch(ctx, &sdk.ChangeMessageVisibilityBatchInput{QueueUrl: q, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{{Id: body, ReceiptHandle: handle}}})
			return err
		}},
		"CreateQueue": {"CreateQueue", func() error {
			_, err := c.sdk.CreateQueue(ctx, &sdk.CreateQueueInput{QueueName: aws.String("new")})
			return err
		}},
		"DeleteQueue": {"DeleteQueue", func() error { _, err := c.sdk.DeleteQueue(ctx, &sdk.DeleteQueueInput{QueueUrl: q}); return err }},
		"PurgeQueue":  {"PurgeQueue", func() error { _, err := c.sdk.PurgeQueue(ctx, &sdk.PurgeQueueInput{QueueUrl: q}); return err }},
		"GetQueueUrl": {"GetQueueUrl", func() error {
			_, err := c.sdk.GetQueueUrl(ctx, &sdk.GetQueueUrlInput{QueueName: aws.String("q")})
			return err
		}},
		"ListQueues": {"ListQueues", func() error { _, err := c.sdk.ListQueues(ctx, &sdk.ListQueuesInput{}); return err }},
		"GetQueueAttributes": {"GetQueueAttributes", func() error {
			_, err := c.sdk.GetQueueAttributes(ctx, &sdk.GetQueueAttributesInput{QueueUrl: q})
			return err
		}},
		"SetQueueAttributes": {"SetQueueAttributes", func() error {
			_, err := c.sdk.SetQueueAttributes(ctx, &sdk.SetQueueAttributesInput{QueueUrl: q, Attributes: map[string]string{"DelaySeconds": "1"}})
			return err
		}},
	}
}

// denied says whether a call was refused for the lack of that right.
func denied(err error) bool {
	var api interface{ ErrorCode() string }
	return errors.As(err, &api) && api.ErrorCode() == "AccessDenied"
}

// Every operation asks for the right of its name, and for no other: with it
// the call is not denied, with any other it is, and it changes nothing.
func TestEveryOperationNeedsItsRight(t *testing.T) {
	t.Parallel()
	for name := range operations(&cloud{}, t.Context(), nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, allowed := range []bool{false, true} {
					right := "sqs:Nothing"
					if allowed {
						right = "sqs:" + operations(&cloud{}, t.Context(), nil)[name].right
					}
					c := newCloud(t, account.AssumedRole("r", "i"), only(right))
					q := c.put(t, sqs.QueueSpec{Name: "q"})
					if err := operations(c, t.Context(), &q.URL)[name].call(); denied(err) == allowed {
						t.Errorf("with %s: %v", right, err)
					}
					if allowed {
						continue
					}
					wantCounts(t, c, q, 0, 0, 0)
					if now, _ := c.Queue(q.URL); len(c.Queues()) != 1 || !reflect.DeepEqual(now, q) {
						t.Errorf("it was denied and changed %+v to %+v", q, now)
					}
				}
			})
		})
	}
}

// In process, for mappings and destinations, the same holds.
func TestExchangeInProcess(t *testing.T) {
	t.Parallel()
	calls := map[string]func(c *cloud, ctx context.Context, q, handle string) error{
		"SendMessage": func(c *cloud, ctx context.Context, q, _ string) error {
			_, err := c.Send(ctx, q, "a", 0, nil)
			return err
		},
		"ReceiveMessage": func(c *cloud, ctx context.Context, q, _ string) error {
			_, err := c.ReceiveBatch(ctx, q, 1, 0)
			return err
		},
		"DeleteMessage": func(c *cloud, ctx context.Context, q, handle string) error {
			return c.DeleteBatch(ctx, q, []string{handle})
		},
		"ChangeMessageVisibility": func(c *cloud, ctx context.Context, q, handle string) error {
			return c.ChangeVisibility(ctx, q, handle, time.Minute)
		},
	}
	for right, call := range calls {
		t.Run(right, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := account.WithCaller(t.Context(), account.AssumedRole("r", "i"))
				open := newCloud(t, account.Root(), nil)
				q := open.put(t, sqs.QueueSpec{Name: "q"})
				send(t, open, q, "a", 0)
				got, err := open.ReceiveBatch(ctx, q.ARN, 1, 0)
				if err != nil || len(got) != 1 {
					t.Fatal(got, err)
				}
				if err := call(open, ctx, q.ARN, got[0].ReceiptHandle); err != nil {
					t.Error(err)
				}
				var missing *sqs.Error
				if err := call(open, ctx, sqs.QueueARN("none"), got[0].ReceiptHandle); !errors.As(err, &missing) {
					t.Errorf("of a queue that is not there: %v", err)
				}
				closed := newCloud(t, account.Root(), only("sqs:Nothing"))
				var d *account.Denied
				if err := call(closed, ctx, closed.put(t, sqs.QueueSpec{Name: "q"}).ARN, "h"); !errors.As(err, &d) || d.Action != "sqs:"+right {
					t.Errorf("without the right: %v", err)
				}
			})
		})
	}
}

func TestChangeVisibilityInProcess(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q", VisibilityTimeout: 30 * time.Second})
		send(t, c, q, "a", 0)
		got, err := c.ReceiveBatch(t.Context(), q.ARN, 10, 0)
		check(t, err)
		began := time.Now()
		check(t, c.ChangeVisibility(t.Context(), q.ARN, got[0].ReceiptHandle, 90*time.Second))
		if again, err := c.ReceiveBatch(t.Context(), q.ARN, 10, 2*time.Minute); err != nil || len(again) != 1 || time.Since(began) != 90*time.Second {
			t.Errorf("%d messages after %v: %v", len(again), time.Since(began), err)
		}
		if err := c.ChangeVisibility(t.Context(), q.ARN, got[0].ReceiptHandle, 13*time.Hour); err == nil {
			t.Error("hidden for longer than twelve hours")
		}
	})
}
