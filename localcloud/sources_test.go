package localcloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queuetypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// received are the records that a function has got of a stream and a queue. It
// fails with the second of the stream.
type received struct {
	mu       sync.Mutex
	streamed []events.DynamoDBEventRecord
	messages []events.SQSMessage
}

func (r *received) handle(_ context.Context, _ localcloud.Instance, payload []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(string(payload), `"eventSource":"aws:sqs"`) {
		var ev events.SQSEvent
		err := json.Unmarshal(payload, &ev)
		r.messages = append(r.messages, ev.Records...)
		return nil, err
	}
	var ev events.DynamoDBEvent
	if err := json.Unmarshal(payload, &ev); err != nil {
		return nil, err
	}
	if r.streamed = append(r.streamed, ev.Records...); len(r.streamed) == 2 {
		return nil, errors.New("no")
	}
	return nil, nil
}

// A stream and a queue reach one function, and what fails of the stream reaches
// the queue.
func TestStreamAndQueueReachAFunction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &received{}
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"f": r.handle}.start})
		db := tables(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials())
		stream := createTable(t, db)
		queue, _ := makeQueues(t, cloud, 5, time.Minute)
		fn := function(t, cloud, "f", "*", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams",
			"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage")
		_, err := cloud.Services().Functions.PutMapping(lambda.MappingSpec{
			SourceARN: stream, Function: fn.Name, StartingPosition: "LATEST", Enabled: true, MaxRetries: aws.Int(0), OnFailureARN: queue.ARN,
			Filters: []string{`{"dynamodb":{"NewImage":{"state":{"S":["PENDING"]}}}}`},
		})
		check(t, err)
		mapQueue(t, cloud, fn.Name, queue.ARN)

		for _, state := range []string{"PENDING", "DONE", "PENDING"} {
			_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("items"), Item: map[string]types.AttributeValue{
				"pk": &types.AttributeValueMemberS{Value: "a"}, "state": &types.AttributeValueMemberS{Value: state},
			}})
			check(t, err)
			synctest.Wait()
		}
		client := queues(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials())
		_, err = client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue.URL, MessageBody: aws.String("hello"), MessageAttributes: map[string]queuetypes.MessageAttributeValue{
			"text": {DataType: aws.String("String"), StringValue: aws.String("v")}, "bytes": {DataType: aws.String("Binary"), BinaryValue: []byte{1}},
		}})
		check(t, err)
		time.Sleep(time.Minute)
		synctest.Wait()

		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.streamed) != 2 || r.streamed[0].Change.NewImage["state"].String() != "PENDING" || r.streamed[0].EventSourceArn != stream || r.streamed[0].EventSource != "aws:dynamodb" {
			t.Fatalf("streamed %+v", r.streamed)
		}
		if len(r.messages) != 2 {
			t.Fatalf("received %+v; mappings %+v", r.messages, cloud.Services().Functions.Mappings())
		}
		failed, sent := r.messages[0], r.messages[1]
		var record struct {
			Batch struct{ StreamArn, StartSequenceNumber string } `json:"DDBStreamBatchInfo"`
		}
		check(t, json.Unmarshal([]byte(failed.Body), &record))
		if record.Batch.StreamArn != stream || record.Batch.StartSequenceNumber != r.streamed[1].Change.SequenceNumber {
			t.Errorf("failure record %s", failed.Body)
		}
		text, bytes := sent.MessageAttributes["text"], sent.MessageAttributes["bytes"]
		if sent.Body != "hello" || sent.Attributes["ApproximateReceiveCount"] != "1" || sent.Md5OfBody == "" || sent.Md5OfMessageAttributes == "" || sent.EventSourceARN != queue.ARN ||
			aws.ToString(text.StringValue) != "v" || text.DataType != "String" || string(bytes.BinaryValue) != "\x01" || bytes.StringValue != nil {
			t.Errorf("received %+v", sent)
		}
		// The messages were deleted: after the visibility timeout they are not back.
		if info, _ := cloud.Services().Queues.Queue(queue.ARN); info.Visible+info.InFlight+info.Delayed != 0 {
			t.Errorf("left in the queue: %+v", info)
		}
	})
}

// What goes wrong around a function is told apart from what it logs.
func TestProblemsAreThePlatforms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		lines := map[string][]string{}
		cloud := start(t, localcloud.Config{
			InMemory: true, Limits: localcloud.Limits{AsyncRetries: []time.Duration{}},
			Funcs: handlers{
				"mute": func(_ context.Context, in localcloud.Instance, _ []byte) ([]byte, error) {
					in.Log("unheard")
					return nil, nil
				},
				"reader": func(_ context.Context, in localcloud.Instance, _ []byte) ([]byte, error) {
					return nil, errors.New("no")
				},
			}.start,
			Log: func(l localcloud.Line) {
				mu.Lock()
				defer mu.Unlock()
				lines[l.Source+" "+l.Name] = append(lines[l.Source+" "+l.Name], l.Text)
			},
		})
		s := cloud.Services()
		queue, dead := makeQueues(t, cloud, 5, time.Minute)
		function(t, cloud, "mute", "*")
		fn := function(t, cloud, "reader", "*", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage")
		mapQueue(t, cloud, fn.Name, queue.ARN)
		check(t, s.Functions.PutAsyncConfig(fn.Name, lambda.AsyncSpec{OnFailureARN: dead.ARN}))

		root := account.WithCaller(t.Context(), account.Root())
		_, err := s.Functions.Invoke(root, "mute", nil, lambda.InvokeOptions{})
		check(t, err)
		mu.Lock()
		heard := len(lines["lambda mute"])
		mu.Unlock()
		check(t, s.Roles.DetachManaged("mute", mayLog))
		check(t, s.Roles.DeletePolicy("reader", "calls"))
		for _, name := range []string{"mute", "mute", "reader"} {
			_, err := s.Functions.Invoke(root, name, nil, lambda.InvokeOptions{Async: true})
			check(t, err)
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		synctest.Wait()

		mu.Lock()
		defer mu.Unlock()
		if n := len(lines["lambda mute"]); heard == 0 || n != heard {
			t.Errorf("a function has logged %d lines while it may, and %d when it may not", heard, n-heard)
		}
		if len(lines["lambda reader"]) == 0 {
			t.Error("a function that may log has not logged")
		}
		for source, want := range map[string][]string{
			"platform mute":   {"AccessDeniedException", "logs:CreateLogStream", "log-group:/aws/lambda/mute:", "assumed-role/mute/"},
			"platform reader": {"sqs:ReceiveMessage", "sqs:SendMessage"},
		} {
			all := strings.Join(lines[source], "\n")
			for _, part := range want {
				if !strings.Contains(all, part) {
					t.Errorf("%s: %q does not name %s", source, all, part)
				}
			}
		}
		if n := len(lines["platform mute"]); n != 1 {
			t.Errorf("the lost log is told %d times", n)
		}
	})
}
