package eventsource_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

func TestStreamBatches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, ok)
		defer w.Close()
		for range 5 {
			w.stream.put("a", "INSERT", `{}`)
		}
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.BatchSize = 2 }))
		synctest.Wait()
		want(t, w.seen(), "0 001,002", "0 003,004", "0 005")
		if info, _ := w.Mapping("m"); info.LastResult != "OK" || info.State != "Enabled" {
			t.Fatalf("%+v", info)
		}
	})
}

func TestStreamWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, ok)
		defer w.Close()
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.BatchSize, s.Window = 3, 10*time.Second }))
		w.stream.put("a", "INSERT", `{}`)
		pass(4 * time.Second)
		w.stream.put("a", "INSERT", `{}`)
		pass(8 * time.Second) // the window is over at 10 s
		for range 3 {         // full at once
			w.stream.put("a", "INSERT", `{}`)
		}
		synctest.Wait()
		want(t, w.seen(), "10 001,002", "12 003,004,005")
	})
}

func TestStreamFilters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, ok)
		defer w.Close()
		w.put(t, streamSpec(func(s *eventsource.Spec) {
			s.Filters = []string{`{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"state":{"S":["PENDING"]},"start":{"N":[{"exists":true}]}}}}`}
		}))
		w.stream.put("a", "INSERT", `{"state":{"S":"PENDING"},"start":{"N":"0"}}`)
		w.stream.put("a", "MODIFY", `{"state":{"S":"PROCESSING"},"start":{"N":"0"}}`)
		w.stream.put("a", "MODIFY", `{"state":{"S":"PENDING"}}`)
		w.stream.put("a", "REMOVE", `{"state":{"S":"PENDING"},"start":{"N":"0"}}`)
		w.stream.put("a", "MODIFY", `{"state":{"S":"PENDING"},"start":{"N":"7"}}`)
		synctest.Wait()
		if got := strings.Join(w.seen(), ";"); strings.ReplaceAll(got, ";0 ", ",") != "0 001,005" {
			t.Fatalf("invoked %q", got)
		}
	})
}

func TestStreamBlocksUntilRetriesAreSpent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, func(in invocation) (eventsource.Result, error) {
			if in.seqs[0] == "001" {
				return failed()
			}
			return ok(in)
		})
		defer w.Close()
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.BatchSize, s.MaxRetries, s.OnFailureARN = 1, number(2), queueARN }))
		w.stream.put("a", "INSERT", `{}`)
		w.stream.put("b", "INSERT", `{}`)
		pass(time.Minute)
		want(t, w.seen(), "0 001", "1 001", "3 001", "3 002")
		created := w.start.UTC().Format(time.RFC3339)
		got := w.sent
		if len(got) != 1 {
			t.Fatalf("sent %q", got)
		}
		wantBody := `{"requestContext":{"requestId":"r","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f","condition":"RetryAttemptsExhausted","approximateInvokeCount":3},` +
			`"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"version":"1.0","timestamp":"` + w.start.Add(3*time.Second).UTC().Format("2006-01-02T15:04:05.000Z") + `",` +
			`"DDBStreamBatchInfo":{"shardId":"shardId-00000000000000000000-00000000","startSequenceNumber":"001","endSequenceNumber":"001","approximateArrivalOfFirstRecord":"` + created + `","approximateArrivalOfLastRecord":"` + created + `","batchSize":1,"streamArn":"` + streamARN + `"}}`
		if got[0] != wantBody {
			t.Fatalf("sent\n%s, want\n%s", got[0], wantBody)
		}
	})
}

func TestStreamThrottlesAreNoAttempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, func(in invocation) (eventsource.Result, error) {
			if in.n <= 3 {
				return eventsource.Result{}, errors.New("Rate Exceeded.")
			}
			return ok(in)
		})
		defer w.Close()
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.MaxRetries = number(0) }))
		w.stream.put("a", "INSERT", `{}`)
		pass(time.Minute)
		want(t, w.seen(), "0 001", "1 001", "3 001", "7 001")
	})
}

