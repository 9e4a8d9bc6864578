package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

func TestRouteSelection(t *testing.T) {
	const body = "$request.body.action"
	for name, tc := range map[string]struct{ selection, message, want string }{
		"by member":            {body, `{"action":"join","x":1}`, "join"},
		"unknown key":          {body, `{"action":"nope"}`, "default"},
		"no member":            {body, `{}`, "default"},
		"not JSON":             {body, `hi`, "default"},
		"null":                 {body, `{"action":null}`, "default"},
		"number":               {body, `{"action":42}`, "42"},
		"bool":                 {body, `{"action":true}`, "true"},
		"array":                {body, `{"action":["a"]}`, `["a"]`},
		"nested":               {"$request.body.a.b", `{"a":{"b":"join"}}`, "join"},
		"through text":         {"$request.body.a.b", `{"a":"join"}`, "default"},
		"element":              {"$request.body.a[1].b", `{"a":[0,{"b":"join"}]}`, "join"},
		"element, none":        {"$request.body.a[7]", `{"a":["join"]}`, "default"},
		"two parts":            {"${request.body.a}/${request.body.b}", `{"a":"x","b":"y"}`, "x/y"},
		"two parts, one empty": {"${request.body.a}/${request.body.b}", `{"b":"y"}`, "/y"},
		"static":               {"join", `{"action":"x"}`, "join"},
		"static, not JSON":     {"join", `hi`, "default"},
		"constant":             {"$default", `{"action":"join"}`, "default"},
		"escaped constant":     {`\$default`, `{"action":"join"}`, "default"},
		"cannot name $connect": {body, `{"action":"$connect"}`, "default"},
		"nor $disconnect":      {body, `{"action":"$disconnect"}`, "default"},
		"evaluated once":       {body, `{"action":"$request.body.b","b":"join"}`, "default"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{selection: tc.selection, custom: []string{"join", "42", "true", `["a"]`, "x/y", "/y"}})
				ws := c.connect()
				say(t, ws, tc.message)
				if got := hear(t, ws); got != tc.message {
					t.Fatalf("heard %s", got)
				}
				calls := c.invoked(tc.want)
				if len(calls) != 1 {
					t.Fatalf("%s ran %d times; all: %v", tc.want, len(calls), c.calls)
				}
				key := tc.want
				if key == "default" {
					key = "$default"
				}
				if got := requestContext(t, calls[0])["routeKey"]; got != key {
					t.Errorf("routeKey %v, want %s", got, key)
				}
			})
		})
	}
}

func TestSelectionExpressionsThatAreRefused(t *testing.T) {
	t.Parallel()
	svc := gateway.New(gateway.Options{})
	t.Cleanup(svc.Close)
	for _, expression := range []string{"", "$request.header.x", "$request.body.", "${request.body.a", "$context.stage"} {
		if _, err := svc.PutAPI(gateway.APISpec{Name: "x", RouteSelectionExpression: expression}); !errors.Is(err, gateway.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", expression, err)
		}
	}
}

// wantError checks an error frame, byte by byte but for the request id.
func (c *cloud) wantError(frame, text string) {
	c.t.Helper()
	want := `{"message": "` + text + `", "connectionId":"` + c.connectionID(0) + `", "requestId":"`
	if !strings.HasPrefix(frame, want) || !strings.HasSuffix(frame, `="}`) || len(frame) != len(want)+18 {
		c.t.Errorf("frame %s, want %s…", frame, want)
	}
}

func TestMessageWithoutRouteIsForbidden(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{selection: "$request.body.action", noDefault: true, custom: []string{"join"}})
		ws := c.connect()
		for _, message := range []string{`hi`, `{"action":"nope"}`} {
			say(t, ws, message)
			c.wantError(hear(t, ws), "Forbidden")
		}
		say(t, ws, `{"action":"join"}`)
		if got := hear(t, ws); got != `{"action":"join"}` {
			t.Errorf("the connection is of no use after Forbidden: %s", got)
		}
	})
}

func TestFunctionFailuresReachTheClient(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		err    error
	}{
		"throws":             {err: failed("boom")},
		"may not be invoked": {err: errors.New("not permitted")},
		"null":               {answer: "null"},
		"no status":          {answer: `{"body":"x"}`},
		"body is an object":  {answer: `{"statusCode":200,"body":{"a":1}}`},
		"body too long":      {answer: `{"statusCode":200,"body":"` + strings.Repeat("x", 128<<10+1) + `"}`},
		"bad base64":         {answer: `{"statusCode":200,"body":"%","isBase64Encoded":true}`},
	} {
		for _, oneWay := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, one-way %v", name, oneWay), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					c := start(t, plan{oneWay: oneWay})
					c.on("default", func(context.Context, []byte) (string, error) { return tc.answer, tc.err })
					ws := c.connect()
					say(t, ws, "x")
					c.wantError(hear(t, ws), "Internal server error")
					if !strings.Contains(c.logged(), "route $default") {
						t.Errorf("log: %s", c.logged())
					}
				})
			})
		}
	}
}

func TestWhatATwoWayRouteSends(t *testing.T) {
	for name, tc := range map[string]struct {
		answer, want string // want "" for nothing
		oneWay       bool
	}{
		"body":           {answer: `{"statusCode":200,"body":"a\n\u00e4\"b"}`, want: "a\nä\"b"},
		"status ignored": {answer: `{"statusCode":500,"body":"sorry"}`, want: "sorry"},
		"base64":         {answer: `{"statusCode":200,"body":"aGk=","isBase64Encoded":true}`, want: "hi"},
		"no body":        {answer: `{"statusCode":200}`},
		"one-way":        {answer: `{"statusCode":200,"body":"unheard"}`, oneWay: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{oneWay: tc.oneWay})
				c.on("default", answers(tc.answer))
				ws := c.connect()
				say(t, ws, "x")
				synctest.Wait()
				c.post(c.connectionID(0), "end")
				got := hear(t, ws)
				if tc.want == "" {
					tc.want = "end"
				}
				if got != tc.want {
					t.Errorf("heard %q, want %q", got, tc.want)
				}
			})
		})
	}
}

