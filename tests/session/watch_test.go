package session_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	protocol "github.com/streamer-go/streamer/runtime/wire"
)

// wiretap keeps what comes in over a network, as bytes: frames of the server are
// neither masked nor compressed.
type wiretap struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (w *wiretap) network() *network {
	return &network{heard: func(p []byte) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all.Write(p)
	}}
}

func (w *wiretap) has(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Contains(w.all.Bytes(), []byte(text))
}

// follow starts to follow or call, and returns what waits for the end.
func (p *person) follow(t *testing.T, m client.Message) (y *story, end func()) {
	y = &story{name: p.user + "/" + m.ID}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var f protocol.Frame
		var err error
		if m.Action != "" {
			f, err = p.Call(t.Context(), m, y.frame)
		} else {
			f, err = p.Follow(t.Context(), m.ID, y.frame)
		}
		o, err := told(t.Context(), p.Session, f, err)
		if err != nil || o.status != protocol.StatusSucceeded {
			t.Errorf("%s: %+v, %v", y.name, o, err)
		}
		y.check(p.s, o)
	}()
	return y, func() { <-done }
}

// Two sessions of a user watch one request; a session of another user, who has a
// request of the same id, is given nothing of it.
func twoSessions(t *testing.T, s *system) {
	var anns, bobs wiretap
	ann, again, bob := s.open("ann", time.Hour, anns.network()), s.open("ann", time.Hour, nil), s.open("bob", time.Hour, bobs.network())
	in := ask{Pieces: 60, Pace: 5000, Every: 10, Fails: []int{15, 25}}
	_, first := ann.follow(t, client.Message{ID: "r", Action: "tell", Payload: in})
	_, other := bob.follow(t, client.Message{ID: "r", Action: "tell", Payload: in})
	_, alone := ann.follow(t, client.Message{ID: "alone", Action: "tell", Payload: in})
	time.Sleep(40 * time.Second)
	y, second := again.follow(t, client.Message{ID: "r"})
	var refused *protocol.Error
	if _, err := bob.Follow(t.Context(), "alone", nil); !errors.As(err, &refused) || refused.Code != protocol.CodeNotFound {
		t.Errorf("another user may follow: %v", err)
	}
	if state, err := bob.Cancel(t.Context(), "alone"); err != nil || state != protocol.StatusCancelled {
		t.Errorf("a cancellation that waits for a request of his own: %s, %v", state, err)
	}
	for _, end := range []func(){first, second, other, alone} {
		end()
	}
	if y.silence > 12*time.Second {
		t.Errorf("the second session heard nothing for %s", y.silence)
	}
	finish(t, ann, again, bob)
	if !anns.has("ann/r 7 of run") || anns.has("bob/") {
		t.Error("ann's connection was sent nothing of hers, or something of bob's")
	}
	if !bobs.has("bob/r 7 of run") || bobs.has("ann/") || bobs.has("alone\",\"epoch") {
		t.Error("bob's connection was sent nothing of his, or something of ann's")
	}
}

// One of two sessions is lost again and again, and each of its connections takes
// one of the eight places of who watches: the other one, which is older than all
// of those, misses nothing and gets its place back.
func restless(t *testing.T, s *system) {
	calm, bad := s.open("zoe", time.Hour, nil), &network{}
	restless := s.open("zoe", time.Hour, bad)
	const pieces, pace = 240, 5 * time.Second
	in := ask{Pieces: pieces, Pace: int(pace / time.Millisecond), Every: 10}
	y, first := calm.follow(t, client.Message{ID: "r", Action: "tell", Payload: in})
	time.Sleep(time.Second)
	_, second := restless.follow(t, client.Message{ID: "r"})
	for range 30 {
		time.Sleep(20 * time.Second)
		bad.cut()
	}
	time.Sleep(2 * time.Minute)
	y.mu.Lock()
	y.silence = 0
	y.mu.Unlock()
	first()
	second()
	if y.silence > 2*pace {
		t.Errorf("after the other session had come to rest, nothing was heard for %s", y.silence)
	}
	if n := restless.connects.Load(); n < 20 {
		t.Errorf("%d connections: this session was not restless", n)
	}
	finish(t, calm, restless)
}
