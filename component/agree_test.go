package component_test

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
)

// form is how an argument is given: as a value, or as an Output.
type form struct {
	text interface {
		pulumi.StringInput
		pulumi.StringPtrInput
	}
	whole   pulumi.IntPtrInput
	decimal pulumi.Float64PtrInput
}

func asValue(v any) (f form) {
	switch v := v.(type) {
	case string:
		f.text = pulumi.String(v)
	case int:
		f.whole = pulumi.Int(v)
	case float64:
		f.decimal = pulumi.Float64(v)
	}
	return f
}

func asOutput(v any) (f form) {
	switch v := v.(type) {
	case string:
		f.text = pulumi.String(v).ToStringOutput()
	case int:
		f.whole = pulumi.Int(v).ToIntOutput()
	case float64:
		f.decimal = pulumi.Float64(v).ToFloat64Output()
	}
	return f
}

// start makes the four functions as Lambda would, from what the component has put
// into their environments.
func start(t *testing.T, c *cloud) error {
	t.Helper()
	for _, role := range roles {
		given := env(t, c.must(t, "Function", "reports-"+string(role)))
		host := streamer.Host{Log: io.Discard, Getenv: func(name string) string {
			if name == "AWS_REGION" {
				return "eu-central-1"
			}
			if s, ok := given[name].(*resource.Secret); ok {
				return s.Element.StringValue()
			}
			v, _ := given[name].(string)
			return v
		}}
		makers := map[contract.Role]func(streamer.Host) (lambda.Handler, error){
			contract.RoleConnect: streamer.ConnectHandler, contract.RoleDispatcher: streamer.DispatcherHandler,
			contract.RoleRouter: streamer.New().Handler, contract.RoleProcessor: streamer.New().Handler,
		}
		if _, err := makers[role](host); err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
	}
	return nil
}

type giver func(v any) form

// What passes a preview starts, and what does not start never passes one, whether it
// is given as a value or as an Output.
func TestWhatIsAcceptedStarts(t *testing.T) {
	t.Parallel()
	for name, tt := range boundaries(t) {
		for way, give := range map[string]giver{"value": asValue, "output": asOutput} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				args := minimal()
				tt.change(args, give)
				c := &cloud{}
				err := c.run(func(ctx *pulumi.Context) error {
					_, err := component.NewStreamerWith(ctx, "reports", args, noEnv, fakeBuild)
					return err
				})
				if (err == nil) != tt.fine {
					t.Errorf("the component says %v", err)
				}
				if err != nil {
					return
				}
				if err := start(t, c); err != nil {
					t.Errorf("accepted, but dead: %v", err)
				}
			})
		}
	}
}

type boundary struct {
	change func(a *component.StreamerArgs, give giver)
	fine   bool
}

