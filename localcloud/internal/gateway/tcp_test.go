package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

// Over TCP a server that closes while the client still sends may lose its
// close frame to a reset.
func TestCloseFrameArrivesOverTCP(t *testing.T) {
	t.Parallel()
	_, api := unlimited(t)
	for name, tc := range map[string]struct {
		kind websocket.MessageType
		size int
		want websocket.StatusCode
	}{
		"frame too big": {websocket.MessageText, 4 << 20, 1009},
		"binary":        {websocket.MessageBinary, 100, 1003},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			ws, _, err := websocket.Dial(ctx, api.Endpoint+"/prod", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = ws.CloseNow() }()
			var writing sync.WaitGroup
			writing.Go(func() { fragments(ws, tc.kind, tc.size) })
			defer writing.Wait()
			if closed := hearClose(t, ws); closed.Code != tc.want {
				t.Errorf("closed with %v, want %d", closed, tc.want)
			}
		})
	}
}

// Everything at once, for the race detector: messages, posts, changes of the
// configuration, clients that leave in every way, and Close in the middle.
func TestUproar(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{limits: gateway.Limits{Requests: -1, Connections: -1, Idle: 40 * time.Second, MaxAge: 2 * time.Minute}})
		c.on("default", func(_ context.Context, event []byte) (string, error) {
			time.Sleep(time.Duration(len(event)%7) * time.Second)
			return echo(context.Background(), event)
		})
		var clients sync.WaitGroup
		for i := range 40 {
			clients.Go(func() { c.chat(i) })
		}
		clients.Go(func() {
			for range 20 {
				time.Sleep(3 * time.Second)
				c.deploy()
			}
		})
		time.Sleep(70 * time.Second)
		for i := range 10 {
			clients.Go(func() { c.chat(i) })
		}
		time.Sleep(time.Second)
		c.svc.Close()
		clients.Wait()
		if n := c.svc.Connections(c.api.ID); n != 0 {
			t.Errorf("%d connections left", n)
		}
	})
}

// chat is one client's life, of a kind that depends on i.
func (c *cloud) chat(i int) {
	ctx := context.Background()
	ws, _, err := c.dial("/prod", nil)
	if err != nil {
		return // the gateway is closing
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			if _, _, err := ws.Read(ctx); err != nil {
				return
			}
		}
	})
	for n := range i % 5 {
		time.Sleep(time.Duration(i) * time.Second)
		_ = ws.Write(ctx, websocket.MessageText, []byte(fmt.Sprint("message ", n, strings.Repeat("x", i*100))))
		for _, in := range c.invoked("connect") {
			id := requestContext(c.t, in)["connectionId"].(string)
			if r, err := c.http.Post(c.url()+"/prod/@connections/"+id, "", strings.NewReader("post")); err == nil {
				_ = r.Body.Close()
			}
		}
	}
	switch i % 4 {
	case 0:
		_ = ws.Close(1000, "bye")
	case 1:
		_ = ws.CloseNow()
	case 2:
		_ = ws.Write(ctx, websocket.MessageBinary, []byte("x"))
	}
	reading.Wait() // what is left ends by idle time, or by Close
}
