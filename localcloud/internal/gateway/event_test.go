package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

// forms are what a field's value must look like when it differs from event to
// event; all other values must equal the recorded ones.
var forms = map[string]*regexp.Regexp{
	"headers.Sec-WebSocket-Key":              regexp.MustCompile(`^[A-Za-z0-9+/]{22}==$`),
	"multiValueHeaders.Sec-WebSocket-Key[0]": regexp.MustCompile(`^[A-Za-z0-9+/]{22}==$`),
	"requestContext.messageId":               regexp.MustCompile(`^[A-Za-z0-9_-]{15}=$`),
	"requestContext.requestId":               regexp.MustCompile(`^[A-Za-z0-9_-]{15}=$`),
	"requestContext.extendedRequestId":       regexp.MustCompile(`^[A-Za-z0-9_-]{15}=$`),
	"requestContext.connectionId":            regexp.MustCompile(`^[A-Za-z0-9_-]{15}=$`),
	"requestContext.apiId":                   regexp.MustCompile(`^[a-z0-9]{10}$`),
	"requestContext.requestTime":             regexp.MustCompile(`^\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000$`),
	"requestContext.requestTimeEpoch":        regexp.MustCompile(`^\d\.?\d*e\+\d\d$|^\d{12,13}$`),
	"requestContext.connectedAt":             regexp.MustCompile(`^\d\.?\d*e\+\d\d$|^\d{12,13}$`),
	"requestContext.domainName":              regexp.MustCompile(`^[a-z0-9.:-]+$`),
	"requestContext.identity.sourceIp":       regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`),
	"headers.Host":                           regexp.MustCompile(`^[a-z0-9.:-]+$`),
	"multiValueHeaders.Host[0]":              regexp.MustCompile(`^[a-z0-9.:-]+$`),
	"headers.X-Amzn-Trace-Id":                regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`),
	"multiValueHeaders.X-Amzn-Trace-Id[0]":   regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`),
}

// flatten lists the leaves of a JSON value by path.
func flatten(out map[string]any, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			flatten(out, path+"."+k, e)
		}
	case []any:
		for i, e := range v {
			flatten(out, fmt.Sprintf("%s[%d]", path, i), e)
		}
	default:
		out[path[1:]] = v
	}
}

// sameEvent compares an event with a recorded one, field by field.
func sameEvent(t *testing.T, got []byte, recording string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", recording))
	if err != nil {
		t.Fatal(err)
	}
	var wantJSON, gotJSON any
	if err := json.Unmarshal(raw, &wantJSON); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &gotJSON); err != nil {
		t.Fatalf("event %s: %v", got, err)
	}
	wantLeaves, gotLeaves := map[string]any{}, map[string]any{}
	flatten(wantLeaves, "", wantJSON)
	flatten(gotLeaves, "", gotJSON)
	for path, want := range wantLeaves {
		value, ok := gotLeaves[path]
		switch form := forms[path]; {
		case !ok:
			t.Errorf("%s: is missing", path)
		case form != nil:
			if !form.MatchString(fmt.Sprint(value)) || fmt.Sprintf("%T", value) != fmt.Sprintf("%T", want) {
				t.Errorf("%s: %v has not the form of the recorded %v", path, value, want)
			}
		case value != want:
			t.Errorf("%s: %v, recorded %v", path, value, want)
		}
	}
	for path, value := range gotLeaves {
		if _, ok := wantLeaves[path]; !ok {
			t.Errorf("%s: %v, not in the recording", path, value)
		}
	}
}

// browser is the user agent of the recordings.
const browser = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.0.0 Safari/537.36"

// asBrowser sends handshake headers spelled as RFC 6455 and browsers do; Go's
// client would spell them Sec-Websocket-….
type asBrowser struct{ *http.Transport }

func (b asBrowser) RoundTrip(r *http.Request) (*http.Response, error) {
	for name, values := range r.Header {
		if rest, ok := strings.CutPrefix(name, "Sec-Websocket-"); ok {
			delete(r.Header, name)
			r.Header["Sec-WebSocket-"+rest] = values
		}
	}
	return b.Transport.RoundTrip(r)
}

func TestEventsEqualRecordings(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		c.http.Transport = asBrowser{c.http.Transport.(*http.Transport)}
		ws, _, err := c.dial("/prod", &websocket.DialOptions{HTTPHeader: http.Header{"User-Agent": {browser}}})
		if err != nil {
			t.Fatal(err)
		}
		say(t, ws, "{\r\n\t\"a\": 1\r\n}")
		hear(t, ws)
		_ = ws.Close(1001, "")
		synctest.Wait()
		sameEvent(t, c.invoked("connect")[0].Payload, "connect.json")
		sameEvent(t, c.invoked("default")[0].Payload, "message.json")
		sameEvent(t, c.invoked("disconnect")[0].Payload, "disconnect.json")
		id := requestContext(t, c.invoked("connect")[0])["connectionId"]
		for _, name := range []string{"default", "disconnect"} {
			if got := requestContext(t, c.invoked(name)[0])["connectionId"]; got != id {
				t.Errorf("%s event has connection %v, CONNECT had %v", name, got, id)
			}
		}
		if got := c.invoked("connect")[0].TraceHeader; !forms["headers.X-Amzn-Trace-Id"].MatchString(got) {
			t.Errorf("trace header %q", got)
		}
	})
}

func TestConnectEventKeepsHeadersAsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{authorize: true, stage: stageWithVariables()})
		c.on("authorizer", answers(allow("u", "")))
		_, _, err := c.dial("/prod?a=1&a=2&b=%20", &websocket.DialOptions{HTTPHeader: http.Header{
			"x-lower": {"1"}, "X-MIXED-case": {"v1", "v2"}, "X-Forwarded-For": {"1.2.3.4"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		e := event(t, c.invoked("connect")[0])
		headers, multi := e["headers"].(map[string]any), e["multiValueHeaders"].(map[string]any)
		for name, want := range map[string]string{
			"x-lower": "1", "X-MIXED-case": "v2", "Host": "127.0.0.1:4566",
			"X-Forwarded-For": "1.2.3.4, 127.0.0.1", "X-Forwarded-Port": "4566", "Sec-Websocket-Version": "13",
		} {
			if headers[name] != want {
				t.Errorf("header %s: %v, want %q (all: %v)", name, headers[name], want, headers)
			}
		}
		if got := fmt.Sprint(multi["X-MIXED-case"]); got != "[v1 v2]" {
			t.Errorf("multi-value header: %s", got)
		}
		for _, name := range []string{"Connection", "Upgrade"} {
			if _, ok := headers[name]; ok {
				t.Errorf("CONNECT event has the header %s", name)
			}
			asked := event(t, c.invoked("authorizer")[0])["headers"].(map[string]any)
			if _, ok := asked[name]; !ok {
				t.Errorf("authorizer event lacks the header %s", name)
			}
		}
		if got := fmt.Sprint(e["queryStringParameters"], e["multiValueQueryStringParameters"]); got != "map[a:2 b: ] map[a:[1 2] b:[ ]]" {
			t.Errorf("query: %s", got)
		}
		if got := fmt.Sprint(e["stageVariables"]); got != "map[color:blue]" {
			t.Errorf("stage variables: %s", got)
		}
	})
}

func stageWithVariables() gateway.StageSpec {
	return gateway.StageSpec{Variables: map[string]string{"color": "blue"}}
}

func TestAuthorizerEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{authorize: true})
		c.on("authorizer", answers(allow("user-1", `"tenant":"acme"`)))
		c.connect()
		in := c.invoked("authorizer")[0]
		e := event(t, in)
		keys := make([]string, 0, len(e))
		for k := range e {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if got, want := fmt.Sprint(keys), "[headers methodArn multiValueHeaders multiValueQueryStringParameters queryStringParameters requestContext stageVariables type]"; got != want {
			t.Errorf("members %s, want %s", got, want)
		}
		if want := c.api.ExecutionARN + "/prod/$connect"; e["methodArn"] != want || e["type"] != "REQUEST" {
			t.Errorf("methodArn %v, type %v; want %s, REQUEST", e["methodArn"], e["type"], want)
		}
		if rc := requestContext(t, in); rc["eventType"] != "CONNECT" || rc["connectionId"] != c.connectionID(0) {
			t.Errorf("request context %v", rc)
		}
		if want := regexp.MustCompile(`^arn:aws:execute-api:us-east-1:000000000000:[a-z0-9]{10}/authorizers/[a-z0-9]+$`); !want.MatchString(in.SourceARN) {
			t.Errorf("source ARN %s", in.SourceARN)
		}
		if got, want := c.invoked("connect")[0].SourceARN, c.api.ExecutionARN+"/prod/$connect"; got != want {
			t.Errorf("source ARN of $connect %s, want %s", got, want)
		}
	})
}

func TestAuthorizerContextRidesOnEveryEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{authorize: true})
		c.on("authorizer", answers(allow("user-1", `"tenant":"a\"b","n":1.50,"admin":true,"none":null`)))
		ws := c.connect()
		say(t, ws, "x")
		hear(t, ws)
		_ = ws.Close(1000, "")
		synctest.Wait()
		for _, name := range []string{"connect", "default", "disconnect"} {
			got := requestContext(t, c.invoked(name)[0])["authorizer"]
			if want := `map[admin:true n:1.50 principalId:user-1 tenant:a"b]`; fmt.Sprint(got) != want {
				t.Errorf("%s: authorizer %v, want %s", name, got, want)
			}
			for k, v := range got.(map[string]any) {
				if _, text := v.(string); !text {
					t.Errorf("%s: authorizer.%s is %T, want a string", name, k, v)
				}
			}
		}
	})
}

func TestEventTimes(t *testing.T) {
	bubble(t, func(t *testing.T) { // a bubble starts at midnight UTC 2000-01-01
		c := start(t, plan{})
		ws := c.connect()
		time.Sleep(time.Minute)
		say(t, ws, "x")
		hear(t, ws)
		rc := requestContext(t, c.invoked("default")[0])
		if rc["requestTime"] != "01/Jan/2000:00:01:00 +0000" || rc["connectedAt"] != 946684800000.0 || rc["requestTimeEpoch"] != 946684860000.0 {
			t.Errorf("times %v %v %v", rc["requestTime"], rc["connectedAt"], rc["requestTimeEpoch"])
		}
	})
}