func boundaries(t *testing.T) map[string]boundary {
	all := map[string]boundary{}
	add := func(name string, fine bool, change func(a *component.StreamerArgs, give giver)) {
		if _, ok := all[name]; ok {
			t.Fatalf("%s is there twice", name)
		}
		all[name] = boundary{change, fine}
	}
	texts := func(property string, set func(a *component.StreamerArgs, v form), fine bool, values ...string) {
		for _, v := range values {
			add(fmt.Sprintf("%s %.40q", property, v), fine, func(a *component.StreamerArgs, give giver) { set(a, give(v)) })
		}
	}
	threshold := func(a *component.StreamerArgs, v form) { a.QuickThreshold = v.text }
	texts("threshold", threshold, true, "0s", "0", "1ns", "10s")
	texts("threshold", threshold, false, "-1ns", "10001ms", "soon", "")
	timeout := func(a *component.StreamerArgs, v form) { a.QuickTimeout = v.text }
	texts("timeout", timeout, true, "100ms", "25s")
	texts("timeout", timeout, false, "99ms", "25001ms", "0s", "")
	lease := func(a *component.StreamerArgs, v form) { a.Lease = v.text }
	texts("lease", lease, true, "1s", "15m")
	texts("lease", lease, false, "999ms", "16m", "0", "")
	texts("level", func(a *component.StreamerArgs, v form) { a.LogLevel = v.text }, true, "debug", "info", "warn", "error")
	texts("level", func(a *component.StreamerArgs, v form) { a.LogLevel = v.text }, false, "", "INFO", "trace")
	texts("namespace", func(a *component.StreamerArgs, v form) { a.MetricsNamespace = v.text }, true, strings.Repeat("n", 255))
	origins := func(a *component.StreamerArgs, v form) { a.AllowedOrigins = []pulumi.StringInput{v.text} }
	texts("origin", origins, true, "*", "null", "https://app.example.com", "HTTPS://App.example.com:443", "http://localhost:3000", "http://[::1]:80", "capacitor://localhost")
	texts("origin", origins, false, "", "app.example.com", "https://app.example.com/", "https://*.example.com", "https://a.b?c", "https://u@a.b", "https://", "//a.b", "a b")
	audience := func(a *component.StreamerArgs, v form) { a.Auth.Audience = []pulumi.StringInput{v.text} }
	texts("audience", audience, true, "a")
	texts("audience", audience, false, "")
	keySet := func(a *component.StreamerArgs, v form) { a.Auth.JWKSURL = v.text }
	texts("jwks", keySet, true, "https://id.example.com", "HTTPS://id.example.com:8443/a?b")
	texts("jwks", keySet, false, "", "https://", "https://:443", "http://id.example.com", "https://u:p@id.example.com/", "https://%zz")
	for _, name := range []string{"userClaim", "tenantClaim", "permissionsClaim", "issuer", "queryParameter"} {
		add(name+" is empty", true, func(a *component.StreamerArgs, give giver) {
			*map[string]*pulumi.StringPtrInput{
				"userClaim": &a.Auth.UserClaim, "tenantClaim": &a.Auth.TenantClaim, "permissionsClaim": &a.Auth.PermissionsClaim,
				"issuer": &a.Auth.Issuer, "queryParameter": &a.Auth.QueryParameter,
			}[name] = give("").text
		})
	}
	numbers(add)
	verification(t, add)
	return all
}

func numbers(add func(string, bool, func(*component.StreamerArgs, giver))) {
	for property, n := range map[string]struct {
		set    func(a *component.StreamerArgs, v form)
		lo, hi any
		bad    []any
	}{
		"leeway":      {func(a *component.StreamerArgs, v form) { a.Auth.LeewaySeconds = v.whole }, 0, 300, []any{-1, 301}},
		"per user":    {func(a *component.StreamerArgs, v form) { a.Limits = &component.Limits{MaxOpenPerUser: v.whole} }, 1, 10000, []any{0, 10001}},
		"per tenant":  {func(a *component.StreamerArgs, v form) { a.Limits = &component.Limits{MaxOpenPerTenant: v.whole} }, 1, 10000, []any{0, 10001}},
		"concurrency": {func(a *component.StreamerArgs, v form) { a.Limits = &component.Limits{TenantConcurrency: v.whole} }, 1, 10000, []any{0, 10001}},
		"rate": {
			func(a *component.StreamerArgs, v form) { a.Limits = &component.Limits{TenantRate: v.decimal} },
			math.SmallestNonzeroFloat64, 1000.0, []any{0.0, -1.0, 1000.5, math.NaN(), math.Inf(1)},
		},
		"throttle": {
			func(a *component.StreamerArgs, v form) { a.Throttle = &component.Throttle{Rate: v.decimal} },
			math.SmallestNonzeroFloat64, math.MaxFloat64, []any{0.0, -1.0, math.NaN(), math.Inf(1)},
		},
		"router": {func(a *component.StreamerArgs, v form) { a.Router = &component.Function{Timeout: v.whole} }, 12, 29, []any{11, 30}},
	} {
		try := func(v any, fine bool) {
			add(fmt.Sprintf("%s %v", property, v), fine, func(a *component.StreamerArgs, give giver) { n.set(a, give(v)) })
		}
		try(n.lo, true)
		try(n.hi, true)
		for _, v := range n.bad {
			try(v, false)
		}
	}
}
