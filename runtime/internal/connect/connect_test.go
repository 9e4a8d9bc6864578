package connect_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	lib "github.com/golang-jwt/jwt/v5"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/connect"
	"github.com/streamer-go/streamer/runtime/internal/jwt"
)

var (
	_ lambda.Handler   = (*connect.Handler)(nil)
	_ connect.Verifier = (*jwt.Verifier)(nil)
)

// memory keeps connections in memory; err fails every call.
type memory struct {
	put     []connect.Connection
	deleted []string
	err     error
}

func (m *memory) Put(_ context.Context, c connect.Connection) error {
	m.put = append(m.put, c)
	return m.err
}

func (m *memory) Delete(_ context.Context, tenant, user, id string) error {
	m.deleted = append(m.deleted, tenant+"|"+user+"|"+id)
	return m.err
}

// tokens knows tokens by name.
type tokens map[string]jwt.Identity

func (k tokens) Verify(_ context.Context, token string) (jwt.Identity, error) {
	if token == "keys-away" {
		return jwt.Identity{}, &jwt.Error{Reason: "no key set", Temporary: true, Err: errors.New("no route")}
	}
	if id, ok := k[token]; ok {
		return id, nil
	}
	return jwt.Identity{}, &jwt.Error{Reason: "token is not valid"}
}

type bundle struct {
	*connect.Handler
	store *memory
	log   *bytes.Buffer
}

func setup(t *testing.T, change func(*connect.Options)) bundle {
	t.Helper()
	b := bundle{store: &memory{}, log: &bytes.Buffer{}}
	many := make([]string, 500)
	for i := range many {
		many[i] = "reports:write:everything"
	}
	exp := time.Unix(1705758000, 0)
	o := connect.Options{
		Verifier: tokens{
			"TOKEN": {User: "u-1", Tenant: "acme", Permissions: []string{"reports:write"}, Expires: exp},
			"alone": {User: "ü \"1\"", Expires: exp},
			"many":  {User: "u-1", Permissions: many, Expires: exp},
		},
		Connections: b.store, Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	h, err := connect.NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Handler = h
	return b
}

// event reads a recorded event and applies changes to it.
func event(t *testing.T, name string, changes ...func(map[string]any)) []byte {
	t.Helper()
	body, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var e map[string]any
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(e)
	}
	if body, err = json.Marshal(e); err != nil {
		t.Fatal(err)
	}
	return body
}

// headers replaces headers in both maps; nil takes one away.
func headers(set map[string][]string) func(map[string]any) {
	return func(e map[string]any) {
		single, multi := e["headers"].(map[string]any), e["multiValueHeaders"].(map[string]any)
		for name, values := range set {
			delete(single, name)
			delete(multi, name)
			if len(values) > 0 {
				single[name], multi[name] = values[len(values)-1], values
			}
		}
	}
}

func query(name string, values ...string) func(map[string]any) {
	return func(e map[string]any) {
		e["queryStringParameters"] = map[string]any{name: values[len(values)-1]}
		e["multiValueQueryStringParameters"] = map[string]any{name: values}
	}
}

func context1(name string, value any) func(map[string]any) {
	return func(e map[string]any) { e["requestContext"].(map[string]any)[name] = value }
}

func said(name string, value any) func(map[string]any) {
	return func(e map[string]any) {
		a := e["requestContext"].(map[string]any)["authorizer"].(map[string]any)
		if a[name] = value; value == nil {
			delete(a, name)
		}
	}
}

const allow = `{"principalId":"u-1","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":["execute-api:Invoke"],"Effect":"Allow",` +
	`"Resource":["arn:aws:execute-api:us-east-1:123456789012:abcdef123/prod/$connect"]}]},` +
	`"context":{"exp":"1705758000","permissions":"[\"reports:write\"]","tenant":"acme","user":"u-1"}}`

