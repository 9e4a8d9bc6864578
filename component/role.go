package component

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// rights is one statement: the calls that may be made on the resources.
type rights struct {
	actions   []string
	resources []pulumi.StringInput
	keys      string // hash keys of items that are meant, with wildcards; "" for all
}

// onKeys narrows rights on a table down to the items whose hash keys match.
// Every call has such a key, so that none passes for having none (Amazon DynamoDB
// developer guide, "Using IAM policy conditions for fine-grained access control").
func (r rights) onKeys(pattern string) rights {
	r.keys = pattern
	return r
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
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
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
			s := statement{Effect: "Allow", Action: r.actions, Resource: arns[:n:n]}
			if r.keys != "" {
				s.Condition = map[string]map[string][]string{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": {r.keys}}}
			}
			doc.Statement = append(doc.Statement, s)
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
