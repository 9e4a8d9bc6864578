package component_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	perrors "github.com/pulumi/pulumi/sdk/v3/go/pulumi/errors"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/contract"
)

// limited has every limit on.
func limited() *component.StreamerArgs {
	a := minimal()
	a.Limits = &component.Limits{
		MaxOpenPerUser: pulumi.Int(20), MaxOpenPerTenant: pulumi.IntPtr(500),
		TenantConcurrency: pulumi.Int(5), TenantRate: pulumi.Float64(2.5),
	}
	a.Paused = pulumi.Bool(true)
	return a
}

func TestLimitsReachTheFunctions(t *testing.T) {
	t.Parallel()
	later := func(n int) pulumi.IntPtrOutput {
		return pulumi.Int(n).ToIntOutput().ApplyT(func(v int) *int { return &v }).(pulumi.IntPtrOutput)
	}
	outputs := minimal()
	outputs.Limits = &component.Limits{
		MaxOpenPerUser: later(20), MaxOpenPerTenant: later(500), TenantConcurrency: later(5),
		TenantRate: pulumi.Float64(2.5).ToFloat64Output().ToFloat64PtrOutput(),
	}
	outputs.Paused = pulumi.Bool(true).ToBoolOutput().ToBoolPtrOutput()
	for name, args := range map[string]*component.StreamerArgs{"values": limited(), "outputs": outputs} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := deploy(t, args)
			want := map[string]string{
				contract.EnvMaxOpenUser: "20", contract.EnvMaxOpenTenant: "500", contract.EnvTenantConcurrency: "5",
				contract.EnvTenantRate: "2.5", contract.EnvPaused: "true",
			}
			for _, role := range roles {
				got := env(t, c.must(t, "Function", "reports-"+string(role)))
				var names []string
				for name, value := range got {
					names = append(names, name)
					if want[name] != "" && value != want[name] {
						t.Errorf("%s of %s is %v, want %s", name, role, value, want[name])
					}
				}
				all := slices.Concat(contract.Environment(role), contract.Switched(role))
				all = slices.DeleteFunc(all, func(name string) bool { return name == contract.EnvBucket }) // another switch
				slices.Sort(names)
				slices.Sort(all)
				if !slices.Equal(names, all) {
					t.Errorf("%s is given %v, want %v", role, names, all)
				}
			}
		})
	}
}

// What is off is not there: neither in an environment nor as a right.
func TestLimitsThatAreOffCostNothing(t *testing.T) {
	t.Parallel()
	off := minimal()
	off.Limits, off.Paused = &component.Limits{}, pulumi.Bool(false)
	var nothing *int
	gone := minimal()
	gone.Limits = &component.Limits{TenantConcurrency: pulumi.IntPtrFromPtr(nothing)}
	for name, args := range map[string]*component.StreamerArgs{"empty": off, "null": gone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plainly, c := deploy(t, minimal()), deploy(t, args)
			for _, role := range roles {
				part := "reports-" + string(role)
				was, is := plain(plainly.must(t, "RolePolicy", part), "policy"), plain(c.must(t, "RolePolicy", part), "policy")
				if was != is {
					t.Errorf("%s may %v, want %v", role, is, was)
				}
				for name, v := range env(t, c.must(t, "Function", part)) {
					if !slices.Contains(contract.Environment(role), name) {
						t.Errorf("%s has %s=%v", role, name, v)
					}
				}
			}
		})
	}
}

func TestLimitsThatComeToNothing(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Limits = &component.Limits{
		TenantConcurrency: pulumi.Int(0).ToIntOutput().ApplyT(func(int) *int { return nil }).(pulumi.IntPtrOutput),
		TenantRate:        pulumi.Int(0).ToIntOutput().ApplyT(func(int) *float64 { return nil }).(pulumi.Float64PtrOutput),
	}
	args.Paused = pulumi.Int(0).ToIntOutput().ApplyT(func(int) *bool { return nil }).(pulumi.BoolPtrOutput)
	c := deploy(t, args)
	dispatcher, router := env(t, c.must(t, "Function", "reports-dispatcher")), env(t, c.must(t, "Function", "reports-router"))
	if dispatcher[contract.EnvTenantConcurrency] != "" || router[contract.EnvTenantRate] != "" || dispatcher[contract.EnvPaused] != "false" {
		t.Errorf("dispatcher %v, router %v", dispatcher, router)
	}
}

func TestPoliciesOfLimits(t *testing.T) {
	t.Parallel()
	golden(t, "policy-limits.golden", more(t, deploy(t, limited()), deploy(t, minimal())))
}

func TestLimitErrors(t *testing.T) {
	t.Parallel()
	args := limited()
	args.Limits = &component.Limits{
		MaxOpenPerUser: pulumi.Int(0), MaxOpenPerTenant: pulumi.IntPtr(10001), TenantConcurrency: pulumi.Int(-1), TenantRate: pulumi.Float64(0),
	}
	err := construct(t, args)
	want := "streamer: invalid arguments:" +
		"\n  - limits.maxOpenPerUser: is 0, may be 1 to 10000" +
		"\n  - limits.maxOpenPerTenant: is 10001, may be 1 to 10000" +
		"\n  - limits.tenantConcurrency: is -1, may be 1 to 10000" +
		"\n  - limits.tenantRate: is 0, must be above 0 and at most 1000"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	var sdk *perrors.InputPropertiesError
	if !errors.As(err, &sdk) || len(sdk.Errors) != 4 {
		t.Errorf("a component provider would see %+v", sdk)
	}
}

func TestLateLimitErrors(t *testing.T) {
	t.Parallel()
	for want, limits := range map[string]*component.Limits{
		"limits.maxOpenPerUser: is 0, may be 1 to 10000": {MaxOpenPerUser: pulumi.Int(0).ToIntOutput().ToIntPtrOutput()},
		"limits.tenantRate: is 1001, must be above 0":    {TenantRate: pulumi.Float64(1001).ToFloat64Output().ToFloat64PtrOutput()},
	} {
		args := minimal()
		args.Limits = limits
		err := (&cloud{}).run(func(ctx *pulumi.Context) error {
			_, err := component.NewStreamerWith(ctx, "reports", args, noEnv, fakeBuild)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// more is what the roles of one program may do beyond those of another.
func more(t *testing.T, c, plainly *cloud) string {
	t.Helper()
	var out bytes.Buffer
	for _, role := range roles {
		var is, was struct{ Statement []json.RawMessage }
		for doc, cloud := range map[any]*cloud{&is: c, &was: plainly} {
			if err := json.Unmarshal([]byte(plain(cloud.must(t, "RolePolicy", "reports-"+string(role)), "policy").(string)), doc); err != nil {
				t.Fatal(err)
			}
		}
		out.WriteString(string(role) + ":\n")
		for _, s := range is.Statement {
			if !slices.ContainsFunc(was.Statement, func(w json.RawMessage) bool { return bytes.Equal(w, s) }) {
				out.Write(s)
				out.WriteString("\n")
			}
		}
	}
	return out.String()
}