func TestAuthorize(t *testing.T) {
	t.Parallel()
	const proto, auth = "Sec-WebSocket-Protocol", "Authorization"
	none := headers(map[string][]string{proto: nil})
	only := func(name string, values ...string) func(map[string]any) {
		return headers(map[string][]string{proto: nil, name: values})
	}
	tests := map[string]struct {
		changes []func(map[string]any)
		options func(*connect.Options)
		want    string // "" is Unauthorized
		log     string
	}{
		"subprotocol":              {nil, nil, allow, "token_from=subprotocol"},
		"header":                   {[]func(map[string]any){only(auth, "Bearer TOKEN")}, nil, allow, "token_from=authorization"},
		"header spelt otherwise":   {[]func(map[string]any){only("aUTHORIZATION", "bearer   TOKEN ")}, nil, allow, ""},
		"header before protocol":   {[]func(map[string]any){headers(map[string][]string{proto: {"streamer.v1, bearer.bad"}, auth: {"Bearer TOKEN"}})}, nil, allow, ""},
		"basic beside protocol":    {[]func(map[string]any){headers(map[string][]string{auth: {"Basic dTpw"}})}, nil, allow, ""},
		"protocol in lines":        {[]func(map[string]any){only("sec-websocket-protocol", "bearer.TOKEN", "streamer.v1")}, nil, allow, ""},
		"single headers only":      {[]func(map[string]any){func(e map[string]any) { delete(e, "multiValueHeaders") }}, nil, allow, ""},
		"no token":                 {[]func(map[string]any){none}, nil, "", "no token"},
		"no headers":               {[]func(map[string]any){func(e map[string]any) { delete(e, "headers"); delete(e, "multiValueHeaders") }}, nil, "", "no token"},
		"empty bearer":             {[]func(map[string]any){headers(map[string][]string{proto: {"streamer.v1, bearer."}, auth: {"Bearer "}})}, nil, "", "no token"},
		"two tokens in protocols":  {[]func(map[string]any){only(proto, "bearer.TOKEN, bearer.alone")}, nil, "", "more than one token in subprotocol"},
		"two headers":              {[]func(map[string]any){only(auth, "Bearer bad", "Bearer TOKEN")}, nil, "", "more than one token in authorization"},
		"bad token":                {[]func(map[string]any){only(auth, "Bearer bad")}, nil, "", "token is not valid"},
		"bad header, good query":   {[]func(map[string]any){only(auth, "Bearer bad"), query("token", "TOKEN")}, withQuery, "", "token is not valid"},
		"query when switched on":   {[]func(map[string]any){none, query("token", "TOKEN")}, withQuery, allow, "token_from=query"},
		"query in one map":         {[]func(map[string]any){none, query("token", "TOKEN"), func(e map[string]any) { delete(e, "multiValueQueryStringParameters") }}, withQuery, allow, ""},
		"query empty":              {[]func(map[string]any){none, query("token", "")}, withQuery, "", "no token"},
		"origin endless":           {[]func(map[string]any){headers(map[string][]string{"Origin": {"https://" + strings.Repeat("x", 300)}})}, origins("https://example.com"), "Deny", "x…"},
		"query when not":           {[]func(map[string]any){none, query("token", "TOKEN")}, nil, "", "no token"},
		"query twice":              {[]func(map[string]any){none, query("token", "TOKEN", "TOKEN")}, withQuery, "", "more than one token in query"},
		"too many permissions":     {[]func(map[string]any){only(auth, "Bearer many")}, nil, "", "at most 8192"},
		"origin of the list":       {nil, origins("https://other.example", "HTTPS://App.example.com:443"), allow, ""},
		"any origin":               {nil, origins("*"), allow, ""},
		"no origin":                {[]func(map[string]any){headers(map[string][]string{"Origin": nil})}, origins("https://other.example"), allow, ""},
		"null origin of the list":  {[]func(map[string]any){headers(map[string][]string{"Origin": {"null"}})}, origins("null"), allow, ""},
		"another origin":           {nil, origins("https://example.com"), "Deny", "origin is not allowed"},
		"origin with another port": {nil, origins("https://app.example.com:8443"), "Deny", "https://app.example.com"},
		"origin of http":           {nil, origins("http://app.example.com"), "Deny", ""},
		"origin with a tail":       {[]func(map[string]any){headers(map[string][]string{"Origin": {"https://app.example.com.evil.example"}})}, origins("https://app.example.com"), "Deny", ""},
		"origin twice":             {[]func(map[string]any){headers(map[string][]string{"Origin": {"https://app.example.com", "https://evil.example"}})}, origins("https://app.example.com"), "Deny", ""},
		"null origin":              {[]func(map[string]any){headers(map[string][]string{"Origin": {"null"}})}, origins("https://app.example.com"), "Deny", ""},
		"bad origin and bad token": {[]func(map[string]any){only(auth, "Bearer bad")}, origins("https://example.com"), "Deny", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, tt.options)
			got, err := b.Invoke(t.Context(), event(t, "authorizer", tt.changes...))
			switch {
			case tt.want == "":
				if err == nil || err.Error() != "Unauthorized" || got != nil {
					t.Errorf("%s, %v", got, err)
				}
			case err != nil:
				t.Error(err)
			case tt.want == "Deny":
				if !strings.Contains(string(got), `"Effect":"Deny"`) || strings.Contains(string(got), `"context"`) {
					t.Errorf("%s", got)
				}
			case string(got) != tt.want:
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			line := b.log.String()
			if !strings.Contains(line, tt.log) || !strings.Contains(line, "source_ip=203.0.113.7") || strings.Count(line, "\n") != 1 {
				t.Errorf("log %q, want one line with %q", line, tt.log)
			}
			if strings.Contains(line, "TOKEN") || len(b.store.put) > 0 {
				t.Errorf("log %q, stored %v", line, b.store.put)
			}
		})
	}
}

