package component

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// rights is one statement: the calls that may be made on the resources.
type rights struct {
	actions   []string
	resources []pulumi.StringInput
}

// allow is the statement for calls of one service on exactly these resources.
func allow(service string, calls []string, resources ...pulumi.StringInput) rights {
	r := rights{resources: resources}
	for _, call := range calls {
		r.actions = append(r.actions, service+":"+call)
	}
	return r
}

// statement and policy are the JSON of IAM. The order of their fields is part of
// the text that Pulumi compares.
type statement struct {
	Effect   string
	Action   []string
	Resource []string
}

type policy struct {
	Version   string
	Statement []statement
}

// policyText is the policy of the rights.
func policyText(all []rights) pulumi.StringOutput {
	var arns []pulumi.StringInput
	for _, r := range all {
		arns = append(arns, r.resources...)
	}
	return document(func(arns ...string) any {
		doc := policy{Version: "2012-10-17"}
		for _, r := range all {
			n := len(r.resources)
			doc.Statement = append(doc.Statement, statement{Effect: "Allow", Action: r.actions, Resource: arns[:n:n]})
			arns = arns[n:]
		}
		return doc
	}, arns...)
}

// makeRole makes a role that a service of AWS takes on, and one policy that
// holds all that it may do. What uses the role depends on the policy, so that
// it never runs without its rights.
func (p *parts) makeRole(part, service string, all []rights) (*iam.Role, *iam.RolePolicy, error) {
	role, err := iam.NewRole(p.ctx, p.child(part), &iam.RoleArgs{
		AssumeRolePolicy: pulumi.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`),
		Tags:             p.settings.tags,
	}, p.options()...)
	if err != nil {
		return nil, nil, err
	}
	attached, err := iam.NewRolePolicy(p.ctx, p.child(part), &iam.RolePolicyArgs{
		Role:   role.Name,
		Policy: policyText(all),
	}, p.options()...)
	return role, attached, err
}
