package component_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/contract"
)

var roles = []contract.Role{contract.RoleConnect, contract.RoleRouter, contract.RoleDispatcher, contract.RoleProcessor}

// A name that changes replaces a resource in every stack that exists.
func TestNamesAreStable(t *testing.T) {
	t.Parallel()
	c := deploy(t, minimal())
	var lines []string
	for _, r := range c.resources {
		parent := resource.URN(r.RegisterRPC.GetParent())
		if r.TypeToken != component.Type && (parent == "" || string(parent.Type()) != component.Type) {
			t.Errorf("%s %s is not a child of the component but of %q", r.TypeToken, r.Name, parent)
		}
		lines = append(lines, r.TypeToken+" "+r.Name)
	}
	sort.Strings(lines)
	golden(t, "graph.golden", strings.Join(lines, "\n")+"\n")
}

// What is registered, in every property.
func TestProperties(t *testing.T) {
	t.Parallel()
	c := deploy(t, minimal())
	all := map[string]any{}
	for _, r := range c.resources {
		all[r.TypeToken+" "+r.Name] = r.Inputs.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
			if v.IsArchive() {
				return "archive " + v.ArchiveValue().Path, true
			}
			return nil, false
		})
	}
	out := &bytes.Buffer{}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(all); err != nil {
		t.Fatal(err)
	}
	golden(t, "properties.golden.json", out.String())
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	c := deploy(t, minimal())
	for _, part := range []string{"connect", "router", "dispatcher", "processor", "sweep"} {
		text := plain(c.must(t, "RolePolicy", "reports-"+part), "policy").(string)
		var out bytes.Buffer
		if err := json.Indent(&out, []byte(text), "", "  "); err != nil {
			t.Fatal(err)
		}
		out.WriteString("\n")
		golden(t, "policy-"+part+".golden.json", out.String())
	}
}

