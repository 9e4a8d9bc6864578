package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how much one side may write before the other has to read.
const window = 64 << 10

// conn is one side of a connection.
type conn struct {
	local, remote address
	in, out       *stream
}

// pair returns both sides of a connection.
func pair(a, b address) (net.Conn, net.Conn) {
	ab, ba := newStream(), newStream()
	return &conn{local: a, remote: b, in: ba, out: ab}, &conn{local: b, remote: a, in: ab, out: ba}
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close ends both directions: the other side reads what was written before,
// then io.EOF; what it writes is refused.
func (c *conn) Close() error {
	c.out.closeWrite()
	c.in.closeRead()
	return nil
}

// CloseWrite ends the direction to the other side, as net.TCPConn does.
func (c *conn) CloseWrite() error {
	c.out.closeWrite()
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.setReadDeadline(t)
	c.out.setWriteDeadline(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setReadDeadline(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.setWriteDeadline(t)
	return nil
}

// stream is one direction.
type stream struct {
	mu   sync.Mutex // guards what follows
	cond *sync.Cond // something changed
	data []byte

	writerGone, readerGone bool
	reading, writing       deadline
}

func newStream() *stream {
	s := &stream{}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readerGone:
			return 0, net.ErrClosed
		case s.reading.over:
			return 0, os.ErrDeadlineExceeded
		case len(s.data) > 0 || len(p) == 0:
			n := copy(p, s.data)
			if s.data = s.data[n:]; len(s.data) == 0 {
				s.data = nil
			}
			s.cond.Broadcast()
			return n, nil
		case s.writerGone:
			return 0, io.EOF
		}
		s.cond.Wait()
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.writerGone:
			return n, net.ErrClosed
		case s.readerGone:
			return n, syscall.EPIPE
		case s.writing.over:
			return n, os.ErrDeadlineExceeded
		}
		if room := window - len(s.data); room > 0 {
			k := min(room, len(p))
			s.data = append(s.data, p[:k]...)
			p, n = p[k:], n+k
			s.cond.Broadcast()
		}
		if len(p) == 0 {
			return n, nil
		}
		s.cond.Wait()
	}
}

func (s *stream) closeWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writerGone = true
	s.writing.stop()
	s.cond.Broadcast()
}

func (s *stream) closeRead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readerGone = true
	s.reading.stop()
	s.data = nil
	s.cond.Broadcast()
}

func (s *stream) setReadDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.readerGone {
		s.reading.set(s, t)
	}
	s.cond.Broadcast()
}

func (s *stream) setWriteDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.writerGone {
		s.writing.set(s, t)
	}
	s.cond.Broadcast()
}

// deadline is guarded by its stream's lock.
type deadline struct {
	over    bool
	timer   *time.Timer
	version int // counts the calls of set: a timer of an older one has no effect
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (d *deadline) set(s *stream, t time.Time) {
	d.stop()
	d.version++
	d.over = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.over = true
		return
	}
	mine := d.version
	d.timer = time.AfterFunc(left, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.version == mine {
			d.over = true
			s.cond.Broadcast()
		}
	})
}
