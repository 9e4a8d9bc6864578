package iam_test

import (
	"io"
	"net"
	"strings"
	"time"
)

// script is a connection that says its text and swallows the answer.
type script struct{ *strings.Reader }

func newScript(text string) script { return script{strings.NewReader(text)} }

func (script) Write(p []byte) (int, error)      { return len(p), nil }
func (script) Close() error                     { return nil }
func (script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

// once is a listener with one connection.
type once struct {
	conn net.Conn
	done bool
}

func (l *once) Accept() (net.Conn, error) {
	if l.done {
		return nil, io.EOF
	}
	l.done = true
	return l.conn, nil
}

func (l *once) Close() error   { return nil }
func (l *once) Addr() net.Addr { return &net.TCPAddr{} }