// Wildcards are where a policy grows beyond its purpose: each one is listed here.
func TestPoliciesHaveNoOtherWildcards(t *testing.T) {
	t.Parallel()
	c := deploy(t, minimal())
	allowed := func(action, res string) bool {
		switch {
		case strings.HasPrefix(action, "xray:"):
			return res == "*"
		case strings.HasPrefix(action, "logs:"):
			return strings.HasSuffix(res, ":*") && strings.Count(res, "*") == 1
		case action == "execute-api:ManageConnections":
			return (strings.HasSuffix(res, "/live/POST/@connections/*") || strings.HasSuffix(res, "/live/DELETE/@connections/*")) && strings.Count(res, "*") == 1
		case slices.Contains([]string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}, action):
			return strings.HasSuffix(res, "/stream/*") && strings.Count(res, "*") == 1
		}
		return !strings.Contains(res, "*")
	}
	seen := 0
	for _, r := range c.resources {
		if !strings.HasSuffix(r.TypeToken, ":RolePolicy") {
			continue
		}
		var doc struct {
			Statement []struct {
				Action, Resource []string
			}
		}
		if err := json.Unmarshal([]byte(plain(r, "policy").(string)), &doc); err != nil {
			t.Fatal(err)
		}
		for _, s := range doc.Statement {
			for _, action := range s.Action {
				for _, res := range s.Resource {
					seen++
					if strings.Contains(action, "*") || !allowed(action, res) {
						t.Errorf("%s allows %s on %s", r.Name, action, res)
					}
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("looked at %d pairs only", seen)
	}
}

func TestEnvironmentIsTheContract(t *testing.T) {
	t.Parallel()
	c := deploy(t, minimal())
	for _, role := range roles {
		got := env(t, c.must(t, "Function", "reports-"+string(role)))
		var names []string
		for name := range got {
			names = append(names, name)
		}
		want := contract.Environment(role)
		sort.Strings(names)
		sort.Strings(want)
		if !slices.Equal(names, want) {
			t.Errorf("%s is given %v, want %v", role, names, want)
		}
		if got[contract.EnvRole] != string(role) {
			t.Errorf("%s believes to be %v", role, got[contract.EnvRole])
		}
	}
	processor := env(t, c.must(t, "Function", "reports-processor"))
	if got, want := processor[contract.EnvCallbackEndpoint], "https://reports-id.execute-api.eu-central-1.amazonaws.com/live"; got != want {
		t.Errorf("callback endpoint is %v, want %s", got, want)
	}
}

func TestHandlerEnvironment(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Handlers.Environment = map[string]pulumi.StringInput{"DATABASE": pulumi.String("db")}
	c := deploy(t, args)
	for role, want := range map[string]any{"router": "db", "processor": "db", "connect": nil, "dispatcher": nil} {
		if got := env(t, c.must(t, "Function", "reports-"+role))["DATABASE"]; got != want {
			t.Errorf("%s has DATABASE=%v, want %v", role, got, want)
		}
	}
}

func TestFunctionsUpdateInOrder(t *testing.T) {
	t.Parallel()
	c := deploy(t, minimal())
	needs := func(part, kind, name string) {
		t.Helper()
		r := c.must(t, "Function", "reports-"+part)
		want := "$" + c.must(t, kind, name).TypeToken + "::" + name
		if !slices.ContainsFunc(r.RegisterRPC.GetDependencies(), func(urn string) bool { return strings.HasSuffix(urn, want) }) {
			t.Errorf("%s does not wait for %s %s", part, kind, name)
		}
	}
	needs("dispatcher", "Function", "reports-processor")
	needs("router", "Function", "reports-dispatcher")
	for _, role := range roles {
		needs(string(role), "LogGroup", "reports-"+string(role))
		needs(string(role), "RolePolicy", "reports-"+string(role))
	}
}

func TestStreamFilter(t *testing.T) {
	t.Parallel()
	c := deploy(t, minimal())
	got := plain(c.must(t, "EventSourceMapping", "reports-stream"), "filterCriteria")
	want := map[string]any{"filters": []any{map[string]any{"pattern": contract.StreamPattern}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestProtection(t *testing.T) {
	t.Parallel()
	guarded := []string{"Api reports", "Table reports-connections", "Table reports-history", "Table reports-requests"}
	off := false
	for name, tt := range map[string]struct {
		protect *bool
		want    []string
	}{"default": {nil, guarded}, "off": {&off, nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := minimal()
			args.Protect = tt.protect
			c := deploy(t, args)
			var got []string
			for _, r := range c.resources {
				kind := r.TypeToken[strings.LastIndex(r.TypeToken, ":")+1:]
				if r.RegisterRPC.GetProtect() {
					got = append(got, kind+" "+r.Name)
				}
				if kind == "Table" && plain(r, "deletionProtectionEnabled") != (tt.want != nil) {
					t.Errorf("%s: deletion protection is %v", r.Name, plain(r, "deletionProtectionEnabled"))
				}
			}
			sort.Strings(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("protected are %v, want %v", got, tt.want)
			}
		})
	}
}

// All resources must ask for one version of the provider.
func TestOneProvider(t *testing.T) {
	t.Parallel()
	for _, r := range deploy(t, minimal()).resources {
		if r.Custom && r.RegisterRPC.GetVersion() != "6.83.2" {
			t.Errorf("%s asks for version %q", r.TypeToken, r.RegisterRPC.GetVersion())
		}
	}
}

func trigger(t *testing.T, c *cloud) any {
	t.Helper()
	return plain(c.must(t, "Deployment", "reports"), "triggers").(map[string]any)["configuration"]
}

func TestDeploymentFollowsTheRoutes(t *testing.T) {
	t.Parallel()
	before := trigger(t, deploy(t, minimal()))
	if again := trigger(t, deploy(t, minimal())); again != before {
		t.Errorf("without a change the trigger went from %v to %v", before, again)
	}
	bigger := minimal()
	bigger.Processor = &component.Function{MemorySize: pulumi.Int(2048)}
	if other := trigger(t, deploy(t, bigger)); other != before {
		t.Error("the size of a function makes a new deployment")
	}
	changed := &cloud{invokeARN: map[string]string{"reports-router": "/other"}}
	err := changed.run(func(ctx *pulumi.Context) error {
		_, err := component.NewStreamerWith(ctx, "reports", minimal(), noEnv, fakeBuild)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if trigger(t, changed) == before {
		t.Error("a changed integration makes no new deployment")
	}
	deps := changed.must(t, "Deployment", "reports").RegisterRPC.GetDependencies()
	for _, want := range []string{"Route::reports-connect", "Route::reports-default", "Route::reports-disconnect", "RouteResponse::reports-default"} {
		if !slices.ContainsFunc(deps, func(urn string) bool { return strings.HasSuffix(urn, want) }) {
			t.Errorf("deployment does not wait for %s: %v", want, deps)
		}
	}
}

func TestTriggerCoversEveryPropertyOfARoute(t *testing.T) {
	t.Parallel()
	base := func() *apigatewayv2.RouteArgs {
		return &apigatewayv2.RouteArgs{ApiId: pulumi.String("api"), RouteKey: pulumi.String("$default"), Target: pulumi.String("integrations/a")}
	}
	changes := map[string]func(*apigatewayv2.RouteArgs){
		"nothing":    func(*apigatewayv2.RouteArgs) {},
		"key":        func(a *apigatewayv2.RouteArgs) { a.RouteKey = pulumi.String("other") },
		"target":     func(a *apigatewayv2.RouteArgs) { a.Target = pulumi.String("integrations/b") },
		"response":   func(a *apigatewayv2.RouteArgs) { a.RouteResponseSelectionExpression = pulumi.String("$default") },
		"authorizer": func(a *apigatewayv2.RouteArgs) { a.AuthorizerId = pulumi.String("auth") },
		// The same text in another property.
		"authorization": func(a *apigatewayv2.RouteArgs) { a.AuthorizationType = pulumi.String("auth") },
		"api key":       func(a *apigatewayv2.RouteArgs) { a.ApiKeyRequired = pulumi.Bool(true) },
	}
	seen := map[string]string{}
	for name, change := range changes {
		args, got := base(), make(chan string, 1)
		change(args)
		err := (&cloud{}).run(func(ctx *pulumi.Context) error {
			hash, err := component.RouteHash(ctx, args)
			hash.ApplyT(func(h string) string { got <- h; return h })
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		hash := <-got
		if other, ok := seen[hash]; ok {
			t.Errorf("a change of %s looks like one of %s", name, other)
		}
		seen[hash] = name
	}
}

func TestTwoInOneProgram(t *testing.T) {
	t.Parallel()
	c := &cloud{} // refuses what is registered twice
	err := c.run(func(ctx *pulumi.Context) error {
		for _, name := range []string{"reports", "chat"} {
			if _, err := component.NewStreamerWith(ctx, name, minimal(), noEnv, fakeBuild); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names := map[any]bool{}
	for _, r := range c.resources {
		if !strings.HasSuffix(r.TypeToken, ":LogGroup") {
			continue
		}
		if n := plain(r, "name"); names[n] {
			t.Errorf("two log groups are named %v", n)
		} else {
			names[n] = true
		}
	}
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	c := &cloud{apiScheme: "ws"}
	got := make(chan []any, 1)
	err := c.run(func(ctx *pulumi.Context) error {
		s, err := component.NewStreamerWith(ctx, "reports", minimal(), noEnv, fakeBuild)
		if err != nil {
			return err
		}
		pulumi.All(s.URL, s.CallbackEndpoint, s.RequestsTableName, s.ProcessorRoleARN, s.ProcessorRoleName, s.WakeQueueURL).ApplyT(func(v []any) error {
			got <- v
			return nil
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []any{
		"ws://reports-id.execute-api.eu-central-1.amazonaws.com/live",
		"http://reports-id.execute-api.eu-central-1.amazonaws.com/live",
		"reports-requests", "arn:aws:iam::123456789012:role/reports-processor", "reports-processor",
		"https://sqs.eu-central-1.amazonaws.com/123456789012/reports-wake",
	}
	if v := <-got; !slices.Equal(v, want) {
		t.Errorf("got %v, want %v", v, want)
	}
}

func TestCallbackEndpoint(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"wss://a.execute-api.eu-central-1.amazonaws.com": "https://a.execute-api.eu-central-1.amazonaws.com/live",
		"ws://127.0.0.1:4567":                            "http://127.0.0.1:4567/live",
		"https://a.example.com":                          "",
	} {
		if got, err := component.CallbackEndpoint(in, "live"); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestMaxJobs(t *testing.T) {
	t.Parallel()
	limited := minimal()
	limited.MaxJobs = pulumi.Int(50)
	if got := plain(deploy(t, limited).must(t, "Function", "reports-processor"), "reservedConcurrentExecutions"); got != 50.0 {
		t.Errorf("reserved concurrency is %v, want 50", got)
	}
	r := deploy(t, minimal()).must(t, "Function", "reports-processor")
	if _, ok := r.Inputs["reservedConcurrentExecutions"]; ok {
		t.Error("without maxJobs the processor has a reserved concurrency")
	}
}
