package sqs_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

func TestCreateQueue(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		create := func(name string, attributes map[string]string) (string, error) {
			out, err := c.sdk.CreateQueue(t.Context(), &sdk.CreateQueueInput{QueueName: &name, Attributes: attributes})
			if err != nil {
				return "", err
			}
			return *out.QueueUrl, nil
		}
		_, err := create("a-dead", nil)
		check(t, err)
		redrive := `{"deadLetterTargetArn":"` + sqs.QueueARN("a-dead") + `","maxReceiveCount":"4"}`
		url, err := create("a", map[string]string{"VisibilityTimeout": "0", "RedrivePolicy": redrive})
		check(t, err)
		again, err := create("a", map[string]string{"VisibilityTimeout": "0"})
		if err != nil || again != url {
			t.Errorf("created again: %s, %v", again, err)
		}
		_, err = create("a", map[string]string{"VisibilityTimeout": "1"})
		wantCode(t, err, "QueueAlreadyExists")
		for name, attributes := range map[string]map[string]string{
			"fifo.fifo": {"FifoQueue": "true"}, "plain": {"FifoQueue": "true"}, "only.fifo": nil,
		} {
			_, err = create(name, attributes)
			wantCode(t, err, "AWS.SimpleQueueService.UnsupportedOperation")
		}
		for attribute, value := range map[string]string{"VisibilityTimeout": "43201", "DelaySeconds": "901", "MessageRetentionPeriod": "59", "MaximumMessageSize": "1", "ReceiveMessageWaitTimeSeconds": "21", "RedrivePolicy": "{}"} {
			_, err = create("bad", map[string]string{attribute: value})
			wantCode(t, err, "InvalidAttributeValue")
		}
		_, err = create("bad", map[string]string{"Colour": "red"})
		wantCode(t, err, "InvalidAttributeName")
		_, err = create("bad name", nil)
		wantCode(t, err, "InvalidParameterValue")
	})
}

func TestQueuesAreFoundAndChanged(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		deadInfo := c.put(t, sqs.QueueSpec{Name: "a-dead"})
		dead, url := deadInfo.URL, c.put(t, sqs.QueueSpec{Name: "a", NoVisibility: true, MaxReceive: 4, DeadLetterARN: deadInfo.ARN}).URL
		got, err := c.sdk.GetQueueUrl(t.Context(), &sdk.GetQueueUrlInput{QueueName: aws.String("a")})
		check(t, err)
		if *got.QueueUrl != url || !strings.HasSuffix(url, "/"+account.ID+"/a") {
			t.Errorf("url %s, %s", *got.QueueUrl, url)
		}
		_, err = c.sdk.GetQueueUrl(t.Context(), &sdk.GetQueueUrlInput{QueueName: aws.String("a"), QueueOwnerAWSAccountId: aws.String("111111111111")})
		wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue")
		_, err = c.sdk.GetQueueUrl(t.Context(), &sdk.GetQueueUrlInput{QueueName: aws.String("b")})
		var typed *types.QueueDoesNotExist
		if !errors.As(err, &typed) {
			t.Errorf("error %v", err)
		}
		wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue")

		_, err = c.sdk.SetQueueAttributes(t.Context(), &sdk.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"VisibilityTimeout": "60", "RedrivePolicy": ""}})
		check(t, err)
		all, err := c.sdk.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
		check(t, err)
		if all.Attributes["VisibilityTimeout"] != "60" || all.Attributes["RedrivePolicy"] != "" || all.Attributes["QueueArn"] != sqs.QueueARN("a") {
			t.Errorf("attributes %v", all.Attributes)
		}
		some, err := c.sdk.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
		check(t, err)
		if len(some.Attributes) != 1 {
			t.Errorf("attributes %v", some.Attributes)
		}
		list, err := c.sdk.ListQueues(t.Context(), &sdk.ListQueuesInput{MaxResults: aws.Int32(1)})
		check(t, err)
		rest, err := c.sdk.ListQueues(t.Context(), &sdk.ListQueuesInput{NextToken: list.NextToken, MaxResults: aws.Int32(5)})
		check(t, err)
		if urls := append(list.QueueUrls, rest.QueueUrls...); !slices.Equal(urls, []string{url, dead}) || rest.NextToken != nil {
			t.Errorf("queues %v", urls)
		}
		_, err = c.sdk.DeleteQueue(t.Context(), &sdk.DeleteQueueInput{QueueUrl: &url})
		check(t, err)
		_, err = c.sdk.DeleteQueue(t.Context(), &sdk.DeleteQueueInput{QueueUrl: &url})
		wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue")
	})
}

