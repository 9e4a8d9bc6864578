package gateway

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Close codes and reasons as DISCONNECT events show them; recorded on AWS.
const (
	statusNormal    = 1000
	statusGoingAway = 1001
	statusProtocol  = 1002
	statusBinary    = 1003
	statusNotSet    = 1005
	statusAbnormal  = 1006
	statusNotText   = 1007
	statusTooBig    = 1009

	reasonNormal    = "Connection Closed Normally"
	reasonGoingAway = "Going away"
	reasonNotSet    = "Client-side close frame status not set"
)

// conn is one client connection, from before its $connect event on.
type conn struct {
	api         *api
	stage       *stage
	id          string
	domain      string
	userAgent   string
	sourceIP    string
	connectedAt time.Time
	context     []byte // what all its events share, see fixContext

	ws   *websocket.Conn // nil until the 101
	wire *wire

	lastActive atomic.Int64 // Unix nanoseconds of the last message either way

	mu      sync.Mutex // guards the fields below
	queue   [][]byte   // messages to the client
	queued  int        // bytes of queue and of the message being written
	writing bool       // a goroutine is emptying queue
	open    bool       // ws may be written to
	ended   bool       // closed or closing, for code and reason
	code    int
	reason  string
	timer   *time.Timer // idle and age, from open to the end
}

// register makes the connection reachable by its id.
func (c *conn) register() {
	c.api.mu.Lock()
	c.api.connections[c.id] = c
	c.api.mu.Unlock()
}

func (c *conn) unregister() {
	c.api.mu.Lock()
	delete(c.api.connections, c.id)
	c.api.mu.Unlock()
}

// serve starts the accepted connection: its reader, its timer and the writing
// of what was posted since register.
func (c *conn) serve(ws *websocket.Conn) {
	s := c.api.service
	c.ws = ws
	ws.SetReadLimit(-1) // read has the limit, and its own reason
	c.lastActive.Store(time.Now().UnixNano())
	c.mu.Lock()
	c.open = true
	ended := c.ended
	if !ended {
		c.timer = time.AfterFunc(min(s.limits.Idle, s.limits.MaxAge), c.expire)
	}
	c.mu.Unlock()
	if ended || !s.spawn(c.read) {
		c.mark(statusGoingAway, reasonGoingAway)
		c.closeFrame()
		c.finish()
		return
	}
	c.flush()
}

// expire closes the connection when it is idle or old, else looks again when
// it would be. One timer for both, never reset by messages.
func (c *conn) expire() {
	l := c.api.service.limits
	now := time.Now()
	left := min(time.Unix(0, c.lastActive.Load()).Add(l.Idle).Sub(now), c.connectedAt.Add(l.MaxAge).Sub(now))
	if left <= 0 {
		c.end(statusGoingAway, reasonGoingAway)
		return
	}
	c.mu.Lock()
	if !c.ended {
		c.timer.Reset(left)
	}
	c.mu.Unlock()
}

// end closes the connection with code and reason, unless it is closing
// already. From here on the id is unknown; the closing handshake goes on in
// the background, and the reader sends the DISCONNECT event.
func (c *conn) end(code int, reason string) {
	if !c.mark(code, reason) {
		return
	}
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	if !open {
		return // serve sees ended
	}
	if !c.api.service.spawn(c.closeFrame) {
		_ = c.wire.Close() // the service closes and waits for nobody
	}
}

// shutdown ends the connection like end, but returns when it is closed.
func (c *conn) shutdown() {
	if !c.mark(statusGoingAway, reasonGoingAway) {
		return
	}
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	if open {
		c.closeFrame()
	}
}

// closeFrame does the closing handshake with the recorded cause. A client
// that does not answer is waited for at most five seconds (the library's
// patience), and a second when the service itself is closing.
func (c *conn) closeFrame() {
	if c.api.service.ctx.Err() != nil {
		drop := time.AfterFunc(time.Second, func() { _ = c.wire.Close() })
		defer drop.Stop()
	}
	c.mu.Lock()
	code, reason := c.code, c.reason
	c.mu.Unlock()
	_ = c.ws.Close(websocket.StatusCode(code), reason)
}

// mark records the first cause of the end and reports whether this is it.
func (c *conn) mark(code int, reason string) bool {
	c.mu.Lock()
	first := !c.ended
	if first {
		c.ended, c.code, c.reason = true, code, reason
		c.queue = nil
		if c.timer != nil {
			c.timer.Stop()
		}
	}
	c.mu.Unlock()
	if first {
		c.unregister()
	}
	return first
}

