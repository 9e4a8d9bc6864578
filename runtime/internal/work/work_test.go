package work_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/streamer-go/streamer/runtime/internal/work"
)

// service records the last request and answers it.
type service struct {
	status int
	answer string
	calls  int
	got    *http.Request
	body   string
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls++
	s.got = r
	raw, err := io.ReadAll(r.Body)
	s.body = string(raw)
	return &http.Response{
		StatusCode: s.status, Request: r, Body: io.NopCloser(strings.NewReader(s.answer)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
	}, err
}

func queue(s *service) *work.Queue {
	return work.NewQueue(sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("https://sqs.example"), HTTPClient: &http.Client{Transport: s},
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1, DisableMessageChecksumValidation: true,
	}), "https://sqs.example/0/wake")
}

func processor(s *service) *work.Processor {
	return work.NewProcessor(lambda.New(lambda.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("https://lambda.example"), HTTPClient: &http.Client{Transport: s},
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1,
	}), "fn")
}

func TestWakeDelays(t *testing.T) {
	t.Parallel()
	for delay, want := range map[time.Duration]int{-time.Second: 0, 0: 0, time.Millisecond: 1, 10 * time.Second: 10, 10*time.Second + 1: 11, 900 * time.Second: 900} {
		s := &service{status: 200, answer: `{"MessageId":"m"}`}
		if err := queue(s).Wake(t.Context(), work.Hint{Key: "-/u/r", Epoch: 7}, delay); err != nil {
			t.Fatal(err)
		}
		var in struct {
			QueueURL string `json:"QueueUrl"`
			Body     string `json:"MessageBody"`
			Delay    int    `json:"DelaySeconds"`
		}
		if err := json.Unmarshal([]byte(s.body), &in); err != nil || in.Delay != want || in.QueueURL != "https://sqs.example/0/wake" || in.Body != `{"key":"-/u/r","epoch":7}` {
			t.Errorf("%v: %s %v", delay, s.body, err)
		}
	}
}

func TestWakeLeavesLongWaitsToTheSweep(t *testing.T) {
	t.Parallel()
	s := &service{status: 200}
	if err := queue(s).Wake(t.Context(), work.Hint{Key: "k"}, work.MaxDelay+1); err != nil || s.calls != 0 {
		t.Errorf("%v, %d calls", err, s.calls)
	}
}

func TestStartIsAsynchronous(t *testing.T) {
	t.Parallel()
	s := &service{status: 202}
	if err := processor(s).Start(t.Context(), work.Hint{Key: "k", Epoch: 2, Push: true}); err != nil {
		t.Fatal(err)
	}
	if s.got.URL.Path != "/2015-03-31/functions/fn/invocations" || s.got.Header.Get("X-Amz-Invocation-Type") != "Event" || s.body != `{"key":"k","epoch":2,"push":true}` {
		t.Errorf("%s %v %s", s.got.URL, s.got.Header, s.body)
	}
}

func TestErrorsNameTheRequest(t *testing.T) {
	t.Parallel()
	s := &service{status: 400, answer: `{}`}
	if err := queue(s).Wake(t.Context(), work.Hint{Key: "-/u/r"}, 0); err == nil || !strings.HasPrefix(err.Error(), "wake -/u/r: ") {
		t.Errorf("%v", err)
	}
	if err := processor(s).Start(t.Context(), work.Hint{Key: "-/u/r"}); err == nil || !strings.HasPrefix(err.Error(), "start -/u/r: ") {
		t.Errorf("%v", err)
	}
}
