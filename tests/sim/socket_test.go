package sim_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// connectionHeader tells the functions what a connection is called in the plan.
const connectionHeader = "X-Sim-Connection"

// socket is one WebSocket of a client.
type socket struct {
	client *client
	name   string
	ws     *websocket.Conn
	line   *wireline
	out    chan []byte
	cancel context.CancelFunc

	mu           sync.Mutex // guards what follows
	wrote, heard time.Time
}

// mute says whether a message has had no answer for too long.
func (s *socket) mute() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrote.After(s.heard) && time.Since(s.wrote) > silenceLimit
}

// wireline is a connection of the network that can be lost.
type wireline struct {
	net.Conn
	silent atomic.Bool
	closed chan struct{}
	once   sync.Once
}

// cut breaks the connection for both sides.
func (l *wireline) cut() { _ = l.Close() }

// silence lets nothing through any more, in either direction; the server does
// not notice.
func (l *wireline) silence() { l.silent.Store(true) }

// Close of a silent one leaves the other side's open: nobody tells it.
func (l *wireline) Close() error {
	l.once.Do(func() { close(l.closed) })
	if l.silent.Load() {
		return l.Conn.SetReadDeadline(time.Now())
	}
	return l.Conn.Close()
}

func (l *wireline) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	for l.silent.Load() {
		if err != nil {
			<-l.closed
			return 0, net.ErrClosed
		}
		n, err = l.Conn.Read(p)
	}
	return n, err
}

func (l *wireline) Write(p []byte) (int, error) {
	if l.silent.Load() {
		return len(p), nil
	}
	return l.Conn.Write(p)
}

// connect opens a connection when there is none.
func (c *client) connect(ctx context.Context) {
	c.mu.Lock()
	if c.socket != nil || c.dialing || c.leaving {
		c.mu.Unlock()
		return
	}
	c.dialing = true
	c.mu.Unlock()
	c.running.Go(func() { c.dial(ctx, nil) })
}

// handover opens the next connection before it closes the one there is.
func (c *client) handover(step) {
	c.mu.Lock()
	old := c.socket
	if old == nil || c.dialing {
		c.mu.Unlock()
		return
	}
	c.dialing = true
	c.mu.Unlock()
	c.tell("", "hands over to another connection")
	c.running.Go(func() { c.dial(c.ctx, old) })
}

// dial opens a connection, and on it resends what is open: that is how its
// frames are followed there.
func (c *client) dial(ctx context.Context, old *socket) {
	s, err := c.open(ctx)
	c.mu.Lock()
	c.dialing = false
	if err == nil && c.leaving {
		c.mu.Unlock()
		s.close()
		return
	}
	if err == nil {
		c.socket = s
	}
	var open []*asked
	for _, id := range c.ids() {
		if a := c.asked[id]; !a.done {
			open = append(open, a)
		}
	}
	c.mu.Unlock()
	if err != nil {
		return // tried again at the next look
	}
	c.tell("", "is connected as %s", s.name)
	var follow []*asked
	for _, a := range open {
		if c.follows(a) {
			follow = append(follow, a)
		} else {
			c.transmit(a)
		}
	}
	if len(follow) > 0 {
		c.positions("resume", follow)
	}
	if old != nil {
		old.close()
	}
}

// follows says whether a request is known to be accepted and the client has a
// better way than to send it again.
func (c *client) follows(a *asked) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return a.acked && c.modern()
}

func (c *client) open(ctx context.Context) (*socket, error) {
	c.mu.Lock()
	c.dials++
	name := fmt.Sprintf("%s.%d", c.plan.name, c.dials)
	c.mu.Unlock()
	time.Sleep(c.dice.between("dial "+name, time.Millisecond, 300*time.Millisecond))
	s := &socket{client: c, name: name, out: make(chan []byte, 1024)}
	c.named(s)
	dialer := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := c.cloud.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		s.line = &wireline{Conn: conn, closed: make(chan struct{})}
		return s.line, nil
	}, DisableKeepAlives: true}}
	ctx, s.cancel = context.WithCancel(ctx)
	shake, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	ws, resp, err := websocket.Dial(shake, c.url, &websocket.DialOptions{
		HTTPClient: dialer, Subprotocols: []string{"streamer.v1"},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + c.token(c.plan.user)}, connectionHeader: {name}},
	})
	if err != nil {
		s.cancel()
		if resp != nil && resp.StatusCode >= 400 && resp.StatusCode < 500 {
			c.violate("", "%s is refused with %s", name, resp.Status)
		}
		return nil, err
	}
	s.ws = ws
	ws.SetReadLimit(1 << 20)
	c.running.Go(func() { s.read(ctx) })
	c.running.Go(func() { s.write(ctx) })
	return s, nil
}

// send queues a message; it is on its way for some time.
func (s *socket) send(m []byte) {
	select {
	case s.out <- m:
	default: // nobody reads: the connection is lost
	}
}

func (s *socket) write(ctx context.Context) {
	for n := 0; ; n++ {
		select {
		case m := <-s.out:
			time.Sleep(s.client.dice.skewed(fmt.Sprintf("up %s %d", s.name, n), 5*time.Millisecond, 200*time.Millisecond))
			s.mu.Lock()
			if !s.wrote.After(s.heard) {
				s.wrote = time.Now()
			}
			s.mu.Unlock()
			if s.ws.Write(ctx, websocket.MessageText, m) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *socket) read(ctx context.Context) {
	for {
		_, raw, err := s.ws.Read(ctx)
		if err != nil {
			break
		}
		s.mu.Lock()
		s.heard = time.Now()
		s.mu.Unlock()
		s.client.hear(s, raw)
	}
	s.cancel()
	_ = s.ws.CloseNow()
	s.client.lost(s)
}

// close says goodbye; it does not wait for the answer.
func (s *socket) close() {
	s.client.running.Go(func() { _ = s.ws.Close(websocket.StatusNormalClosure, "") })
}

// lost is told that a connection has ended.
func (c *client) lost(s *socket) {
	c.mu.Lock()
	if c.socket == s {
		c.socket = nil
	}
	c.mu.Unlock()
}

// lose ends the newest connection in some way.
func (c *client) lose(how func(*socket), text string) {
	c.mu.Lock()
	s := c.socket
	c.mu.Unlock()
	if s != nil {
		c.tell("", "%s (%s)", text, s.name)
		how(s)
	}
}

// leave ends everything of the client.
func (c *client) leave() {
	c.mu.Lock()
	c.leaving = true
	s := c.socket
	c.mu.Unlock()
	if s != nil {
		s.line.cut()
	}
}
