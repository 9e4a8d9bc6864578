package gateway

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	frameLimit   = 32 << 10  // bytes of one inbound frame
	messageLimit = 128 << 10 // bytes of one message, either direction
	headLimit    = 64 << 10  // how much of a request head is remembered
	// bufferSize is that of a connection's read and write buffers: small, for
	// most connections are silent; what is longer bypasses the buffer.
	bufferSize = 1 << 10
)

// wire is a client's network connection. While it speaks HTTP it remembers
// the request head as it was sent, for net/http normalises the case of header
// names and API Gateway does not. Once it speaks WebSocket it follows the
// frame headers that pass, for the websocket library reports the size of
// messages but not of frames.
type wire struct {
	net.Conn

	mu   sync.Mutex // guards head: a background read may run beside the handler
	head []byte

	upgraded bool   // set before the first read of frames
	ahead    []byte // read by net/http, not yet by the websocket library
	frames   frameCounter
}

// wireListener makes every accepted connection a wire.
type wireListener struct{ net.Listener }

func (l *wireListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wire{Conn: c}, nil
}

type wireKey struct{} // the context key of a request's wire

// Read reads bytes and looks at them.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.ahead) > 0 {
		n := copy(p, w.ahead)
		w.ahead = w.ahead[n:]
		return n, nil
	}
	n, err := w.Conn.Read(p)
	if w.upgraded {
		w.frames.feed(p[:n])
		return n, err
	}
	w.mu.Lock()
	if len(w.head) < headLimit {
		w.head = append(w.head, p[:n]...)
	}
	w.mu.Unlock()
	return n, err
}

// forgetHead makes room for the next request's head.
func (w *wire) forgetHead() {
	w.mu.Lock()
	w.head = nil
	w.mu.Unlock()
}

// headerNames returns the header names of the request as they were sent, by
// their canonical form.
func (w *wire) headerNames() map[string]string {
	w.mu.Lock()
	head, _, _ := bytes.Cut(w.head, []byte("\r\n\r\n"))
	w.mu.Unlock()
	names := map[string]string{}
	for line := range strings.SplitSeq(string(head), "\r\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.Contains(name, " ") {
			names[textproto.CanonicalMIMEHeaderKey(name)] = name
		}
	}
	return names
}

// upgrade is the response writer that the websocket library takes the
// connection from: it hands out the wire with buffers of our size.
type upgrade struct {
	http.ResponseWriter
	wire *wire
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	_, old, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w := u.wire
	if n := old.Reader.Buffered(); n > 0 {
		w.ahead = make([]byte, n)
		if _, err := io.ReadFull(old.Reader, w.ahead); err != nil {
			return nil, nil, err
		}
		w.frames.feed(w.ahead)
	}
	w.head, w.upgraded = nil, true
	return w, bufio.NewReadWriter(bufio.NewReaderSize(w, bufferSize), bufio.NewWriterSize(w, bufferSize)), nil
}

// frameCounter follows the frames (RFC 6455, section 5.2) in a byte stream
// and remembers in which message the first oversized one came. The library's
// buffer reads ahead, so the reader compares by number of message.
type frameCounter struct {
	skip     int64 // bytes until the next header
	header   [10]byte
	have     int   // bytes of header
	messages int64 // data messages begun

	tooBig atomic.Int64 // number of the first message with an oversized frame, 0 for none
}

func (f *frameCounter) feed(p []byte) {
	for len(p) > 0 {
		if f.skip > 0 {
			n := min(f.skip, int64(len(p)))
			f.skip -= n
			p = p[n:]
			continue
		}
		f.header[f.have] = p[0]
		f.have++
		p = p[1:]
		if length, ok := f.length(); ok {
			f.frame(length)
		}
	}
}

// length returns the payload length once the header is complete up to it.
func (f *frameCounter) length() (uint64, bool) {
	if f.have < 2 {
		return 0, false
	}
	switch short := f.header[1] & 0x7f; {
	case short < 126:
		return uint64(short), true
	case short == 126 && f.have == 4:
		return uint64(binary.BigEndian.Uint16(f.header[2:])), true
	case short == 127 && f.have == 10:
		return binary.BigEndian.Uint64(f.header[2:]), true
	}
	return 0, false
}

func (f *frameCounter) frame(length uint64) {
	const text, binaryData = 1, 2 // 0 is a continuation
	opcode := f.header[0] & 0xf
	if opcode == text || opcode == binaryData {
		f.messages++
	}
	if opcode <= binaryData && length > frameLimit && f.tooBig.Load() == 0 {
		f.tooBig.Store(max(1, f.messages))
	}
	f.have = 0
	f.skip = int64(min(length, 1<<62))
	if masked := f.header[1]&0x80 != 0; masked {
		f.skip += 4
	}
}
