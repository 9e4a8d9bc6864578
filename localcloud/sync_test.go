package localcloud_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud"
)

// frames reads a connection to its end: the channel is closed then, and why
// says what the end was.
func frames(c *websocket.Conn, why *error) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for {
			_, text, err := c.Read(context.Background())
			if err != nil {
				*why = err
				return
			}
			out <- string(text)
		}
	}()
	return out
}

// A connection lives to API Gateway's two hours, in virtual time.
func TestConnectionLivesTwoHours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pong := func(context.Context, localcloud.Instance, []byte) ([]byte, error) {
			return []byte(`{"statusCode":200,"body":"pong"}`), nil
		}
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"pong": pong}.start})
		_, url := api(t, cloud, function(t, cloud, "pong", ""))

		began := time.Now()
		c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: cloud.HTTPClient()})
		check(t, err)
		defer c.CloseNow()
		var end error
		received := frames(c, &end)
		// API Gateway closes what is idle for ten minutes.
		talk := time.NewTicker(9 * time.Minute)
		defer talk.Stop()
		answers := 0
		for open := true; open; {
			select {
			case <-talk.C:
				check(t, c.Write(t.Context(), websocket.MessageText, []byte("ping")))
			case text, ok := <-received:
				if open = ok; ok && text != "pong" {
					t.Fatalf("answer %q", text)
				}
				answers++
			}
		}
		if lived := time.Since(began); lived != 2*time.Hour {
			t.Errorf("the connection ended after %s: %v", lived, end)
		}
		if code := websocket.CloseStatus(end); code != websocket.StatusGoingAway {
			t.Errorf("close code %d: %v", code, end)
		}
		if answers--; answers != 13 { // the last one was the end
			t.Errorf("%d messages were answered", answers)
		}
		if got := cloud.Bill()["apigateway.messages"]; got != 26 {
			t.Errorf("billed %v messages, want 26", got)
		}
	})
}

// A connection on which nobody speaks is closed after ten minutes.
func TestIdleConnectionEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{}.start})
		_, url := api(t, cloud, function(t, cloud, "nobody", ""))
		began := time.Now()
		c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: cloud.HTTPClient()})
		check(t, err)
		defer c.CloseNow()
		_, _, err = c.Read(t.Context())
		if lived := time.Since(began); lived != 10*time.Minute || err == nil {
			t.Errorf("the connection ended after %s: %v", lived, err)
		}
	})
}

// An item with a life of one day is deleted, and the deletion reaches the
// function that reads the table's stream: with the rights of its role.
func TestItemExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deletions := make(chan []byte, 10)
		seen := func(_ context.Context, _ localcloud.Instance, payload []byte) ([]byte, error) {
			deletions <- payload
			return nil, nil
		}
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"reader": seen}.start})
		db := tables(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials())
		stream := createTable(t, db)
		fn := function(t, cloud, "reader", "*", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams")
		mapStream(t, cloud, fn.Name, stream, `{"eventName":["REMOVE"]}`)

		expires := time.Now().Add(24 * time.Hour)
		key := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "a"}}
		_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("items"), Item: map[string]types.AttributeValue{
			"pk": key["pk"], "ttl": &types.AttributeValueMemberN{Value: strconv.FormatInt(expires.Unix(), 10)},
		}})
		check(t, err)
		get := func() int {
			got, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("items"), Key: key})
			check(t, err)
			return len(got.Item)
		}
		time.Sleep(time.Until(expires) - time.Second)
		if get() != 2 {
			t.Error("the item is gone before its time")
		}
		select {
		case <-deletions:
		case <-time.After(time.Minute):
			t.Fatal("no deletion reached the function")
		}
		if get() != 0 {
			t.Error("the item is still there")
		}
	})
}

// What a role does not allow fails, and the error says who, what and on what.
func TestRoleIsEnforced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		results := make(chan error, 2)
		write := func(ctx context.Context, in localcloud.Instance, _ []byte) ([]byte, error) {
			db := tables(in.Env["AWS_ENDPOINT_URL"], in.HTTP, keysOf(in))
			item := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "a"}}
			_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("items"), Item: item})
			results <- err
			_, err = db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("items"), Key: item})
			results <- err
			return []byte(`{"statusCode":200}`), nil
		}
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"writer": write}.start})
		createTable(t, tables(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials()))
		_, url := api(t, cloud, function(t, cloud, "writer", "arn:aws:dynamodb:*:*:table/items", "dynamodb:PutItem"))
		c, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: cloud.HTTPClient()})
		check(t, err)
		defer c.CloseNow()
		check(t, c.Write(t.Context(), websocket.MessageText, []byte("go")))
		if err := <-results; err != nil {
			t.Errorf("what is allowed: %v", err)
		}
		assertDenied(t, <-results, "assumed-role/writer/", "dynamodb:DeleteItem", "table/items")
	})
}

// A queue's message comes to a function late, as asked, and again after a
// failure, and then to the dead-letter queue.
func TestQueueRetriesAndBuries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		fail := func(context.Context, localcloud.Instance, []byte) ([]byte, error) {
			at = append(at, time.Since(began))
			return nil, errors.New("not today")
		}
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"worker": fail}.start})
		main, dead := makeQueues(t, cloud, 2, 30*time.Second)
		fn := function(t, cloud, "worker", "*", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
		mapQueue(t, cloud, fn.Name, main.ARN)

		client := queues(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials())
		send(t, client, main.URL, "work", 600)
		body := receive(t, client, dead.URL, 15*time.Minute)
		if body != "work" {
			t.Errorf("dead letter %q", body)
		}
		if len(at) != 2 || at[0] < 600*time.Second || at[1]-at[0] < 30*time.Second {
			t.Errorf("tried at %v, want twice, after 10m0s and 30s later", at)
		}
	})
}