// What is set as a document is answered as it was set; what is none is refused.
func TestQueueDocuments(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		dead := c.put(t, sqs.QueueSpec{Name: "dead"})
		q := c.put(t, sqs.QueueSpec{Name: "q"})
		set := func(name, value string) error {
			_, err := c.sdk.SetQueueAttributes(t.Context(), &sdk.SetQueueAttributesInput{QueueUrl: &q.URL, Attributes: map[string]string{name: value}})
			return err
		}
		documents := map[string]string{
			"Policy":             `{"Version":"2012-10-17","Statement":[]}`,
			"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`,
			"RedrivePolicy":      `{"deadLetterTargetArn":"` + dead.ARN + `","maxReceiveCount":7}`,
			"MaximumMessageSize": "2048", "SqsManagedSseEnabled": "true",
		}
		for name, value := range documents {
			check(t, set(name, value))
		}
		got, err := c.sdk.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []types.QueueAttributeName{"All"}})
		check(t, err)
		for name, value := range documents {
			if got.Attributes[name] != value {
				t.Errorf("%s is %s, want %s", name, got.Attributes[name], value)
			}
		}
		for name, value := range map[string]string{
			"Policy": "{", "RedriveAllowPolicy": "no", "RedrivePolicy": "{", "MaximumMessageSize": "much", "DelaySeconds": "soon",
		} {
			wantCode(t, set(name, value), "InvalidAttributeValue")
		}
		gone := `{"deadLetterTargetArn":"` + sqs.QueueARN("none") + `","maxReceiveCount":7}`
		if err := set("RedrivePolicy", gone); err == nil {
			t.Error("a dead-letter queue that is not there is accepted")
		}
		_, err = c.sdk.ListQueues(t.Context(), &sdk.ListQueuesInput{MaxResults: aws.Int32(1001)})
		wantCode(t, err, "InvalidParameterValue")
		for _, name := range []string{"Policy", "RedrivePolicy"} {
			check(t, set(name, ""))
		}
		got, err = c.sdk.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{QueueUrl: &q.URL, AttributeNames: []types.QueueAttributeName{"All"}})
		check(t, err)
		if got.Attributes["Policy"] != "" || got.Attributes["RedrivePolicy"] != "" || got.Attributes["RedriveAllowPolicy"] == "" {
			t.Errorf("taken away, it says %v", got.Attributes)
		}
	})
}

// What is no call of the JSON protocol is answered by name, and nothing is done.
func TestWhatIsNoCall(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.put(t, sqs.QueueSpec{Name: "q"})
		for name, tt := range map[string]struct{ target, body, want string }{
			"query protocol": {"", "Action=ListQueues", "UnknownOperationException"},
			"other service":  {"DynamoDB_20120810.ListTables", "{}", "UnknownOperationException"},
			"no JSON":        {"AmazonSQS.DeleteQueue", "{", "SerializationException"},
			"wrong type":     {"AmazonSQS.ListQueues", `{"MaxResults":"many"}`, "SerializationException"},
			"no queue":       {"AmazonSQS.PurgeQueue", "{}", "MissingParameter"},
			"no name":        {"AmazonSQS.CreateQueue", "{}", "MissingParameter"},
			"no handle":      {"AmazonSQS.DeleteMessage", `{"QueueUrl":"q"}`, "MissingParameter"},
		} {
			r := httptest.NewRequestWithContext(account.WithCaller(t.Context(), account.Root()), http.MethodPost, "/", strings.NewReader(tt.body))
			r.Header.Set("X-Amz-Target", tt.target)
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "#"+tt.want) || w.Header().Get("X-Amzn-Query-Error") == "" {
				t.Errorf("%s: %d %s, want %s", name, w.Code, w.Body, tt.want)
			}
		}
		if len(c.Queues()) != 1 {
			t.Errorf("queues %v", c.Queues())
		}
	})
}
