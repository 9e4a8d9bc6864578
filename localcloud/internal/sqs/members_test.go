package sqs_test

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/streamer-go/streamer/localcloud/internal/sqs"
	"github.com/streamer-go/streamer/localcloud/internal/strictjson/strictjsontest"
)

// TestEveryMemberIsKnownOrRefused goes through what the SDK can send: what is
// not in the list is understood, what is in it is refused by its name.
func TestEveryMemberIsKnownOrRefused(t *testing.T) {
	t.Parallel()
	// The first is for FIFO queues; SQS itself has no use for the others yet.
	refused := []string{
		"ReceiveMessage ReceiveRequestAttemptId",
		"SendMessage MessageAttributes.BinaryListValues",
		"SendMessage MessageAttributes.StringListValues",
		"SendMessage MessageSystemAttributes.BinaryListValues",
		"SendMessage MessageSystemAttributes.StringListValues",
		"SendMessageBatch Entries.MessageAttributes.BinaryListValues",
		"SendMessageBatch Entries.MessageAttributes.StringListValues",
		"SendMessageBatch Entries.MessageSystemAttributes.BinaryListValues",
		"SendMessageBatch Entries.MessageSystemAttributes.StringListValues",
	}
	s := sqs.New(sqs.Options{})
	defer s.Close()
	call := func(operation, body string) string {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Body.String()
	}
	var got []string
	for operation, in := range map[string]any{
		"SendMessage": sdk.SendMessageInput{}, "SendMessageBatch": sdk.SendMessageBatchInput{}, "ReceiveMessage": sdk.ReceiveMessageInput{},
		"DeleteMessage": sdk.DeleteMessageInput{}, "DeleteMessageBatch": sdk.DeleteMessageBatchInput{},
		"ChangeMessageVisibility": sdk.ChangeMessageVisibilityInput{}, "ChangeMessageVisibilityBatch": sdk.ChangeMessageVisibilityBatchInput{},
		"CreateQueue": sdk.CreateQueueInput{}, "DeleteQueue": sdk.DeleteQueueInput{}, "PurgeQueue": sdk.PurgeQueueInput{}, "GetQueueUrl": sdk.GetQueueUrlInput{},
		"ListQueues": sdk.ListQueuesInput{}, "GetQueueAttributes": sdk.GetQueueAttributesInput{}, "SetQueueAttributes": sdk.SetQueueAttributesInput{},
	} {
		for path, body := range strictjsontest.Members(reflect.TypeOf(in)) {
			data, err := json.Marshal(body)
			check(t, err)
			name := path[strings.LastIndex(path, ".")+1:]
			answer := call(operation, string(data))
			if strings.Contains(answer, "UnknownOperation") {
				t.Errorf("%s: %s", operation, answer)
			}
			if strings.Contains(answer, "The member "+name+" is not supported by the local cloud") {
				got = append(got, operation+" "+path)
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, refused) {
		t.Errorf("refused are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(refused, "\n"))
	}
	if answer := call("SendMessage", `{"QueueUrl":"q","Priority":1}`); !strings.Contains(answer, "The member Priority is not supported by the local cloud") {
		t.Errorf("a member that does not exist: %s", answer)
	}
}
