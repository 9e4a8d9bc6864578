package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
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
	// minWait and maxWait bound the pause between two handshakes, which chance
	// shortens.
	minWait, maxWait = time.Second, 30 * time.Second
	// settled is how long a connection has to live for the pauses to be short
	// again.
	settled = 10 * time.Second
)

// connect makes a handshake and asks for the connection's limits; ends is when
// the next one has to be there.
func (s *Session) connect(ctx context.Context) (conn *Conn, ends time.Time, err error) {
	token, err := s.options.Token(ctx)
	if err != nil {
		return nil, ends, fmt.Errorf("get token: %w", err)
	}
	shake, cancel := context.WithTimeoutCause(ctx, Silence, ErrNoAnswer)
	defer cancel()
	conn, err = dial(shake, s.options.URL, token, Options{HTTPClient: s.options.HTTPClient}, s.deliver)
	if err != nil {
		return nil, ends, err
	}
	f, err := s.ask(ctx, conn, Message{Action: wire.ActionHello})
	if err == nil {
		ends, conn.until, err = limit(f)
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

// limit reads from $hello when the connection is to be replaced, some time
// before it ends and before its token does, and when the token does.
func limit(f wire.Frame) (ends, token time.Time, err error) {
	var hello struct {
		Time       time.Time `json:"time"`
		Connection time.Time `json:"connection_expires_at"`
		Token      time.Time `json:"token_expires_at"`
	}
	if err := json.Unmarshal(f.Data, &hello); err != nil {
		return ends, token, fmt.Errorf("read $hello: %w", err)
	}
	now := time.Now()
	if hello.Time.IsZero() {
		hello.Time = now // a service that does not tell
	}
	end := hello.Connection
	if hello.Token.Before(end) {
		end = hello.Token
	}
	left := end.Sub(hello.Time) // by one clock: the service's
	early := min(max(left/10, 5*time.Second), time.Minute, left/2)
	return now.Add(left - early), now.Add(hello.Token.Sub(hello.Time)), nil
}

// pauses are those between handshakes: they grow until a connection has lived
// for a while.
type pauses struct{ next time.Duration }

func (p *pauses) take() time.Duration {
	d := min(max(p.next, minWait), maxWait)
	p.next = 2 * d
	return rand.N(d)
}

// run keeps the session connected until it is closed.
func (s *Session) run(conn *Conn, ends time.Time) {
	var waits pauses
	for conn != nil {
		begun := time.Now()
		lost := s.hold(conn, ends)
		if s.ctx.Err() != nil {
			break
		}
		if time.Since(begun) >= settled {
			waits = pauses{}
		} else if waits.next == 0 {
			waits.next = minWait // also where it is to be replaced at once
		}
		old := conn
		if conn, ends = s.reconnect(old, lost, &waits); conn == nil {
			_ = old.Close() // the session has ended
			break
		}
		s.publish(conn)
		s.adopt(old, conn)
	}
	s.publish(nil)
	for _, k := range s.open(isNot(nil)) {
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
			s.work.Go(func() { s.move(conn, s.open(isNot(conn))) })
		}
	}
}

// sync asks after the requests of which nothing was heard for long: a push that
// was lost is nobody's to repeat.
func (s *Session) sync(conn *Conn, now time.Time) {
	var quiet []*follow
	for _, k := range s.open(is(conn)) {
		if k.overdue(now) {
			quiet = append(quiet, k)
		}
	}
	if len(quiet) == 0 {
		return
	}
	s.work.Go(func() {
		had := make(map[*follow]mark, len(quiet))
		for _, k := range quiet {
			had[k] = k.mark()
		}
		if s.catchUp(s.ctx, conn, wire.ActionSync, quiet) != nil {
			return // the connection has ended
		}
		// Where something was missed this connection may have had to make room for
		// another: up to eight are sent the frames of a request.
		missed := slices.DeleteFunc(quiet, func(k *follow) bool { return k.mark() == had[k] })
		_ = s.catchUp(s.ctx, conn, wire.ActionResume, missed) // as above
	})
}

// reconnect opens the next connection. The old one may be lost before there is
// one.
func (s *Session) reconnect(old *Conn, lost bool, waits *pauses) (*Conn, time.Time) {
	gone := old.Done()
	wait := time.Duration(0)
	if lost || waits.next > 0 {
		wait = waits.take()
	}
	for refused := 0; ; wait = waits.take() {
		if lost && gone != nil {
			gone = nil
			s.publish(nil)
			s.disconnected(old.reason())
		}
		select {
		case <-time.After(wait):
		case <-gone:
			lost = true
			continue
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

// adopt moves what was followed over other connections to the new one. The old
// one is kept until the answers that are on their way over it have come.
func (s *Session) adopt(old, conn *Conn) {
	s.work.Go(func() { s.move(conn, s.open(isNot(conn))) })
	s.work.Go(func() {
		kept := time.NewTimer(retire)
		defer kept.Stop()
		for look := 100 * time.Millisecond; len(s.open(is(old))) > 0; look *= 2 {
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
		s.mu.Lock()
		now := s.conn // another one by now, perhaps
		s.mu.Unlock()
		if now != nil { // or the next one finds them
			s.move(now, s.open(isNot(now)))
		}
	})
}

// move resumes requests on a connection, those of them that it can claim.
func (s *Session) move(conn *Conn, all []*follow) {
	var moved []*follow
	for _, k := range all {
		if k.claim() {
			moved = append(moved, k)
		}
	}
	err := s.catchUp(s.ctx, conn, wire.ActionResume, moved)
	for _, k := range moved {
		k.release()
	}
	if err != nil && s.ctx.Err() == nil {
		_ = conn.ws.CloseNow() // and once more, on the next
	}
}
