package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// story is what a caller was told, in short.
type story struct {
	mu    sync.Mutex
	lines []string
}

func (s *story) add(f wire.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f.Type {
	case wire.TypeProgress:
		s.lines = append(s.lines, f.Message)
	case wire.TypePartial:
		for i, item := range f.Items {
			s.lines = append(s.lines, fmt.Sprintf("%d:%s", f.First+int64(i), item))
		}
	default:
		s.lines = append(s.lines, f.Type)
	}
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, " ")
}

// started is a call under way.
type started struct {
	story
	done chan error
}

func call(ctx context.Context, session *client.Session, m client.Message) *started {
	c := &started{done: make(chan error, 1)}
	go func() {
		f, err := session.Call(ctx, m, c.add)
		if err == nil && f.Type == wire.TypeComplete && string(f.Data) != `"done"` {
			err = fmt.Errorf("result %s", f.Data)
		}
		c.done <- err
	}()
	synctest.Wait()
	return c
}

// later lets the session do what it does by itself.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestSessionFollowsOverALostConnection(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		c := call(ctx, session, client.Message{ID: "r", Action: "job"})
		s.progress("r", "one", false)
		s.emit("r", false, 1, 2)
		synctest.Wait()
		s.cut()
		s.emit("r", true, 3, 4, 5, 6, 7, 8, 9)
		s.progress("r", "two", true)
		later(time.Minute)
		s.emit("r", false, 10)
		s.complete("r", false)
		if err := <-c.done; err != nil {
			t.Fatal(err)
		}
		if got, want := c.String(), "acknowledgment one 1:1 2:2 two 3:3 4:4 5:5 6:6 7:7 8:8 9:9 10:10 complete"; got != want {
			t.Errorf("the caller was told\n%s, want\n%s", got, want)
		}
	})
}

// A frame that was lost on a connection that lives leaves a gap, which is filled.
func TestSessionFillsGaps(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		c := call(ctx, session, client.Message{ID: "r", Action: "job"})
		s.emit("r", true, 1, 2)
		s.emit("r", false, 3)
		synctest.Wait()
		s.emit("r", true, 4, 5)
		s.complete("r", false)
		if err := <-c.done; err != nil {
			t.Fatal(err)
		}
		if got, want := c.String(), "acknowledgment 1:1 2:2 3:3 4:4 5:5 complete"; got != want {
			t.Errorf("the caller was told\n%s, want\n%s", got, want)
		}
	})
}

// Nobody repeats a push that was lost: silence is asked after, once.
func TestSessionAsksAfterSilence(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		c := call(ctx, session, client.Message{ID: "r", Action: "job"})
		s.complete("r", true)
		begun := time.Now()
		if err := <-c.done; err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(begun); waited > 2*client.Silence {
			t.Errorf("asked after %s", waited)
		}
		if s.called("$sync") != 1 {
			t.Errorf("%d $sync", s.called("$sync"))
		}
	})
}

// An hour, and ten: no frame is missed when API Gateway ends connections.
func TestSessionHandsOver(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		lost := 0
		session, err := s.open(ctx, client.SessionOptions{OnDisconnect: func(error) { lost++ }})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		c := call(ctx, session, client.Message{ID: "r", Action: "job"})
		var want []string
		for n := range 600 {
			s.emit("r", false, n)
			want = append(want, fmt.Sprintf("%d:%d", n+1, n))
			later(time.Minute)
		}
		s.complete("r", false)
		if err := <-c.done; err != nil {
			t.Fatal(err)
		}
		if got := c.String(); got != "acknowledgment "+strings.Join(want, " ")+" complete" {
			t.Errorf("the caller was told %s", got)
		}
		if lost > 0 || s.called("$hello") < 5 {
			t.Errorf("%d connections lost, %d opened", lost, s.called("$hello"))
		}
	})
}

