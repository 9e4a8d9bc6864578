package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// server answers a connection's messages; what it is given sends frames.
func server(t *testing.T, serve func(m wire.Message, send func(frame string))) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Protocol}})
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }() // the client has gone
		ws.SetReadLimit(wire.MaxMessage)
		for {
			_, body, err := ws.Read(r.Context())
			if err != nil {
				return
			}
			m, refusal := wire.Parse(body)
			if refusal != nil {
				t.Errorf("the client sent %.100s: %v", body, refusal)
			}
			if m.Action == "hang up" {
				return
			}
			serve(m, func(frame string) {
				if err := ws.Write(r.Context(), websocket.MessageText, []byte(frame)); err != nil {
					t.Log(err)
				}
			})
		}
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func dial(t *testing.T, url string) (context.Context, *client.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	conn, err := client.Dial(ctx, url, "good", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // some tests have closed it
	return ctx, conn
}

func frame(m wire.Message, rest string) string { return `{"request_id":"` + m.ID + `",` + rest + `}` }

func TestCallFollowsALongRequest(t *testing.T) {
	t.Parallel()
	ctx, conn := dial(t, server(t, func(m wire.Message, send func(string)) {
		send(`{"message":"Internal server error","connectionId":"c","requestId":"g"}`)
		send(frame(wire.Message{ID: "of another"}, `"type":"response"`))
		send(frame(m, `"type":"progress","percentage":50,"epoch":1,"seq":1`))
		send(frame(m, `"type":"acknowledgment","status":"PENDING","epoch":0,"seq":0`))
		send(frame(m, `"type":"of the future"`))
		send(frame(m, `"type":"complete","data":{"a":1},"epoch":2,"seq":0`))
	}))
	var types []string
	f, err := conn.Call(ctx, client.Message{Action: "a"}, func(f wire.Frame) { types = append(types, f.Type) })
	if err != nil || string(f.Data) != `{"a":1}` {
		t.Fatalf("%+v, %v", f, err)
	}
	if got := strings.Join(types, " "); got != "progress acknowledgment of the future complete" {
		t.Errorf("frames: %s", got)
	}
}

func TestCallReturnsErrors(t *testing.T) {
	t.Parallel()
	ctx, conn := dial(t, server(t, func(m wire.Message, send func(string)) {
		send(frame(m, `"type":"error","code":"CONFLICT","message":"used","retryable":false`))
	}))
	_, err := conn.Call(ctx, client.Message{Action: "a"}, nil)
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != wire.CodeConflict {
		t.Errorf("got %v", err)
	}
}

func TestCallsShareAConnection(t *testing.T) {
	t.Parallel()
	var held []wire.Message
	ctx, conn := dial(t, server(t, func(m wire.Message, send func(string)) {
		if held = append(held, m); len(held) == 2 { // answered the other way round
			for _, m := range []wire.Message{held[1], held[0]} {
				send(frame(m, `"type":"response","data":`+string(m.Payload)))
			}
		}
	}))
	done := make(chan error, 2)
	for n := range 2 {
		go func() {
			f, err := conn.Call(ctx, client.Message{Action: "a", Payload: n + 1}, nil)
			var got int
			if err == nil {
				err = json.Unmarshal(f.Data, &got)
			}
			if err == nil && got != n+1 {
				err = errors.New("the answer is another's")
			}
			done <- err
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestLongMessagesArrive(t *testing.T) {
	t.Parallel()
	ctx, conn := dial(t, server(t, func(m wire.Message, send func(string)) { send(frame(m, `"type":"response","data":`+string(m.Payload))) }))
	for _, n := range []int{wire.MaxFrame - 200, wire.MaxFrame, 3 * wire.MaxFrame} {
		f, err := conn.Call(ctx, client.Message{Action: "a", Payload: strings.Repeat("x", n)}, nil)
		if err != nil || len(f.Data) != n+2 {
			t.Errorf("%d bytes: %d came back, %v", n, len(f.Data), err)
		}
	}
}

func TestCallsEndWithTheConnection(t *testing.T) {
	t.Parallel()
	ctx, conn := dial(t, server(t, func(wire.Message, func(string)) {}))
	if _, err := conn.Call(ctx, client.Message{Action: "hang up"}, nil); !errors.Is(err, client.ErrClosed) {
		t.Errorf("got %v", err)
	}
	<-conn.Done()
	if _, err := conn.Call(ctx, client.Message{Action: "a"}, nil); !errors.Is(err, client.ErrClosed) {
		t.Errorf("afterwards got %v", err)
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	got := make(chan struct{})
	ctx, conn := dial(t, server(t, func(wire.Message, func(string)) { close(got) }))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		<-got
		cancel(cause)
	}()
	if _, err := conn.Call(ctx, client.Message{ID: "x", Action: "a"}, nil); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestDialSaysWhatWasAnswered(t *testing.T) {
	t.Parallel()
	_, err := client.Dial(t.Context(), server(t, nil), "bad", client.Options{})
	if err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v", err)
	}
}
