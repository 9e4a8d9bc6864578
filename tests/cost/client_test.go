package cost_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"github.com/streamer-go/streamer/runtime/wire"
)

// Identifiers as long as they usually are.
const (
	tenant = "acme-corporation"
	user   = "5f0e3a52-7d1b-4f5e-9c3a-2b6d8e1f4a70"
)

// conn is a client's connection.
type conn struct {
	*system
	t  *testing.T
	ws *websocket.Conn
	n  int
}

func (s *system) connect() *conn {
	s.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "tenant_id": tenant, "exp": time.Now().Add(96 * time.Hour).Unix(),
	}).SignedString([]byte(secret))
	if err != nil {
		s.t.Fatal(err)
	}
	ws, _, err := websocket.Dial(context.Background(), s.url, &websocket.DialOptions{
		HTTPClient: s.cloud.HTTPClient(), HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}, Subprotocols: []string{wire.Protocol},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ws.SetReadLimit(wire.MaxMessage)
	s.t.Cleanup(func() { _ = ws.CloseNow() }) // may be closed already
	return &conn{system: s, t: s.t, ws: ws}
}

// ask sends a message under an id of its own and returns the number of frames
// of each type until the last one.
func (c *conn) ask(action string, payload any) map[string]int {
	c.t.Helper()
	c.n++
	id := fmt.Sprintf("0c4de3b1-93fa-4d27-8a51-%012d", c.n)
	raw, err := json.Marshal(map[string]any{"id": id, "action": action, "payload": payload})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Hour)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, raw); err != nil {
		c.t.Fatalf("send %s: %v", id, err)
	}
	frames := map[string]int{}
	for {
		_, raw, err := c.ws.Read(ctx)
		if err != nil {
			c.t.Fatalf("no answer to %s: %v", id, err)
		}
		c.mu.Lock()
		c.used.bill[itemTransfer] += float64(len(raw))
		c.mu.Unlock()
		var f wire.Frame
		if err := f.Decode(raw); err != nil || f.RequestID != id {
			c.t.Fatalf("frame %s: %v", raw, err)
		}
		frames[f.Type]++
		switch f.Type {
		case wire.TypeError:
			c.t.Fatalf("%s is answered %s", id, raw)
		case wire.TypeResponse, wire.TypeComplete:
			return frames
		}
	}
}

func (c *conn) close() {
	if err := c.ws.Close(websocket.StatusNormalClosure, ""); err != nil {
		c.t.Fatal(err)
	}
}