func TestStreamBisect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, func(in invocation) (eventsource.Result, error) {
			if slices.Contains(in.seqs, "003") {
				return failed()
			}
			return ok(in)
		})
		defer w.Close()
		for range 4 {
			w.stream.put("a", "INSERT", `{}`)
		}
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.Bisect, s.MaxRetries, s.OnFailureARN = true, number(1), queueARN }))
		pass(time.Minute)
		want(t, w.seen(), "0 001,002,003,004", "0 001,002", "0 003,004", "0 003", "1 003", "1 004")
		if len(w.sent) != 1 || !strings.Contains(w.sent[0], `"startSequenceNumber":"003","endSequenceNumber":"003"`) || !strings.Contains(w.sent[0], `"approximateInvokeCount":2`) {
			t.Fatalf("sent %q", w.sent)
		}
	})
}

func TestStreamItemFailures(t *testing.T) {
	for _, tc := range []struct {
		name, response string
		want           []string
	}{
		{"null", `null`, []string{"0 001,002,003"}},
		{"empty object", `{}`, []string{"0 001,002,003"}},
		{"nothing", ``, []string{"0 001,002,003"}},
		{"null list", `{"batchItemFailures":null}`, []string{"0 001,002,003"}},
		{"empty list", `{"batchItemFailures":[]}`, []string{"0 001,002,003"}},
		{"a string", `"done"`, []string{"0 001,002,003"}},
		{"lowest counts", `{"batchItemFailures":[{"itemIdentifier":"003"},{"itemIdentifier":"002"}]}`, []string{"0 001,002,003", "1 002,003"}},
		{"empty identifier", `{"batchItemFailures":[{"itemIdentifier":""}]}`, []string{"0 001,002,003", "1 001,002,003"}},
		{"null identifier", `{"batchItemFailures":[{"itemIdentifier":null}]}`, []string{"0 001,002,003", "1 001,002,003"}},
		{"wrong key", `{"batchItemFailures":[{"id":"002"}]}`, []string{"0 001,002,003", "1 001,002,003"}},
		{"unknown", `{"batchItemFailures":[{"itemIdentifier":"009"}]}`, []string{"0 001,002,003", "1 001,002,003"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(nil, func(in invocation) (eventsource.Result, error) {
					if in.n == 1 {
						return eventsource.Result{RequestID: "r", Payload: []byte(tc.response)}, nil
					}
					return ok(in)
				})
				defer w.Close()
				for range 3 {
					w.stream.put("a", "INSERT", `{}`)
				}
				w.put(t, streamSpec(func(s *eventsource.Spec) { s.ReportItemFailures = true }))
				pass(time.Minute)
				want(t, w.seen(), tc.want...)
				// Of what failed the function knows, but not that it named none of it.
				if told := len(w.logs) > 0; told != (len(tc.want) > 1 && tc.name != "lowest counts") {
					t.Errorf("problems %q", w.logs)
				}
			})
		})
	}
}

func TestStreamItemFailuresGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, func(invocation) (eventsource.Result, error) {
			return eventsource.Result{RequestID: "r", Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"002"}]}`)}, nil
		})
		defer w.Close()
		for range 3 {
			w.stream.put("a", "INSERT", `{}`)
		}
		w.put(t, streamSpec(func(s *eventsource.Spec) {
			s.ReportItemFailures, s.MaxRetries, s.OnFailureARN = true, number(1), queueARN
		}))
		pass(time.Minute)
		want(t, w.seen(), "0 001,002,003", "1 002,003")
		if len(w.sent) != 1 || !strings.Contains(w.sent[0], `"functionError":null`) || !strings.Contains(w.sent[0], `"batchSize":2`) {
			t.Fatalf("sent %q", w.sent)
		}
		if len(w.logs) != 1 || !strings.Contains(w.logs[0], "gave up 002 to 003: RetryAttemptsExhausted") {
			t.Fatalf("problems %q", w.logs)
		}
	})
}

func TestStreamMaxAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(nil, func(invocation) (eventsource.Result, error) { return failed() })
		defer w.Close()
		w.put(t, streamSpec(func(s *eventsource.Spec) { s.MaxAge, s.OnFailureARN = time.Minute, queueARN }))
		w.stream.put("a", "INSERT", `{}`)
		pass(10 * time.Minute)
		if len(w.sent) != 1 || !strings.Contains(w.sent[0], `"condition":"RecordAgeExceeded"`) {
			t.Fatalf("sent %q after %q", w.sent, w.seen())
		}
	})
}
