package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// in runs a test in a bubble, with a cloud whose caller is the root.
func in(t *testing.T, test func(t *testing.T, c *cloud)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newCloud(t, account.Root(), nil)) })
}

func TestMessageRoundTrip(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q"})
		body := "grün <&> \u2028 \"quoted\"\n"
		sent, err := c.sdk.SendMessage(t.Context(), &sdk.SendMessageInput{
			QueueUrl: &q.URL, MessageBody: &body,
			MessageAttributes: map[string]types.MessageAttributeValue{
				"kind": {DataType: aws.String("String"), StringValue: aws.String("a")},
				"n.1":  {DataType: aws.String("Number.int"), StringValue: aws.String("7")},
				"blob": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 1, 255}},
			},
			MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
				"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1-2-3")},
			},
		})
		check(t, err)
		if sent.MD5OfMessageAttributes == nil || sent.MD5OfMessageSystemAttributes == nil {
			t.Error("no digest of the attributes")
		}
		time.Sleep(time.Second)
		got, err := c.sdk.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{
			QueueUrl: &q.URL, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		check(t, err)
		m := got.Messages[0]
		if *m.Body != body || *m.MessageId != *sent.MessageId || *m.MD5OfMessageAttributes != *sent.MD5OfMessageAttributes {
			t.Errorf("received %+v", m)
		}
		if len(m.MessageAttributes) != 3 || string(m.MessageAttributes["blob"].BinaryValue) != "\x00\x01\xff" {
			t.Errorf("attributes %+v", m.MessageAttributes)
		}
		if m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["SentTimestamp"] != "946684800000" ||
			m.Attributes["ApproximateFirstReceiveTimestamp"] != "946684801000" || m.Attributes["AWSTraceHeader"] != "Root=1-2-3" || m.Attributes["SenderId"] != account.ID {
			t.Errorf("system attributes %v", m.Attributes)
		}
	})
}

// The digest of one message that is known: the Go client checks that of the
// body alone, other SDKs check this one too.
func TestAttributeDigest(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q"})
		sent, err := c.sdk.SendMessage(t.Context(), &sdk.SendMessageInput{
			QueueUrl: &q.URL, MessageBody: aws.String("x"),
			MessageAttributes: map[string]types.MessageAttributeValue{
				"timestamp": {DataType: aws.String("Number"), StringValue: aws.String("1493147359900")},
			},
		})
		check(t, err)
		if *sent.MD5OfMessageAttributes != "235c5c510d26fb653d073faed50ae77c" {
			t.Errorf("digest %s", *sent.MD5OfMessageAttributes)
		}
	})
}

func TestVisibility(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q", VisibilityTimeout: 30 * time.Second})
		send(t, c, q, "a", 0)
		first := receive(t, c, q, 0)
		if again := receive(t, c, q, 29); again != nil {
			t.Fatal("received while in flight")
		}
		second := receive(t, c, q, 20)
		if second == nil || second.Attributes["ApproximateReceiveCount"] != "2" {
			t.Fatalf("after the timeout: %+v", second)
		}
		// The older handle has no effect any more, and says so only when it is to
		// change something.
		_, err := c.sdk.DeleteMessage(t.Context(), &sdk.DeleteMessageInput{QueueUrl: &q.URL, ReceiptHandle: first.ReceiptHandle})
		check(t, err)
		_, err = c.sdk.ChangeMessageVisibility(t.Context(), &sdk.ChangeMessageVisibilityInput{QueueUrl: &q.URL, ReceiptHandle: first.ReceiptHandle, VisibilityTimeout: 0})
		wantCode(t, err, "AWS.SimpleQueueService.MessageNotInflight")
		_, err = c.sdk.ChangeMessageVisibility(t.Context(), &sdk.ChangeMessageVisibilityInput{QueueUrl: &q.URL, ReceiptHandle: second.ReceiptHandle, VisibilityTimeout: 300})
		check(t, err)
		began := time.Now()
		third := receive(t, c, q, 0)
		for third == nil {
			third = receive(t, c, q, 20)
		}
		if waited := time.Since(began); waited != 300*time.Second {
			t.Errorf("visible after %s", waited)
		}
		_, err = c.sdk.ChangeMessageVisibility(t.Context(), &sdk.ChangeMessageVisibilityInput{QueueUrl: &q.URL, ReceiptHandle: third.ReceiptHandle, VisibilityTimeout: 0})
		check(t, err)
		fourth := receive(t, c, q, 0)
		if fourth == nil {
			t.Fatal("not visible at once")
		}
		_, err = c.sdk.DeleteMessage(t.Context(), &sdk.DeleteMessageInput{QueueUrl: &q.URL, ReceiptHandle: fourth.ReceiptHandle})
		check(t, err)
		wantCounts(t, c, q, 0, 0, 0)
	})
}

