package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
)

// accept serves the Runtime API of the bare host, as much of it as an instance
// uses that never fails.
func (b *bare) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			r := bufio.NewReader(c)
			for b.serve(c, r) == nil {
			}
		}()
	}
}

var errRequest = errors.New("not a request of a runtime client")

// serve takes one request of an instance: next, whose answer comes with the next
// message, or a response.
func (b *bare) serve(c net.Conn, r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	method, rest, ok := bytes.Cut(line, []byte(" /"))
	name, rest, ok2 := bytes.Cut(rest, []byte("/"))
	if !ok || !ok2 {
		return errRequest
	}
	post := len(method) == len("POST")
	if post && !bytes.Contains(rest, []byte("/response ")) {
		return errRequest
	}
	b.mu.Lock()
	i := b.all[string(name)]
	b.mu.Unlock()
	if i == nil {
		return errRequest
	}
	body, err := readRequest(r)
	if err != nil {
		return err
	}
	if post {
		i.mu.Lock()
		i.kept = body
		i.mu.Unlock()
		_, err := io.WriteString(c, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
		return err
	}
	i.waits(c)
	return nil
}

// waits is the instance asking: it is idle again, and its message is answered.
func (i *bareInstance) waits(c net.Conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.next = c
	if i.kept == nil {
		close(i.ready)
		return
	}
	answer := i.kept
	i.kept = nil
	i.answer <- answer
}

// readRequest reads headers and body.
func readRequest(r *bufio.Reader) ([]byte, error) {
	length, chunked := 0, false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(v)); err != nil {
				return nil, err
			}
		}
		chunked = chunked || bytes.HasPrefix(line, []byte("Transfer-Encoding: chunked"))
	}
	if !chunked {
		body := make([]byte, length)
		_, err := io.ReadFull(r, body)
		return body, err
	}
	var body []byte
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return body, skipTrailers(r)
		}
		at := len(body)
		body = append(body, make([]byte, n+2)...)
		if _, err := io.ReadFull(r, body[at:]); err != nil {
			return nil, err
		}
		body = body[:at+int(n)]
	}
}

func skipTrailers(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || len(line) <= 2 {
			return err
		}
	}
}

// bodyOf returns the body in a proxy integration's answer.
func bodyOf(answer []byte) ([]byte, error) {
	var a struct {
		Body string `json:"body"`
	}
	err := json.Unmarshal(answer, &a)
	return []byte(a.Body), err
}
