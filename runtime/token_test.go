package streamer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/golang-jwt/jwt/v5"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/wire"
)

// connectFunction is the connect function with that configuration of tokens.
func connectFunction(t *testing.T, auth string) lambda.Handler {
	t.Helper()
	env := map[string]string{
		c.EnvRole: string(c.RoleConnect), c.EnvConnectionsTable: "connections", c.EnvAuth: auth, "AWS_REGION": "eu-west-1",
	}
	h, err := streamer.ConnectHandler(streamer.Host{Getenv: func(name string) string { return env[name] }, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// authorize asks the connect function about a token. It returns when the token
// ends according to the context for the later events.
func authorize(t *testing.T, h lambda.Handler, token string) (ends time.Time, err error) {
	t.Helper()
	event, err := os.ReadFile("internal/connect/testdata/authorizer.json")
	if err != nil {
		t.Fatal(err)
	}
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatal(err)
	}
	e["headers"], e["multiValueHeaders"] = map[string]string{"Authorization": "Bearer " + token}, nil
	if event, err = json.Marshal(e); err != nil {
		t.Fatal(err)
	}
	answer, err := h.Invoke(t.Context(), event)
	if err != nil {
		return time.Time{}, err
	}
	var said struct{ Context map[string]string }
	if err := json.Unmarshal(answer, &said); err != nil {
		t.Fatal(err)
	}
	exp, err := strconv.ParseInt(said.Context[c.CtxExpires], 10, 64)
	if err != nil || said.Context[c.CtxUser] != alice.user {
		t.Fatalf("context %v: %v", said.Context, err)
	}
	return time.Unix(exp, 0), nil
}

// ending is alice with a token that ends then.
func ending(at time.Time) client {
	who := alice
	who.expires = time.Until(at)
	return who
}

func TestConnectAndRouterAgreeWhenATokenEnds(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef0123456789abcdef")
	for name, tt := range map[string]struct {
		setting string
		leeway  time.Duration
	}{
		"default": {"", 30 * time.Second},
		"none":    {`,"leeway_seconds":0`, 0},
		"longer":  {`,"leeway_seconds":300`, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				h := connectFunction(t, `{"keys":[{"secret":"`+base64.StdEncoding.EncodeToString(secret)+`"}]`+tt.setting+`}`)
				exp := time.Now().Add(time.Hour)
				token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": alice.user, "exp": exp.Unix()}).SignedString(secret)
				if err != nil {
					t.Fatal(err)
				}
				end, err := authorize(t, h, token)
				if err != nil || !end.Equal(exp.Add(tt.leeway)) {
					t.Fatalf("ends %v after exp: %v", end.Sub(exp), err)
				}
				for _, at := range []time.Time{end.Add(-time.Minute), end.Add(-time.Millisecond), end, end.Add(time.Hour)} {
					<-time.After(time.Until(at))
					_, err := authorize(t, h, token)
					f := s.says(ending(end), `{"id":"1","action":"echo"}`)
					let, served := err == nil, f.Type == wire.TypeResponse
					if want := at.Before(end); let != want || served != want || !served && f.Code != wire.CodeUnauthorized {
						t.Errorf("%v from its end: let in %v (%v), answered %+v", at.Sub(end), let, err, f)
					}
				}
				if n := len(s.conns.closed); n != 2 {
					t.Errorf("%d refusals closed their connection, want both", n)
				}
			})
		})
	}
}

func TestNothingIsPushedAfterTheTokensEnd(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(reporting(60, time.Second)), func(t *testing.T, s *system) {
		end := time.Now().Add(30 * time.Second)
		if f := s.says(ending(end), `{"id":"r1","action":"job","payload":{}}`); f.Type != wire.TypeAcknowledgment {
			t.Fatalf("%+v", f)
		}
		s.mustRun("acme/alice/r1", 0)
		frames := s.conns.of(wire.TypeProgress)
		if n := len(frames); n < 25 || !frames[n-1].at.Before(end) || len(s.conns.of(wire.TypeComplete)) > 0 {
			t.Errorf("%d frames, the last %v from the end of the token", n, frames[n-1].at.Sub(end))
		}
	})
}

// TestKeySetIsFetchedByTheProcess: without a transport of the host's own the
// keys come over the network.
func TestKeySetIsFetchedByTheProcess(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var fetched atomic.Int32
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		encode := base64.RawURLEncoding.EncodeToString
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","kid":"k1","crv":"P-256","x":%q,"y":%q}]}`, encode(point[1:33]), encode(point[33:]))
	}))
	defer issuer.Close()
	h := connectFunction(t, `{"jwks_url":"`+issuer.URL+`/jwks.json"}`)
	exp := time.Now().Add(time.Hour).Truncate(time.Second)
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": alice.user, "exp": exp.Unix()})
	token.Header["kid"] = "k1"
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	if fetched.Load() != 0 {
		t.Error("the keys were fetched before a token asked for them")
	}
	for range 2 {
		if end, err := authorize(t, h, signed); err != nil || !end.Equal(exp.Add(30*time.Second)) {
			t.Errorf("%v, %v", end, err)
		}
	}
	if n := fetched.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	issuer.Close()
	if _, err := authorize(t, connectFunction(t, `{"jwks_url":"`+issuer.URL+`/jwks.json"}`), signed); err == nil || err.Error() == "Unauthorized" {
		t.Errorf("keys that cannot be fetched say %v about a good token", err)
	}
}
