package deploy_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// A role's policies that are written within it are those of the last run: what
// is taken out of the program is taken from the role.
func TestPoliciesWithinARole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	basic := "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
	role := func(managed []string, inline map[string]string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			var policies iam.RoleInlinePolicyArray
			for name, action := range inline {
				policies = append(policies, iam.RoleInlinePolicyArgs{
					Name:   pulumi.String(name),
					Policy: pulumi.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`),
				})
			}
			_, err := iam.NewRole(ctx, "r", &iam.RoleArgs{
				Name: pulumi.String("r"), AssumeRolePolicy: pulumi.String(trust), InlinePolicies: policies, ManagedPolicyArns: pulumi.ToStringArray(managed),
			})
			return err
		}
	}
	allowed := func() (actions []string) {
		ctx := account.WithCaller(context.Background(), account.AssumedRole("r", "i"))
		for _, action := range []string{"sqs:SendMessage", "sqs:ReceiveMessage", "logs:PutLogEvents"} {
			resource := "arn:aws:sqs:us-east-1:000000000000:q"
			if strings.HasPrefix(action, "logs:") {
				resource = "arn:aws:logs:us-east-1:000000000000:log-group:g:log-stream:s"
			}
			err := f.cloud.Services().Roles.Authorize(ctx, action, resource)
			var d *account.Denied
			if err != nil && !errors.As(err, &d) {
				t.Fatal(err)
			}
			if err == nil {
				actions = append(actions, action)
			}
		}
		return actions
	}
	for _, run := range []struct {
		name    string
		body    pulumi.RunFunc
		changes string
		allowed []string
	}{
		{"made", role([]string{basic}, map[string]string{"send": "sqs:SendMessage"}), "create aws:iam/role:Role r", []string{"sqs:SendMessage", "logs:PutLogEvents"}},
		{"again", role([]string{basic}, map[string]string{"send": "sqs:SendMessage"}), "", []string{"sqs:SendMessage", "logs:PutLogEvents"}},
		{"another policy", role([]string{basic}, map[string]string{"receive": "sqs:ReceiveMessage"}), "update aws:iam/role:Role r inlinePolicies", []string{"sqs:ReceiveMessage", "logs:PutLogEvents"}},
		{"nothing", role(nil, nil), "update aws:iam/role:Role r inlinePolicies,managedPolicyArns", nil},
	} {
		if got := changes(f.up(run.body)); got != run.changes {
			t.Errorf("%s: changes %q, want %q", run.name, got, run.changes)
		}
		if got := allowed(); !slices.Equal(got, run.allowed) {
			t.Errorf("%s: the role is allowed %v, want %v", run.name, got, run.allowed)
		}
	}
}

// A role whose policy is refused is not left behind without it.
func TestARoleWithABadPolicyIsNotMade(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	err := f.refused(func(ctx *pulumi.Context) error {
		_, err := iam.NewRole(ctx, "r", &iam.RoleArgs{
			AssumeRolePolicy:  pulumi.String(trust),
			ManagedPolicyArns: pulumi.ToStringArray([]string{"arn:aws:iam::aws:policy/AdministratorAccess"}),
		})
		return err
	})
	if !strings.Contains(err.Error(), "AdministratorAccess") {
		t.Errorf("error %v, want the policy named", err)
	}
	if roles := f.cloud.Services().Roles.Roles(); len(roles) != 0 {
		t.Errorf("roles %v are left", roles)
	}
}
