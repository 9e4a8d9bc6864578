package component_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	perrors "github.com/pulumi/pulumi/sdk/v3/go/pulumi/errors"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/build"
	"github.com/streamer-go/streamer/internal/contract"
)

// construct returns the error of the constructor itself.
func construct(t *testing.T, args *component.StreamerArgs) error {
	t.Helper()
	var got error
	c := &cloud{}
	_ = c.run(func(ctx *pulumi.Context) error {
		_, got = component.NewStreamerWith(ctx, "reports", args, noEnv, fakeBuild)
		return got
	})
	if got != nil && len(c.resources) > 0 {
		t.Errorf("%d resources were registered before the error", len(c.resources))
	}
	return got
}

func TestArgumentErrors(t *testing.T) {
	t.Parallel()
	public, private := keyPair(t)
	keys := func(k ...component.Key) func(*component.StreamerArgs) {
		return func(a *component.StreamerArgs) { a.Auth = &component.Auth{Keys: k} }
	}
	tests := map[string]struct {
		change func(*component.StreamerArgs)
		want   []string
	}{
		"nothing given": {func(a *component.StreamerArgs) { *a = component.StreamerArgs{} }, []string{
			"handlers: is required: give the directory of a main package as package, or a built archive as archive",
			"auth: is required: give keys or jwksUrl",
		}},
		"both handlers": {func(a *component.StreamerArgs) { a.Handlers.Archive = pulumi.NewFileArchive("x.zip") },
			[]string{"handlers: has both package and archive: give one of them"}},
		"both auth": {func(a *component.StreamerArgs) { a.Auth.Keys = []component.Key{{PEM: pulumi.String(public)}} },
			[]string{"auth: has both keys and jwksUrl: give one of them"}},
		"plain http": {func(a *component.StreamerArgs) { a.Auth.JWKSURL = pulumi.String("http://id.example.com") },
			[]string{`auth.jwksUrl: is "http://id.example.com", must be an https URL`}},
		"private key": {keys(component.Key{PEM: pulumi.String(private)}),
			[]string{"auth.keys[0].pem: is a private key: whoever holds it can sign tokens; give the public key"}},
		"no pem": {keys(component.Key{PEM: pulumi.String(public)}, component.Key{PEM: pulumi.String("abc")}),
			[]string{"auth.keys[1].pem: is not PEM: it must begin with -----BEGIN PUBLIC KEY-----"}},
		"empty key":    {keys(component.Key{}), []string{"auth.keys[0]: needs exactly one of pem and secret"}},
		"short secret": {keys(component.Key{Secret: pulumi.String("c2hvcnQ=")}), []string{"auth.keys[0].secret: has 5 bytes, must have at least 32"}},
		"numbers": {func(a *component.StreamerArgs) {
			a.MaxJobs, a.LogRetention = pulumi.Int(0), pulumi.IntPtr(8)
			a.Processor = &component.Function{MemorySize: pulumi.Int(64), Timeout: pulumi.Int(901)}
			a.Throttle = &component.Throttle{Rate: pulumi.Float64(0), Burst: pulumi.Int(0)}
		}, []string{
			"processor.memorySize: is 64, may be 128 to 10240",
			"processor.timeout: is 901, may be 10 to 900",
			"logRetention: is 8, may be one of [1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 2922 3288 3653]",
			"maxJobs: is 0, may be 1 to 2147483647",
			"throttle.burst: is 0, may be 1 to 2147483647",
			"throttle.rate: is 0, must be above 0",
		}},
		"texts": {func(a *component.StreamerArgs) {
			a.StageName, a.Architecture = "$default", "sparc"
			a.LogLevel, a.MetricsNamespace = pulumi.String("loud"), pulumi.String("AWS/Lambda")
			a.QuickThreshold, a.QuickTimeout, a.Lease = pulumi.String("soon"), pulumi.String("30s"), pulumi.StringPtr("0s")
			a.AllowedOrigins = []pulumi.StringInput{pulumi.String("")}
		}, []string{
			`stageName: is "$default", may hold 1 to 128 letters, digits, _ and -`,
			`architecture: is "sparc", may be arm64 or x86_64`,
			"allowedOrigins[0]: is empty",
			`logLevel: is "loud", may be one of debug, info, warn, error`,
			`metricsNamespace: is "AWS/Lambda", must have 1 to 255 characters and not begin with AWS/`,
			`quickThreshold: is "soon", must be a duration such as 5s`,
			"quickTimeout: is 30s, may be 100ms to 25s",
			"lease: is 0s, may be 1s to 15m0s",
		}},
		"names": {func(a *component.StreamerArgs) {
			a.Tags = map[string]pulumi.StringInput{"aws:x": pulumi.String("y"), "null": nil}
			a.Handlers.Environment = map[string]pulumi.StringInput{
				"AWS_REGION": pulumi.String("x"), "STREAMER_ROLE": pulumi.String("x"), "a-b": pulumi.String("x"), "NULL": nil,
			}
		}, []string{
			`handlers.environment["AWS_REGION"]: is a name that Streamer or Lambda keeps for itself`,
			`handlers.environment["NULL"]: is null`,
			`handlers.environment["STREAMER_ROLE"]: is a name that Streamer or Lambda keeps for itself`,
			`handlers.environment["a-b"]: is not a name that Lambda accepts: a letter, then letters, digits and _`,
			`tags["aws:x"]: is a name that AWS refuses`,
			`tags["null"]: is null`,
		}},
		"estimates that are cut off": {func(a *component.StreamerArgs) { a.QuickThreshold = pulumi.String("11s") },
			[]string{"quickThreshold: is 11s, may not be more than quickTimeout, which is 10s: what is estimated to take longer would be cut off"}},
		"variables": {func(a *component.StreamerArgs) {
			a.Handlers.Environment = map[string]pulumi.StringInput{"LARGE": pulumi.String(strings.Repeat("x", 4000))}
		}, []string{"handlers.environment: makes at least 4234 bytes of variables, with Streamer's own, and Lambda takes 4096: keep what is large elsewhere, and its name here"}},
		"too slow for the router": {func(a *component.StreamerArgs) { a.Router = &component.Function{Timeout: pulumi.Int(10)} },
			[]string{"router.timeout: is 10 seconds, must be at least two seconds more than quickTimeout, which is 10s"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := minimal()
			tt.change(args)
			err := construct(t, args)
			want := "streamer: invalid arguments:\n  - " + strings.Join(tt.want, "\n  - ")
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			var sdk *perrors.InputPropertiesError
			if !errors.As(err, &sdk) {
				t.Fatal("a component provider would not recognise the error")
			}
			for _, d := range sdk.Errors {
				if strings.Contains(d.PropertyPath, "secret") {
					t.Errorf("the value of %s would be printed", d.PropertyPath)
				}
			}
		})
	}
	t.Run("nil", func(t *testing.T) {
		t.Parallel()
		if err := construct(t, nil); err == nil || !strings.Contains(err.Error(), "handlers: is required") {
			t.Errorf("got %v", err)
		}
	})
}

