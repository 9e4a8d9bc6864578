package component_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// What is estimated to be quick has the time that it is estimated to take.
func TestThresholdFollowsTheTimeout(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[string]string{"": "5s", "20s": "5s", "2s": "2s"} {
		args := minimal()
		if timeout != "" {
			args.QuickTimeout = pulumi.String(timeout)
		}
		if got := env(t, deploy(t, args).must(t, "Function", "reports-router"))[contract.EnvQuickThreshold]; got != want {
			t.Errorf("timeout %q: the threshold is %v, want %s", timeout, got, want)
		}
	}
}

// What is checked together with a secret is no secret by that.
func TestOnlySecretsAreSecret(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Handlers.Environment = map[string]pulumi.StringInput{"PASSWORD": pulumi.ToSecret(pulumi.String("p")).(pulumi.StringOutput)}
	variables := deploy(t, args).must(t, "Function", "reports-router").Inputs["environment"].ObjectValue()["variables"].ObjectValue()
	for name, v := range variables {
		if v.IsSecret() != (name == "PASSWORD") {
			t.Errorf("%s is secret: %v", name, v.IsSecret())
		}
	}
}
