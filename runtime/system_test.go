package streamer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// system is the three functions around tables in memory. It lives in a bubble:
// a goroutine that outlives a test makes it fail.
type system struct {
	t     *testing.T
	store *memory
	conns *sockets
	wake  *hints
	start *hints
	log   *lines
	emf   *lines

	router, processor, dispatcher lambda.Handler
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, app *streamer.App, f func(t *testing.T, s *system)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newSystem(t, app)) })
}

func newSystem(t *testing.T, app *streamer.App, more ...func(*streamer.Parts)) *system {
	s := &system{t: t, store: newMemory(), conns: &sockets{}, wake: &hints{}, start: &hints{}, log: &lines{}, emf: &lines{}}
	n := 0
	var mu sync.Mutex
	p := streamer.Parts{
		Store: s.store, Conns: s.conns, Wake: s.wake, Start: s.start, Log: slog.New(slog.NewJSONHandler(s.log, nil)), Out: s.emf,
		Lease: 30 * time.Second, Nonce: func() string {
			mu.Lock()
			defer mu.Unlock()
			n++
			return "nonce" + strconv.Itoa(n)
		},
	}
	for _, change := range more {
		change(&p)
	}
	s.router, s.processor, s.dispatcher = streamer.NewRouter(app, p), streamer.NewProcessor(app, p), streamer.NewDispatcher(p)
	return s
}

// client is who says something.
type client struct {
	user, tenant, connection, permissions string
	expires                               time.Duration
}

var alice = client{user: "alice", tenant: "acme", connection: "c1", permissions: `["read"]`, expires: time.Hour}

// says sends a message and returns the frame that answers it.
func (s *system) says(who client, body string) wire.Frame {
	s.t.Helper()
	event, err := json.Marshal(map[string]any{"body": body, "requestContext": map[string]any{
		"eventType": "MESSAGE", "connectionId": who.connection, "connectedAt": time.Now().UnixMilli(), "authorizer": map[string]string{
			"user": who.user, "tenant": who.tenant, "permissions": who.permissions, "exp": strconv.FormatInt(time.Now().Add(who.expires).Unix(), 10),
		},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := s.router.Invoke(s.t.Context(), event)
	if err != nil {
		s.t.Fatal(err)
	}
	var out struct {
		Status int    `json:"statusCode"`
		Body   string `json:"body"`
	}
	if err := json.Unmarshal(raw, &out); err != nil || out.Status != 200 {
		s.t.Fatalf("router answered %s: %v", raw, err)
	}
	var f wire.Frame
	if err := f.Decode([]byte(out.Body)); err != nil {
		s.t.Fatal(err)
	}
	return f
}

// accept sends a request of the action and expects it to be acknowledged.
func (s *system) accept(id, action, payload string) (key string) {
	s.t.Helper()
	f := s.says(alice, fmt.Sprintf(`{"id":%q,"action":%q,"payload":%s}`, id, action, payload))
	if f.Type != wire.TypeAcknowledgment || f.Status != "PENDING" || !f.Placed {
		s.t.Fatalf("not acknowledged: %+v", f)
	}
	return keys.Request(alice.tenant, alice.user, id)
}

// run invokes the processor as Lambda does, with fifteen minutes.
func (s *system) run(key string, epoch int64) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 15*time.Minute)
	defer cancel()
	return s.invoke(ctx, s.processor, work.Hint{Key: key, Epoch: epoch})
}

func (s *system) mustRun(key string, epoch int64) {
	s.t.Helper()
	if err := s.run(key, epoch); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) invoke(ctx context.Context, h lambda.Handler, event any) error {
	s.t.Helper()
	raw, ok := event.(string)
	if !ok {
		b, err := json.Marshal(event)
		if err != nil {
			s.t.Fatal(err)
		}
		raw = string(b)
	}
	_, err := h.Invoke(ctx, []byte(raw))
	return err
}

// last is the terminal frame that the connection was sent; it must be one.
func (s *system) last(connection string) wire.Frame {
	s.t.Helper()
	var found []wire.Frame
	for _, f := range append(s.conns.of(wire.TypeComplete), s.conns.of(wire.TypeError)...) {
		if f.connection == connection {
			found = append(found, f.Frame)
		}
	}
	if len(found) != 1 || !found[0].Terminal() {
		s.t.Fatalf("terminal frames of %s: %+v", connection, found)
	}
	return found[0]
}