// A message whose answer is lost with the connection has an unknown outcome.
func TestSessionResendsOnlyWhatItMay(t *testing.T) {
	t.Parallel()
	for _, resend := range []bool{true, false} {
		run(t, func(ctx context.Context, s *service) {
			session := s.mustOpen(ctx)
			defer session.Close()
			s.lose["job"] = 1
			c := call(ctx, session, client.Message{ID: "r", Action: "job", Resend: resend})
			s.cut()
			later(time.Second)
			if !resend {
				if err := <-c.done; !errors.Is(err, client.ErrNoAnswer) || !errors.Is(err, client.ErrClosed) || s.called("job") != 1 {
					t.Errorf("%v after %d messages", err, s.called("job"))
				}
				return
			}
			s.complete("r", false)
			if err := <-c.done; err != nil || s.called("job") != 2 {
				t.Errorf("%v after %d messages", err, s.called("job"))
			}
		})
	}
}

func TestSessionResendsWhenAsked(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		_, err := session.Call(ctx, client.Message{Action: "busy"}, nil)
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != wire.CodeUnavailable || s.called("busy") != 7 {
			t.Errorf("%v after %d messages", err, s.called("busy"))
		}
	})
}

// Handshakes that fail are repeated; a token that is refused twice is not.
func TestSessionReconnects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		statuses []int
		want     error
	}{
		"busy":          {[]int{503, 429, 401, 500, 401}, nil},
		"token refused": {[]int{503, 401, 401}, &client.StatusError{}},
	} {
		run(t, func(ctx context.Context, s *service) {
			session := s.mustOpen(ctx)
			defer session.Close()
			s.mu.Lock()
			s.statuses = tt.statuses
			s.mu.Unlock()
			s.cut()
			synctest.Wait()
			_, err := session.Call(ctx, client.Message{Action: "quick"}, nil)
			var status *client.StatusError
			if tt.want == nil && err != nil || tt.want != nil && !errors.As(err, &status) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestSessionFollowsWhatAnotherSent(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		first, second := s.mustOpen(ctx), s.mustOpen(ctx)
		defer first.Close()
		defer second.Close()
		c := call(ctx, first, client.Message{ID: "r", Action: "job"})
		s.emit("r", false, 1, 2)
		done := make(chan error, 1)
		var told story
		go func() {
			_, err := second.Follow(ctx, "r", told.add)
			done <- err
		}()
		synctest.Wait()
		s.emit("r", false, 3)
		s.complete("r", false)
		if err := errors.Join(<-c.done, <-done); err != nil {
			t.Fatal(err)
		}
		if got, want := told.String(), "acknowledgment 1:1 2:2 3:3 complete"; got != want {
			t.Errorf("the second was told\n%s, want\n%s", got, want)
		}
		_, err := second.Follow(ctx, "unknown", nil)
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != wire.CodeNotFound {
			t.Error(err)
		}
	})
}

func TestSessionCloses(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		c := call(ctx, session, client.Message{Action: "job"})
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		if err := <-c.done; !errors.Is(err, client.ErrClosed) {
			t.Errorf("the call under way ended with %v", err)
		}
		if _, err := session.Call(ctx, client.Message{Action: "quick"}, nil); !errors.Is(err, client.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		s.statuses = []int{403}
		if _, err := s.open(ctx, client.SessionOptions{}); err == nil || !strings.Contains(err.Error(), "403") {
			t.Error(err)
		}
		if _, err := client.Open(ctx, client.SessionOptions{}); err == nil {
			t.Error("opened without a URL")
		}
	})
}

// A log that begins again replaces what there was from there on.
func TestSessionTakesALogThatBeginsAgain(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		c := call(ctx, session, client.Message{ID: "r", Action: "job"})
		s.emit("r", false, 1, 2, 3)
		s.mu.Lock()
		k := s.requests["r"]
		k.epoch, k.seq, k.log, k.stands = 3, 0, k.log[:1], 1 // goes on behind its checkpoint
		s.mu.Unlock()
		s.emit("r", false, 20, 30)
		later(time.Second)
		s.push("r", false, func(*kept) string { return `"type":"partial","first":4,"items":[4],"epoch":1,"seq":2` }) // of the loser
		s.push("r", false, func(*kept) string { return `"type":"partial","first":1,"items":[1,20],"epoch":3,"seq":0` })
		s.complete("r", false)
		if err := <-c.done; err != nil {
			t.Fatal(err)
		}
		if got, want := c.String(), "acknowledgment 1:1 2:2 3:3 2:20 3:30 complete"; got != want {
			t.Errorf("the caller was told\n%s, want\n%s", got, want)
		}
	})
}