func withQuery(o *connect.Options) { o.QueryParameter = "token" }

func origins(list ...string) func(*connect.Options) {
	return func(o *connect.Options) { o.Origins = list }
}

func TestAuthorizeWithoutKeysIsNoVerdict(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	_, err := b.Invoke(t.Context(), event(t, "authorizer", headers(map[string][]string{"Sec-WebSocket-Protocol": {"streamer.v1, bearer.keys-away"}})))
	if err == nil || err.Error() == "Unauthorized" || !strings.Contains(b.log.String(), "level=ERROR") || !strings.Contains(b.log.String(), "no route") {
		t.Errorf("%v, log %q", err, b.log)
	}
}

func TestAuthorizeWithoutTenant(t *testing.T) {
	t.Parallel()
	got, err := setup(t, nil).Invoke(t.Context(), event(t, "authorizer", headers(map[string][]string{"Sec-WebSocket-Protocol": {"bearer.alone"}})))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		PrincipalID string         `json:"principalId"`
		Context     map[string]any `json:"context"`
	}
	if err := json.Unmarshal(got, &r); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"user": "ü \"1\"", "permissions": "[]", "exp": "1705758000"}
	if r.PrincipalID != "ü \"1\"" || !reflect.DeepEqual(r.Context, want) {
		t.Errorf("%+v", r)
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1705751697419).UTC()
	stored := connect.Connection{ID: "UVH0XdC4oAMCKJw=", Tenant: "acme", User: "u-1", ConnectedAt: at, ExpiresAt: time.Unix(1705758000, 0).UTC()}
	whole := stored
	whole.ExpiresAt = at.Add(2 * time.Hour)
	alone := stored
	alone.Tenant = ""
	const proto = "sec-websocket-protocol"
	const chosen = `{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"streamer.v1"},"multiValueHeaders":null,"body":""}`
	const plain = `{"statusCode":200,"headers":null,"multiValueHeaders":null,"body":""}`
	tests := map[string]struct {
		change func(map[string]any)
		want   string
		put    []connect.Connection
		err    string
	}{
		"browser":          {func(map[string]any) {}, chosen, []connect.Connection{stored}, ""},
		"no protocol":      {headers(map[string][]string{proto: nil}), plain, []connect.Connection{stored}, ""},
		"later protocol":   {headers(map[string][]string{proto: {"streamer.v2, bearer.x"}}), `{"statusCode":400,"headers":null,"multiValueHeaders":null,"body":""}`, nil, ""},
		"both protocols":   {headers(map[string][]string{proto: {"streamer.v2", "streamer.v1"}}), chosen, []connect.Connection{stored}, ""},
		"exp is a number":  {said("exp", 1705758000), chosen, []connect.Connection{stored}, ""},
		"a long token":     {said("exp", "1805758000"), chosen, []connect.Connection{whole}, ""},
		"no tenant":        {said("tenant", nil), chosen, []connect.Connection{alone}, ""},
		"no authorizer":    {context1("authorizer", nil), "", nil, "does $connect have its authorizer"},
		"no user":          {said("user", ""), "", nil, "does $connect have its authorizer"},
		"no expiry":        {said("exp", nil), "", nil, "expiry"},
		"no connection id": {context1("connectionId", ""), "", nil, "no connection id"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			got, err := b.Invoke(t.Context(), event(t, "connect", tt.change))
			if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s, %v", got, err)
			}
			if !reflect.DeepEqual(b.store.put, tt.put) {
				t.Errorf("stored %+v, want %+v", b.store.put, tt.put)
			}
		})
	}
}

