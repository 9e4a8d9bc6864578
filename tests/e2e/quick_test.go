package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/coder/websocket"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

func TestQuickEcho(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "quick")
	in := app.Echo{Text: "ü \u2028 </script> 😀", N: 7, Rows: []app.Row{{N: 1}}}
	var frames []wire.Frame
	f := call(t, conn, client.Message{Action: "echo", Payload: in}, func(f wire.Frame) { frames = append(frames, f) })
	if f.Type != wire.TypeResponse || f.Placed || len(frames) != 1 {
		t.Fatalf("got %+v, want one response without a cursor", frames)
	}
	var out app.Echo
	read(t, f.Data, &out)
	if out.Text != in.Text || out.N != in.N || len(out.Rows) != 1 {
		t.Errorf("got %+v, want %+v", out, in)
	}
}

func TestHello(t *testing.T) {
	t.Parallel()
	f := call(t, shared.connect(t, "hello"), client.Message{Action: wire.ActionHello}, nil)
	var hello struct {
		Protocol, User string
		Max            int `json:"max_message_bytes"`
	}
	read(t, f.Data, &hello)
	if hello.Protocol != wire.Protocol || hello.User != "hello" || hello.Max != wire.MaxMessage {
		t.Errorf("got %s", f.Data)
	}
}

func TestMistakesInMessages(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		send string
		code wire.Code
		path string
	}{
		"no JSON":                 {`hello`, wire.CodeValidation, ""},
		"no object":               {`[1]`, wire.CodeValidation, ""},
		"two objects":             {`{"id":"x","action":"echo"} {}`, wire.CodeValidation, ""},
		"no id":                   {`{"action":"echo"}`, wire.CodeValidation, "id"},
		"id with a space":         {`{"id":"a b","action":"echo"}`, wire.CodeValidation, "id"},
		"no action":               {`{"id":"x"}`, wire.CodeValidation, "action"},
		"key of the user's own":   {`{"id":"x","action":"echo","user":"root"}`, wire.CodeValidation, "user"},
		"key twice":               {`{"id":"x","id":"y","action":"echo"}`, wire.CodeValidation, "id"},
		"unknown action":          {`{"id":"x","action":"nothing"}`, wire.CodeInvalidAction, ""},
		"unknown built-in":        {`{"id":"x","action":"$nothing"}`, wire.CodeInvalidAction, ""},
		"unknown field":           {`{"id":"x","action":"echo","payload":{"txt":"a"}}`, wire.CodeValidation, "payload.txt"},
		"unknown field, deep":     {`{"id":"x","action":"echo","payload":{"rows":[{"n":1},{"m":2}]}}`, wire.CodeValidation, "payload.rows[1].m"},
		"wrong type":              {`{"id":"x","action":"echo","payload":{"text":5}}`, wire.CodeValidation, "payload.text"},
		"wrong type, deep":        {`{"id":"x","action":"echo","payload":{"rows":[{"n":"1"}]}}`, wire.CodeValidation, "payload.rows[0].n"},
		"wrong payload, long":     {`{"id":"x","action":"sleep","payload":{"seconds":1}}`, wire.CodeValidation, "payload.seconds"},
		"metadata is no object":   {`{"id":"x","action":"echo","metadata":[]}`, wire.CodeValidation, "metadata"},
		"metadata too large":      {`{"id":"x","action":"echo","metadata":{"a":"` + strings.Repeat("x", wire.MaxMetadata) + `"}}`, wire.CodeValidation, "metadata"},
		"permission that is not":  {`{"id":"x","action":"echo.secret","payload":{"text":"a"}}`, wire.CodeForbidden, ""},
		"identity in the message": {`{"id":"x","action":"echo","payload":{"text":"a"},"tenant":"t"}`, wire.CodeValidation, "tenant"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := shared.raw(t, "mistakes", "secrets:write")
			conn.send(tt.send)
			f := conn.next()
			if f.Type != wire.TypeError || f.Code != tt.code || f.Placed || f.Retryable {
				t.Fatalf("got %+v, want error %s without a cursor, not retryable", f, tt.code)
			}
			has := tt.path == ""
			for _, d := range f.Details {
				has = has || d.Path == tt.path
			}
			if !has {
				t.Errorf("details %+v do not name %s", f.Details, tt.path)
			}
			// The connection goes on.
			conn.send(`{"id":"after","action":"echo","payload":{"text":"still here"}}`)
			if f := conn.next(); f.Type != wire.TypeResponse || f.RequestID != "after" {
				t.Errorf("afterwards got %+v", f)
			}
		})
	}
}

