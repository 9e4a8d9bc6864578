package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"
)

var (
	errGone       = errors.New("connection is gone")
	errBufferFull = errors.New("client buffer is full")
)

// send queues a text message for the client; data is kept. It fails with
// errGone after the end and with errBufferFull for a client that does not
// read, and never blocks.
func (c *conn) send(data []byte) error {
	err := c.enqueue(data)
	if err == nil {
		c.flush()
	}
	return err
}

// sendHere is send for who may be blocked by the client: the goroutine writes
// by itself, unless another one is writing.
func (c *conn) sendHere(data []byte) error {
	err := c.enqueue(data)
	if err == nil && c.claim() {
		c.drain()
	}
	return err
}

// enqueue queues a message for whoever writes next.
func (c *conn) enqueue(data []byte) error {
	s := c.api.service
	c.mu.Lock()
	switch {
	case c.ended:
		c.mu.Unlock()
		return errGone
	case c.queued > 0 && c.queued+len(data) > s.limits.Buffer:
		c.mu.Unlock()
		return errBufferFull
	}
	c.queue = append(c.queue, data)
	c.queued += len(data)
	c.mu.Unlock()
	c.lastActive.Store(time.Now().UnixNano())
	s.countMessage(len(data))
	return nil
}

// flush sees to it that a goroutine empties the queue while it is not empty.
func (c *conn) flush() {
	if c.claim() && !c.api.service.spawn(c.drain) {
		c.mu.Lock()
		c.writing = false
		c.mu.Unlock()
	}
}

// claim makes the caller the one that has to drain, if there is need of one.
func (c *conn) claim() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	start := c.open && !c.ended && !c.writing && len(c.queue) > 0
	if start {
		c.writing = true
	}
	return start
}

// drain writes the queue and ends with it. A failed write is not reported:
// the reader sees the same failure.
func (c *conn) drain() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.writing = false
			c.queue = nil // an idle connection holds no memory for it
			c.mu.Unlock()
			return
		}
		data := c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		c.mu.Unlock()
		_ = c.write(data)
		c.mu.Lock()
		c.queued -= len(data)
		c.mu.Unlock()
	}
}

// write sends one message in frames of at most 32 KB. The library ends a
// fragmented message with an empty frame.
func (c *conn) write(data []byte) error {
	ctx := context.Background()
	if len(data) <= frameLimit {
		return c.ws.Write(ctx, websocket.MessageText, data)
	}
	w, err := c.ws.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(frameLimit, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return w.Close()
}
