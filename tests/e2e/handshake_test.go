package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/wire"
)

func claims(user string) jwt.MapClaims {
	return jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}
}

// forgeries returns tokens that must not be let in, by what is wrong with them.
func forgeries(t *testing.T) map[string]string {
	t.Helper()
	other, err := devhost.LoadKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must := func(token string, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := shared.token(t, "forged")
	stranger := must(other.Token("forged", "", nil, time.Hour))
	head, rest, _ := strings.Cut(good, ".")
	_, signature, _ := strings.Cut(rest, ".")
	admin := strings.Split(must(other.Token("admin", "", nil, time.Hour)), ".")[1]
	return map[string]string{
		"empty":     "",
		"no token":  "not-a-token",
		"other key": stranger,
		"expired":   must(shared.Keys.Token("forged", "", nil, -time.Hour)),
		"alg none":  must(jwt.NewWithClaims(jwt.SigningMethodNone, claims("forged")).SignedString(jwt.UnsafeAllowNoneSignatureType)),
		// The public key is public: it must not work as a secret.
		"hmac with the public key": must(jwt.NewWithClaims(jwt.SigningMethodHS256, claims("forged")).SignedString([]byte(shared.Keys.PublicPEM()))),
		"signature of another":     good[:strings.LastIndex(good, ".")] + stranger[strings.LastIndex(stranger, "."):],
		"signature cut off":        good[:strings.LastIndex(good, ".")+1],
		"other claims":             head + "." + admin + "." + signature,
		"no user":                  must(shared.Keys.Token("", "", nil, time.Hour)),
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	for name, token := range forgeries(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}, Subprotocols: []string{wire.Protocol}}
			wantStatus(t, shared.URL, o, http.StatusUnauthorized)
		})
	}
}

func TestHandshakes(t *testing.T) {
	t.Parallel()
	token := shared.token(t, "handshakes")
	bearer := func(more ...string) http.Header {
		h := http.Header{"Authorization": {"Bearer " + token}}
		for i := 0; i < len(more); i += 2 {
			h.Add(more[i], more[i+1])
		}
		return h
	}
	tests := map[string]struct {
		query     string
		header    http.Header
		protocols []string
		status    int
		protocol  string
	}{
		"header":                      {header: bearer(), protocols: []string{wire.Protocol}, status: 101, protocol: wire.Protocol},
		"header, no subprotocol":      {header: bearer(), status: 101},
		"subprotocol":                 {protocols: []string{wire.Protocol, "bearer." + token}, status: 101, protocol: wire.Protocol},
		"subprotocol, token first":    {protocols: []string{"bearer." + token, wire.Protocol}, status: 101, protocol: wire.Protocol},
		"query parameter":             {query: "?access_token=" + token, status: 101},
		"query parameter, other name": {query: "?token=" + token, status: 401},
		"no token":                    {protocols: []string{wire.Protocol}, status: 401},
		"other subprotocol":           {header: bearer(), protocols: []string{"streamer.v9"}, status: 400},
		"two tokens in one place":     {protocols: []string{wire.Protocol, "bearer." + token, "bearer." + token}, status: 401},
		"allowed origin":              {header: bearer("Origin", "https://app.example.com"), status: 101},
		"other origin":                {header: bearer("Origin", "https://evil.example.com"), status: 403},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &websocket.DialOptions{HTTPHeader: tt.header, Subprotocols: tt.protocols}
			resp := wantStatus(t, shared.URL+tt.query, o, tt.status)
			if got := resp.Header.Get("Sec-Websocket-Protocol"); got != tt.protocol {
				t.Errorf("subprotocol %q, want %q", got, tt.protocol)
			}
		})
	}
}

// wantStatus shakes hands and looks at what is answered. No answer may hold the
// token.
func wantStatus(t *testing.T, url string, o *websocket.DialOptions, status int) *http.Response {
	t.Helper()
	ws, resp, err := websocket.Dial(bounded(t), url, o)
	if ws != nil {
		defer func() { _ = ws.CloseNow() }() // nothing was sent
	}
	if resp == nil {
		t.Fatal("no answer:", err)
	}
	if resp.StatusCode != status {
		t.Fatalf("answered %d, want %d (%v)", resp.StatusCode, status, err)
	}
	for name, values := range resp.Header {
		if strings.Contains(strings.Join(values, ","), "eyJ") {
			t.Errorf("header %s holds the token", name)
		}
	}
	return resp
}

func wantServerError(t *testing.T, url string, o *websocket.DialOptions) {
	t.Helper()
	ws, resp, err := websocket.Dial(bounded(t), url, o)
	if ws != nil {
		_ = ws.CloseNow() // it should not be there
	}
	if resp == nil || resp.StatusCode < 500 {
		t.Errorf("answered %+v (%v), want a server error", resp, err)
	}
}
