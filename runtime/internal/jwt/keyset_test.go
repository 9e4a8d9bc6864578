package jwt_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	lib "github.com/golang-jwt/jwt/v5"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/jwt"
)

// issuer answers for a key set; its fields may be changed between requests.
type issuer struct {
	status int
	body   string
	err    error
	delay  time.Duration
	asked  int
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.asked++
	if i.delay > 0 {
		select {
		case <-time.After(i.delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if i.err != nil {
		return nil, i.err
	}
	return &http.Response{
		StatusCode: i.status, Body: io.NopCloser(strings.NewReader(i.body)), Request: r,
		Header: http.Header{"Location": {"https://elsewhere.example/"}},
	}, nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (k keyring) jwk(kind, id string) map[string]any {
	switch kind {
	case "RSA":
		return map[string]any{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": b64(k.rsa.N.Bytes()), "e": "AQAB"}
	case "EC":
		point, _ := k.ec.PublicKey.Bytes()
		return map[string]any{"kty": "EC", "kid": id, "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	}
	return map[string]any{"kty": "OKP", "kid": id, "crv": "Ed25519", "key_ops": []string{"verify"}, "x": b64(k.ed.Public().(ed25519.PublicKey))}
}

func set(keys ...any) string {
	b, _ := json.Marshal(map[string]any{"keys": keys})
	return string(b)
}

func changed(m map[string]any, name string, value any) map[string]any {
	m = maps.Clone(m)
	m[name] = value
	return m
}

func TestKeySet(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	tests := map[string]struct {
		issuer    issuer
		ok        bool
		temporary bool
		why       string
	}{
		"EC":              {issuer{status: 200, body: set(k.jwk("RSA", "a"), k.jwk("EC", "ec"), k.jwk("OKP", "b"))}, true, false, ""},
		"odd ones beside": {issuer{status: 200, body: set(1, map[string]any{"kty": "oct", "k": "AA"}, changed(k.jwk("RSA", "ec"), "n", ""), k.jwk("EC", "ec"))}, true, false, ""},
		"of no id":        {issuer{status: 200, body: set(k.jwk("EC", ""))}, true, false, ""},
		"another id":      {issuer{status: 200, body: set(k.jwk("EC", "other"))}, false, false, "no key for algorithm ES256"},
		"for encryption":  {issuer{status: 200, body: set(changed(k.jwk("EC", "ec"), "use", "enc"))}, false, true, "not for verifying"},
		"for signing":     {issuer{status: 200, body: set(changed(k.jwk("EC", "ec"), "key_ops", []string{"sign"}))}, false, true, "not for verifying"},
		"for another alg": {issuer{status: 200, body: set(changed(k.jwk("EC", "ec"), "alg", "HS256"))}, false, true, "its type is for ES256"},
		"off the curve":   {issuer{status: 200, body: set(changed(k.jwk("EC", "ec"), "y", b64(make([]byte, 32))))}, false, true, "no usable key"},
		"short x":         {issuer{status: 200, body: set(changed(k.jwk("EC", "ec"), "x", "AA"))}, false, true, "32 bytes"},
		"short Ed25519":   {issuer{status: 200, body: set(changed(k.jwk("OKP", "ec"), "x", "AA"))}, false, true, "32 bytes"},
		"even exponent":   {issuer{status: 200, body: set(changed(k.jwk("RSA", "ec"), "e", "AQAA"))}, false, true, "exponent"},
		"huge exponent":   {issuer{status: 200, body: set(changed(k.jwk("RSA", "ec"), "e", b64(slices.Repeat([]byte{255}, 300))))}, false, true, "too large"},
		"secrets":         {issuer{status: 200, body: set(map[string]any{"kty": "oct", "kid": "ec", "k": b64(k.secret)})}, false, true, "not supported"},
		"too many":        {issuer{status: 200, body: set(slices.Repeat([]any{k.jwk("EC", "ec")}, 65)...)}, false, true, "65 keys"},
		"too large":       {issuer{status: 200, body: set(k.jwk("EC", "ec")) + strings.Repeat(" ", 256<<10)}, false, true, "more than"},
		"not JSON":        {issuer{status: 200, body: "<html>"}, false, true, "read key set"},
		"empty":           {issuer{status: 200, body: "{}"}, false, true, "no usable key"},
		"redirect":        {issuer{status: 302, body: ""}, false, true, "status 302"},
		"down":            {issuer{err: errors.New("no route")}, false, true, "no route"},
		"slow":            {issuer{status: 200, delay: 6 * time.Second, body: set(k.jwk("EC", "ec"))}, false, true, "fetch key set"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v := verifier(t, contract.Auth{JWKSURL: "https://issuer.example/jwks"}, &tt.issuer)
				got, err := v.Verify(t.Context(), sign(t, lib.SigningMethodES256, k.ec, kid("ec"), goodClaims()))
				if (err == nil) != tt.ok || tt.ok && got.User != "u-1" {
					t.Fatalf("%+v, %v", got, err)
				}
				var own *jwt.Error
				if err != nil && (!errors.As(err, &own) || own.Temporary != tt.temporary || !strings.Contains(err.Error(), tt.why)) {
					t.Errorf("%v (temporary %v)", err, own.Temporary)
				}
				if tt.issuer.asked != 1 {
					t.Errorf("asked %d times", tt.issuer.asked)
				}
			})
		})
	}
}

// bubble runs a test of the cache: check verifies a token of the given kid and
// compares the outcome and how often the issuer was asked so far.
func bubble(t *testing.T, run func(t *testing.T, k keyring, iss *issuer, check func(kid, want string, asked int))) {
	t.Parallel()
	k := newKeyring(t)
	synctest.Test(t, func(t *testing.T) {
		iss := &issuer{status: 200, body: set(k.jwk("EC", "ec"))}
		v := verifier(t, contract.Auth{JWKSURL: "https://issuer.example/jwks"}, iss)
		run(t, k, iss, func(id, want string, asked int) {
			t.Helper()
			claims := with(map[string]any{"exp": time.Now().Add(time.Hour).Unix()})
			_, err := v.Verify(t.Context(), sign(t, lib.SigningMethodES256, k.ec, kid(id), claims))
			got := "ok"
			var own *jwt.Error
			if errors.As(err, &own) {
				got = map[bool]string{true: "temporary", false: "refused"}[own.Temporary]
			}
			if got != want || iss.asked != asked {
				t.Errorf("%s (%v), asked %d times; want %s, asked %d times", got, err, iss.asked, want, asked)
			}
		})
	})
}

func TestKeySetIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, _ keyring, _ *issuer, check func(string, string, int)) {
		check("ec", "ok", 1)
		time.Sleep(10*time.Minute - time.Second)
		check("ec", "ok", 1)
		time.Sleep(time.Second)
		check("ec", "ok", 2)
	})
}

func TestUnknownKidsAskSeldom(t *testing.T) {
	bubble(t, func(t *testing.T, k keyring, iss *issuer, check func(string, string, int)) {
		check("ec", "ok", 1)
		for range 20 {
			check("made-up", "refused", 1)
		}
		time.Sleep(30 * time.Second)
		iss.body = set(k.jwk("EC", "ec"), k.jwk("EC", "new"))
		check("new", "ok", 2)
		check("made-up", "refused", 2)
		check("ec", "ok", 2)
	})
}

func TestWithdrawnKeyIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, k keyring, iss *issuer, check func(string, string, int)) {
		check("ec", "ok", 1)
		iss.body = set(k.jwk("EC", "new"))
		time.Sleep(10 * time.Minute)
		check("ec", "refused", 2)
	})
}

