package lambda

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// This is the part of HTTP/1.1 that runtime clients speak: requests one after
// the other on a connection, bodies with a length or in chunks, trailers. With
// a loop of our own the two exchanges of an invocation cost half the CPU that
// they cost with net/http's server, client included (BenchmarkRuntimeAPI
// measures both).

// maxDrain is how much of a body over the limit is read and thrown away, so
// that the client reads our answer instead of a reset connection.
const maxDrain = 256 << 20

var (
	errProtocol    = errors.New("malformed HTTP request")
	errBodyTooLong = errors.New("request body over the limit")
)

// wireRequest is one request of a runtime.
type wireRequest struct {
	method, path  string
	length        int64 // -1 for chunks
	closing       bool
	errorType     string // Lambda-Runtime-Function-Error-Type, header or trailer
	extensionName string
}

// wireConn is one connection. The goroutine that serves it reads; any
// goroutine may write, under wmu.
type wireConn struct {
	net.Conn
	r *bufio.Reader

	wmu sync.Mutex // guards w and the order of writes
	w   []byte
}

func newWireConn(c net.Conn) *wireConn {
	return &wireConn{Conn: c, r: bufio.NewReaderSize(c, 8<<10)}
}

// readRequest reads the head of the next request.
func (c *wireConn) readRequest() (wireRequest, error) {
	var req wireRequest
	line, err := c.line()
	if err != nil {
		return req, err
	}
	method, rest, ok := bytes.Cut(line, []byte(" "))
	path, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return req, errProtocol
	}
	req.method, req.path = string(method), string(path)
	req.closing = bytes.Equal(version, []byte("HTTP/1.0"))
	return req, c.readHeaders(&req)
}

// readHeaders reads headers, or trailers, up to the empty line.
func (c *wireConn) readHeaders(req *wireRequest) error {
	for {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return noEOF(err)
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return errProtocol
		}
		value = bytes.TrimSpace(value)
		switch len(name) { // the few names of interest have lengths of their own
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				n, err := strconv.ParseInt(string(value), 10, 64)
				if err != nil || n < 0 {
					return errProtocol
				}
				req.length = n
			}
		case len("Transfer-Encoding"):
			if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				if !bytes.EqualFold(value, []byte("chunked")) {
					return errProtocol
				}
				req.length = -1
			}
		case len("Connection"):
			if bytes.EqualFold(name, []byte("Connection")) {
				req.closing = bytes.EqualFold(value, []byte("close"))
			}
		case len("Lambda-Extension-Name"):
			if bytes.EqualFold(name, []byte("Lambda-Extension-Name")) {
				req.extensionName = string(value)
			}
		case len("Lambda-Runtime-Function-Error-Type"):
			if bytes.EqualFold(name, []byte("Lambda-Runtime-Function-Error-Type")) {
				req.errorType = string(value)
			}
		}
	}
}

// line reads a line without its end. It is valid until the next read.
func (c *wireConn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err == nil {
		return bytes.TrimRight(line, "\r\n"), nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	// Over the buffer: only the X-Ray cause is that long, and it is not read.
	head := append([]byte(nil), line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(head) > 2<<20 {
			return nil, errProtocol
		}
		line, err = c.r.ReadSlice('\n')
		head = append(head, line...)
	}
	return bytes.TrimRight(head, "\r\n"), noEOF(err)
}

// readBody reads the body of req, of at most limit bytes. When it is longer it
// is read to its end and errBodyTooLong is returned: the connection is good.
func (c *wireConn) readBody(req *wireRequest, limit int) ([]byte, error) {
	b := &limitedBody{limit: limit}
	if req.length >= 0 {
		if err := b.take(c.r, req.length); err != nil {
			return nil, err
		}
		return b.result()
	}
	for {
		line, err := c.line()
		if err != nil {
			return nil, noEOF(err)
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
		if err != nil || n < 0 {
			return nil, errProtocol
		}
		if n == 0 {
			if err := c.readHeaders(req); err != nil {
				return nil, err
			}
			return b.result()
		}
		if err := b.take(c.r, n); err != nil {
			return nil, err
		}
		if line, err := c.line(); err != nil || len(line) != 0 {
			return nil, errProtocol
		}
	}
}

type limitedBody struct {
	data  []byte
	limit int
	total int64
}

func (b *limitedBody) take(r *bufio.Reader, n int64) error {
	if b.total += n; b.total > maxDrain || n > maxDrain {
		return errProtocol
	}
	if b.total > int64(b.limit) {
		b.data = nil
		_, err := io.CopyN(io.Discard, r, n)
		return noEOF(err)
	}
	at := len(b.data)
	if b.data == nil {
		b.data = make([]byte, n)
	} else {
		b.data = append(b.data, make([]byte, n)...)
	}
	_, err := io.ReadFull(r, b.data[at:])
	return noEOF(err)
}

func (b *limitedBody) result() ([]byte, error) {
	if b.total > int64(b.limit) {
		return nil, errBodyTooLong
	}
	return b.data, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// reply writes a JSON answer with optional further headers ("Name: value\r\n").
func (c *wireConn) reply(status, headers, body string) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	w := append(c.w[:0], "HTTP/1.1 "...)
	w = append(w, status...)
	w = append(w, "\r\nContent-Type: application/json\r\n"...)
	w = append(w, headers...)
	w = append(w, "Content-Length: "...)
	w = strconv.AppendInt(w, int64(len(body)), 10)
	w = append(w, "\r\n\r\n"...)
	w = append(w, body...)
	c.w = w
	_, err := c.Write(w)
	return err
}

// smallEvent is up to which size head and event go out in one write.
const smallEvent = 32 << 10

// event answers a waiting next with an invocation. A client that does not read
// holds the write until the deadline of the invocation, not longer.
func (c *wireConn) event(in *Invocation) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	w := append(c.w[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: "...)
	w = append(w, in.RequestID...)
	w = append(w, "\r\nLambda-Runtime-Deadline-Ms: "...)
	w = strconv.AppendInt(w, in.Deadline.UnixMilli(), 10)
	w = append(w, "\r\nLambda-Runtime-Invoked-Function-Arn: "...)
	w = append(w, in.ARN...)
	w = append(w, "\r\nLambda-Runtime-Trace-Id: "...)
	w = append(w, in.Trace...)
	if in.ClientContext != nil {
		w = append(w, "\r\nLambda-Runtime-Client-Context: "...)
		w = append(w, in.ClientContext...)
	}
	w = append(w, "\r\nContent-Length: "...)
	w = strconv.AppendInt(w, int64(len(in.Payload)), 10)
	w = append(w, "\r\n\r\n"...)
	if len(in.Payload) <= smallEvent {
		w = append(w, in.Payload...)
		c.w = w
		_, err := c.Write(w)
		return err
	}
	c.w = w
	if err := c.SetWriteDeadline(in.Deadline); err != nil {
		return err
	}
	defer c.SetWriteDeadline(time.Time{})
	bufs := net.Buffers{w, in.Payload}
	_, err := bufs.WriteTo(c.Conn)
	return err
}
