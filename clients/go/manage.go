package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	// pingEvery keeps a connection open on which nobody speaks: API Gateway ends
	// one after ten minutes.
	pingEvery = 5 * time.Minute
	// retire is how long an old connection is kept for answers that are on their
	// way over it.
	retire = Silence
	// maxWait bounds the pause between two handshakes.
	maxWait = 30 * time.Second
)

// connect makes a handshake and asks for the connection's limits; ends is when
// the next one has to be there.
func (s *Session) connect(ctx context.Context) (conn *Conn, ends time.Time, err error) {
	token, err := s.options.Token(ctx)
	if err != nil {
		return nil, ends, fmt.Errorf("get token: %w", err)
	}
	conn, err = dial(ctx, s.options.URL, token, Options{HTTPClient: s.options.HTTPClient}, s.deliver)
	if err != nil {
		return nil, ends, err
	}
	f, err := s.ask(ctx, conn, Message{Action: wire.ActionHello})
	if err == nil {
		ends, err = limit(f)
	}
	if err != nil {
		_ = conn.Close()
		return nil, ends, err
	}
	if s.options.OnConnect != nil {
		s.options.OnConnect()
	}
	return conn, ends, nil
}

// limit reads from $hello when the connection is to be replaced: some time
// before it ends, and before its token does.
func limit(f wire.Frame) (time.Time, error) {
	var hello struct {
		Time       time.Time `json:"time"`
		Connection time.Time `json:"connection_expires_at"`
		Token      time.Time `json:"token_expires_at"`
	}
	if err := json.Unmarshal(f.Data, &hello); err != nil {
		return time.Time{}, fmt.Errorf("read $hello: %w", err)
	}
	now := time.Now()
	if hello.Time.IsZero() {
		hello.Time = now
	}
	end := hello.Connection
	if hello.Token.Before(end) {
		end = hello.Token
	}
	left := end.Sub(hello.Time) // by one clock: the service's
	return now.Add(left - min(max(left/10, 5*time.Second), time.Minute)), nil
}

// run keeps the session connected until it is closed.
func (s *Session) run(conn *Conn, ends time.Time) {
	for conn != nil {
		lost := s.hold(conn, ends)
		if s.ctx.Err() != nil {
			break
		}
		if lost {
			s.publish(nil)
			s.disconnected(conn.reason())
		}
		old := conn
		if conn, ends = s.reconnect(old, lost); conn == nil {
			break
		}
		if conn == old { // it was lost while the next one could not be opened
			continue
		}
		s.publish(conn)
		s.adopt(old, conn)
	}
	s.publish(nil)
	for _, k := range s.open(nil) {
		k.fail(context.Cause(s.ctx))
	}
	if conn != nil {
		_ = conn.Close()
	}
}

// hold stays with a connection until it is lost or has to be replaced.
func (s *Session) hold(conn *Conn, ends time.Time) (lost bool) {
	replace := time.NewTimer(time.Until(ends))
	defer replace.Stop()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	look := time.NewTicker(Silence / 2)
	defer look.Stop()
	for {
		select {
		case <-conn.Done():
			return true
		case <-s.ctx.Done():
			_ = conn.Close()
			return true
		case <-replace.C:
			return false
		case <-ping.C:
			s.work.Go(func() { _, _ = s.ask(s.ctx, conn, Message{Action: wire.ActionPing}) })
		case now := <-look.C:
			s.sync(conn, now)
		}
	}
}

// sync asks after the requests of which nothing was heard for long: a push that
// was lost is nobody's to repeat.
func (s *Session) sync(conn *Conn, now time.Time) {
	var quiet []*follow
	for _, k := range s.open(conn) {
		if k.silent(now) {
			k.move(conn) // asked
			quiet = append(quiet, k)
		}
	}
	if len(quiet) > 0 {
		s.work.Go(func() { _ = s.catchUp(s.ctx, conn, wire.ActionSync, quiet) })
	}
}

// reconnect opens the next connection, with growing pauses. While the old one
// still lives, its end ends the waiting: old is returned then.
func (s *Session) reconnect(old *Conn, lost bool) (*Conn, time.Time) {
	refused := 0
	for wait := time.Duration(0); ; wait = min(max(wait*2, 500*time.Millisecond), maxWait) {
		gone := old.Done()
		if lost {
			gone = nil
		}
		select {
		case <-time.After(wait/2 + rand.N(wait/2+1)):
		case <-gone:
			return old, time.Now()
		case <-s.ctx.Done():
			return nil, time.Time{}
		}
		conn, ends, err := s.connect(s.ctx)
		if err == nil {
			return conn, ends
		}
		if s.ctx.Err() != nil {
			return nil, time.Time{}
		}
		s.disconnected(err)
		var status *StatusError
		if refused++; !errors.As(err, &status) || status.Code != http.StatusUnauthorized {
			refused = 0
		}
		if refused == 2 {
			s.cancel(err)
			return nil, time.Time{}
		}
	}
}

func (s *Session) disconnected(err error) {
	if s.options.OnDisconnect != nil {
		s.options.OnDisconnect(err)
	}
}

// adopt moves what was followed over the old connection to the new one. The old
// one is kept until the answers that are on their way over it have come.
func (s *Session) adopt(old, conn *Conn) {
	s.move(conn, s.open(old), false)
	s.work.Go(func() {
		kept := time.NewTimer(retire)
		defer kept.Stop()
		for look := 100 * time.Millisecond; len(s.open(old)) > 0; look *= 2 {
			select {
			case <-time.After(look):
				continue
			case <-old.Done():
			case <-kept.C:
			case <-s.ctx.Done():
			}
			break
		}
		_ = old.Close()
		s.move(conn, s.open(old), true)
	})
}

// move resumes requests on a connection. One that was not answered yet is left
// to the old connection, while that may still answer.
func (s *Session) move(conn *Conn, all []*follow, late bool) {
	var moved []*follow
	for _, k := range all {
		if on, accepted, _ := k.on(); accepted || late || on.gone() {
			moved = append(moved, k)
		}
	}
	if err := s.catchUp(s.ctx, conn, wire.ActionResume, moved); err != nil && s.ctx.Err() == nil {
		_ = conn.ws.CloseNow() // and once more, on the next
		for _, k := range moved {
			k.move(conn)
		}
	}
}
