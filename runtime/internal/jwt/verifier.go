// Package jwt verifies the tokens that clients connect with and reads from them
// who is calling.
//
// The algorithm is a property of the key, never of the token: a token whose
// header names another one finds no key. RS256, ES256, EdDSA (Ed25519) and HS256
// are known, and of these only HS256 works with a secret and only with one.
// What a token says about where keys are (jku, x5u, jwk, the shape of its kid)
// is not followed.
//
// A Verifier is safe for concurrent use. The package imports the standard
// library, golang-jwt and internal/contract; time is read from package time only.
package jwt

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	lib "github.com/golang-jwt/jwt/v5"

	"github.com/streamer-go/streamer/internal/contract"
)

// maxToken bounds what is looked at. API Gateway takes 10,240 bytes of headers
// in all ("Amazon API Gateway quotas"), so no larger token can arrive.
const maxToken = 10240

// Identity is who a token speaks for.
type Identity struct {
	User        string // never empty
	Tenant      string // empty when the token names none
	Permissions []string
	// Expires is when the token ends for this deployment: the claim exp and the
	// leeway, so that whoever let a token in and whoever looks at it later agree.
	Expires time.Time
}

// Error says why a token was refused. Its text is for logs, never for the
// client: it would tell an attacker how far a forgery got.
type Error struct {
	Reason string
	// Temporary says that nothing is known to be wrong with the token: the keys
	// could not be fetched.
	Temporary bool
	Err       error // may be nil
}

// Error returns the reason and its cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return "verify token: " + e.Reason
	}
	return "verify token: " + e.Reason + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(reason string, err error) *Error { return &Error{Reason: reason, Err: err} }

// Verifier verifies tokens by one contract.Auth.
type Verifier struct {
	static []key
	remote *keySet // nil without a URL
	parser *lib.Parser
	claims names
	leeway time.Duration
}

// New returns a verifier. The transport is used for the key set's URL only. The
// error names everything that is wrong with auth; nothing is fetched yet.
func New(auth contract.Auth, transport http.RoundTripper) (*Verifier, error) {
	if err := auth.Check(); err != nil {
		return nil, fmt.Errorf("read token settings: %w", err)
	}
	v := &Verifier{claims: names{user: auth.UserClaim, tenant: auth.TenantClaim, permissions: auth.PermissionsClaim}.withDefaults()}
	for i, k := range auth.Keys {
		parsed, err := parseStatic(k)
		if err != nil {
			return nil, fmt.Errorf("read token settings: keys[%d]: %w", i, err)
		}
		v.static = append(v.static, parsed)
	}
	if auth.JWKSURL != "" {
		remote, err := newKeySet(auth.JWKSURL, transport)
		if err != nil {
			return nil, fmt.Errorf("read token settings: jwks_url: %w", err)
		}
		v.remote = remote
	}
	leeway := 30 * time.Second
	if auth.LeewaySeconds != nil {
		leeway = time.Duration(*auth.LeewaySeconds) * time.Second
	}
	options := []lib.ParserOption{
		lib.WithValidMethods([]string{algRS256, algES256, algEdDSA, algHS256}),
		lib.WithLeeway(leeway), lib.WithExpirationRequired(), lib.WithStrictDecoding(), lib.WithJSONNumber(),
	}
	if auth.Issuer != "" {
		options = append(options, lib.WithIssuer(auth.Issuer))
	}
	if len(auth.Audience) > 0 {
		options = append(options, lib.WithAudience(auth.Audience...))
	}
	v.parser, v.leeway = lib.NewParser(options...), leeway
	return v, nil
}

// Verify checks signature and claims and returns the identity. It calls out only
// to refresh a key set, and then respects ctx. The error is an *Error.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if len(token) > maxToken {
		return Identity{}, refuse(fmt.Sprintf("token has %d bytes, at most %d are read", len(token), maxToken), nil)
	}
	if err := v.inspect(token); err != nil {
		return Identity{}, err
	}
	claims := lib.MapClaims{}
	_, err := v.parser.ParseWithClaims(token, claims, func(t *lib.Token) (any, error) { return v.candidates(ctx, t) })
	var own *Error
	switch {
	case errors.As(err, &own):
		return Identity{}, own
	case err != nil:
		return Identity{}, refuse("token is not valid", err)
	}
	return v.claims.identity(claims, v.leeway)
}

// inspect refuses what the parser would let pass: members given twice, of which
// two readers may choose different ones; text that is not UTF-8, in which
// different names can look the same; extensions that the issuer calls critical.
func (v *Verifier) inspect(token string) error {
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return refuse("token does not have three parts", nil)
	}
	for i, what := range []string{"header", "claims"} {
		raw, err := v.parser.DecodeSegment(parts[i])
		if err != nil {
			return refuse(what+" cannot be read", err)
		}
		seen, err := members(raw)
		if err != nil {
			return refuse(what+" cannot be read", err)
		}
		if i == 0 && seen["crit"] {
			return refuse("header names critical extensions, of which none is known", nil)
		}
	}
	return nil
}

// candidates returns the keys that the token may have been signed with: of its
// algorithm, and with its key id where both have one.
func (v *Verifier) candidates(ctx context.Context, t *lib.Token) (any, error) {
	kid := ""
	if raw, ok := t.Header["kid"]; ok {
		if kid, ok = raw.(string); !ok {
			return nil, refuse("header's kid is not a string", nil)
		}
	}
	alg := t.Method.Alg()
	found := match(v.static, alg, kid)
	named := slices.ContainsFunc(found, func(k key) bool { return kid != "" && k.id == kid })
	if v.remote != nil && !named {
		more, err := v.remote.find(ctx, alg, kid)
		if err != nil && len(found) == 0 {
			return nil, err
		}
		found = append(found, more...)
	}
	if len(found) == 0 {
		return nil, refuse(fmt.Sprintf("no key for algorithm %s and kid %.64q", alg, kid), nil)
	}
	set := lib.VerificationKeySet{}
	for _, k := range found {
		set.Keys = append(set.Keys, k.value)
	}
	return set, nil
}
