package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/component"
)

// Over a network that is well, and at last over one that is not.
func TestCallers(t *testing.T) {
	t.Parallel()
	play(t, component.StreamerArgs{LargePayloads: true},
		scene{"two sessions of one user", twoSessions},
		scene{"a restless session pushes nobody out", restless},
		scene{"callers that give up", givingUp},
		scene{"large payloads", largePayloads},
		scene{"close", closing},
	)
}

// A session is closed at any moment, in any weather: the calls under way end,
// nothing is left behind, and the requests go on.
func closing(t *testing.T, s *system) {
	times := 30
	if testing.Short() {
		times = 10
	}
	c := newChance(1)
	s.delay(newChance(2))
	for i := range times {
		n := &network{calm: true, chance: c}
		p := s.open("closing", time.Minute, n)
		n.mu.Lock()
		n.calm = false
		n.mu.Unlock()
		n.cut()
		var work sync.WaitGroup
		for k, action := range []string{"tell", "steps", "echo", "once", "grow"} {
			work.Go(func() {
				time.Sleep(time.Duration(c.n(3000)) * time.Millisecond)
				m := client.Message{ID: fmt.Sprint("r", i, "-", k), Action: action, Payload: ask{Pieces: 50, Pace: 100 * c.n(100), Every: 5}, Resend: true}
				y := &story{name: "closing/" + m.ID}
				_, err := p.Call(t.Context(), m, y.frame)
				if err != nil && !errors.Is(err, client.ErrClosed) || len(y.wrong) > 0 {
					t.Errorf("%s: %v %q", y.name, err, y.wrong)
				}
			})
		}
		// Callers that give up are nothing to the others.
		work.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(c.n(300))*time.Millisecond)
				_, err := p.Call(ctx, client.Message{Action: "echo", Payload: ask{Pace: 100}}, nil)
				if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, client.ErrClosed) && !errors.Is(err, client.ErrNoAnswer) {
					t.Error(err)
				}
				cancel()
			}
		})
		time.Sleep(time.Duration(c.n(90_000)) * time.Millisecond)
		finish(t, p)
		work.Wait()
	}
}

// A caller that gives up, before or after its message was sent, does not cost
// the others their connection.
func givingUp(t *testing.T, s *system) {
	p := s.open("impatient", time.Hour, nil)
	y, long := p.follow(t, client.Message{ID: "long", Action: "tell", Payload: ask{Pieces: 20, Pace: 1000, Every: 5}})
	for n := range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%5)*time.Millisecond)
		if n%5 == 0 {
			cancel()
		}
		if _, err := p.Call(ctx, client.Message{Action: "echo", Payload: ask{Pace: 200}}, nil); err == nil {
			t.Error("it was answered")
		}
		cancel()
	}
	long()
	if lost := p.disconnects(); len(lost) > 0 || y.silence > 3*time.Second {
		t.Errorf("OnDisconnect was told %q, nothing was heard for %s", lost, y.silence)
	}
	if _, err := p.Call(t.Context(), client.Message{ID: "no id", Action: "echo"}, nil); err == nil {
		t.Error("an id that is none was sent")
	}
	if _, err := p.Follow(t.Context(), "nor/this", nil); err == nil {
		t.Error("an id that is none was asked for")
	}
	finish(t, p)
}
