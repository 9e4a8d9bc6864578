package sources_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource/sources"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// rights allows what is listed to the role "reader".
type rights map[string]bool

func (r rights) Authorize(ctx context.Context, action, resource string) error {
	c, _ := account.CallerFrom(ctx)
	if c.Root || c.Role == "reader" && r[action] {
		return nil
	}
	return &account.Denied{Caller: c, Action: action, Resource: resource}
}

// A stream and a queue reach one function through real services, and what
// fails reaches the failure queue, in virtual time.
func TestRealSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		auth := rights{}
		for _, a := range []string{"dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams",
			"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"} {
			auth[a] = true
		}
		tables, messages := dynamodb.New(dynamodb.Options{}), sqs.New(sqs.Options{Authorizer: auth})
		defer tables.Close()
		defer messages.Close()
		var mu sync.Mutex
		var streamed []events.DynamoDBEventRecord
		var received []events.SQSMessage
		launcher := lambda.NewFuncLauncher(func(lambda.Process) (func(context.Context, []byte) ([]byte, error), error) {
			return func(_ context.Context, payload []byte) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(string(payload), `"eventSource":"aws:sqs"`) {
					var ev events.SQSEvent
					err := json.Unmarshal(payload, &ev)
					received = append(received, ev.Records...)
					return nil, err
				}
				var ev events.DynamoDBEvent
				err := json.Unmarshal(payload, &ev)
				streamed = append(streamed, ev.Records...)
				if len(streamed) > 1 {
					return nil, errors.New("no")
				}
				return nil, err
			}, nil
		})
		functions := lambda.New(lambda.Options{
			Launcher: launcher, Authorizer: auth, Streams: sources.Streams(tables), Queues: sources.Queues(messages), Send: sources.Send(messages),
		})
		defer launcher.Wait()
		defer functions.Close()

		table, err := tables.CreateTable(dynamodb.TableSpec{Name: "Tab", Hash: "pk", HashType: "S", Stream: "NEW_IMAGE"})
		must(t, err)
		queue, err := messages.PutQueue(sqs.QueueSpec{Name: "wake"})
		must(t, err)
		_, err = functions.PutFunction(lambda.FunctionSpec{Name: "f", RoleName: "reader"})
		must(t, err)
		none := 0
		_, err = functions.PutMapping(lambda.MappingSpec{
			SourceARN: table.StreamARN, Function: "f", StartingPosition: "LATEST", Enabled: true, MaxRetries: &none, OnFailureARN: queue.ARN,
			Filters: []string{`{"dynamodb":{"NewImage":{"state":{"S":["PENDING"]}}}}`},
		})
		must(t, err)
		_, err = functions.PutMapping(lambda.MappingSpec{SourceARN: queue.ARN, Function: "f", Enabled: true})
		must(t, err)

		for _, state := range []string{"PENDING", "DONE", "PENDING"} {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"TableName":"Tab","Item":{"pk":{"S":"a"},"state":{"S":"`+state+`"}}}`))
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810.PutItem")
			w := httptest.NewRecorder()
			tables.ServeHTTP(w, r.WithContext(account.WithCaller(r.Context(), account.Root())))
			if w.Code != http.StatusOK {
				t.Fatalf("put item: %s", w.Body)
			}
			synctest.Wait()
		}
		pass(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(streamed) != 2 || streamed[0].Change.NewImage["state"].String() != "PENDING" || streamed[0].EventSourceArn != table.StreamARN || streamed[0].EventSource != "aws:dynamodb" {
			t.Fatalf("streamed %+v", streamed)
		}
		if len(received) != 1 || received[0].Attributes["ApproximateReceiveCount"] != "1" || received[0].Md5OfBody == "" || received[0].EventSourceARN != queue.ARN {
			t.Fatalf("received %+v; mappings %+v", received, functions.Mappings())
		}
		var record struct {
			Batch struct{ StreamArn, StartSequenceNumber string } `json:"DDBStreamBatchInfo"`
		}
		must(t, json.Unmarshal([]byte(received[0].Body), &record))
		if record.Batch.StreamArn != table.StreamARN || record.Batch.StartSequenceNumber != streamed[1].Change.SequenceNumber {
			t.Fatalf("failure record %s", received[0].Body)
		}
		// The message was deleted: after the visibility timeout it is not back.
		left, err := messages.ReceiveBatch(account.WithCaller(t.Context(), account.Root()), queue.ARN, 10, time.Minute)
		if err != nil || len(left) != 0 {
			t.Fatalf("left in the queue: %+v %v", left, err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pass lets virtual time pass and everything in it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