func TestTwoWayNeedsExpressionAndRouteResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{selection: "$request.body.action", oneWay: true})
		id := must[string](t)(c.svc.PutIntegration(c.api.ID, "", gateway.IntegrationSpec{Type: "AWS_PROXY", URI: invokeARN("default")}))
		must[string](t)(c.svc.PutRoute(c.api.ID, "", gateway.RouteSpec{Key: "x", Target: "integrations/" + id, RouteResponseSelectionExpression: "$default"}))
		c.deploy()
		ws := c.connect()
		say(t, ws, `{"action":"x"}`) // has the expression, but no route response
		say(t, ws, `{}`)             // $default here has neither
		synctest.Wait()
		c.post(c.connectionID(0), "end")
		if got := hear(t, ws); got != "end" {
			t.Errorf("heard %q", got)
		}
	})
}

func TestIntegrationTimesOutAfter29Seconds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		late := make(chan struct{})
		c.on("default", func(ctx context.Context, _ []byte) (string, error) {
			time.Sleep(60 * time.Second)
			close(late)
			return `{"statusCode":200,"body":"late"}`, ctx.Err()
		})
		ws := c.connect()
		began := time.Now()
		say(t, ws, "x")
		c.wantError(hear(t, ws), "Endpoint request timed out")
		if got := time.Since(began); got != 29*time.Second {
			t.Errorf("timed out after %v", got)
		}
		<-late // the function runs on
		synctest.Wait()
		c.post(c.connectionID(0), "end")
		if got := hear(t, ws); got != "end" {
			t.Errorf("the late answer was sent: %s", got)
		}
	})
}

func TestMessagesOfAConnectionRunConcurrently(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		c.on("default", func(_ context.Context, event []byte) (string, error) {
			if strings.Contains(string(event), `"body":"slow"`) {
				time.Sleep(10 * time.Second)
			}
			return echo(context.Background(), event)
		})
		ws := c.connect()
		say(t, ws, "slow")
		say(t, ws, "quick")
		if first, second := hear(t, ws), hear(t, ws); first != "quick" || second != "slow" {
			t.Errorf("heard %s, %s", first, second)
		}
	})
}

func TestMessagesAreThrottledPerRoute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{
			selection: "$request.body.action", custom: []string{"join"},
			stage: gateway.StageSpec{RouteThrottles: map[string]gateway.Throttle{"join": {Rate: 1, Burst: 2}}},
		})
		ws := c.connect()
		for i, want := range []string{"ok", "ok", "Too Many Requests"} {
			say(t, ws, `{"action":"join"}`)
			got := hear(t, ws)
			if (want == "ok") != (got == `{"action":"join"}`) {
				t.Errorf("message %d: %s", i, got)
			}
			if want != "ok" {
				c.wantError(got, want)
			}
		}
		say(t, ws, `{"action":"other"}`)
		if got := hear(t, ws); got != `{"action":"other"}` {
			t.Errorf("another route is throttled too: %s", got)
		}
		time.Sleep(time.Second)
		say(t, ws, `{"action":"join"}`)
		if got := hear(t, ws); got != `{"action":"join"}` {
			t.Errorf("a second later: %s", got)
		}
	})
}

func TestAccountLimitIsSharedWithCallbacks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{limits: gateway.Limits{Requests: 1, Burst: 3}})
		ws := c.connect() // takes one
		say(t, ws, "x")
		hear(t, ws)
		id := c.connectionID(0)
		if got := c.post(id, "x"); got != 200 {
			t.Errorf("third call: %d", got)
		}
		hear(t, ws)
		if got := c.post(id, "x"); got != 429 {
			t.Errorf("fourth call: %d, want 429", got)
		}
		say(t, ws, "x")
		c.wantError(hear(t, ws), "Too Many Requests")
	})
}

func TestMessagesAreMeteredPer32KB(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{oneWay: true})
		ws := c.connect()
		say(t, ws, "x")
		say(t, ws, strings.Repeat("x", 32<<10))
		synctest.Wait()
		c.post(c.connectionID(0), strings.Repeat("x", 32<<10+1))
		hear(t, ws)
		_ = ws.Close(1000, "")
		synctest.Wait()
		if got := c.metered[account.MeterMessages]; got != 4 {
			t.Errorf("%v messages, want 1 + 1 in and 2 out", got)
		}
		if got := c.metered[account.MeterConnectionMinutes]; got != 1 {
			t.Errorf("%v minutes, want the first begun one", got)
		}
	})
}

func TestStageVariablesReachEventsAndURIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{stage: stageWithVariables()})
		c.on("router-blue", echo)
		c.route(gateway.RouteSpec{Key: "x"}, "router-${stageVariables.color}", false)
		if _, err := c.svc.PutAPI(gateway.APISpec{ID: c.api.ID, Name: "test", RouteSelectionExpression: "$request.body.a"}); err != nil {
			t.Fatal(err)
		}
		c.deploy()
		ws := c.connect()
		say(t, ws, `{"a":"x"}`)
		hear(t, ws)
		calls := c.invoked("router-blue")
		if len(calls) != 1 {
			t.Fatalf("router-blue ran %d times", len(calls))
		}
		if got, _ := json.Marshal(event(t, calls[0])["stageVariables"]); string(got) != `{"color":"blue"}` {
			t.Errorf("stage variables %s", got)
		}
	})
}