func TestDelayAndLongPoll(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q", Delay: 5 * time.Second, ReceiveWait: 20 * time.Second})
		began := time.Now()
		send(t, c, q, "own", -1)
		send(t, c, q, "queue's", -2)
		wantCounts(t, c, q, 1, 0, 1)
		if m := receive(t, c, q, -1); m == nil || *m.Body != "own" {
			t.Fatalf("received %v", m)
		}
		// The long poll ends with the message, not with its time.
		m := receive(t, c, q, -1)
		if m == nil || *m.Body != "queue's" || time.Since(began) != 5*time.Second {
			t.Fatalf("received %v after %s", m, time.Since(began))
		}
		began = time.Now()
		if m := receive(t, c, q, -1); m != nil || time.Since(began) != 20*time.Second {
			t.Errorf("received %v after %s", m, time.Since(began))
		}
		_, err := c.sdk.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: &q.URL, MessageBody: aws.String("x"), DelaySeconds: 901})
		wantCode(t, err, "InvalidParameterValue")
	})
}

// A message that is sent while several wait goes to one of them.
func TestOneReceiverOfSeveral(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q"})
		results := make(chan int, 5)
		for range 5 {
			go func() {
				got, err := c.ReceiveBatch(context.Background(), q.ARN, 10, 20*time.Second)
				if err != nil {
					t.Error(err)
				}
				results <- len(got)
			}()
		}
		synctest.Wait()
		send(t, c, q, "a", -1)
		total := 0
		for range 5 {
			total += <-results
		}
		if total != 1 {
			t.Errorf("received %d times", total)
		}
	})
}

func TestWaitEnds(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q"})
		wait := func(ctx context.Context) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := c.ReceiveBatch(ctx, q.ARN, 1, time.Hour)
				done <- err
			}()
			synctest.Wait()
			return done
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := wait(ctx)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		done = wait(t.Context())
		check(t, c.DeleteQueue(q.URL))
		var gone *sqs.Error
		if err := <-done; !errors.As(err, &gone) || gone.Code != "QueueDoesNotExist" {
			t.Errorf("deleted: %v", err)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		dead := c.put(t, sqs.QueueSpec{Name: "dead"})
		q := c.put(t, sqs.QueueSpec{Name: "q", VisibilityTimeout: time.Second, MaxReceive: 3, DeadLetterARN: dead.ARN})
		id := send(t, c, q, "poison", -1)
		for i := range 3 {
			if receive(t, c, q, 5) == nil {
				t.Fatalf("receive %d: nothing", i)
			}
		}
		if m := receive(t, c, q, 5); m != nil {
			t.Fatalf("received a fourth time: %v", m)
		}
		m := receive(t, c, dead, 0)
		if m == nil || *m.MessageId != id || m.Attributes["DeadLetterQueueSourceArn"] != q.ARN || m.Attributes["SentTimestamp"] != "946684800000" {
			t.Errorf("dead letter %+v", m)
		}
	})
}

func TestRetention(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q", Retention: time.Hour})
		send(t, c, q, "a", -1)
		time.Sleep(time.Hour - time.Second)
		wantCounts(t, c, q, 1, 0, 0)
		time.Sleep(time.Second)
		if m := receive(t, c, q, 0); m != nil {
			t.Errorf("received %v", m)
		}
		wantCounts(t, c, q, 0, 0, 0)
	})
}

func TestBatches(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q"})
		entries := func(n int) (list []types.SendMessageBatchRequestEntry) {
			for i := range n {
				list = append(list, types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint("m", i)), MessageBody: aws.String(fmt.Sprint("body ", i))})
			}
			return list
		}
		sendAll := func(list []types.SendMessageBatchRequestEntry) (*sdk.SendMessageBatchOutput, error) {
			return c.sdk.SendMessageBatch(t.Context(), &sdk.SendMessageBatchInput{QueueUrl: &q.URL, Entries: list})
		}
		bad := entries(10)
		bad[4].DelaySeconds = 1000
		sent, err := sendAll(bad)
		check(t, err)
		if len(sent.Successful) != 9 || len(sent.Failed) != 1 || *sent.Failed[0].Id != "m4" || !sent.Failed[0].SenderFault {
			t.Errorf("sent %d, failed %+v", len(sent.Successful), sent.Failed)
		}
		for code, list := range map[string][]types.SendMessageBatchRequestEntry{
			"AWS.SimpleQueueService.EmptyBatchRequest":            {},
			"AWS.SimpleQueueService.TooManyEntriesInBatchRequest": entries(11),
			"AWS.SimpleQueueService.BatchEntryIdsNotDistinct":     append(entries(1), entries(1)...),
			"AWS.SimpleQueueService.InvalidBatchEntryId":          {{Id: aws.String("a b"), MessageBody: aws.String("x")}},
			"AWS.SimpleQueueService.BatchRequestTooLong": {
				{Id: aws.String("a"), MessageBody: aws.String(strings.Repeat("x", 1<<19))}, {Id: aws.String("b"), MessageBody: aws.String(strings.Repeat("x", 1<<19+1))},
			},
		} {
			_, err := sendAll(list)
			wantCode(t, err, code)
		}
		got, err := c.sdk.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: 10})
		check(t, err)
		if len(got.Messages) != 9 || *got.Messages[0].Body != "body 0" {
			t.Fatalf("received %d", len(got.Messages))
		}
		var show []types.ChangeMessageVisibilityBatchRequestEntry
		var del []types.DeleteMessageBatchRequestEntry
		for i, m := range got.Messages {
			if i < 2 {
				show = append(show, types.ChangeMessageVisibilityBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
			} else {
				del = append(del, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
			}
		}
		del[0].ReceiptHandle = aws.String("nonsense")
		shown, err := c.sdk.ChangeMessageVisibilityBatch(t.Context(), &sdk.ChangeMessageVisibilityBatchInput{QueueUrl: &q.URL, Entries: show})
		check(t, err)
		deleted, err := c.sdk.DeleteMessageBatch(t.Context(), &sdk.DeleteMessageBatchInput{QueueUrl: &q.URL, Entries: del})
		check(t, err)
		if len(shown.Successful) != 2 || len(deleted.Successful) != 6 || len(deleted.Failed) != 1 || *deleted.Failed[0].Code != "ReceiptHandleIsInvalid" {
			t.Errorf("shown %+v, deleted %+v", shown, deleted)
		}
		wantCounts(t, c, q, 2, 1, 0)
	})
}

