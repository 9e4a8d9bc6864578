package jwt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	lib "github.com/golang-jwt/jwt/v5"
)

// maxName bounds user and tenant. Percent-encoded they are at most three times
// as long, and together with a request id they are a DynamoDB partition key,
// which takes 2048 bytes.
const maxName = 256

// names are the names of the claims.
type names struct{ user, tenant, permissions string }

func (n names) withDefaults() names {
	if n.user == "" {
		n.user = "sub"
	}
	if n.tenant == "" {
		n.tenant = "tenant_id"
	}
	return n
}

// identity reads the claims of a token that has been verified.
func (n names) identity(claims lib.MapClaims, leeway time.Duration) (Identity, error) {
	user, err := name(claims, n.user)
	if err == nil && user == "" {
		err = errors.New("is missing or empty")
	}
	if err != nil {
		return Identity{}, refuse("claim "+n.user, err)
	}
	tenant, err := name(claims, n.tenant)
	if err != nil {
		return Identity{}, refuse("claim "+n.tenant, err)
	}
	permissions, err := n.allowed(claims)
	if err != nil {
		return Identity{}, err
	}
	exp, err := claims.GetExpirationTime()
	if err != nil || exp == nil {
		return Identity{}, refuse("claim exp", err) // not reached: the parser requires it
	}
	end := exp.UTC().Add(leeway)
	if y := end.Year(); y < 1970 || y > 9999 {
		return Identity{}, refuse("claim exp is beyond the year 9999", nil)
	}
	return Identity{User: user, Tenant: tenant, Permissions: permissions, Expires: end}, nil
}

// name reads a claim that is part of keys; "" when it is absent or null.
func name(claims lib.MapClaims, claim string) (string, error) {
	switch v := claims[claim].(type) {
	case nil:
		return "", nil
	case string:
		switch {
		case len(v) > maxName:
			return "", fmt.Errorf("has %d bytes, at most %d are allowed", len(v), maxName)
		case strings.ContainsRune(v, utf8.RuneError):
			// Half a surrogate pair reads as U+FFFD, as any other half does: two users
			// would become one.
			return "", errors.New("holds U+FFFD")
		}
		return v, nil
	default:
		return "", fmt.Errorf("is not a string but %T", v)
	}
}

// allowed reads the permissions: the configured claim, or permissions, or scope;
// an array of strings, or one string with spaces between.
func (n names) allowed(claims lib.MapClaims) ([]string, error) {
	claim := n.permissions
	if claim == "" {
		if claim = "permissions"; claims[claim] == nil {
			claim = "scope"
		}
	}
	switch v := claims[claim].(type) {
	case nil:
		return nil, nil
	case string:
		return strings.Fields(v), nil
	case []any:
		out := make([]string, 0, len(v))
		for _, p := range v {
			s, ok := p.(string)
			if !ok || s == "" {
				return nil, refuse("claim "+claim+" has an entry that is no permission", nil)
			}
			out = append(out, s)
		}
		return out, nil
	default:
		return nil, refuse(fmt.Sprintf("claim %s is neither an array nor a string but %T", claim, v), nil)
	}
}

// members reads a JSON object's keys and refuses one that is there twice.
func members(raw []byte) (map[string]bool, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("is not an object"), err)
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string)
		if seen[key] {
			return nil, fmt.Errorf("%.64q is given twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("has something behind the object")
	}
	return seen, nil
}
