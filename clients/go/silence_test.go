package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// pipe is a listener in memory, for bubbles.
type pipe struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p pipe) Close() error {
	close(p.done)
	return nil
}

func (p pipe) Addr() net.Addr { return &net.TCPAddr{} }

// silent is a server that answers what it is given answers for, and nothing else.
func silent(t *testing.T, answers map[string]string, do func(ctx context.Context, conn *client.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := pipe{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			for {
				_, body, err := ws.Read(r.Context())
				if err != nil {
					return
				}
				m, _ := wire.Parse(body)
				if rest := answers[m.Action]; rest != "" {
					if err := ws.Write(r.Context(), websocket.MessageText, []byte(frame(m, rest))); err != nil {
						t.Error(err)
					}
				}
			}
		})}
		go func() { _ = server.Serve(listener) }() // it ends with the listener
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			listener.conns <- far
			return near, nil
		}}
		conn, err := client.Dial(t.Context(), "ws://server/live", "good", client.Options{HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		do(t.Context(), conn)
		_ = conn.Close()
		_ = server.Close()
	})
}

const accepted = `"type":"acknowledgment","status":"PENDING","retained_until":"2030-01-01T00:00:00Z","epoch":0,"seq":0`

func TestLostLastFrameIsAskedFor(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{
		`{"status":"SUCCEEDED","epoch":2,"result":{"n":1}}`:                                              "",
		`{"status":"FAILED","epoch":2,"error":{"code":"TIMEOUT","message":"too late","retryable":true}}`: "TIMEOUT",
	} {
		silent(t, map[string]string{"job": accepted, "$get": `"type":"response","data":` + state}, func(ctx context.Context, conn *client.Conn) {
			begun := time.Now()
			f, err := conn.Call(ctx, client.Message{Action: "job"}, nil)
			var e *wire.Error
			switch {
			case want == "" && (err != nil || f.Type != wire.TypeComplete || string(f.Data) != `{"n":1}`):
				t.Errorf("%+v, %v", f, err)
			case want != "" && (!errors.As(err, &e) || string(e.Code) != want):
				t.Errorf("%v, want %s", err, want)
			}
			if waited := time.Since(begun); waited != client.Silence {
				t.Errorf("asked after %s", waited)
			}
		})
	}
}

func TestMessageThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	silent(t, nil, func(ctx context.Context, conn *client.Conn) {
		if _, err := conn.Call(ctx, client.Message{Action: "job"}, nil); !errors.Is(err, client.ErrNoAnswer) || !strings.Contains(err.Error(), "job") {
			t.Error(err)
		}
	})
}
