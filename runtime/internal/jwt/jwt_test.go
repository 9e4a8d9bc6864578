package jwt_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	lib "github.com/golang-jwt/jwt/v5"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/jwt"
)

// keyring holds one key pair of each kind.
type keyring struct {
	rsa    *rsa.PrivateKey
	ec     *ecdsa.PrivateKey
	ed     ed25519.PrivateKey
	secret []byte
}

func newKeyring(t *testing.T) keyring {
	t.Helper()
	k := keyring{secret: []byte("0123456789abcdef0123456789abcdef")}
	var err [3]error
	k.rsa, err[0] = rsa.GenerateKey(rand.Reader, 2048)
	k.ec, err[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, k.ed, err[2] = ed25519.GenerateKey(rand.Reader)
	if e := errors.Join(err[:]...); e != nil {
		t.Fatal(e)
	}
	return k
}

func publicPEM(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// auth trusts all four keys, each under an id of its own.
func (k keyring) auth(t *testing.T) contract.Auth {
	return contract.Auth{
		Issuer: "https://issuer.example", Audience: []string{"other", "streamer"},
		Keys: []contract.Key{
			{ID: "rsa", PEM: publicPEM(t, &k.rsa.PublicKey)},
			{ID: "ec", PEM: publicPEM(t, &k.ec.PublicKey)},
			{ID: "ed", PEM: publicPEM(t, k.ed.Public())},
			{ID: "hs", Secret: base64.StdEncoding.EncodeToString(k.secret)},
		},
	}
}

func goodClaims() map[string]any {
	return map[string]any{
		"iss": "https://issuer.example", "aud": "streamer", "sub": "u-1", "tenant_id": "acme",
		"permissions": []string{"reports:write", "reports:read"}, "exp": time.Now().Add(time.Hour).Unix(),
	}
}

// with returns the good claims with changes; nil takes a claim away.
func with(changes map[string]any) map[string]any {
	c := goodClaims()
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func sign(t *testing.T, method lib.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	tok := lib.NewWithClaims(method, lib.MapClaims(claims))
	maps.Copy(tok.Header, header)
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signRaw signs header and claims that no library would write, with HMAC.
func signRaw(secret []byte, header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func verifier(t *testing.T, auth contract.Auth, transport http.RoundTripper) *jwt.Verifier {
	t.Helper()
	v, err := jwt.New(auth, transport)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// respell changes bits of the last character that stand for nothing: another
// token with the same signature.
func respell(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])^1])
}

func kid(id string) map[string]any { return map[string]any{"kid": id} }

func TestVerifyTakesEachAlgorithm(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	v := verifier(t, k.auth(t), nil)
	claims := goodClaims()
	want := jwt.Identity{
		User: "u-1", Tenant: "acme", Permissions: []string{"reports:write", "reports:read"},
		Expires: time.Unix(claims["exp"].(int64)+30, 0).UTC(), // with the default leeway
	}
	for name, token := range map[string]string{
		"RS256":        sign(t, lib.SigningMethodRS256, k.rsa, kid("rsa"), claims),
		"ES256":        sign(t, lib.SigningMethodES256, k.ec, kid("ec"), claims),
		"EdDSA":        sign(t, lib.SigningMethodEdDSA, k.ed, kid("ed"), claims),
		"HS256":        sign(t, lib.SigningMethodHS256, k.secret, kid("hs"), claims),
		"without kid":  sign(t, lib.SigningMethodES256, k.ec, nil, claims),
		"aud of a few": sign(t, lib.SigningMethodES256, k.ec, kid("ec"), with(map[string]any{"aud": []string{"x", "streamer"}})),
	} {
		got, err := v.Verify(t.Context(), token)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAttacks(t *testing.T) {
	t.Parallel()
	k, other := newKeyring(t), newKeyring(t)
	v := verifier(t, k.auth(t), nil)
	ecPEM := []byte(publicPEM(t, &k.ec.PublicKey))
	rsaPEM := []byte(publicPEM(t, &k.rsa.PublicKey))
	rsaDER := x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)
	ec := func(header, claims map[string]any) string {
		return sign(t, lib.SigningMethodES256, k.ec, header, claims)
	}
	now := time.Now()
	exp := func(d time.Duration) map[string]any { return with(map[string]any{"exp": now.Add(d).Unix()}) }
	good := ec(kid("ec"), goodClaims())
	parts := strings.Split(good, ".")
	body, _ := json.Marshal(goodClaims())
	bodyWith := func(extra string) string { return strings.TrimSuffix(string(body), "}") + "," + extra + "}" }
	tests := map[string]struct{ token, why string }{
		"empty":                       {"", "three parts"},
		"no token":                    {"hello", "three parts"},
		"two parts":                   {parts[0] + "." + parts[1], "three parts"},
		"four parts":                  {good + ".x", "three parts"},
		"no signature":                {parts[0] + "." + parts[1] + ".", "signature"},
		"none":                        {sign(t, lib.SigningMethodNone, lib.UnsafeAllowNoneSignatureType, nil, goodClaims()), "signing method none"},
		"NONE":                        {signRaw(k.secret, `{"alg":"NONE","kid":"hs"}`, string(body)), "unavailable"},
		"hs256 with the RSA PEM":      {sign(t, lib.SigningMethodHS256, rsaPEM, kid("rsa"), goodClaims()), "no key for algorithm HS256"},
		"hs256 with the RSA DER":      {sign(t, lib.SigningMethodHS256, rsaDER, nil, goodClaims()), "signature"},
		"hs256 with the EC PEM":       {sign(t, lib.SigningMethodHS256, ecPEM, kid("ec"), goodClaims()), "no key for algorithm HS256"},
		"hs256 with the EC PEM no id": {sign(t, lib.SigningMethodHS256, ecPEM, nil, goodClaims()), "signature"},
		"hs512 with the right secret": {sign(t, lib.SigningMethodHS512, k.secret, kid("hs"), goodClaims()), "signing method HS512"},
		"ps256 with the right key":    {sign(t, lib.SigningMethodPS256, k.rsa, kid("rsa"), goodClaims()), "signing method PS256"},
		"rs512 with the right key":    {sign(t, lib.SigningMethodRS512, k.rsa, kid("rsa"), goodClaims()), "signing method RS512"},
		"kid of another type":         {ec(kid("rsa"), goodClaims()), "no key for algorithm ES256"},
		"another's key":               {sign(t, lib.SigningMethodES256, other.ec, kid("ec"), goodClaims()), "signature"},
		"another's secret":            {sign(t, lib.SigningMethodHS256, other.ec.D.Bytes(), kid("hs"), goodClaims()), "signature"},
		"empty secret":                {sign(t, lib.SigningMethodHS256, []byte{}, kid("hs"), goodClaims()), "signature"},
		"claims swapped":              {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(bodyWith(`"x":1`))) + "." + parts[2], "signature"},
		"signature padded":            {good + "=", "signature"},
		"signature respelt":           {respell(good), "signature"},
		"kid is a path":               {ec(kid("../../../../dev/null"), goodClaims()), "no key"},
		"kid is SQL":                  {ec(kid("x' UNION SELECT 'key'--"), goodClaims()), "no key"},
		"kid is a URL":                {ec(kid("https://evil.example/jwks"), goodClaims()), "no key"},
		"kid is a number":             {ec(map[string]any{"kid": 1}, goodClaims()), "kid is not a string"},
		"kid is null":                 {ec(map[string]any{"kid": nil}, goodClaims()), "kid is not a string"},
		"kid is a list":               {ec(map[string]any{"kid": []string{"ec"}}, goodClaims()), "kid is not a string"},
		"key in the header": {sign(t, lib.SigningMethodES256, other.ec, map[string]any{
			"jwk": map[string]any{"kty": "EC", "crv": "P-256"}, "jku": "https://evil.example", "x5u": "https://evil.example",
		}, goodClaims()), "signature"},
		"critical extension": {ec(map[string]any{"kid": "ec", "crit": []string{"b64"}, "b64": false}, goodClaims()), "critical"},
		"alg twice":          {signRaw(k.secret, `{"alg":"none","alg":"HS256","kid":"hs"}`, string(body)), "given twice"},
		"alg is a number":    {signRaw(k.secret, `{"alg":1}`, string(body)), "unspecified"},
		"alg in small":       {signRaw(k.secret, `{"alg":"hs256","kid":"hs"}`, string(body)), "unavailable"},
		"header is a list":   {signRaw(k.secret, `[]`, string(body)), "not an object"},
		"sub twice":          {signRaw(k.secret, `{"alg":"HS256"}`, bodyWith(`"sub":"admin"`)), "given twice"},
		"sub twice, escaped": {signRaw(k.secret, `{"alg":"HS256"}`, bodyWith(`"\u0073ub":"admin"`)), "given twice"},
		"two objects":        {signRaw(k.secret, `{"alg":"HS256"}`, string(body)+string(body)), "behind the object"},
		"not UTF-8":          {signRaw(k.secret, `{"alg":"HS256"}`, bodyWith("\"x\":\"\xff\"")), "not UTF-8"},
		"half a surrogate":   {signRaw(k.secret, `{"alg":"HS256"}`, strings.Replace(string(body), `"u-1"`, `"u\ud800"`, 1)), "U+FFFD"},
		"expired":            {ec(kid("ec"), exp(-31*time.Second)), "expired"},
		"no exp":             {ec(kid("ec"), with(map[string]any{"exp": nil})), "exp"},
		"exp is text":        {ec(kid("ec"), with(map[string]any{"exp": "9999999999"})), "exp"},
		"exp never":          {ec(kid("ec"), with(map[string]any{"exp": json.Number("1e300")})), ""},
		"exp in year 11000":  {ec(kid("ec"), with(map[string]any{"exp": json.Number("285000000000")})), "9999"},
		"not yet":            {ec(kid("ec"), with(map[string]any{"nbf": now.Add(time.Minute).Unix()})), "not valid yet"},
		"nbf is text":        {ec(kid("ec"), with(map[string]any{"nbf": "soon"})), "nbf"},
		"wrong issuer":       {ec(kid("ec"), with(map[string]any{"iss": "https://issuer.example.evil"})), "issuer"},
		"no issuer":          {ec(kid("ec"), with(map[string]any{"iss": nil})), "iss"},
		"issuer is a list":   {ec(kid("ec"), with(map[string]any{"iss": []string{"https://issuer.example"}})), "iss"},
		"wrong audience":     {ec(kid("ec"), with(map[string]any{"aud": "streamer2"})), "audience"},
		"no audience":        {ec(kid("ec"), with(map[string]any{"aud": nil})), "aud"},
		"audience odd":       {ec(kid("ec"), with(map[string]any{"aud": []any{"streamer", 1}})), "aud"},
		"no user":            {ec(kid("ec"), with(map[string]any{"sub": nil})), "claim sub: is missing"},
		"empty user":         {ec(kid("ec"), with(map[string]any{"sub": ""})), "claim sub: is missing"},
		"user is a number":   {ec(kid("ec"), with(map[string]any{"sub": 1})), "claim sub: is not a string"},
		"user is long":       {ec(kid("ec"), with(map[string]any{"sub": strings.Repeat("x", 257)})), "257 bytes"},
		"tenant is a list":   {ec(kid("ec"), with(map[string]any{"tenant_id": []string{"a"}})), "claim tenant_id: is not a string"},
		"permissions odd":    {ec(kid("ec"), with(map[string]any{"permissions": []any{"a", 1}})), "no permission"},
		"permissions object": {ec(kid("ec"), with(map[string]any{"permissions": map[string]any{"admin": true}})), "neither"},
		"huge":               {ec(kid("ec"), with(map[string]any{"x": strings.Repeat("x", 9000)})), "at most 10240"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := v.Verify(t.Context(), tt.token)
			var own *jwt.Error
			if !errors.As(err, &own) || own.Temporary || !strings.Contains(err.Error(), tt.why) || !reflect.DeepEqual(got, jwt.Identity{}) {
				t.Errorf("%+v, %v; want an error with %q", got, err, tt.why)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	auth := k.auth(t)
	renamed := auth
	renamed.UserClaim, renamed.TenantClaim, renamed.PermissionsClaim = "uid", "https://x.example/org", "roles"
	leeway := 0
	strict := auth
	strict.LeewaySeconds = &leeway
	now := time.Now()
	tests := map[string]struct {
		auth   contract.Auth
		claims map[string]any
		want   jwt.Identity
	}{
		"no tenant":      {auth, with(map[string]any{"tenant_id": nil}), jwt.Identity{User: "u-1", Permissions: []string{"reports:write", "reports:read"}}},
		"scope":          {auth, with(map[string]any{"permissions": nil, "scope": " a  b:c "}), jwt.Identity{User: "u-1", Tenant: "acme", Permissions: []string{"a", "b:c"}}},
		"both":           {auth, with(map[string]any{"scope": "openid"}), jwt.Identity{User: "u-1", Tenant: "acme", Permissions: []string{"reports:write", "reports:read"}}},
		"none":           {auth, with(map[string]any{"permissions": nil}), jwt.Identity{User: "u-1", Tenant: "acme"}},
		"renamed":        {renamed, with(map[string]any{"uid": "7", "https://x.example/org": "o", "roles": "r"}), jwt.Identity{User: "7", Tenant: "o", Permissions: []string{"r"}}},
		"within leeway":  {auth, with(map[string]any{"exp": now.Add(-20 * time.Second).Unix()}), jwt.Identity{User: "u-1", Tenant: "acme", Permissions: []string{"reports:write", "reports:read"}}},
		"without leeway": {strict, with(map[string]any{"exp": now.Add(-20 * time.Second).Unix()}), jwt.Identity{}},
	}
	for name, tt := range tests {
		got, err := verifier(t, tt.auth, nil).Verify(t.Context(), sign(t, lib.SigningMethodES256, k.ec, kid("ec"), tt.claims))
		got.Expires = time.Time{}
		if (err == nil) != (tt.want.User != "") || got.User != tt.want.User || got.Tenant != tt.want.Tenant || !slices.Equal(got.Permissions, tt.want.Permissions) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestFormsOfPEM(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.rsa.PublicKey, k.rsa)
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, lib.SigningMethodRS256, k.rsa, nil, goodClaims())
	for _, block := range []*pem.Block{
		{Type: "CERTIFICATE", Bytes: der}, {Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)},
	} {
		v := verifier(t, contract.Auth{Keys: []contract.Key{{PEM: string(pem.EncodeToMemory(block))}}}, nil)
		if got, err := v.Verify(t.Context(), token); err != nil || got.User != "u-1" {
			t.Errorf("%s: %+v, %v", block.Type, got, err)
		}
		block.Bytes = block.Bytes[:40]
		if _, err := jwt.New(contract.Auth{Keys: []contract.Key{{PEM: string(pem.EncodeToMemory(block))}}}, nil); err == nil {
			t.Errorf("half a %s: no error", block.Type)
		}
	}
}

func TestNewNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no short keys:", err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.ec)
	if err != nil {
		t.Fatal(err)
	}
	leeway := 601
	ecPEM := publicPEM(t, &k.ec.PublicKey)
	_, err = jwt.New(contract.Auth{
		Audience: []string{""}, LeewaySeconds: &leeway, JWKSURL: "http://issuer.example/jwks",
		Keys: []contract.Key{
			{}, {PEM: "x", Secret: "x"}, {PEM: "x"}, {Secret: "*"}, {Secret: "c2hvcnQ="},
			{Secret: base64.StdEncoding.EncodeToString([]byte(ecPEM))},
			{PEM: publicPEM(t, &small.PublicKey)}, {PEM: publicPEM(t, &p384.PublicKey)}, {PEM: ecPEM + ecPEM},
			{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))},
			{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS", Bytes: []byte{1}}))},
		},
	}, http.DefaultTransport)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"keys[0]: needs exactly one", "keys[1]: needs exactly one", "keys[2].pem: is not PEM", "keys[3].secret: is not base64", "keys[4].secret: has 5 bytes",
		"keys[5].secret: is a PEM block", "keys[6].pem: is an RSA key of 1024 bits", "keys[7].pem: is an ECDSA key on P-384", "keys[8].pem: holds more than one",
		"keys[9].pem: is a private key", "keys[10].pem: is PEM of a DH PARAMETERS", "jwks_url: must be https", "leeway_seconds: is 601", "audience",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := jwt.New(contract.Auth{}, nil); err == nil {
		t.Error("no keys: no error")
	}
	for u, ok := range map[string]bool{
		"https://issuer.example/jwks": true, "http://127.0.0.1:80/jwks": true, "http://localhost/": true, "http://[::1]/": true,
		"http://127.0.0.1.evil.example/": false, "http://10.0.0.1/": false, "https://u:p@issuer.example/": false, "file:///etc/passwd": false, "/jwks": false, ":": false,
	} {
		if _, err := jwt.New(contract.Auth{JWKSURL: u}, http.DefaultTransport); (err == nil) != ok {
			t.Errorf("%s: %v", u, err)
		}
	}
}
