// Package client calls Streamer actions from Go over one WebSocket.
//
// A Conn is safe for concurrent use: calls share the socket and are told apart
// by their ids. It imports runtime/wire alone.
package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/runtime/wire"
)

// Silence is how long a call waits for a frame before it asks for its request,
// or, when the request was not acknowledged, gives up.
const Silence = 30 * time.Second

// ErrNoAnswer is returned by calls whose message was not answered. It can be
// sent again with the same id: nothing is done twice that was accepted. It comes
// together with ErrClosed when the connection of the message has ended too.
var ErrNoAnswer = errors.New("the message was not answered")

// ErrClosed is returned by calls whose Conn or Session has ended before they had.
var ErrClosed = errors.New("the connection is closed")

// Options of Dial.
type Options struct {
	// HTTPClient makes the handshake. Default http.DefaultClient.
	HTTPClient *http.Client
}

// Conn is an open connection.
type Conn struct {
	ws     *websocket.Conn
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	done   chan struct{} // closed when the reader has ended
	writes sync.WaitGroup

	http  *http.Client     // nil: the default one
	stray func(wire.Frame) // given the frames of no call; nil: they are dropped
	until time.Time        // when its token ends, if a Session knows

	mu    sync.Mutex // guards the rest
	calls map[string]*call
	ended error
	heard time.Time // when the last frame came, whatever it was
}

// call is a request under way. The reader never waits for who reads frames, or
// one slow reader would hold up the others.
type call struct {
	mu     sync.Mutex // guards frames
	frames []wire.Frame
	signal chan struct{}
}

// Dial connects to the URL of a stage, wss://…/stage, with a token. The context
// bounds the handshake only. A handshake that was answered, but refused, is a
// *StatusError.
func Dial(ctx context.Context, url, token string, o Options) (*Conn, error) {
	return dial(ctx, url, token, o, nil)
}

func dial(ctx context.Context, url, token string, o Options, stray func(wire.Frame)) (*Conn, error) {
	ws, resp, err := websocket.Dial( //nolint:bodyclose // of the upgrade, or closed by Dial
		ctx, url, &websocket.DialOptions{
			HTTPClient: o.HTTPClient, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}, Subprotocols: []string{wire.Protocol},
		})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("connect to %s: %w", url, &StatusError{Code: resp.StatusCode, Status: resp.Status})
		}
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	ws.SetReadLimit(wire.MaxMessage)
	c := &Conn{ws: ws, done: make(chan struct{}), calls: map[string]*call{}, http: o.HTTPClient, stray: stray}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.read()
	return c, nil
}

// StatusError is a handshake that was answered with another status than 101.
type StatusError struct {
	Code   int    // 401
	Status string // 401 Unauthorized
}

func (e *StatusError) Error() string { return "the handshake was answered " + e.Status }

// Close ends the connection and every call on it: those return ErrClosed. An
// error says that it did not end in good order; it has ended all the same.
func (c *Conn) Close() error {
	err := c.ws.Close(websocket.StatusNormalClosure, "")
	c.cancel()
	<-c.done
	c.writes.Wait()
	return err
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// deaf says that nothing has come for long, no refusal of API Gateway either.
func (c *Conn) deaf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.heard) >= Silence
}

// unanswered is the error of a message that went over the connection, and why
// that has ended, if it has.
func (c *Conn) unanswered(err error) error {
	if reason := c.reason(); reason != nil {
		return fmt.Errorf("%w: %w", err, reason)
	}
	return err
}

// gone says that the connection has ended; reason, why.
func (c *Conn) gone() bool { return c.reason() != nil }

