package deploy

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// invoke answers a function of the aws package.
func (b *backend) invoke(token string, args resource.PropertyMap) (resource.PropertyMap, []fault) {
	if resource.NewObjectProperty(args).ContainsUnknowns() {
		return nil, []fault{{"", token + " needs values that are not known yet"}}
	}
	in := newReader(args, nil)
	var out resource.PropertyMap
	switch token {
	case "aws:index/getRegion:getRegion":
		in.only("name", account.Region)
		in.only("region", account.Region)
		out = object(map[string]any{
			"id": account.Region, "name": account.Region, "region": account.Region,
			"description": "US East (N. Virginia)", "endpoint": "ec2." + account.Region + ".amazonaws.com",
		})
	case "aws:index/getCallerIdentity:getCallerIdentity":
		in.ignore("id")
		out = object(map[string]any{
			"id": account.ID, "accountId": account.ID, "arn": account.Root().ARN, "userId": account.ID,
		})
	case "aws:index/getPartition:getPartition":
		in.ignore("id")
		out = object(map[string]any{
			"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws",
		})
	case "aws:iam/getPolicyDocument:getPolicyDocument":
		out = policyDocument(in)
	default:
		return nil, []fault{{"", fmt.Sprintf("localcloud: the function %s is not supported by the local cloud", token)}}
	}
	in.finish()
	return out, *in.problems
}

// policyDocument builds a document as the provider's data source does: lists of
// one element are written as that element.
func policyDocument(in *reader) resource.PropertyMap {
	version := in.oneOf("version", "2008-10-17", "2012-10-17")
	if version == "" {
		version = "2012-10-17"
	}
	doc := map[string]any{"Version": version}
	if id := in.str("policyId"); id != "" {
		doc["Id"] = id
	}
	statements := []any{}
	in.objects("statements", func(r *reader) { statements = append(statements, policyStatement(r)) })
	doc["Statement"] = statements
	pretty, _ := json.MarshalIndent(doc, "", "  ") // maps of strings: cannot fail
	minified, _ := json.Marshal(doc)
	out := object(map[string]any{"json": string(pretty), "minifiedJson": string(minified), "version": version})
	out["id"] = resource.NewStringProperty(hashText(string(pretty)))
	return out
}

func policyStatement(r *reader) map[string]any {
	st := map[string]any{"Effect": "Allow"}
	if sid := r.str("sid"); sid != "" {
		st["Sid"] = sid
	}
	if effect := r.oneOf("effect", "Allow", "Deny"); effect != "" {
		st["Effect"] = effect
	}
	for input, key := range map[string]string{
		"actions": "Action", "notActions": "NotAction", "resources": "Resource", "notResources": "NotResource",
	} {
		if list := r.strings(input); len(list) > 0 {
			st[key] = oneOrMore(list)
		}
	}
	for input, key := range map[string]string{"principals": "Principal", "notPrincipals": "NotPrincipal"} {
		by := map[string]any{}
		r.objects(input, func(p *reader) { by[p.str("type")] = oneOrMore(p.strings("identifiers")) })
		if by["*"] == "*" {
			st[key] = "*"
		} else if len(by) > 0 {
			st[key] = by
		}
	}
	conditions := map[string]map[string]any{}
	r.objects("conditions", func(c *reader) {
		test := c.str("test")
		if conditions[test] == nil {
			conditions[test] = map[string]any{}
		}
		conditions[test][c.str("variable")] = oneOrMore(c.strings("values"))
	})
	if len(conditions) > 0 {
		st["Condition"] = conditions
	}
	return st
}

func oneOrMore(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

func invokeResponse(result resource.PropertyMap, faults []fault) (*rpc.InvokeResponse, error) {
	resp := &rpc.InvokeResponse{}
	for _, f := range faults {
		resp.Failures = append(resp.Failures, &rpc.CheckFailure{Property: f.path, Reason: f.reason})
	}
	if len(faults) > 0 {
		return resp, nil
	}
	var err error
	if resp.Return, err = plugin.MarshalProperties(result, wire()); err != nil {
		return nil, status.Errorf(codes.Internal, "answer function: %v", err)
	}
	return resp, nil
}
