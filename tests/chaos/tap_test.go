package chaos_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

// heard is a frame as it came over a socket, whatever its client made of it.
type heard struct {
	at     time.Time
	user   string
	socket int
	frame  wire.Frame
}

// ear collects what all sockets carry.
type ear struct {
	mu      sync.Mutex // guards the rest
	sockets int
	frames  []heard
	wrong   []string // what was no frame
}

func (e *ear) hear(user string, socket int, body []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := heard{at: time.Now(), user: user, socket: socket}
	if err := h.frame.Decode(bytes.Clone(body)); err != nil {
		e.wrong = append(e.wrong, err.Error())
		return
	}
	e.frames = append(e.frames, h)
}

func (e *ear) all() ([]heard, []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.frames, e.wrong
}

// line is how a client reaches the cloud: its sockets are listened to and can
// be cut.
type line struct {
	user string
	ear  *ear
	http *http.Client

	mu   sync.Mutex // guards open
	open map[*socket]struct{}
}

func newLine(user string, e *ear) *line {
	l := &line{user: user, ear: e, open: map[*socket]struct{}{}}
	l.http = &http.Client{Transport: &http.Transport{DialContext: l.dial, DisableKeepAlives: true}}
	return l
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.ear.mu.Lock()
	l.ear.sockets++
	s := &socket{Conn: c, line: l, number: l.ear.sockets}
	l.ear.mu.Unlock()
	l.mu.Lock()
	l.open[s] = struct{}{}
	l.mu.Unlock()
	return s, nil
}

// cut ends all sockets without a word and says how many there were.
func (l *line) cut() int {
	l.mu.Lock()
	open := make([]*socket, 0, len(l.open))
	for s := range l.open {
		open = append(open, s)
	}
	l.mu.Unlock()
	for _, s := range open {
		_ = s.Close() // the client may have been first
	}
	return len(open)
}

// socket is a client's connection. What comes after the answer to the handshake
// is frames of RFC 6455 that are not masked.
type socket struct {
	net.Conn
	line   *line
	number int

	// Of the one goroutine that reads.
	head    []byte // of the answer to the handshake, until its end has come
	upgrade bool
	rest    []byte // what is not a whole frame yet
	message []byte
}

func (s *socket) Close() error {
	s.line.mu.Lock()
	delete(s.line.open, s)
	s.line.mu.Unlock()
	return s.Conn.Close()
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.take(p[:n])
	return n, err
}

func (s *socket) take(p []byte) {
	if !s.upgrade {
		s.head = append(s.head, p...)
		_, after, found := bytes.Cut(s.head, []byte("\r\n\r\n"))
		if !found {
			return
		}
		s.upgrade, p = true, after
	}
	s.rest = append(s.rest, p...)
	for {
		used, payload, code, last := cutFrame(s.rest)
		if used == 0 {
			return
		}
		if code <= 2 { // text, binary and what continues them
			s.message = append(s.message, payload...)
			if last {
				s.line.ear.hear(s.line.user, s.number, s.message)
				s.message = nil
			}
		}
		s.rest = s.rest[used:]
	}
}

// cutFrame reads a frame; used is 0 when it is not whole.
func cutFrame(b []byte) (used int, payload []byte, code byte, last bool) {
	if len(b) < 2 {
		return 0, nil, 0, false
	}
	head, n := 2, uint64(b[1]&0x7f)
	switch n {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if len(b) < head {
		return 0, nil, 0, false
	}
	switch head {
	case 4:
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 10:
		n = binary.BigEndian.Uint64(b[2:])
	}
	if uint64(len(b)-head) < n {
		return 0, nil, 0, false
	}
	return head + int(n), b[head : head+int(n)], b[0] & 0x0f, b[0]&0x80 != 0
}