func TestPurge(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q"})
		send(t, c, q, "a", -1)
		send(t, c, q, "b", -1)
		receive(t, c, q, 0)
		purge := func() error {
			_, err := c.sdk.PurgeQueue(t.Context(), &sdk.PurgeQueueInput{QueueUrl: &q.URL})
			return err
		}
		check(t, purge())
		wantCounts(t, c, q, 0, 0, 0)
		wantCode(t, purge(), "AWS.SimpleQueueService.PurgeQueueInProgress")
		time.Sleep(time.Minute)
		check(t, purge())
	})
}

func TestRefusedMessages(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		q := c.put(t, sqs.QueueSpec{Name: "q", MaxMessageSize: 1024})
		for body, code := range map[string]string{
			"": "MissingParameter", "a\x00b": "InvalidMessageContents", strings.Repeat("x", 1025): "InvalidParameterValue",
		} {
			_, err := c.sdk.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: &q.URL, MessageBody: &body})
			wantCode(t, err, code)
		}
		for _, a := range []types.MessageAttributeValue{
			{DataType: aws.String("Colour"), StringValue: aws.String("x")}, {DataType: aws.String("String")}, {DataType: aws.String("Number"), StringValue: aws.String("x")},
		} {
			_, err := c.sdk.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: &q.URL, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": a}})
			wantCode(t, err, "InvalidParameterValue")
		}
		_, err := c.sdk.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: &q.URL, MessageBody: aws.String("x"), MessageDeduplicationId: aws.String("x")})
		wantCode(t, err, "InvalidParameterValue")
		_, err = c.sdk.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: &q.URL, MaxNumberOfMessages: 11})
		wantCode(t, err, "InvalidParameterValue")
		_, err = c.sdk.DeleteMessage(t.Context(), &sdk.DeleteMessageInput{QueueUrl: &q.URL, ReceiptHandle: aws.String("x")})
		wantCode(t, err, "ReceiptHandleIsInvalid")
		_, err = c.sdk.TagQueue(t.Context(), &sdk.TagQueueInput{QueueUrl: &q.URL, Tags: map[string]string{"a": "b"}})
		wantCode(t, err, "UnknownOperationException")
		if err == nil || !strings.Contains(err.Error(), "TagQueue") {
			t.Errorf("%v does not name the operation", err)
		}
	})
}

// only allows one action.
type only string

func (o only) Authorize(ctx context.Context, action, resource string) error {
	if action == string(o) {
		return nil
	}
	caller, _ := account.CallerFrom(ctx)
	return &account.Denied{Caller: caller, Action: action, Resource: resource}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, account.AssumedRole("sender", "i"), only("sqs:SendMessage"))
		q := c.put(t, sqs.QueueSpec{Name: "q"})
		send(t, c, q, "a", -1)
		_, err := c.sdk.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: &q.URL})
		wantCode(t, err, "AccessDenied")
		for _, part := range []string{"assumed-role/sender/i", "sqs:ReceiveMessage", q.ARN} {
			if !strings.Contains(fmt.Sprint(err), part) {
				t.Errorf("%v does not name %s", err, part)
			}
		}
		var d *account.Denied
		if err := c.DeleteBatch(t.Context(), q.ARN, []string{"x"}); !errors.As(err, &d) {
			t.Errorf("in process: %v", err)
		}
	})
}