func TestConnectThatCannotBeStoredFails(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.store.err = errors.New("no table")
	if got, err := b.Invoke(t.Context(), event(t, "connect")); !errors.Is(err, b.store.err) || got != nil || !strings.Contains(b.log.String(), "no table") {
		t.Errorf("%s, %v, log %q", got, err, b.log)
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{nil, errors.New("no table")} {
		b := setup(t, nil)
		b.store.err = failure
		got, err := b.Invoke(t.Context(), event(t, "disconnect"))
		if err != nil || !strings.Contains(string(got), `"statusCode":200`) || !reflect.DeepEqual(b.store.deleted, []string{"acme|u-1|UVH0XdC4oAMCKJw="}) {
			t.Errorf("%s, %v, deleted %v", got, err, b.store.deleted)
		}
		if logged := strings.Contains(b.log.String(), "no table"); logged != (failure != nil) {
			t.Errorf("log %q", b.log)
		}
	}
	b := setup(t, nil)
	if _, err := b.Invoke(t.Context(), event(t, "disconnect", context1("authorizer", nil))); err != nil || len(b.store.deleted) > 0 {
		t.Errorf("%v, deleted %v", err, b.store.deleted)
	}
}

func TestOtherEventsAreNamed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`nonsense`:                             "read event",
		`{}`:                                   `type "" is not for`,
		`{"type":"TOKEN"}`:                     `"TOKEN" is not supported`,
		`{"type":"REQUEST","headers":1}`:       "read authorizer event",
		`{"requestContext":{"eventType":"X"}}`: `type "X" is not for`,
		`{"requestContext":{"eventType":"MESSAGE"},"body":"{\"type\":\"REQUEST\"}"}`: `"MESSAGE" is not for`,
		`{"requestContext":{"eventType":"CONNECT","connectedAt":"x"}}`:               "read $connect event",
		`{"requestContext":{"eventType":"DISCONNECT","connectedAt":"x"}}`:            "read $disconnect event",
	} {
		if got, err := setup(t, nil).Invoke(t.Context(), []byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := connect.NewHandler(connect.Options{Origins: []string{"*", "https://a.example", "a.example", "https://a.example/path"}})
	for _, want := range []string{"no verifier", "no connections", "no log", `"a.example"`, `"https://a.example/path"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

// TestTokensAreVerified goes from a signed token to the identity of a connection.
func TestTokensAreVerified(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef0123456789abcdef")
	store, log := &memory{}, slog.New(slog.DiscardHandler)
	h, err := connect.New(contract.Auth{
		Keys: []contract.Key{{Secret: base64.StdEncoding.EncodeToString(secret)}}, Origins: []string{"https://app.example.com"},
	}, store, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	for user, key := range map[string][]byte{"u-7": secret, "forged": secret[1:]} {
		token, err := lib.NewWithClaims(lib.SigningMethodHS256, lib.MapClaims{
			"sub": user, "tenant_id": "acme", "exp": time.Now().Add(time.Hour).Unix(),
		}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.Invoke(t.Context(), event(t, "authorizer", headers(map[string][]string{"Sec-WebSocket-Protocol": {"streamer.v1, bearer." + token}})))
		if user == "forged" {
			if err == nil || err.Error() != "Unauthorized" {
				t.Errorf("%s, %v", got, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var result struct{ Context map[string]any }
		if err := json.Unmarshal(got, &result); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Invoke(t.Context(), event(t, "connect", context1("authorizer", result.Context))); err != nil {
			t.Fatal(err)
		}
		if len(store.put) != 1 || store.put[0].User != "u-7" || store.put[0].Tenant != "acme" {
			t.Errorf("stored %+v", store.put)
		}
	}
	if _, err := connect.New(contract.Auth{}, store, nil, log); err == nil || !strings.Contains(err.Error(), "make connect handler") {
		t.Errorf("%v", err)
	}
}
