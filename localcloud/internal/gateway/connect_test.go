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

	"github.com/aws/smithy-go"
	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

// allow is an authorizer's answer that lets everybody in.
func allow(principal, members string) string {
	return verdict(principal, members, `{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}`)
}

func verdict(principal, members, statements string) string {
	return `{"principalId":"` + principal + `","policyDocument":{"Version":"2012-10-17","Statement":` + statements + `},"context":{` + members + `}}`
}

func TestAuthorizerOutcomes(t *testing.T) {
	const invoke = `"Effect":"Allow","Action":"execute-api:Invoke"`
	for name, tc := range map[string]struct {
		answer  string
		err     error
		sources []string
		want    int
	}{
		"allow":                        {answer: allow("u", ""), want: 101},
		"allow, no context":            {answer: strings.Replace(allow("u", ""), `,"context":{}`, "", 1), want: 101},
		"allow on the method":          {answer: verdict("u", "", `[{`+invoke+`,"Resource":"arn:aws:execute-api:us-east-1:000000000000:*/prod/$connect"}]`), want: 101},
		"allow, lists":                 {answer: verdict("u", "", `[{"Effect":"Allow","Action":["s3:*","execute-api:*"],"Resource":["arn:aws:execute-api:*:*:*/prod/*"]}]`), want: 101},
		"allow, case of the action":    {answer: verdict("u", "", `[{"Effect":"Allow","Action":"EXECUTE-API:invoke","Resource":"*"}]`), want: 101},
		"allow, all but another":       {answer: verdict("u", "", `[{"Effect":"Allow","NotAction":"s3:*","NotResource":"arn:aws:s3:::*"}]`), want: 101},
		"sources present":              {answer: allow("u", ""), sources: []string{"route.request.header.host", "route.request.querystring.q", "context.stage"}, want: 101},
		"REST-shaped resource":         {answer: verdict("u", "", `[{`+invoke+`,"Resource":"arn:aws:execute-api:us-east-1:000000000000:*/prod/*/*"}]`), want: 403},
		"deny":                         {answer: verdict("u", "", `[{"Effect":"Deny","Action":"*","Resource":"*"}]`), want: 403},
		"deny wins":                    {answer: verdict("u", "", `[{`+invoke+`,"Resource":"*"},{"Effect":"Deny","Action":"execute-api:*","Resource":"*"}]`), want: 403},
		"another action":               {answer: verdict("u", "", `[{"Effect":"Allow","Action":"execute-api:ManageConnections","Resource":"*"}]`), want: 403},
		"wildcard in another segment":  {answer: verdict("u", "", `[{`+invoke+`,"Resource":"arn:aws:*:$connect"}]`), want: 403},
		"no statement":                 {answer: verdict("u", "", `[]`), want: 403},
		"Unauthorized":                 {err: failed("Unauthorized"), want: 401},
		"header missing":               {answer: allow("u", ""), sources: []string{"route.request.header.Authorization"}, want: 401},
		"one of two missing":           {answer: allow("u", ""), sources: []string{"route.request.header.Host", "route.request.querystring.token"}, want: 401},
		"stage variable missing":       {answer: allow("u", ""), sources: []string{"stageVariables.x"}, want: 401},
		"unauthorized, other spelling": {err: failed("unauthorized"), want: 500},
		"throws":                       {err: failed("boom"), want: 500},
		"may not be invoked":           {err: errors.New("not permitted"), want: 500},
		"a proxy answer":               {answer: `{"statusCode":401}`, want: 500},
		"not JSON":                     {answer: `oops`, want: 500},
		"null":                         {answer: `null`, want: 500},
		"no principal":                 {answer: `{"policyDocument":{"Statement":[]}}`, want: 500},
		"no policy":                    {answer: `{"principalId":"u"}`, want: 500},
		"unknown effect":               {answer: verdict("u", "", `[{"Effect":"Maybe","Action":"*","Resource":"*"}]`), want: 500},
		"object in context":            {answer: allow("u", `"a":{"b":1}`), want: 500},
		"array in context":             {answer: allow("u", `"a":[1]`), want: 500},
		"over 8 KB":                    {answer: allow("u", `"a":"`+strings.Repeat("x", 8<<10)+`"`), want: 500},
		"long resource":                {answer: verdict("u", "", `[{`+invoke+`,"Resource":"arn:aws:execute-api:`+strings.Repeat("*", 512)+`"}]`), want: 500},
		"condition":                    {answer: verdict("u", "", `[{`+invoke+`,"Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"1.2.3.4"}}}]`), want: 500},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{authorize: true, sources: tc.sources})
				c.on("authorizer", func(context.Context, []byte) (string, error) { return tc.answer, tc.err })
				_, resp, _ := c.dial("/prod?q=1", nil)
				if resp == nil || resp.StatusCode != tc.want {
					t.Fatalf("answered %v, want %d; log:\n%s", resp, tc.want, c.logged())
				}
				if let := len(c.invoked("connect")) == 1; let != (tc.want == 101) {
					t.Errorf("$connect ran: %v, status %d", let, tc.want)
				}
				if asked := len(c.invoked("authorizer")); tc.want == 401 && tc.err == nil && asked != 0 {
					t.Errorf("authorizer was asked although an identity source is missing")
				}
				if tc.want == 500 && c.logged() == "" {
					t.Error("nothing in the log")
				}
			})
		})
	}
}