// Values that are known later are checked by the same rules.
func TestLateArgumentErrors(t *testing.T) {
	t.Parallel()
	_, private := keyPair(t)
	later := func(v string) pulumi.StringOutput {
		return pulumi.String("").ToStringOutput().ApplyT(func(string) string { return v }).(pulumi.StringOutput)
	}
	number := pulumi.Int(0).ToIntOutput().ApplyT(func(int) int { return 0 }).(pulumi.IntOutput)
	tests := map[string]struct {
		change func(*component.StreamerArgs)
		want   string
	}{
		"text":   {func(a *component.StreamerArgs) { a.LogLevel = later("loud").ToStringPtrOutput() }, `logLevel: is "loud", may be one of debug, info, warn, error`},
		"number": {func(a *component.StreamerArgs) { a.MaxJobs = number.ToIntPtrOutput() }, "maxJobs: is 0, may be 1 to 2147483647"},
		"key": {func(a *component.StreamerArgs) {
			a.Auth = &component.Auth{Keys: []component.Key{{PEM: later(private).ToStringPtrOutput()}}}
		}, "auth.keys[0].pem: is a private key"},
		"secret": {func(a *component.StreamerArgs) {
			a.Auth = &component.Auth{Keys: []component.Key{{Secret: later("c2hvcnQ=").ToStringPtrOutput()}}}
		}, "auth.keys[0].secret: has 5 bytes, must have at least 32"},
		"router": {func(a *component.StreamerArgs) {
			a.Router = &component.Function{Timeout: pulumi.Int(10).ToIntOutput()}
		}, "router.timeout: is 10 seconds, must be at least two seconds more than quickTimeout, which is 10s"},
		"timeout": {func(a *component.StreamerArgs) {
			a.QuickThreshold, a.QuickTimeout = pulumi.String("5s"), later("4s")
		}, "quickThreshold: is 5s, may not be more than quickTimeout, which is 4s"},
		"variables": {func(a *component.StreamerArgs) {
			a.Handlers.Environment = map[string]pulumi.StringInput{"LARGE": later(strings.Repeat("x", 4000))}
		}, "handlers.environment: makes the variables of function processor take 4406 bytes, and Lambda takes 4096"},
		"quoted variables": {func(a *component.StreamerArgs) { // each quotation mark is two characters of JSON
			a.Handlers.Environment = map[string]pulumi.StringInput{"LARGE": later(strings.Repeat(`"`, 2000))}
		}, "handlers.environment: makes the variables of function processor take 4406 bytes"},
		"keys": {func(a *component.StreamerArgs) {
			secret := base64.StdEncoding.EncodeToString(make([]byte, 600))
			a.Auth = &component.Auth{Keys: []component.Key{{Secret: pulumi.String(secret)}, {Secret: pulumi.String(secret)}, {Secret: pulumi.String(secret)}}}
			a.Auth.Issuer = later(strings.Repeat(`"`, 450))
		}, "auth: makes the variables of function connect take"},
		"too large": {func(a *component.StreamerArgs) {
			a.Auth.Issuer = later(strings.Repeat("x", 4000)).ToStringPtrOutput()
		}, "auth: takes 40"},
		"asset": {func(a *component.StreamerArgs) {
			a.Handlers = &component.Handlers{Archive: pulumi.NewStringAsset("x").ToAssetOrArchiveOutput()}
		}, "handlers.archive: is an asset, must be an archive"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := minimal()
			tt.change(args)
			err := (&cloud{}).run(func(ctx *pulumi.Context) error {
				_, err := component.NewStreamerWith(ctx, "reports", args, noEnv, fakeBuild)
				return err
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestAuthDocument(t *testing.T) {
	t.Parallel()
	public, _ := keyPair(t)
	secret := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	args := minimal()
	args.AllowedOrigins = []pulumi.StringInput{pulumi.String("https://app.example.com"), pulumi.String("https://b.example.com")}
	args.Auth = &component.Auth{
		Issuer: pulumi.String("iss"), Audience: []pulumi.StringInput{pulumi.String("aud")},
		UserClaim: pulumi.String("u"), TenantClaim: pulumi.String("t"), PermissionsClaim: pulumi.String("p"),
		QueryParameter: pulumi.String("token"), LeewaySeconds: pulumi.Int(5),
		Keys: []component.Key{
			{ID: pulumi.String("one"), PEM: pulumi.String(public).ToStringOutput().ToStringPtrOutput()},
			{Secret: pulumi.String(secret)},
		},
	}
	c := deploy(t, args)
	connect := c.must(t, "Function", "reports-connect")
	text := connect.Inputs["environment"].ObjectValue()["variables"].ObjectValue()[contract.EnvAuth]
	if !text.IsSecret() {
		t.Fatal("the secret is no secret any more")
	}
	var got contract.Auth
	if err := json.Unmarshal([]byte(text.SecretValue().Element.StringValue()), &got); err != nil {
		t.Fatal(err)
	}
	leeway := 5
	want := contract.Auth{
		Issuer: "iss", Audience: []string{"aud"}, UserClaim: "u", TenantClaim: "t", PermissionsClaim: "p",
		QueryParameter: "token", LeewaySeconds: &leeway, Origins: []string{"https://app.example.com", "https://b.example.com"},
		Keys: []contract.Key{{ID: "one", PEM: public}, {Secret: secret}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// recorder keeps what is to be built.
type recorder struct {
	mu   sync.Mutex
	jobs []string
}

func (r *recorder) build(ctx context.Context, cache string, p build.Package, target build.Target) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what := p.Path
	if !p.Own {
		what = p.Dir
	}
	r.jobs = append(r.jobs, fmt.Sprintf("%s own=%v %s/%s %v", what, p.Own, target.GOOS, target.GOARCH, target.Flags))
	return fakeBuild(ctx, cache, p, target)
}

func TestHostArchitecture(t *testing.T) {
	t.Parallel()
	getenv := func(name string) string {
		return map[string]string{contract.EnvBuildArch: "amd64", contract.EnvBuildFlags: "-cover -race"}[name]
	}
	c, r := &cloud{}, &recorder{}
	err := c.run(func(ctx *pulumi.Context) error {
		_, err := component.NewStreamerWith(ctx, "reports", minimal(), getenv, r.build)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.jobs)
	on := " " + runtime.GOOS + "/amd64 [-cover -race]"
	want := []string{"../cmd/handlers own=false" + on, "./lambdas/connect own=true" + on, "./lambdas/dispatcher own=true" + on}
	if !slices.Equal(r.jobs, want) {
		t.Errorf("built %q, want %q", r.jobs, want)
	}
	for _, role := range roles {
		if got := fmt.Sprint(plain(c.must(t, "Function", "reports-"+string(role)), "architectures")); got != "[x86_64]" {
			t.Errorf("%s is registered for %s", role, got)
		}
	}
}

func TestHostArchitectureUnknownToLambda(t *testing.T) {
	t.Parallel()
	err := (&cloud{}).run(func(ctx *pulumi.Context) error {
		getenv := func(string) string { return "riscv64" }
		_, err := component.NewStreamerWith(ctx, "reports", minimal(), getenv, fakeBuild)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "architecture: cannot be riscv64, as STREAMER_BUILD_ARCH says: Lambda knows arm64 and amd64") {
		t.Errorf("got %v", err)
	}
}

func TestPrebuiltArchive(t *testing.T) {
	t.Parallel()
	archive := pulumi.NewFileArchive("dist/handlers.zip")
	for name, in := range map[string]pulumi.AssetOrArchiveInput{"archive": archive, "output": archive.ToAssetOrArchiveOutput()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := minimal()
			args.Handlers = &component.Handlers{Archive: in}
			c := deploy(t, args)
			for role, want := range map[string]string{"router": "dist/handlers.zip", "processor": "dist/handlers.zip", "connect": "/cache/linux-arm64/connect.zip"} {
				r := c.must(t, "Function", "reports-"+role)
				if got := r.Inputs["code"].ArchiveValue().Path; got != want {
					t.Errorf("%s runs %s, want %s", role, got, want)
				}
			}
		})
	}
}

func TestCompileErrorNamesTheProperty(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "app")
	write(t, filepath.Join(dir, "go.mod"), "module example.com/app\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { absent() }\n")
	args := minimal()
	args.Handlers.Package = dir
	onlyHandlers := func(ctx context.Context, _ string, p build.Package, target build.Target) (string, error) {
		if p.Own {
			return "own.zip", nil
		}
		return component.GoBuild(ctx, t.TempDir(), p, target)
	}
	var got error
	_ = (&cloud{}).run(func(ctx *pulumi.Context) error {
		_, got = component.NewStreamerWith(ctx, "reports", args, noEnv, onlyHandlers)
		return got
	})
	want := "streamer: invalid arguments:\n  - handlers.package: " + dir + " does not build:\n      " + filepath.Join(dir, "main.go") + ":3:15: undefined: absent"
	if got == nil || got.Error() != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestNameThatAWSWouldRefuse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", strings.Repeat("n", 46), "a.b", "a b"} {
		err := (&cloud{}).run(func(ctx *pulumi.Context) error {
			_, err := component.NewStreamerWith(ctx, name, minimal(), noEnv, fakeBuild)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "of the component may have 1 to 45") {
			t.Errorf("name %q: %v", name, err)
		}
	}
}
