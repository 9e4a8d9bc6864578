package gateway_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

func TestMessageIsAnsweredByRouteResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		ws := c.connect()
		say(t, ws, `{"a":1}`)
		if got := hear(t, ws); got != `{"a":1}` {
			t.Fatalf("answer %q", got)
		}
	})
}

func TestIdleConnectionEndsAfterTenMinutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		ws := c.connect()
		opened := time.Now()
		for range 3 {
			time.Sleep(9 * time.Minute)
			say(t, ws, "still here")
			hear(t, ws)
		}
		closed := hearClose(t, ws)
		if closed.Code != 1001 || time.Since(opened) != 37*time.Minute {
			t.Fatalf("closed with %v after %v, want 1001 ten minutes after the last message", closed, time.Since(opened))
		}
		c.wantDisconnect(1001, "Going away")
	})
}

func TestAnyMessageEitherWayKeepsAConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		ws := c.connect()
		opened := time.Now()
		go func() {
			time.Sleep(8 * time.Minute)
			c.post(c.connectionID(0), "hello")
		}()
		if got := hear(t, ws); got != "hello" {
			t.Fatalf("got %q", got)
		}
		hearClose(t, ws)
		if time.Since(opened) != 18*time.Minute {
			t.Fatalf("closed after %v, want 18m", time.Since(opened))
		}
	})
}

func TestPingKeepsAConnectionOnlyWhenSwitchedOn(t *testing.T) {
	for name, tc := range map[string]struct {
		resets bool
		want   time.Duration
	}{"off": {false, 10 * time.Minute}, "on": {true, 15 * time.Minute}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{limits: gateway.Limits{PingResetsIdle: tc.resets}})
				ws := c.connect()
				opened := time.Now()
				ctx := ws.CloseRead(context.Background())
				time.Sleep(5 * time.Minute)
				if err := ws.Ping(ctx); err != nil {
					t.Fatalf("ping is not answered: %v", err)
				}
				<-ctx.Done()
				if got := time.Since(opened); got != tc.want {
					t.Fatalf("closed after %v, want %v", got, tc.want)
				}
			})
		})
	}
}

func TestConnectionEndsAfterTwoHours(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		ws := c.connect()
		opened := time.Now()
		go func() {
			for {
				time.Sleep(5 * time.Minute)
				if ws.Write(context.Background(), websocket.MessageText, []byte("x")) != nil {
					return
				}
			}
		}()
		closed := hearClose(t, ws)
		if closed.Code != 1001 || time.Since(opened) != 2*time.Hour {
			t.Fatalf("closed with %v after %v, want 1001 after 2h", closed, time.Since(opened))
		}
		c.wantDisconnect(1001, "Going away")
		if got := c.metered[account.MeterConnectionMinutes]; got != 120 {
			t.Errorf("metered %v connection minutes, want 120", got)
		}
		if n := c.svc.Connections(c.api.ID); n != 0 {
			t.Errorf("%d connections left", n)
		}
		time.Sleep(5 * time.Minute) // lets the writer see the end
	})
}

func TestClientVanishes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		ws := c.connect()
		_ = ws.CloseNow()
		synctest.Wait()
		c.wantDisconnect(1006, "Connection Closed Abnormally")
	})
}

func TestClientCloseReachesTheFunction(t *testing.T) {
	for name, tc := range map[string]struct {
		code   websocket.StatusCode
		reason string
		want   int
		text   string
	}{
		"normal":   {1000, "bye", 1000, "bye"},
		"away":     {1001, "", 1001, ""},
		"own code": {4001, "token expired", 4001, "token expired"},
		"none":     {websocket.StatusNoStatusRcvd, "", 1005, "Client-side close frame status not set"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := start(t, plan{})
				ws := c.connect()
				_ = ws.Close(tc.code, tc.reason)
				synctest.Wait()
				c.wantDisconnect(tc.want, tc.text)
			})
		})
	}
}

func TestCloseEndsConnectionsAndInvocations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		stopped := make(chan error, 1)
		c.on("default", func(ctx context.Context, _ []byte) (string, error) {
			<-ctx.Done()
			stopped <- ctx.Err()
			return "", ctx.Err()
		})
		ws, silent := c.connect(), c.connect()
		_ = silent // never reads: Close must not wait for its close frame
		say(t, ws, "work")
		synctest.Wait()
		began := time.Now()
		go c.svc.Close()
		if closed := hearClose(t, ws); closed.Code != 1001 {
			t.Errorf("closed with %v, want 1001", closed)
		}
		c.svc.Close()
		if err := <-stopped; err != context.Canceled {
			t.Errorf("invocation ended with %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("Close took %v, want at most a second", took)
		}
		if _, _, err := c.dial("/prod", nil); err == nil {
			t.Error("a closed gateway accepts connections")
		}
	})
}
