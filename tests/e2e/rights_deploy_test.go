package e2e_test

import (
	"strings"
	"testing"

	"github.com/streamer-go/streamer/internal/devhost"
)

// Lambda looks at the role when a function or one of its sources is made:
// without one of these rights nothing is deployed.
func TestDeploymentNeedsRights(t *testing.T) {
	t.Parallel()
	for right, says := range map[string]string{
		"e2e-dispatcher dynamodb:DescribeStream":   "Cannot access stream",
		"e2e-dispatcher dynamodb:GetRecords":       "Cannot access stream",
		"e2e-dispatcher dynamodb:GetShardIterator": "Cannot access stream",
		"e2e-dispatcher dynamodb:ListStreams":      "Cannot access stream",
		"e2e-dispatcher sqs:ReceiveMessage":        "call ReceiveMessage on SQS",
		"e2e-dispatcher sqs:DeleteMessage":         "call DeleteMessage on SQS",
		"e2e-dispatcher sqs:GetQueueAttributes":    "call GetQueueAttributes on SQS",
		"e2e-dispatcher sqs:SendMessage e2e-dead":  "call SendMessage on SQS",
		"e2e-processor sqs:SendMessage":            "call SendMessage on arn:aws:sqs:",
		"e2e-router xray:PutTraceSegments":         "call PutTraceSegments on XRAY",
	} {
		t.Run(right, func(t *testing.T) {
			t.Parallel()
			s, err := stand(t.TempDir(), func(o *devhost.Options) { o.Config = map[string]string{"withhold": right} })
			if err == nil {
				_ = s.end()
				t.Fatal("it is deployed")
			}
			if action := strings.Fields(right)[1]; !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), action) {
				t.Errorf("error %v, want %q and %s", err, says, action)
			}
		})
	}
}

// Without the right to write its log, a function's lines are lost, and the
// platform says so.
func TestLogNeedsRights(t *testing.T) {
	t.Parallel()
	for _, right := range []string{"logs:CreateLogStream", "logs:PutLogEvents"} {
		t.Run(right, func(t *testing.T) {
			t.Parallel()
			s := own(t, func(o *devhost.Options) { o.Config = map[string]string{"withhold": "e2e-router " + right} })
			longSucceeds(t, s)
			if line := s.log.find("platform e2e-router", "AccessDeniedException", right, ":log-group:/aws/lambda/", ":assumed-role/e2e-router"); line == "" {
				t.Error("no problem is told")
			}
			if line := s.log.find("lambda e2e-router"); line != "" {
				t.Errorf("the router has logged %s", line)
			}
		})
	}
}