func TestPermissionThatIsThere(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "permitted", "secrets:read")
	if f := call(t, conn, client.Message{Action: "echo.secret", Payload: app.Echo{Text: "a"}}, nil); f.Type != wire.TypeResponse {
		t.Errorf("got %+v", f)
	}
}

func TestMessagesThatEndTheConnection(t *testing.T) {
	t.Parallel()
	large := `{"id":"x","action":"echo","payload":{"text":"` + strings.Repeat("x", wire.MaxMessage) + `"}}`
	tests := map[string]struct {
		kind  websocket.MessageType
		body  string
		frame int
		code  websocket.StatusCode
	}{
		"message over 128 KB": {websocket.MessageText, large, wire.MaxFrame, websocket.StatusMessageTooBig},
		"frame over 32 KB":    {websocket.MessageText, large[:wire.MaxFrame+1], wire.MaxMessage, websocket.StatusMessageTooBig},
		"binary":              {websocket.MessageBinary, `{"id":"x","action":"echo"}`, wire.MaxFrame, websocket.StatusUnsupportedData},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := shared.raw(t, "ended").ws
			ctx := bounded(t)
			w, err := ws.Writer(ctx, tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			for body := tt.body; body != ""; {
				n := min(len(body), tt.frame)
				if _, err = w.Write([]byte(body[:n])); err != nil {
					break // closed before all was sent
				}
				body = body[n:]
			}
			if err == nil {
				_ = w.Close() // same
			}
			_, body, err := ws.Read(ctx)
			if got := websocket.CloseStatus(err); got != tt.code {
				t.Errorf("close code %d (%v, %s), want %d", got, err, body, tt.code)
			}
		})
	}
}

// A message above one frame's size has to be fragmented; the client does it.
func TestLongMessage(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "long message")
	in := app.Echo{Text: strings.Repeat("x", 100<<10)}
	f := call(t, conn, client.Message{Action: "echo", Payload: in}, nil)
	var out app.Echo
	read(t, f.Data, &out)
	if out.Text != in.Text {
		t.Errorf("%d bytes came back, want %d", len(out.Text), len(in.Text))
	}
}

func TestErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"panic", "error", "panic.long"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			conn := shared.connect(t, "secrets "+action)
			e, f := refused(t, conn, client.Message{ID: "s", Action: action, Payload: struct{}{}}, wire.CodeInternal)
			raw, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(raw), app.Secret) || strings.Contains(string(raw), ".go:") {
				t.Errorf("the frame tells: %s", raw)
			}
			at := strings.Index(e.Message, "reference ")
			if at < 0 {
				t.Fatalf("no reference in %q", e.Message)
			}
			reference := e.Message[at+len("reference "):]
			eventually(t, "the log says what happened under "+reference, patience, func() bool {
				return shared.log.find(reference, app.Secret) != ""
			})
			if f := call(t, conn, client.Message{Action: "echo", Payload: app.Echo{Text: "a"}}, nil); f.Type != wire.TypeResponse {
				t.Errorf("afterwards got %+v", f)
			}
		})
	}
}

func TestPanicLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "panic and others")
	done := make(chan error, 1)
	started := make(chan struct{}, 1)
	go func() {
		_, err := conn.Call(bounded(t), client.Message{Action: "sleep", Payload: app.Sleep{Milliseconds: 1500, Steps: 5}}, func(f wire.Frame) {
			if f.Type == wire.TypeProgress {
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
		done <- err
	}()
	<-started
	for range 3 {
		refused(t, conn, client.Message{Action: "panic", Payload: struct{}{}}, wire.CodeInternal)
		refused(t, conn, client.Message{Action: "panic.long", Payload: struct{}{}}, wire.CodeInternal)
	}
	if err := <-done; err != nil {
		t.Error("the request next to the panics:", err)
	}
}

func TestQuickTimeout(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "timeout")
	if e, f := refused(t, conn, client.Message{Action: "wait", Payload: struct{}{}}, wire.CodeTimeout); !e.Retryable || f.Placed {
		t.Errorf("got %+v, want retryable and no cursor", f)
	}
}

func TestResultTooLarge(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "too large")
	payload := app.Large{Bytes: wire.MaxMessage}
	if _, f := refused(t, conn, client.Message{Action: "large", Payload: payload}, wire.CodePayloadTooLarge); f.Placed {
		t.Errorf("quick: got a cursor: %+v", f)
	}
}
