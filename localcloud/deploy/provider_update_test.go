package deploy_test

import (
	"strings"
	"testing"

	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestProviderUpdate(t *testing.T) {
	t.Parallel()
	cloud := newCloud(t)
	p, ctx := dialProvider(t, cloud), t.Context()
	old := properties(t, map[string]any{"name": "q", "delaySeconds": 1})
	made, err := p.Create(ctx, &rpc.CreateRequest{Urn: queueURN, Properties: old})
	if err != nil {
		t.Fatal(err)
	}
	update := func(preview bool, ignore []string, news map[string]any) (*structpb.Struct, error) {
		out, err := p.Update(ctx, &rpc.UpdateRequest{
			Urn: queueURN, Id: made.Id, Olds: made.Properties, OldInputs: old, News: properties(t, news), Preview: preview, IgnoreChanges: ignore,
		})
		return out.GetProperties(), err
	}
	delay := func() string {
		info, _ := cloud.Services().Queues.Queue(made.Id)
		return info.Spec.Delay.String()
	}
	news := map[string]any{"name": "q", "delaySeconds": 7}
	out, err := update(true, nil, news)
	if err != nil || out.Fields["delaySeconds"].GetNumberValue() != 7 || out.Fields["arn"].GetStringValue() == "" || delay() != "1s" {
		t.Errorf("preview: %v, %v, and the queue has %s", out, err, delay())
	}
	out, err = update(false, []string{"delaySeconds"}, news)
	if err != nil || out.Fields["delaySeconds"].GetNumberValue() != 1 || delay() != "1s" {
		t.Errorf("ignored: %v, %v, and the queue has %s", out, err, delay())
	}
	out, err = update(false, nil, news)
	if err != nil || out.Fields["delaySeconds"].GetNumberValue() != 7 || out.Fields["url"].GetStringValue() != made.Id || delay() != "7s" {
		t.Errorf("update: %v, %v, and the queue has %s", out, err, delay())
	}
	redrive := `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:none","maxReceiveCount":3}`
	if _, err = update(false, nil, map[string]any{"name": "q", "redrivePolicy": redrive}); err == nil || !strings.Contains(err.Error(), ":none") || delay() != "7s" {
		t.Errorf("a dead-letter queue that is not there: %v, and the queue has %s", err, delay())
	}
}

// What the engine asks before it asks for resources.
func TestProviderIntroducesItself(t *testing.T) {
	t.Parallel()
	p, ctx := dialProvider(t, newCloud(t)), t.Context()
	config := properties(t, map[string]any{"region": "eu-west-1"})
	checked, err := p.CheckConfig(ctx, &rpc.CheckRequest{News: config})
	if err != nil || checked.Inputs.Fields["region"].GetStringValue() != "eu-west-1" || len(checked.Failures) > 0 {
		t.Errorf("check of the configuration: %v, %v", checked, err)
	}
	other, err := p.DiffConfig(ctx, &rpc.DiffRequest{OldInputs: config, News: properties(t, map[string]any{"region": "us-east-1"})})
	if err != nil || other.Changes != rpc.DiffResponse_DIFF_NONE || len(other.Replaces) > 0 {
		t.Errorf("another region replaces what is there: %v, %v", other, err)
	}
	shaken, err := p.Handshake(ctx, &rpc.ProviderHandshakeRequest{})
	if err != nil || !shaken.AcceptSecrets {
		t.Errorf("handshake: %v, %v", shaken, err)
	}
	ready, err := p.Configure(ctx, &rpc.ConfigureRequest{})
	if err != nil || !ready.AcceptSecrets || !ready.SupportsPreview {
		t.Errorf("configure: %v, %v", ready, err)
	}
	info, err := p.GetPluginInfo(ctx, &emptypb.Empty{})
	if err != nil || !strings.HasPrefix(info.Version, "6.") {
		t.Errorf("plugin info %v, %v: want a version of the provider that it stands in for", info, err)
	}
}

// An input of the wrong type is refused by name, whatever the SDK let through.
func TestProviderNamesWrongTypes(t *testing.T) {
	t.Parallel()
	p, ctx := dialProvider(t, newCloud(t)), t.Context()
	role := func(more map[string]any) map[string]any {
		more["assumeRolePolicy"] = trust
		return more
	}
	code := map[string]any{"role": "arn:aws:iam::000000000000:role/r", "handler": "bootstrap", "runtime": "provided.al2023"}
	function := func(key string, v any) map[string]any {
		out := map[string]any{key: v}
		for k, v := range code {
			out[k] = v
		}
		return out
	}
	for name, tt := range map[string]struct {
		token  string
		inputs map[string]any
		want   string // property: reason
	}{
		"list for a text":        {"aws:iam/role:Role", role(map[string]any{"path": []any{}}), "path: must be a string"},
		"text for a list":        {"aws:iam/role:Role", role(map[string]any{"managedPolicyArns": "all"}), "managedPolicyArns: must be a list"},
		"number in a list":       {"aws:iam/role:Role", role(map[string]any{"managedPolicyArns": []any{1}}), "managedPolicyArns[0]: must be a string"},
		"text for an object":     {"aws:iam/role:Role", role(map[string]any{"inlinePolicies": []any{"all"}}), "inlinePolicies[0]: must be an object"},
		"number for a document":  {"aws:iam/role:Role", map[string]any{"assumeRolePolicy": 1}, "assumeRolePolicy: must be a JSON document"},
		"another path":           {"aws:iam/role:Role", role(map[string]any{"path": "/team/"}), "path: "},
		"text for a switch":      {"aws:lambda/function:Function", function("publish", "yes"), "publish: "},
		"text for code":          {"aws:lambda/function:Function", function("code", "zip"), "code: must be an archive, is string"},
		"unknown architecture":   {"aws:lambda/function:Function", function("architectures", []any{"mips"}), `architectures[0]: must be arm64 or x86_64, is "mips"`},
		"two architectures":      {"aws:lambda/function:Function", function("architectures", []any{"arm64", "x86_64"}), "architectures: must have one element"},
		"text for the variables": {"aws:lambda/function:Function", function("environment", "A=1"), "environment: must be an object"},
		"list in the variables":  {"aws:lambda/function:Function", function("environment", map[string]any{"variables": map[string]any{"A": []any{}}}), `environment.variables["A"]: must be a string`},
		"level without JSON": {"aws:lambda/function:Function", function("loggingConfig", map[string]any{"logFormat": "Text", "applicationLogLevel": "INFO"}),
			"loggingConfig.applicationLogLevel: needs the log format JSON"},
		"ARN for a role's name": {"aws:iam/rolePolicy:RolePolicy", map[string]any{"role": "arn:aws:iam::000000000000:role/r", "policy": trust}, "role: must be the name of the role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.Check(ctx, &rpc.CheckRequest{Urn: "urn:pulumi:dev::proj::" + tt.token + "::x", News: properties(t, tt.inputs), RandomSeed: []byte("seed")})
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, f := range got.Failures {
				lines = append(lines, f.Property+": "+f.Reason)
			}
			if !strings.Contains("\n"+strings.Join(lines, "\n"), "\n"+tt.want) {
				t.Errorf("failures %q, want %q", lines, tt.want)
			}
		})
	}
}