func (c *Conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Call sends a message and waits for its last frame: response or complete. A last
// frame that was lost is made up for by asking with $get. each, when it is not
// nil, is given every frame in order, the last one too.
//
// An error frame is returned as *wire.Error, and so is a message of more than
// 128 KB (wire.MaxMessage), with code PAYLOAD_TOO_LARGE: it is not sent, see
// Upload. Without any frame for Silence it is ErrNoAnswer, and ErrClosed when the
// connection has ended.
func (c *Conn) Call(ctx context.Context, m Message, each func(wire.Frame)) (wire.Frame, error) {
	if m.ID == "" {
		m.ID = rand.Text()
	}
	body, err := m.encode()
	if err != nil {
		return wire.Frame{}, fmt.Errorf("call %s: %w", m.Action, err)
	}
	k, err := c.register(m.ID)
	if err != nil {
		return wire.Frame{}, fmt.Errorf("call %s: %w", m.Action, err)
	}
	defer c.forget(m.ID)
	if err := c.send(ctx, body); err != nil {
		return wire.Frame{}, fmt.Errorf("call %s: %w", m.Action, err)
	}
	for accepted := false; ; {
		f, err := c.await(ctx, k, m.ID, accepted)
		if err != nil {
			return f, fmt.Errorf("call %s: %w", m.Action, err)
		}
		accepted = accepted || f.Placed
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

// send sends a message. A caller that gives up does not break it off in the
// middle, which would end the connection for everybody; a network that takes
// nothing does.
func (c *Conn) send(ctx context.Context, body []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	sent := make(chan error, 1)
	c.mu.Lock()
	if c.ended != nil {
		defer c.mu.Unlock()
		return c.ended
	}
	c.writes.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, Silence)
		defer cancel()
		sent <- c.write(ctx, body)
	})
	c.mu.Unlock()
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write writes a message in as many frames as API Gateway wants it in; a Writer
// makes one frame of each Write.
func (c *Conn) write(ctx context.Context, body []byte) error {
	if len(body) <= wire.MaxFrame {
		return c.ws.Write(ctx, websocket.MessageText, body)
	}
	w, err := c.ws.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for frame := range slices.Chunk(body, wire.MaxFrame) {
		if _, err := w.Write(frame); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

func (c *Conn) register(id string) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended != nil:
		return nil, c.ended
	case !wire.ValidID(id):
		return nil, invalidID(id)
	case c.calls[id] != nil:
		return nil, fmt.Errorf("id %s is under way on this connection", id)
	}
	k := &call{signal: make(chan struct{}, 1)}
	c.calls[id] = k
	return k, nil
}

func (c *Conn) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, id)
}

func (c *Conn) next(ctx context.Context, k *call) (wire.Frame, error) {
	for {
		if f, ok := k.take(); ok {
			return f, nil
		}
		select {
		case <-k.signal:
		case <-ctx.Done():
			return wire.Frame{}, context.Cause(ctx)
		case <-c.done:
			if f, ok := k.take(); ok {
				return f, nil
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			return wire.Frame{}, c.ended
		}
	}
}

// await returns the next frame of a call. A push can be lost: an accepted
// request that has been silent for long is asked for, and the answer stands for
// the frame that did not come.
func (c *Conn) await(ctx context.Context, k *call, id string, accepted bool) (wire.Frame, error) {
	for {
		quiet, cancel := context.WithTimeoutCause(ctx, Silence, ErrNoAnswer)
		f, err := c.next(quiet, k)
		cancel()
		if !errors.Is(err, ErrNoAnswer) || !accepted {
			return f, err
		}
		answer, cancel := context.WithTimeout(ctx, Silence)
		f, err = c.outcome(answer, id)
		cancel()
		var refused *wire.Error
		switch {
		case err == nil && f.Terminal():
			return f, nil
		case errors.As(err, &refused) && refused.Code == wire.CodeNotFound: // it is not kept any more
			return f, err
		}
		if ctx.Err() != nil {
			return wire.Frame{}, context.Cause(ctx)
		}
	}
}

// outcome asks how a request stands; the frame is its last one if it has ended.
func (c *Conn) outcome(ctx context.Context, id string) (wire.Frame, error) {
	f, err := c.Call(ctx, Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": id}}, nil)
	if err != nil {
		return f, err
	}
	var state struct {
		standing
		Partials int64 `json:"partials"`
	}
	if err := json.Unmarshal(f.Data, &state); err != nil {
		return wire.Frame{}, fmt.Errorf("read state of %s: %w", id, err)
	}
	return state.last(id, state.Partials), nil
}

func (k *call) take() (wire.Frame, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.frames) == 0 {
		return wire.Frame{}, false
	}
	f := k.frames[0]
	k.frames = k.frames[1:]
	return f, true
}

func (c *Conn) read() {
	defer close(c.done)
	defer c.cancel()
	for {
		_, body, err := c.ws.Read(c.ctx)
		if err != nil {
			c.mu.Lock()
			c.ended = fmt.Errorf("%w: %w", ErrClosed, err)
			c.mu.Unlock()
			return
		}
		c.mu.Lock()
		c.heard = time.Now()
		c.mu.Unlock()
		var f wire.Frame
		if f.Decode(body) != nil || f.RequestID == "" {
			continue // a frame of a later version, or one that is nobody's
		}
		c.mu.Lock()
		k := c.calls[f.RequestID]
		c.mu.Unlock()
		if k == nil {
			if c.stray != nil {
				c.stray(f)
			}
			continue
		}
		k.mu.Lock()
		k.frames = append(k.frames, f)
		k.mu.Unlock()
		select {
		case k.signal <- struct{}{}:
		default:
		}
	}
}
