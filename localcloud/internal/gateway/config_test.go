package gateway_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

func TestOnlyWhatIsDeployedIsServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{selection: "$request.body.action", noDefault: true})
		ws := c.connect()
		const join = `{"action":"join"}`
		c.on("join", echo)
		id := c.route(gateway.RouteSpec{Key: "join"}, "join", false)
		say(t, ws, join)
		c.wantError(hear(t, ws), "Forbidden") // there, but not deployed
		first := c.deploy()
		say(t, ws, join)
		if got := hear(t, ws); got != join {
			t.Errorf("open connection after the deployment: %s", got)
		}
		if err := c.svc.DeleteRoute(c.api.ID, id); err != nil {
			t.Fatal(err)
		}
		say(t, ws, join)
		if got := hear(t, ws); got != join {
			t.Errorf("deleted, but still deployed: %s", got)
		}
		c.deploy()
		say(t, ws, join)
		c.wantError(hear(t, ws), "Forbidden")
		stage := c.stage
		stage.DeploymentID = first
		if err := c.svc.PutStage(c.api.ID, stage); err != nil {
			t.Fatal(err)
		}
		say(t, ws, join)
		if got := hear(t, ws); got != join {
			t.Errorf("rolled back: %s", got)
		}
	})
}

func TestAutoDeployServesChangesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{selection: "$request.body.action", noDefault: true})
		stage := c.stage
		stage.AutoDeploy = true
		if err := c.svc.PutStage(c.api.ID, stage); err != nil {
			t.Fatal(err)
		}
		ws := c.connect()
		c.on("join", echo)
		c.route(gateway.RouteSpec{Key: "join"}, "join", false)
		say(t, ws, `{"action":"join"}`)
		if got := hear(t, ws); got != `{"action":"join"}` {
			t.Errorf("heard %s", got)
		}
	})
}

// A stage without a deployment lets nobody in: there is no authorizer to ask.
func TestStageWithoutDeployment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		bare := gateway.StageSpec{Name: "bare"}
		dial := func(stage gateway.StageSpec, want int) {
			t.Helper()
			if err := c.svc.PutStage(c.api.ID, stage); err != nil {
				t.Fatal(err)
			}
			ws, resp, _ := c.dial("/bare", nil)
			if resp == nil || resp.StatusCode != want {
				t.Errorf("%+v: response %v, want %d", stage, resp, want)
			}
			if ws != nil {
				ws.CloseNow()
			}
		}
		dial(bare, 403)
		if calls := c.invoked("connect"); len(calls) != 0 || !strings.Contains(c.logged(), "stage bare has no deployment") {
			t.Errorf("$connect was invoked %d times, logged %s", len(calls), c.logged())
		}
		dial(gateway.StageSpec{Name: "bare", DeploymentID: c.deploy()}, 101)
		dial(bare, 403)
		dial(gateway.StageSpec{Name: "bare", AutoDeploy: true}, 101)
	})
}

func TestDeletingStageAndAPIClosesConnections(t *testing.T) {
	for name, remove := range map[string]func(c *cloud) error{
		"stage": func(c *cloud) error { return c.svc.DeleteStage(c.api.ID, "prod") },
		"api":   func(c *cloud) error { return c.svc.DeleteAPI(c.api.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{})
				ws := c.connect()
				if name == "api" {
					synctest.Wait() // what net/http has not let go of yet, it cuts
				}
				if err := remove(c); err != nil {
					t.Fatal(err)
				}
				if closed := hearClose(t, ws); closed.Code != 1001 {
					t.Errorf("closed with %v", closed)
				}
				c.wantDisconnect(1001, "Going away")
				if _, _, err := c.dial("/prod", nil); err == nil {
					t.Error("still accepts connections")
				}
				if err := remove(c); !errors.Is(err, gateway.ErrNotFound) {
					t.Errorf("second delete: %v", err)
				}
			})
		})
	}
}

func TestConfigurationErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{authorize: true})
		s, api := c.svc, c.api.ID
		integration := must[string](t)(s.PutIntegration(api, "used", gateway.IntegrationSpec{Type: "AWS_PROXY", URI: invokeARN("x")}))
		authorizer := must[string](t)(s.PutAuthorizer(api, "auth", gateway.AuthorizerSpec{Type: "REQUEST", URI: invokeARN("x")}))
		route := must[string](t)(s.PutRoute(api, "", gateway.RouteSpec{Key: "k", Target: "integrations/" + integration}))
		empty := must[gateway.APIInfo](t)(s.PutAPI(gateway.APISpec{Name: "empty", RouteSelectionExpression: "$default"})).ID
		only := func(_ string, err error) error { return err }
		for name, tc := range map[string]struct{ got, want error }{
			"route, key twice":              {only(s.PutRoute(api, "", gateway.RouteSpec{Key: "k"})), gateway.ErrConflict},
			"route, no key":                 {only(s.PutRoute(api, "", gateway.RouteSpec{})), gateway.ErrInvalid},
			"route, no such integration":    {only(s.PutRoute(api, "", gateway.RouteSpec{Key: "n", Target: "integrations/none"})), gateway.ErrNotFound},
			"route, target":                 {only(s.PutRoute(api, "", gateway.RouteSpec{Key: "n", Target: "none"})), gateway.ErrInvalid},
			"route, no such authorizer":     {only(s.PutRoute(api, "", gateway.RouteSpec{Key: "n", AuthorizationType: "CUSTOM"})), gateway.ErrNotFound},
			"route, authorization of other": {only(s.PutRoute(api, "", gateway.RouteSpec{Key: "n", AuthorizationType: "CUSTOM", AuthorizerID: authorizer})), gateway.ErrInvalid},
			"route, JWT":                    {only(s.PutRoute(api, "", gateway.RouteSpec{Key: "n", AuthorizationType: "JWT"})), gateway.ErrInvalid},
			"route, response expression":    {only(s.PutRoute(api, "", gateway.RouteSpec{Key: "n", RouteResponseSelectionExpression: "x"})), gateway.ErrInvalid},
			"route, no such API":            {only(s.PutRoute("none", "", gateway.RouteSpec{Key: "n"})), gateway.ErrNotFound},
			"response, key":                 {only(s.PutRouteResponse(api, "", gateway.RouteResponseSpec{RouteID: route, Key: "x"})), gateway.ErrInvalid},
			"response, no such route":       {only(s.PutRouteResponse(api, "", gateway.RouteResponseSpec{RouteID: "none", Key: "$default"})), gateway.ErrNotFound},
			"integration, MOCK":             {only(s.PutIntegration(api, "", gateway.IntegrationSpec{Type: "MOCK"})), gateway.ErrInvalid},
			"integration, URI":              {only(s.PutIntegration(api, "", gateway.IntegrationSpec{Type: "AWS_PROXY", URI: "arn:aws:lambda:x"})), gateway.ErrInvalid},
			"integration, 30 s":             {only(s.PutIntegration(api, "", gateway.IntegrationSpec{Type: "AWS_PROXY", URI: invokeARN("x"), Timeout: 30 * time.Second})), gateway.ErrInvalid},
			"integration, 49 ms":            {only(s.PutIntegration(api, "", gateway.IntegrationSpec{Type: "AWS_PROXY", URI: invokeARN("x"), Timeout: 49 * time.Millisecond})), gateway.ErrInvalid},
			"integration in use":            {s.DeleteIntegration(api, integration), gateway.ErrConflict},
			"integration, none":             {s.DeleteIntegration(api, "none"), gateway.ErrNotFound},
			"authorizer, JWT":               {only(s.PutAuthorizer(api, "", gateway.AuthorizerSpec{Type: "JWT"})), gateway.ErrInvalid},
			"authorizer, source":            {only(s.PutAuthorizer(api, "", gateway.AuthorizerSpec{Type: "REQUEST", URI: invokeARN("x"), IdentitySources: []string{"$request.header.x"}})), gateway.ErrInvalid},
			"deployment without routes":     {only(s.PutDeployment(empty, "")), gateway.ErrInvalid},
			"deployment in use":             {s.DeleteDeployment(api, c.deploy()), gateway.ErrConflict},
			"stage, no such deployment":     {s.PutStage(api, gateway.StageSpec{Name: "x", DeploymentID: "none"}), gateway.ErrNotFound},
			"stage, slash":                  {s.PutStage(api, gateway.StageSpec{Name: "a/b"}), gateway.ErrInvalid},
			"stage, of HTTP APIs":           {s.PutStage(api, gateway.StageSpec{Name: "$default"}), gateway.ErrInvalid},
			"stage, 129 characters":         {s.PutStage(api, gateway.StageSpec{Name: strings.Repeat("a", 129)}), gateway.ErrInvalid},
			"stage, no name":                {s.PutStage(api, gateway.StageSpec{}), gateway.ErrInvalid},
			"stage, 128 characters":         {s.PutStage(api, gateway.StageSpec{Name: strings.Repeat("a", 120) + "-_aZ0123"}), nil},
		} {
			if !errors.Is(tc.got, tc.want) {
				t.Errorf("%s: %v, want %v", name, tc.got, tc.want)
			}
		}
	})
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	svc := gateway.New(gateway.Options{})
	t.Cleanup(svc.Close)
	api := must[gateway.APIInfo](t)(svc.PutAPI(gateway.APISpec{Name: "x", RouteSelectionExpression: "$default"})).ID
	for noun, tc := range map[string]struct {
		most int
		put  func(name string) error
	}{
		"route": {300, func(name string) error {
			_, err := svc.PutRoute(api, name, gateway.RouteSpec{Key: name})
			return err
		}},
		"integration": {300, func(name string) error {
			_, err := svc.PutIntegration(api, name, gateway.IntegrationSpec{Type: "AWS_PROXY", URI: invokeARN("x")})
			return err
		}},
		"authorizer": {10, func(name string) error {
			_, err := svc.PutAuthorizer(api, name, gateway.AuthorizerSpec{Type: "REQUEST", URI: invokeARN("x")})
			return err
		}},
		"stage": {10, func(name string) error { return svc.PutStage(api, gateway.StageSpec{Name: name}) }},
	} {
		for i := range tc.most {
			if err := tc.put(strconv.Itoa(i)); err != nil {
				t.Fatalf("%s %d: %v", noun, i, err)
			}
		}
		if err := tc.put("more"); !errors.Is(err, gateway.ErrQuota) {
			t.Errorf("one %s more: %v", noun, err)
		}
		if err := tc.put("0"); err != nil {
			t.Errorf("change of an existing %s: %v", noun, err)
		}
	}
}
