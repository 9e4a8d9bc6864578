package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// socketServer accepts WebSockets and hands each message to serve, which
// returns the answer. It is what the two servers to compare with have in common.
type socketServer struct {
	listener net.Listener
	http     http.Server
	done     chan error
}

func listenSockets(message func(body []byte) ([]byte, error)) (*socketServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &socketServer{listener: l, done: make(chan error, 1)}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // answered
		}
		defer func() { _ = ws.CloseNow() }()
		ctx := context.Background() // the request's ends with what the reader sees anyway
		for {
			_, body, err := ws.Read(ctx)
			if err != nil {
				return
			}
			if body, err = message(body); err != nil {
				_ = ws.Close(websocket.StatusInternalError, err.Error())
				return
			}
			if ws.Write(ctx, websocket.MessageText, body) != nil {
				return
			}
		}
	})
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

func (s *socketServer) url() string { return "ws://" + s.listener.Addr().String() }

func (s *socketServer) close() error {
	err := s.http.Close()
	if e := <-s.done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// serveEcho is the least that a WebSocket server on the same library can do.
func serveEcho(in io.Reader, out io.Writer) error {
	s, err := listenSockets(func(body []byte) ([]byte, error) { return body, nil })
	if err != nil {
		return err
	}
	return errors.Join(follow(in, out, func(o order) (reply, error) {
		switch o.Op {
		case "start":
			return reply{URL: s.url()}, nil
		case "usage", "collect":
			u, err := ownUsage(o.Op == "collect")
			return reply{Usage: u}, err
		}
		return reply{}, fmt.Errorf("no order %q", o.Op)
	}), s.close())
}
