package dynamo_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/dynamo"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// answers is a transport that gives one answer after the other, the last again
// and again.
type answers struct {
	of    []string // error types; "" is an empty success
	calls int
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := a.of[min(a.calls, len(a.of)-1)]
	a.calls++
	status, body := http.StatusOK, `{}`
	if kind != "" {
		status, body = http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#`+kind+`","message":"m"}`
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Request: r,
		Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
	}, nil
}

func TestConflictWithATransactionIsRepeated(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		of      []string
		calls   int
		ok      bool
		refused bool
	}{
		{"a conflict that passes", []string{"TransactionConflictException", "TransactionConflictException", ""}, 3, true, false},
		{"one that stays", []string{"TransactionConflictException"}, 3, false, false},
		{"no right", []string{"AccessDeniedException", ""}, 1, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // the pauses between are not waited for
				tr := &answers{of: tt.of}
				db := dynamodb.New(dynamodb.Options{
					Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
					BaseEndpoint: aws.String("http://db"), HTTPClient: &http.Client{Transport: tr},
				}, dynamo.RetryConflicts)
				_, err := dynamo.New(db, dynamo.Tables{Requests: "r"}).Do(t.Context(), request.Beat, "k", request.Attrs{
					request.PEpoch: int64(1), c.AttrBeat: int64(1), c.AttrLease: int64(1),
				})
				if tr.calls != tt.calls || (err == nil) != tt.ok || errors.Is(err, request.ErrRefused) != tt.refused {
					t.Errorf("%d calls, %v", tr.calls, err)
				}
			})
		})
	}
}
