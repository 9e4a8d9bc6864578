package push_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"

	"github.com/streamer-go/streamer/runtime/internal/push"
)

// gateway answers like @connections.
type gateway func(r *http.Request) (status int, kind string)

func (g gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	status, kind := g(r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Request: r, Header: http.Header{"X-Amzn-Errortype": {kind}, "Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{}`)),
	}, nil
}

func pusher(g gateway) *push.Pusher {
	return push.New(api.New(api.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("https://x.example/prod"), HTTPClient: &http.Client{Transport: g},
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1,
	}))
}

func TestPush(t *testing.T) {
	t.Parallel()
	var method, path, body string
	p := pusher(func(r *http.Request) (int, string) {
		method, path = r.Method, r.URL.EscapedPath()
		if r.Body != nil {
			raw, _ := io.ReadAll(r.Body)
			body = string(raw)
		}
		return 200, ""
	})
	if err := p.Push(t.Context(), "c1=", []byte(`{"a":1}`)); err != nil || method != "POST" || body != `{"a":1}` || path != "/prod/@connections/c1%3D" && path != "/prod/%40connections/c1%3D" {
		t.Errorf("%v: %s %s %s", err, method, path, body)
	}
	if err := p.Close(t.Context(), "c1="); err != nil || method != "DELETE" {
		t.Errorf("%v: %s", err, method)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		kind   string
		want   error // nil: neither gone nor busy
		closed bool  // Close takes it for done
	}{
		{410, "GoneException", push.ErrGone, true},
		{429, "LimitExceededException", push.ErrBusy, false},
		{403, "ForbiddenException", nil, false},
		{500, "InternalServerError", nil, false},
	}
	for _, tt := range tests {
		p := pusher(func(*http.Request) (int, string) { return tt.status, tt.kind })
		err := p.Push(t.Context(), "c1", []byte("{}"))
		if tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && (err == nil || errors.Is(err, push.ErrGone) || errors.Is(err, push.ErrBusy)) {
			t.Errorf("%d: %v, want %v", tt.status, err, tt.want)
		}
		if err := p.Close(t.Context(), "c1"); (err == nil) != tt.closed {
			t.Errorf("%d: close: %v", tt.status, err)
		}
	}
}

func TestPushDoesNotWaitForASlowClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pusher(func(r *http.Request) (int, string) { <-r.Context().Done(); return 0, "" })
		began := time.Now()
		err := p.Push(t.Context(), "c1", []byte("{}"))
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}
