package gateway_test

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
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

func (c *cloud) do(method, path, body string) (*http.Response, string) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url()+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(text)
}

// url is the endpoint for callbacks.
func (c *cloud) url() string { return "http" + strings.TrimPrefix(c.api.Endpoint, "ws") }

// post sends to a connection and returns the status.
func (c *cloud) post(id, body string) int {
	c.t.Helper()
	resp, _ := c.do("POST", "/prod/@connections/"+id, body)
	return resp.StatusCode
}

// sdk returns the AWS client of the callback API.
func (c *cloud) sdk() *apigatewaymanagementapi.Client {
	return apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: aws.String(c.url() + "/prod"),
		Region:       account.Region,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:   c.http,
		Retryer:      aws.NopRetryer{},
	})
}

// wantDisconnect checks the one DISCONNECT event.
func (c *cloud) wantDisconnect(code int, reason string) {
	c.t.Helper()
	synctest.Wait()
	calls := c.invoked("disconnect")
	if len(calls) != 1 {
		c.t.Fatalf("%d DISCONNECT events, want 1", len(calls))
	}
	rc := requestContext(c.t, calls[0])
	if rc["disconnectStatusCode"] != float64(code) || rc["disconnectReason"] != reason {
		c.t.Errorf("DISCONNECT with %v %q, want %d %q", rc["disconnectStatusCode"], rc["disconnectReason"], code, reason)
	}
}

func TestSDKPostGetDelete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{verify: func(r *http.Request, body []byte) (account.Caller, error) {
			if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") ||
				!strings.Contains(r.Header.Get("Authorization"), "/execute-api/aws4_request") {
				return account.Caller{}, errors.New("not signed for execute-api")
			}
			return account.Root(), nil
		}})
		ws := c.connect()
		id, client, ctx := aws.String(c.connectionID(0)), c.sdk(), context.Background()
		opened := time.Now()
		time.Sleep(3 * time.Second)
		if _, err := client.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: id, Data: []byte("hé")}); err != nil {
			t.Fatal(err)
		}
		if got := hear(t, ws); got != "hé" {
			t.Errorf("heard %q", got)
		}
		info, err := client.GetConnection(ctx, &apigatewaymanagementapi.GetConnectionInput{ConnectionId: id})
		if err != nil {
			t.Fatal(err)
		}
		if !info.ConnectedAt.Equal(opened) || info.LastActiveAt.Sub(opened) != 3*time.Second ||
			*info.Identity.SourceIp != "127.0.0.1" || *info.Identity.UserAgent != "Go-http-client/1.1" {
			t.Errorf("connection %v %v %v", info.ConnectedAt, info.LastActiveAt, info.Identity)
		}
		if _, err := client.DeleteConnection(ctx, &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: id}); err != nil {
			t.Fatal(err)
		}
		if closed := hearClose(t, ws); closed.Code != 1000 {
			t.Errorf("closed with %v", closed)
		}
		c.wantDisconnect(1000, "Connection Closed Normally")
		_, err = client.PostToConnection(ctx, &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: id, Data: []byte("x")})
		if gone := new(types.GoneException); !errors.As(err, &gone) {
			t.Errorf("POST after DELETE: %v, want GoneException", err)
		}
	})
}

func TestSDKErrors(t *testing.T) {
	post := func(c *cloud, id, data string) error {
		_, err := c.sdk().PostToConnection(context.Background(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte(data)})
		return err
	}
	const unknown = "R1kmxc2VNjMCFIA="
	for name, tc := range map[string]struct {
		limits gateway.Limits
		denied bool
		call   func(c *cloud) error
		want   string
	}{
		"unknown": {call: func(c *cloud) error { return post(c, unknown, "x") }, want: "GoneException"},
		"unknown, GET": {call: func(c *cloud) error {
			_, err := c.sdk().GetConnection(context.Background(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: aws.String(unknown)})
			return err
		}, want: "GoneException"},
		"unknown, DELETE": {call: func(c *cloud) error {
			_, err := c.sdk().DeleteConnection(context.Background(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: aws.String(unknown)})
			return err
		}, want: "GoneException"},
		"too big":   {call: func(c *cloud) error { return post(c, c.connectionID(0), strings.Repeat("x", 128<<10+1)) }, want: "PayloadTooLargeException"},
		"denied":    {denied: true, call: func(c *cloud) error { return post(c, c.connectionID(0), "x") }, want: "ForbiddenException"},
		"malformed": {call: func(c *cloud) error { return post(c, "not-an-id", "x") }, want: "BadRequestException"},
		"not text":  {call: func(c *cloud) error { return post(c, c.connectionID(0), "\xff") }, want: "BadRequestException"},
		"throttled": {limits: gateway.Limits{Requests: 1, Burst: 1}, call: func(c *cloud) error { return post(c, c.connectionID(0), "x") }, want: "LimitExceededException"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := plan{limits: tc.limits}
				if tc.denied {
					p.authorizer = roles{role: "nobody"}
				}
				c := start(t, p)
				ws := c.connect()
				err := tc.call(c)
				var api smithy.APIError
				if !errors.As(err, &api) || api.ErrorCode() != tc.want {
					t.Fatalf("%v, want %s", err, tc.want)
				}
				if tc.limits == (gateway.Limits{}) { // the refused call left the connection open
					say(t, ws, "still open")
					hear(t, ws)
				}
			})
		})
	}
}

