package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

func iamKinds() []*kind { return []*kind{roleKind(), rolePolicyKind(), attachmentKind()} }

// roleSpec is a role with the policies that are written within it.
type roleSpec struct {
	name, trust string
	inline      map[string]string
	managed     []string
}

func readRole(r *reader) roleSpec {
	spec := roleSpec{
		name: r.str("name"), trust: r.document("assumeRolePolicy"),
		inline: map[string]string{}, managed: r.strings("managedPolicyArns"),
	}
	r.objects("inlinePolicies", func(p *reader) {
		p.require("name", "policy")
		spec.inline[p.str("name")] = p.document("policy")
	})
	return spec
}

func roleKind() *kind {
	return &kind{
		token:  "aws:iam/role:Role",
		naming: naming{"name", 64},
		tagged: true,
		defaults: object(map[string]any{
			"maxSessionDuration": 3600, "path": "/", "forceDetachPolicies": false,
			"managedPolicyArns": []any{}, "inlinePolicies": []any{},
		}),
		replaces: []string{"name", "path"},
		absent:   map[string]string{"namePrefix": prefixReason},
		check: func(r *reader) {
			r.require("assumeRolePolicy")
			r.only("path", "/")
			r.integer("maxSessionDuration", 3600, 43200)
			r.ignore("description", "forceDetachPolicies")
			readRole(r)
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			spec := readRole(o.in)
			err := o.notes.create("role", spec.name, func() bool {
				return slices.Contains(o.cloud.Roles.Roles(), spec.name)
			}, fmt.Errorf("create role %s: EntityAlreadyExists: it exists already", spec.name), func() error {
				err := putRole(o.cloud.Roles, spec, roleSpec{})
				if err != nil {
					err = errors.Join(err, absentRole(o.cloud.Roles.DeleteRole(spec.name)))
				}
				return err
			})
			if err != nil {
				return "", nil, err
			}
			return spec.name, object(map[string]any{
				"arn":        iam.RoleARN(spec.name),
				"uniqueId":   "AROA" + strings.ToUpper(strings.ReplaceAll(randomID(), "-", ""))[:17],
				"createDate": time.Now().UTC().Format(time.RFC3339),
			}), nil
		},
		update: func(o *operation) (resource.PropertyMap, error) {
			return nil, putRole(o.cloud.Roles, readRole(o.in), readRole(o.old))
		},
		remove: func(o *operation) error { return absentRole(o.cloud.Roles.DeleteRole(o.id)) },
		read: func(o *operation) (resource.PropertyMap, bool) {
			return nil, slices.Contains(o.cloud.Roles.Roles(), o.id)
		},
	}
}

// absentRole takes it for success that the role or policy is gone already.
func absentRole(err error) error {
	var notFound *iam.NotFound
	if errors.As(err, &notFound) {
		return nil
	}
	return err
}

// putRole brings the role to spec and takes away what old had besides.
func putRole(to roles, spec, old roleSpec) error {
	if err := to.PutRole(spec.name, spec.trust); err != nil {
		return err
	}
	for name, text := range spec.inline {
		if err := to.PutPolicy(spec.name, name, text); err != nil {
			return err
		}
	}
	for _, arn := range spec.managed {
		if err := to.AttachManaged(spec.name, arn); err != nil {
			return err
		}
	}
	for name := range old.inline {
		if _, kept := spec.inline[name]; !kept {
			if err := absentRole(to.DeletePolicy(spec.name, name)); err != nil {
				return err
			}
		}
	}
	for _, arn := range old.managed {
		if !slices.Contains(spec.managed, arn) {
			if err := absentRole(to.DetachManaged(spec.name, arn)); err != nil {
				return err
			}
		}
	}
	return nil
}

// roleName reads the input role of a policy: a name, which a role's id is too.
func roleName(r *reader) string {
	r.require("role")
	name := r.str("role")
	if strings.HasPrefix(name, "arn:") {
		r.reject("role", "must be the name of the role, is the ARN %s", name)
	}
	return name
}

func rolePolicyKind() *kind {
	token := "aws:iam/rolePolicy:RolePolicy"
	put := func(o *operation) error {
		return o.cloud.Roles.PutPolicy(roleName(o.in), o.in.str("name"), o.in.document("policy"))
	}
	return &kind{
		token:    token,
		naming:   naming{"name", 128},
		replaces: []string{"name", "role"},
		absent:   map[string]string{"namePrefix": prefixReason},
		check: func(r *reader) {
			r.require("policy")
			r.str("name")
			roleName(r)
			r.document("policy")
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			id := roleName(o.in) + ":" + o.in.str("name")
			err := put(o)
			if err == nil {
				o.notes.note(token, id) // as on AWS, a second put is none the worse
			}
			return id, nil, err
		},
		update: func(o *operation) (resource.PropertyMap, error) { return nil, put(o) },
		remove: func(o *operation) error {
			o.notes.remove(token, o.id)
			return absentRole(o.cloud.Roles.DeletePolicy(roleName(o.in), o.in.str("name")))
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			return nil, o.notes.has(token, o.id) && slices.Contains(o.cloud.Roles.Roles(), roleName(o.in))
		},
	}
}

func attachmentKind() *kind {
	token := "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
	return &kind{
		token: token,
		check: func(r *reader) {
			r.require("policyArn")
			r.str("policyArn")
			roleName(r)
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			id := roleName(o.in) + "/" + o.in.str("policyArn")
			err := o.cloud.Roles.AttachManaged(roleName(o.in), o.in.str("policyArn"))
			if err == nil {
				o.notes.note(token, id)
			}
			return id, nil, err
		},
		remove: func(o *operation) error {
			o.notes.remove(token, o.id)
			return absentRole(o.cloud.Roles.DetachManaged(roleName(o.in), o.in.str("policyArn")))
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			return nil, o.notes.has(token, o.id) && slices.Contains(o.cloud.Roles.Roles(), roleName(o.in))
		},
	}
}