func (c *conn) isEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// pinged returns what the websocket library calls for a client's ping, which
// it answers by itself; nil unless pings count as activity.
func (c *conn) pinged() func(context.Context, []byte) bool {
	if !c.api.service.limits.PingResetsIdle {
		return nil
	}
	return func(context.Context, []byte) bool {
		c.lastActive.Store(time.Now().UnixNano())
		return true
	}
}

// readBuffers holds the buffers of messages being read: an idle connection
// has none.
type readBuffers struct{ pool sync.Pool }

func (p *readBuffers) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 4<<10)
	return &b
}

// put keeps buffers of ordinary size.
func (p *readBuffers) put(b *[]byte) {
	if cap(*b) <= frameLimit {
		p.pool.Put(b)
	}
}

// read is the connection's goroutine: it reads messages until the end, then
// sends the DISCONNECT event.
func (c *conn) read() {
	for number := int64(1); ; number++ {
		kind, r, err := c.ws.Reader(context.Background())
		if err != nil {
			c.lost(err)
			break
		}
		buf := c.api.service.buffers.get()
		body, code, reason, err := c.readBody(r, buf, number)
		switch {
		case err != nil:
			c.lost(err)
		case code == 0 && kind == websocket.MessageBinary:
			code, reason = statusBinary, reasonBinary
		case code == 0 && !utf8.Valid(body):
			code, reason = statusNotText, reasonNotText
		}
		if err == nil && code == 0 && !c.isEnded() {
			c.receive(body)
		}
		c.api.service.buffers.put(buf)
		if code != 0 && c.mark(code, reason) {
			c.closeFrame()
		}
		if err != nil || code != 0 {
			break
		}
	}
	_ = c.ws.CloseNow()
	c.finish()
}

// readBody reads one message into buf, which it may replace by a longer one.
// A message that is too long, or has a frame that is, ends with a close code.
func (c *conn) readBody(r io.Reader, buf *[]byte, number int64) (body []byte, code int, reason string, err error) {
	n := 0
	for {
		if n == len(*buf) {
			*buf = append(*buf, make([]byte, n)...)
		}
		k, err := r.Read((*buf)[n:])
		n += k
		if c.wire.frames.tooBig.Load() == number {
			return nil, statusTooBig, reasonFrameTooBig, nil
		}
		if n > messageLimit {
			return nil, statusTooBig, reasonMessageTooBig, nil
		}
		if err == io.EOF {
			return (*buf)[:n], 0, "", nil
		}
		if err != nil {
			return nil, 0, "", err
		}
	}
}

// lost records why reading ended: the client's close frame, its silence, or
// its breach of the protocol. When the gateway had closed, that stays the cause.
func (c *conn) lost(err error) {
	var closed websocket.CloseError
	var network net.Error
	switch {
	case errors.As(err, &closed) && closed.Code == statusNotSet:
		c.mark(statusNotSet, reasonNotSet)
	case errors.As(err, &closed):
		c.mark(int(closed.Code), closed.Reason)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, net.ErrClosed), errors.As(err, &network):
		c.mark(statusAbnormal, reasonAbnormal)
	default:
		if c.mark(statusProtocol, reasonProtocol) {
			c.closeFrame()
		}
	}
}

// finish meters the connection and sends its DISCONNECT event, best effort.
func (c *conn) finish() {
	s := c.api.service
	now := time.Now()
	s.count(account.MeterConnectionMinutes, max(1, math.Ceil(now.Sub(c.connectedAt).Minutes())))
	v := c.stage.served.Load()
	route := v.routes[routeDisconnect]
	if route == nil || route.function == "" || s.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	code, reason := c.code, c.reason
	c.mu.Unlock()
	event := c.disconnectEvent(v, newID(), now, code, reason)
	answer, err := s.call(Invocation{Function: route.function, Payload: event, SourceARN: route.sourceARN}, route.timeout)
	switch {
	case s.ctx.Err() != nil: // the cloud ends; the event is best effort
	case err != nil:
		s.logf(c.api, "invoke $disconnect of connection %s: %v", c.id, err)
	case answer.FunctionError != "":
		s.logf(c.api, "invoke $disconnect of connection %s: %s: %s", c.id, answer.FunctionError, answer.Payload)
	}
}