func TestConnectOutcomes(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		err    error
		want   int
	}{
		"200":                {answer: `{"statusCode":200}`, want: 101},
		"204 as text":        {answer: `{"statusCode":"204"}`, want: 101},
		"403":                {answer: `{"statusCode":403,"body":"no"}`, want: 403},
		"302":                {answer: `{"statusCode":302}`, want: 302},
		"throws":             {err: failed("boom"), want: 502},
		"no status":          {answer: `{}`, want: 502},
		"status 101":         {answer: `{"statusCode":101}`, want: 502},
		"null":               {answer: `null`, want: 502},
		"text":               {answer: `"fine"`, want: 502},
		"may not be invoked": {err: errors.New("not permitted"), want: 500},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{})
				c.on("connect", func(context.Context, []byte) (string, error) { return tc.answer, tc.err })
				_, resp, _ := c.dial("/prod", nil)
				if resp == nil || resp.StatusCode != tc.want {
					t.Fatalf("answered %v, want %d", resp, tc.want)
				}
				if n := c.svc.Connections(c.api.ID); (n == 1) != (tc.want == 101) {
					t.Errorf("%d connections after status %d", n, tc.want)
				}
				synctest.Wait()
				if n := len(c.invoked("disconnect")); n != 0 {
					t.Errorf("%d DISCONNECT events", n)
				}
			})
		})
	}
}

func TestConnectTimesOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		c.on("connect", func(context.Context, []byte) (string, error) {
			time.Sleep(40 * time.Second)
			return `{"statusCode":200}`, nil
		})
		began := time.Now()
		_, resp, _ := c.dial("/prod", nil)
		if resp == nil || resp.StatusCode != 502 || time.Since(began) != 29*time.Second {
			t.Fatalf("answered %v after %v, want 502 after 29s", resp, time.Since(began))
		}
	})
}

func TestHandshakeWaitsForConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		posted := make(chan int, 1)
		c.on("connect", func(context.Context, []byte) (string, error) {
			posted <- c.post(c.connectionID(0), "too early")
			time.Sleep(3 * time.Second)
			return `{"statusCode":200}`, nil
		})
		began := time.Now()
		ws := c.connect()
		if got := time.Since(began); got != 3*time.Second {
			t.Errorf("101 after %v, want when $connect returned, 3s", got)
		}
		if got := <-posted; got != http.StatusGone {
			t.Errorf("POST inside $connect: %d, want 410", got)
		}
		if got := c.post(c.connectionID(0), "now"); got != 200 {
			t.Errorf("POST after the 101: %d", got)
		}
		if got := hear(t, ws); got != "now" {
			t.Errorf("heard %q", got)
		}
	})
}

