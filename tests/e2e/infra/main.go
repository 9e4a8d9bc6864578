// Command infra is the Pulumi program of the end-to-end tests.
package main

import (
	"encoding/json"
	"fmt"
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
	args := &component.StreamerArgs{
		Handlers:       &component.Handlers{Package: "../app/cmd/handlers"},
		Auth:           &component.Auth{Keys: []component.Key{{PEM: pulumi.String(key)}}, QueryParameter: pulumi.String("access_token")},
		AllowedOrigins: []pulumi.StringInput{pulumi.String("https://app.example.com")},
		LargePayloads:  true,
		Lease:          pulumi.String("3s"),
		QuickThreshold: pulumi.String("1s"),
		QuickTimeout:   pulumi.String("2s"),
		Protect:        &protect,
	}
	change(config.New(ctx, ""), args)
	s, err := component.NewStreamer(ctx, "e2e", args, pulumi.Transformations(withhold(config.Get(ctx, "withhold"))))
	if err != nil {
		return err
	}
	ctx.Export("url", s.URL)
	ctx.Export("requestsTable", s.RequestsTableName)
	return nil
}

// change makes the system what a test's own is to be: by default there is no
// limit, and functions have the time that they have by default.
func change(c *config.Config, args *component.StreamerArgs) {
	if n, err := c.TryInt("processorTimeout"); err == nil {
		args.Processor = &component.Function{Timeout: pulumi.Int(n)}
	}
	var limits component.Limits
	for name, limit := range map[string]*pulumi.IntPtrInput{
		"maxOpenPerUser": &limits.MaxOpenPerUser, "maxOpenPerTenant": &limits.MaxOpenPerTenant, "tenantConcurrency": &limits.TenantConcurrency,
	} {
		if n, err := c.TryInt(name); err == nil {
			*limit, args.Limits = pulumi.Int(n), &limits
		}
	}
	if v, err := c.TryFloat64("tenantRate"); err == nil {
		limits.TenantRate, args.Limits = pulumi.Float64(v), &limits
	}
}

// right is what a role is not given: an action, on those resources of its policy
// whose ARNs have that part, "" for all.
type right struct{ role, action, part string }

// withhold takes rights out of roles' policies: each is a role's logical name,
// an action and perhaps a part of a resource, as in "e2e-router dynamodb:Query
// /index/owner"; semicolons are between them.
func withhold(what string) (all []pulumi.ResourceTransformation) {
	byRole := map[string][]right{}
	for text := range strings.SplitSeq(what, ";") {
		if f := strings.Fields(text); len(f) > 1 {
			byRole[f[0]] = append(byRole[f[0]], right{f[0], f[1], strings.Join(f[2:], "")})
		}
	}
	for role, rights := range byRole {
		all = append(all, func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			rolePolicy, ok := args.Props.(*iam.RolePolicyArgs)
			if !ok || args.Name != role {
				return nil
			}
			changed := *rolePolicy
			changed.Policy = pulumi.ToOutput(rolePolicy.Policy).ApplyT(func(text any) (string, error) {
				return without(text.(string), rights)
			}).(pulumi.StringOutput)
			return &pulumi.ResourceTransformationResult{Props: &changed, Opts: args.Opts}
		})
	}
	return all
}

type statement struct {
	Effect           string
	Action, Resource []string
	Condition        json.RawMessage `json:",omitempty"`
}

// without is the policy without the rights. Each has to be there, or a test
// would prove nothing.
func without(text string, rights []right) (string, error) {
	var policy struct {
		Version   string
		Statement []statement
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return "", err
	}
	for _, r := range rights {
		var kept []statement
		taken := false
		for _, s := range policy.Statement {
			rest := slices.DeleteFunc(slices.Clone(s.Resource), func(arn string) bool { return strings.Contains(arn, r.part) })
			if !slices.Contains(s.Action, r.action) || len(rest) == len(s.Resource) {
				kept = append(kept, s)
				continue
			}
			taken = true
			if len(rest) > 0 { // the action stays where it is not withheld
				kept = append(kept, statement{s.Effect, []string{r.action}, rest, s.Condition})
			}
			s.Action = slices.DeleteFunc(slices.Clone(s.Action), func(a string) bool { return a == r.action })
			if len(s.Action) > 0 { // IAM refuses a statement without one
				kept = append(kept, s)
			}
		}
		if !taken {
			return "", fmt.Errorf("withhold %s %s %s: the role has no such right", r.role, r.action, r.part)
		}
		policy.Statement = kept
	}
	changed, err := json.Marshal(policy)
	return string(changed), err
}
