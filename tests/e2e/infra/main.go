// Command infra is the Pulumi program of the end-to-end tests.
package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/streamer-go/streamer/component"
)

func main() { pulumi.Run(program) }

func program(ctx *pulumi.Context) error {
	key, err := config.New(ctx, "").Try("publicKey")
	if err != nil {
		return err
	}
	protect := false
	s, err := component.NewStreamer(ctx, "e2e", &component.StreamerArgs{
		Handlers:       &component.Handlers{Package: "../app/cmd/handlers"},
		Auth:           &component.Auth{Keys: []component.Key{{PEM: pulumi.String(key)}}, QueryParameter: pulumi.String("access_token")},
		AllowedOrigins: []pulumi.StringInput{pulumi.String("https://app.example.com")},
		LargePayloads:  true,
		Lease:          pulumi.String("3s"),
		QuickThreshold: pulumi.String("1s"),
		QuickTimeout:   pulumi.String("2s"),
		Protect:        &protect,
	}, pulumi.Transformations([]pulumi.ResourceTransformation{withhold(config.Get(ctx, "withhold"))}))
	if err != nil {
		return err
	}
	ctx.Export("url", s.URL)
	ctx.Export("requestsTable", s.RequestsTableName)
	return nil
}

// withhold takes an action out of a role's policy: what it is given is empty, or
// a role's logical name and an action, such as "e2e-router dynamodb:PutItem".
func withhold(what string) pulumi.ResourceTransformation {
	name, action, _ := strings.Cut(what, " ")
	return func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		rolePolicy, ok := args.Props.(*iam.RolePolicyArgs)
		if !ok || args.Name != name {
			return nil
		}
		changed := *rolePolicy
		changed.Policy = pulumi.ToOutput(rolePolicy.Policy).ApplyT(func(text any) (string, error) {
			return without(text.(string), action)
		}).(pulumi.StringOutput)
		return &pulumi.ResourceTransformationResult{Props: &changed, Opts: args.Opts}
	}
}

func without(text, action string) (string, error) {
	var policy struct {
		Version   string
		Statement []struct {
			Effect           string
			Action, Resource []string
		}
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return "", err
	}
	for i := range policy.Statement {
		s := &policy.Statement[i]
		s.Action = slices.DeleteFunc(s.Action, func(a string) bool { return a == action })
	}
	kept := policy.Statement[:0]
	for _, s := range policy.Statement {
		if len(s.Action) > 0 { // IAM refuses a statement without one
			kept = append(kept, s)
		}
	}
	policy.Statement = kept
	changed, err := json.Marshal(policy)
	return string(changed), err
}
