package component

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// maxAuth is how many bytes the verification may take of the 4096 that Lambda
// gives all variables of a function together.
const maxAuth = 3500

// auth settles how tokens are verified: the document for contract.EnvAuth. It is
// a secret as soon as a part of it is one.
func (c *checker) auth(a *Auth, origins []pulumi.StringInput) pulumi.StringOutput {
	if a == nil {
		a = &Auth{}
	}
	switch keys, jwks := len(a.Keys) > 0, given(a.JWKSURL); {
	case !keys && !jwks:
		c.add("auth", "is required: give keys or jwksUrl")
	case keys && jwks:
		c.add("auth", "has both keys and jwksUrl: give one of them")
	}
	// All of it is one flat list, for an unknown value is only seen there.
	all := []any{
		c.text("auth.issuer", a.Issuer, "", nil),
		c.text("auth.jwksUrl", a.JWKSURL, "", secureURL),
		c.text("auth.userClaim", a.UserClaim, "", nil),
		c.text("auth.tenantClaim", a.TenantClaim, "", nil),
		c.text("auth.permissionsClaim", a.PermissionsClaim, "", nil),
		c.text("auth.queryParameter", a.QueryParameter, "", nil),
		c.whole("auth.leewaySeconds", a.LeewaySeconds, 30, 0, contract.MaxLeeway),
	}
	fixed := len(all)
	for i, k := range a.Keys {
		all = append(all, c.key(fmt.Sprintf("auth.keys[%d]", i), k)...)
	}
	all = append(all, c.list("auth.audience", a.Audience, full)...)
	all = append(all, c.list("allowedOrigins", origins, origin)...)
	return pulumi.All(all...).ApplyT(func(v []any) (string, error) {
		leeway := v[6].(int)
		doc := contract.Auth{
			Issuer: v[0].(string), JWKSURL: v[1].(string), UserClaim: v[2].(string), TenantClaim: v[3].(string),
			PermissionsClaim: v[4].(string), QueryParameter: v[5].(string), LeewaySeconds: &leeway,
		}
		rest := v[fixed:]
		for range a.Keys {
			doc.Keys = append(doc.Keys, contract.Key{ID: rest[0].(string), PEM: rest[1].(string), Secret: rest[2].(string)})
			rest = rest[3:]
		}
		doc.Audience = texts(rest[:len(a.Audience)])
		doc.Origins = texts(rest[len(a.Audience):])
		// Each value is fine by itself; an Output may have come to nothing.
		if err := doc.Check(); err != nil {
			return "", late("auth", err.Error())
		}
		out, err := json.Marshal(doc)
		if err == nil && len(out) > maxAuth {
			err = late("auth", fmt.Sprintf("takes %d bytes, may take %d: use jwksUrl, or fewer keys", len(out), maxAuth))
		}
		return string(out), err
	}).(pulumi.StringOutput)
}

// key settles a static key: id, PEM and secret.
func (c *checker) key(path string, k Key) []any {
	if given(k.PEM) == given(k.Secret) {
		c.add(path, "needs exactly one of pem and secret")
	}
	secret := pulumi.String("").ToStringOutput()
	if given(k.Secret) {
		if v, ok := known[string](k.Secret); ok {
			if why := weakSecret(v); why != "" {
				c.addSecret(path+".secret", "%s", why)
			}
		}
		secret = k.Secret.ToStringPtrOutput().ApplyT(func(v *string) (string, error) {
			if v == nil {
				return "", late(path, "has a secret that is null")
			}
			if why := weakSecret(*v); why != "" {
				return "", fmt.Errorf("streamer: invalid arguments: %s.secret: %s", path, why)
			}
			return *v, nil
		}).(pulumi.StringOutput)
		secret = pulumi.ToSecret(secret).(pulumi.StringOutput)
	}
	return []any{c.text(path+".keyId", k.ID, "", nil), c.text(path+".pem", k.PEM, "", publicKey), secret}
}

// list settles texts that are all checked by the same function.
func (c *checker) list(path string, in []pulumi.StringInput, check func(string) string) []any {
	out := make([]any, 0, len(in))
	for i, v := range in {
		path := fmt.Sprintf("%s[%d]", path, i)
		if !given(v) {
			c.add(path, "is null")
			v = pulumi.String("")
		} else if s, ok := known[string](v); ok {
			if why := check(s); why != "" {
				c.add(path, "%s", why)
			}
		}
		out = append(out, v.ToStringOutput().ApplyT(func(s string) (string, error) { return s, late(path, check(s)) }))
	}
	return out
}

func texts(in []any) []string {
	var out []string
	for _, v := range in {
		out = append(out, v.(string))
	}
	return out
}

func full(v string) string {
	if v == "" {
		return "is empty"
	}
	return ""
}

func origin(v string) string {
	if v == "" {
		return "is empty"
	}
	return why(contract.CheckOrigin(v))
}

func secureURL(v string) string {
	if !strings.HasPrefix(strings.ToLower(v), "https://") {
		return fmt.Sprintf("is %q, must be an https URL", v)
	}
	return why(contract.CheckKeySetURL(v)) // does not quote it: it may hold a password
}

func publicKey(v string) string {
	_, err := contract.ParsePublicKey(v)
	return why(err)
}

func weakSecret(v string) string {
	_, err := contract.ParseSecret(v)
	return why(err)
}

// why is what a check answers: the reason, or "".
func why(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