func TestStaleKeySetServesForADay(t *testing.T) {
	bubble(t, func(t *testing.T, k keyring, iss *issuer, check func(string, string, int)) {
		check("ec", "ok", 1)
		iss.err = errors.New("no route")
		time.Sleep(24*time.Hour - time.Second)
		check("ec", "ok", 2)
		check("ec", "ok", 2)             // not again at once
		check("made-up", "temporary", 2) // it may be a new one
		time.Sleep(2 * time.Second)
		check("ec", "temporary", 3)
		iss.err = nil
		check("ec", "temporary", 3)
		time.Sleep(2 * time.Second)
		check("ec", "ok", 4)
	})
}

func TestOneFetchForAll(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	synctest.Test(t, func(t *testing.T) {
		iss := &issuer{status: 200, body: set(k.jwk("EC", "ec")), delay: time.Second}
		v := verifier(t, contract.Auth{JWKSURL: "https://issuer.example/jwks"}, iss)
		token := sign(t, lib.SigningMethodES256, k.ec, kid("ec"), goodClaims())
		var wg sync.WaitGroup
		errs := make([]error, 20)
		for i := range errs {
			wg.Go(func() {
				ctx := t.Context()
				if i == 0 { // whoever gives up does not take the others along
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, time.Millisecond, fmt.Errorf("gave up"))
					defer cancel()
				}
				_, errs[i] = v.Verify(ctx, token)
			})
			synctest.Wait()
		}
		wg.Wait()
		var own *jwt.Error
		if !errors.As(errs[0], &own) || !own.Temporary || !strings.Contains(own.Error(), "gave up") {
			t.Errorf("the first: %v", errs[0])
		}
		if err := errors.Join(errs[1:]...); err != nil || iss.asked != 1 {
			t.Errorf("asked %d times, %v", iss.asked, err)
		}
	})
}

func TestStaticAndRemoteTogether(t *testing.T) {
	t.Parallel()
	k, other := newKeyring(t), newKeyring(t)
	synctest.Test(t, func(t *testing.T) {
		iss := &issuer{status: 200, body: set(k.jwk("EC", "ec"))}
		v := verifier(t, contract.Auth{
			JWKSURL: "https://issuer.example/jwks",
			Keys:    []contract.Key{{PEM: publicPEM(t, &other.ec.PublicKey)}, {ID: "mine", PEM: publicPEM(t, other.ed.Public())}},
		}, iss)
		if _, err := v.Verify(t.Context(), sign(t, lib.SigningMethodEdDSA, other.ed, kid("mine"), goodClaims())); err != nil || iss.asked != 0 {
			t.Errorf("static by id: %v, asked %d times", err, iss.asked)
		}
		for name, token := range map[string]string{
			"remote": sign(t, lib.SigningMethodES256, k.ec, kid("ec"), goodClaims()),
			"static": sign(t, lib.SigningMethodES256, other.ec, kid("theirs"), goodClaims()),
		} {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
