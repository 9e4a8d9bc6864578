package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

// SessionOptions of Open. URL and Token are required.
type SessionOptions struct {
	// URL of the stage: wss://…/stage.
	URL string
	// Token is asked before every handshake. An error of it is a handshake that
	// failed; a token that is refused with 401 twice in a row ends the session.
	Token func(ctx context.Context) (string, error)
	// HTTPClient makes the handshakes. Default http.DefaultClient.
	HTTPClient *http.Client
	// OnConnect, when set, is called after every handshake that succeeded.
	OnConnect func()
	// OnDisconnect, when set, is told why a connection was lost, or why the next
	// one could not be opened. The session goes on trying, with pauses that grow
	// from 1 to 30 seconds. Neither of the two may call Close, which waits for them.
	OnDisconnect func(error)
}

// Session is a client that outlives its connections. It opens the next one
// before API Gateway ends the old one after two hours, or before the token ends,
// and after a connection was lost; and it follows every request from one to the
// next, so that nothing is missed: progress is the newest, the log of partials
// has no gap, and the last frame always comes.
//
// It is safe for concurrent use. Close it.
type Session struct {
	options SessionOptions
	ctx     context.Context // of everything that the session does by itself
	cancel  context.CancelCauseFunc
	work    sync.WaitGroup

	mu      sync.Mutex // guards all below
	conn    *Conn      // nil while there is none
	change  chan struct{}
	follows map[string]*follow
}

// Open connects. The context bounds the first handshake only, which is not tried
// again: where it was refused, the error is a *StatusError.
func Open(ctx context.Context, o SessionOptions) (*Session, error) {
	if o.URL == "" || o.Token == nil {
		return nil, errors.New("open session: URL and Token are required")
	}
	s := &Session{options: o, change: make(chan struct{}), follows: map[string]*follow{}}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	conn, ends, err := s.connect(ctx)
	if err != nil {
		s.cancel(ErrClosed)
		return nil, fmt.Errorf("open session: %w", err)
	}
	s.publish(conn)
	s.work.Go(func() { s.run(conn, ends) })
	return s, nil
}

// Close ends the session, its connections and the calls under way, which return
// ErrClosed. Requests that were accepted go on; Follow finds them again. The error
// is always nil.
func (s *Session) Close() error {
	s.cancel(ErrClosed)
	s.work.Wait()
	return nil
}

// Call sends a message and waits for its last frame: response or complete. each,
// when it is not nil, is given every frame in order, the last one too: progress
// that is newer than the one before, and the log of partials without gaps or
// doubles. A partial whose First is not behind the pieces that there are takes
// the place of those from First on; it may have no Items. Only what the service
// does not keep any more can leave a gap.
//
// A payload that is too large for a message is uploaded. A message that is above
// 128 KB (wire.MaxMessage) without it is not sent: it is a *wire.Error with code
// PAYLOAD_TOO_LARGE, and so is a payload that the service has no room for.
//
// An error frame is returned as *wire.Error. A message that was not answered for
// Silence, or whose connection was lost before it was, is looked for by its id.
// When the service does not know it, it is sent again if Resend is set, and is
// ErrNoAnswer otherwise. When the session ends before the call, it is ErrClosed,
// or the *StatusError of a token that was refused.
func (s *Session) Call(ctx context.Context, m Message, each func(wire.Frame)) (wire.Frame, error) {
	if m.ID == "" {
		m.ID = rand.Text()
	}
	body, err := s.fit(ctx, m)
	if err != nil {
		return wire.Frame{}, fmt.Errorf("call %s: %w", m.Action, err)
	}
	k := newFollow(m.ID)
	k.body, k.resend = body, m.Resend
	if err := s.register(k); err != nil {
		return wire.Frame{}, fmt.Errorf("call %s: %w", m.Action, err)
	}
	defer s.forget(k)
	if err := s.send(ctx, k); err != nil {
		return wire.Frame{}, fmt.Errorf("call %s: %w", m.Action, err)
	}
	f, err := s.await(ctx, k, each)
	if err != nil {
		err = fmt.Errorf("call %s: %w", m.Action, err)
	}
	return f, err
}

// fit encodes a message, and uploads its payload where that is too large for one.
func (s *Session) fit(ctx context.Context, m Message) ([]byte, error) {
	body, err := m.encode()
	if !tooLarge(err) || m.Payload == nil {
		return body, err
	}
	payload := m.Payload
	m.Payload = nil
	if _, err = m.encode(); err != nil { // no upload makes it small enough
		return nil, err
	}
	if m.Ref, err = s.Upload(ctx, payload); err != nil {
		return nil, err
	}
	return m.encode()
}

