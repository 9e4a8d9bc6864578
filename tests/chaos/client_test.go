package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// caller is a client: a session whose connections are listened to.
type caller struct {
	name    string
	user    string
	line    *line
	session *client.Session
}

// call is what a client was told of a request, from its message to its end.
type call struct {
	request *request

	mu     sync.Mutex // guards the rest
	sent   time.Time
	frames []told
	last   wire.Frame
	result []byte
	err    error
	done   bool
	ended  time.Time
}

// told is a frame that a session passed on.
type told struct {
	at    time.Time
	frame wire.Frame
}

func (w *world) connect(ctx context.Context, name, user string) (*caller, error) {
	c := &caller{name: name, user: user, line: newLine(user, &w.ear)}
	var err error
	c.session, err = client.Open(ctx, client.SessionOptions{
		URL: w.URL, HTTPClient: c.line.http,
		Token: func(context.Context) (string, error) { return w.Keys.Token(user, "", nil, 24*time.Hour) },
	})
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", name, err)
	}
	return c, nil
}

// ask sends a request and stays with it to its end.
func (w *world) ask(ctx context.Context, k *call) {
	c := w.clients[k.request.client]
	k.mu.Lock()
	k.sent = time.Now()
	k.mu.Unlock()
	if k.request.cancel > 0 {
		w.work.Go(func() {
			if w.rest(ctx, k.request.cancel) {
				_, err := c.session.Cancel(ctx, k.request.id)
				w.cancelled(k, err)
			}
		})
	}
	m := client.Message{ID: k.request.id, Action: k.request.action, Payload: k.request.ask, Resend: true}
	f, err := c.session.Call(ctx, m, k.hear)
	k.finish(ctx, c, f, err)
}

// cancelled holds the outcome of a cancel against what may be.
func (w *world) cancelled(k *call, err error) {
	var e *wire.Error
	switch {
	case err == nil, errors.Is(err, client.ErrNoAnswer), errors.Is(err, context.Canceled), errors.Is(err, client.ErrClosed):
	case errors.As(err, &e) && e.Code == wire.CodeUnavailable:
	default:
		w.violate(k.request.name(), "its cancel is answered %v", err)
	}
}

func (k *call) hear(f wire.Frame) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frames = append(k.frames, told{time.Now(), f})
}

func (k *call) finish(ctx context.Context, c *caller, f wire.Frame, err error) {
	result := []byte(f.Data)
	if err == nil && f.Ref != nil {
		result, err = c.session.Result(ctx, f)
		for try := 0; err != nil && try < 20 && ctx.Err() == nil; try++ { // it stays where it is
			result, err = c.session.Result(ctx, f)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last, k.result, k.err, k.done, k.ended = f, result, err, true, time.Now()
}

// outcome is how the call ended.
func (k *call) outcome() (last wire.Frame, result []byte, err error, done bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last, k.result, k.err, k.done
}