func TestSubprotocolIsWhatConnectReturns(t *testing.T) {
	for name, tc := range map[string]struct{ answer, want string }{
		"header":       {`{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"streamer.v1"}}`, "streamer.v1"},
		"lower case":   {`{"statusCode":200,"headers":{"sec-websocket-protocol":"streamer.v1"}}`, "streamer.v1"},
		"multi-value":  {`{"statusCode":200,"multiValueHeaders":{"Sec-WebSocket-Protocol":["streamer.v1"]}}`, "streamer.v1"},
		"not returned": {`{"statusCode":200}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{})
				c.on("connect", answers(tc.answer))
				ws, _, err := c.dial("/prod", &websocket.DialOptions{Subprotocols: []string{"streamer.v1", "bearer.x"}})
				if err != nil {
					t.Fatal(err)
				}
				if got := ws.Subprotocol(); got != tc.want {
					t.Errorf("subprotocol %q, want %q", got, tc.want)
				}
				headers := event(t, c.invoked("connect")[0])["headers"].(map[string]any)
				if got := headers["Sec-Websocket-Protocol"]; got != "streamer.v1,bearer.x" {
					t.Errorf("offered %v", got)
				}
			})
		})
	}
}

func TestRefusedHandshakeBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{authorize: true, sources: []string{"route.request.header.Authorization"}})
		_, resp, _ := c.dial("/prod", nil)
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"message": "Unauthorized", "connectionId":"`; !strings.HasPrefix(string(body), want) {
			t.Errorf("body %s, want it to begin with %s", body, want)
		}
	})
}

func TestNewConnectionsAreThrottled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{limits: gateway.Limits{Connections: 3}})
		for i := range 4 {
			_, resp, _ := c.dial("/prod", nil)
			want := 101
			if i == 3 {
				want = 429
			}
			if resp == nil || resp.StatusCode != want {
				t.Fatalf("connection %d: %v, want %d", i, resp, want)
			}
		}
		if n := len(c.invoked("connect")); n != 3 {
			t.Errorf("$connect ran %d times, want 3", n)
		}
		time.Sleep(time.Second)
		c.connect()
	})
}

func TestRequestsThatAreNoHandshake(t *testing.T) {
	good := http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	with := func(name, value string) http.Header {
		h := good.Clone()
		h.Set(name, value)
		return h
	}
	for name, tc := range map[string]struct {
		method, path string
		header       http.Header
		want         int
	}{
		"plain GET":     {"GET", "/prod", nil, 426},
		"POST":          {"POST", "/prod", good, 405},
		"old version":   {"GET", "/prod", with("Sec-Websocket-Version", "8"), 400},
		"short key":     {"GET", "/prod", with("Sec-Websocket-Key", "c2hvcnQ="), 400},
		"unknown stage": {"GET", "/test", good, 403},
		"no stage":      {"GET", "/", good, 403},
		"deeper path":   {"GET", "/prod/chat", good, 403},
		"long URL":      {"GET", "/prod?x=" + strings.Repeat("a", 4096), good, 414},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{})
				r, err := http.NewRequest(tc.method, "http://"+strings.TrimPrefix(c.api.Endpoint, "ws://")+tc.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header = tc.header
				resp, err := c.http.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != tc.want {
					t.Errorf("status %d, want %d", resp.StatusCode, tc.want)
				}
				if n := len(c.invoked("connect")); n != 0 {
					t.Errorf("$connect ran %d times", n)
				}
			})
		})
	}
}

// roles is an authorizer that lets one role do what a pattern says.
type roles struct{ role, action, resource string }

func (p roles) Authorize(ctx context.Context, action, resource string) error {
	caller, _ := account.CallerFrom(ctx)
	if caller.Role == p.role && action == p.action && resource == p.resource {
		return nil
	}
	return &account.Denied{Caller: caller, Action: action, Resource: resource}
}

// signedBy takes the role from a header in place of a signature.
func signedBy(r *http.Request, _ []byte) (account.Caller, error) {
	role := r.Header.Get("X-Role")
	if role == "" {
		return account.Caller{}, &smithy.GenericAPIError{Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"}
	}
	return account.AssumedRole(role, "session"), nil
}

func TestConnectWithIAMAuthorization(t *testing.T) {
	for role, want := range map[string]int{"client": 101, "other": 403, "": 403} {
		t.Run("role "+role, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				policy := &roles{role: "client", action: "execute-api:Invoke"}
				c := start(t, plan{auth: "AWS_IAM", verify: signedBy, authorizer: policy})
				policy.resource = c.api.ExecutionARN + "/prod/$connect"
				_, resp, _ := c.dial("/prod", &websocket.DialOptions{HTTPHeader: http.Header{"X-Role": {role}}})
				if resp == nil || resp.StatusCode != want {
					t.Errorf("answered %v, want %d", resp, want)
				}
			})
		})
	}
}