// Follow watches a request that was sent before, by this program or by another
// of the same user, from its beginning, and waits for its last frame as Call does.
// One that is not known, or not kept any more, or was quick, is a *wire.Error with
// code NOT_FOUND.
func (s *Session) Follow(ctx context.Context, id string, each func(wire.Frame)) (wire.Frame, error) {
	k := newFollow(id)
	if err := s.register(k); err != nil {
		return wire.Frame{}, fmt.Errorf("follow %s: %w", id, err)
	}
	defer s.forget(k)
	for {
		conn, err := s.attach(ctx, k)
		if err == nil {
			err = s.catchUp(ctx, conn, wire.ActionResume, []*follow{k})
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil || s.ctx.Err() != nil {
			return wire.Frame{}, fmt.Errorf("follow %s: %w", id, err)
		}
		if err := s.pause(ctx, time.Second); err != nil {
			return wire.Frame{}, fmt.Errorf("follow %s: %w", id, err)
		}
	}
	f, err := s.await(ctx, k, each)
	if err != nil {
		err = fmt.Errorf("follow %s: %w", id, err)
	}
	return f, err
}

// Cancel cancels a request. It returns its state after that: CANCELLED,
// PROCESSING while its handler is being told, or the state in which it had
// ended before: SUCCEEDED or FAILED. An id that is not known yet is CANCELLED too,
// and the request that arrives with it later does not run. Errors are Call's.
func (s *Session) Cancel(ctx context.Context, id string) (state string, err error) {
	m := Message{Action: wire.ActionCancel, Payload: map[string]string{"request_id": id}, Resend: true}
	f, err := s.Call(ctx, m, nil)
	if err != nil {
		return "", fmt.Errorf("cancel %s: %w", id, err)
	}
	var out struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(f.Data, &out); err != nil {
		return "", fmt.Errorf("cancel %s: read answer: %w", id, err)
	}
	return out.Status, nil
}

// maxResends bounds how often a message is sent again that was answered "try
// again with the same id".
const maxResends = 6

func (s *Session) await(ctx context.Context, k *follow, each func(wire.Frame)) (wire.Frame, error) {
	for resends := 0; ; {
		f, err := s.next(ctx, k)
		again, sameID := false, f.Err() != nil && f.Err().SameID || k.expired(f)
		switch {
		case resends >= maxResends:
		case sameID:
			resends++
			again = k.reopen()
		case errors.Is(err, errSilent):
			resends++
			if s.find(ctx, k) || k.resend && !k.reopen() {
				continue // the next frame or error tells
			}
			again = k.resend
		}
		if again {
			if err = s.pause(ctx, time.Second<<resends); err == nil {
				err = s.send(ctx, k)
			}
			if err == nil {
				continue
			}
		}
		if err != nil {
			return f, err
		}
		if each != nil {
			each(f)
		}
		switch f.Type {
		case wire.TypeResponse, wire.TypeComplete:
			return f, nil
		case wire.TypeError:
			return f, f.Err()
		}
	}
}

// errSilent is ErrNoAnswer by the clock alone.
var errSilent = fmt.Errorf("%w for %s", ErrNoAnswer, Silence)

// next waits for a frame. Before a request is accepted only a clock can tell
// that its message was lost.
func (s *Session) next(ctx context.Context, k *follow) (wire.Frame, error) {
	if _, accepted, _ := k.on(); accepted {
		return k.next(ctx)
	}
	quiet, cancel := context.WithTimeoutCause(ctx, Silence, errSilent)
	defer cancel()
	f, err := k.next(quiet)
	if on, _, _ := k.on(); on != nil && errors.Is(err, errSilent) {
		err = on.unanswered(err)
	}
	return f, err
}

// find asks what became of a message that was not answered. It reports whether
// it got to know; what, is with the request then.
func (s *Session) find(ctx context.Context, k *follow) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, Silence, ErrNoAnswer)
	defer cancel()
	conn, err := s.current(ctx)
	return err == nil && s.catchUp(ctx, conn, wire.ActionResume, []*follow{k}) == nil
}

func (s *Session) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// send sends the message over the present connection. What becomes of one on a
// connection that ends then is found out on the next.
func (s *Session) send(ctx context.Context, k *follow) error {
	conn, err := s.attach(ctx, k)
	if err != nil {
		return err
	}
	if err := conn.send(ctx, k.body); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_ = conn.ws.CloseNow() // the reader sees it
	}
	return nil
}

// attach waits until there is a connection and takes the request there.
func (s *Session) attach(ctx context.Context, k *follow) (*Conn, error) {
	for {
		conn, err := s.current(ctx)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		same := s.conn == conn // or the next one has been given its requests
		if same {
			k.move(conn)
		}
		s.mu.Unlock()
		if same {
			return conn, nil
		}
	}
}

func (s *Session) register(k *follow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case !wire.ValidID(k.id):
		return invalidID(k.id)
	case s.follows[k.id] != nil:
		return fmt.Errorf("id %s is under way in this session", k.id)
	}
	s.follows[k.id] = k
	return nil
}

func (s *Session) forget(k *follow) {
	k.fail(ErrClosed) // nobody asks for more
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.follows, k.id)
}

// open lists the requests that have not ended and are followed over a connection
// that the filter lets pass.
func (s *Session) open(filter func(*Conn) bool) (out []*follow) {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.follows))
	s.mu.Unlock()
	for _, k := range all {
		if on, _, ended := k.on(); !ended && on != nil && filter(on) {
			out = append(out, k)
		}
	}
	return out
}

func is(conn *Conn) func(*Conn) bool    { return func(c *Conn) bool { return c == conn } }
func isNot(conn *Conn) func(*Conn) bool { return func(c *Conn) bool { return c != conn } }

// current waits until there is a connection.
func (s *Session) current(ctx context.Context) (*Conn, error) {
	for {
		s.mu.Lock()
		conn, change := s.conn, s.change
		s.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.ctx.Done():
			return nil, context.Cause(s.ctx)
		}
	}
}

func (s *Session) publish(conn *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
	close(s.change)
	s.change = make(chan struct{})
}

// deliver gives a frame to its request.
func (s *Session) deliver(f wire.Frame) {
	s.mu.Lock()
	k := s.follows[f.RequestID]
	s.mu.Unlock()
	if k != nil && k.offer(f) {
		s.work.Go(func() { s.fill(k) })
	}
}