func TestLargestPost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		ws := c.connect()
		go c.post(c.connectionID(0), strings.Repeat("x", 128<<10))
		if got := hear(t, ws); len(got) != 128<<10 {
			t.Errorf("heard %d bytes", len(got))
		}
	})
}

func TestCallbackPaths(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		ws := c.connect()
		id := c.connectionID(0)
		escaped := strings.ReplaceAll(id, "=", "%3D")
		for _, tc := range []struct {
			method, path string
			status       int
			kind, body   string
		}{
			{"POST", "/prod/@connections/" + id, 200, "", ""},
			{"POST", "/prod/@connections/" + escaped, 200, "", ""},
			{"POST", "/prod/%40connections/" + escaped, 200, "", ""},
			{"POST", "/@connections/" + id, 403, "ForbiddenException", `{"message":"Forbidden"}`},
			{"POST", "/test/@connections/" + id, 403, "ForbiddenException", `{"message":"Forbidden"}`},
			{"PUT", "/prod/@connections/" + id, 403, "ForbiddenException", `{"message":"Forbidden"}`},
			{"POST", "/prod/@connections/abc", 400, "BadRequestException", `{"message":"Invalid connectionId: abc"}`},
			{"POST", "/prod/@connections/R1kmxc2VNjMCFIA=", 410, "GoneException", ""},
		} {
			resp, body := c.do(tc.method, tc.path, "x")
			if resp.StatusCode != tc.status || resp.Header.Get("x-amzn-ErrorType") != tc.kind || body != tc.body {
				t.Errorf("%s %s: %d %s %s, want %d %s %s", tc.method, tc.path, resp.StatusCode, resp.Header.Get("x-amzn-ErrorType"), body, tc.status, tc.kind, tc.body)
			}
			if tc.status == 200 {
				hear(t, ws)
			}
		}
	})
}

func TestCallbackNeedsSignatureAndPermission(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := &roles{role: "processor", action: "execute-api:ManageConnections"}
		c := start(t, plan{verify: signedBy, authorizer: policy})
		// AWS checks the placeholder, not the id.
		policy.resource = c.api.ExecutionARN + "/prod/POST/@connections/{connectionId}"
		ws := c.connect()
		for _, tc := range []struct {
			role, method string
			status       int
			says         string
		}{
			{"processor", "POST", 200, ""},
			{"processor", "DELETE", 403, "is not authorized to perform: execute-api:ManageConnections on resource: " + c.api.ExecutionARN + "/prod/DELETE/@connections/{connectionId}"},
			{"router", "POST", 403, "assumed-role/router/session is not authorized"},
			{"", "POST", 403, `{"message":"Missing Authentication Token"}`},
		} {
			r, err := http.NewRequest(tc.method, c.url()+"/prod/@connections/"+c.connectionID(0), strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Role", tc.role)
			resp, err := c.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if kind := resp.Header.Get("x-amzn-ErrorType"); tc.role == "" && kind != "MissingAuthenticationTokenException" {
				t.Errorf("unsigned: error type %s", kind)
			}
			if resp.StatusCode != tc.status || !strings.Contains(string(body), tc.says) {
				t.Errorf("%s by %q: %d %s, want %d %s", tc.method, tc.role, resp.StatusCode, body, tc.status, tc.says)
			}
		}
		if got := hear(t, ws); got != "x" {
			t.Errorf("heard %q", got)
		}
	})
}
