package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

// fixed is an invoker whose functions cost nothing.
type fixed struct{}

func (fixed) Invoke(context.Context, gateway.Invocation) (gateway.Answer, error) {
	return gateway.Answer{Payload: []byte(`{"statusCode":200,"body":"{\"type\":\"response\",\"request_id\":\"r-1\",\"data\":{\"n\":1}}"}`)}, nil
}

// unlimited starts an API over TCP whose account limits are off.
func unlimited(tb testing.TB) (*gateway.Service, gateway.APIInfo) {
	tb.Helper()
	s := gateway.New(gateway.Options{Invoker: fixed{}, Limits: gateway.Limits{Requests: -1, Connections: -1}})
	tb.Cleanup(s.Close)
	check := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	api, err := s.PutAPI(gateway.APISpec{Name: "bench", RouteSelectionExpression: "$default"})
	check(err)
	integration, err := s.PutIntegration(api.ID, "", gateway.IntegrationSpec{Type: "AWS_PROXY", URI: invokeARN("f")})
	check(err)
	for _, key := range []string{"$connect", "$default"} {
		spec := gateway.RouteSpec{Key: key, Target: "integrations/" + integration}
		if key == "$default" {
			spec.RouteResponseSelectionExpression = "$default"
		}
		route, err := s.PutRoute(api.ID, "", spec)
		check(err)
		if key == "$default" {
			_, err = s.PutRouteResponse(api.ID, "", gateway.RouteResponseSpec{RouteID: route, Key: "$default"})
			check(err)
		}
	}
	deployment, err := s.PutDeployment(api.ID, "")
	check(err)
	check(s.PutStage(api.ID, gateway.StageSpec{Name: "prod", DeploymentID: deployment}))
	return s, api
}

// BenchmarkRoundTrip is a message and its route response over TCP, client's
// share included.
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{200, 4 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			_, api := unlimited(b)
			message := []byte(`{"id":"r-1","action":"echo","payload":"` + strings.Repeat("x", size) + `"}`)
			ctx := context.Background()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				ws, _, err := websocket.Dial(ctx, api.Endpoint+"/prod", nil)
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = ws.CloseNow() }()
				for pb.Next() {
					if err := ws.Write(ctx, websocket.MessageText, message); err != nil {
						b.Error(err)
						return
					}
					if _, _, err := ws.Read(ctx); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkReceive is the gateway's share of a message without the network:
// route, event, invocation, answer, queueing.
func BenchmarkReceive(b *testing.B) {
	for _, size := range []int{200, 4 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			body := []byte(`{"id":"r-1","action":"echo","payload":"` + strings.Repeat("x", size) + `"}`)
			work := gateway.MessageWork(fixed{}, body)
			b.ReportAllocs()
			for b.Loop() {
				work()
			}
		})
	}
}

// TestMemoryPerConnection holds idle connections over TCP (STREAMER_CONNECTIONS,
// 500 by default) and prints what each costs the gateway.
func TestMemoryPerConnection(t *testing.T) {
	n := 500
	if s := os.Getenv("STREAMER_CONNECTIONS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	svc, api := unlimited(t)
	host := strings.TrimPrefix(api.Endpoint, "ws://")
	var clients []net.Conn
	t.Cleanup(func() {
		for _, c := range clients {
			_ = c.Close()
		}
	})
	heap, stack := inUse()
	for i := range n {
		// By hand: a client library would be measured too. Each address of
		// 127/8 has ports of its own.
		dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}}
		c, err := dialer.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
		handshakeByHand(t, c, host)
	}
	waitFor(t, func() bool { return svc.Connections(api.ID) == n })
	heapNow, stackNow := inUse()
	heap, stack = (heapNow-heap)/uint64(n), (stackNow-stack)/uint64(n)
	per := heap + stack
	t.Logf("%d idle connections: %d bytes each (heap %d, stack %d), the test's own end included", n, per, heap, stack)
	if per > 16<<10 {
		t.Errorf("%d bytes per idle connection, want at most 16 KB", per)
	}
}

func handshakeByHand(t *testing.T, c net.Conn, host string) {
	t.Helper()
	_, err := c.Write([]byte("GET /prod HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	read, err := c.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:read]), "HTTP/1.1 "+strconv.Itoa(http.StatusSwitchingProtocols)) {
		t.Fatalf("handshake: %q %v", buf[:read], err)
	}
}

// inUse returns the bytes in use by the heap and by goroutine stacks.
func inUse() (heap, stack uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse, m.StackInuse
}

// waitFor polls until the condition holds, for ten seconds of real time.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatal("condition does not come true")
		}
		runtime.Gosched()
	}
}
