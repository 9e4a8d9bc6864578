package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// assembled is the log of partials as the documentation of Call says to put it
// together.
type assembled struct {
	log  []string
	told []string
}

func (a *assembled) add(f wire.Frame) {
	if f.Type == wire.TypePartial {
		a.log = a.log[:f.First-1]
		for _, item := range f.Items {
			a.log = append(a.log, string(item))
		}
	}
	a.told = append(a.told, f.Type)
}

// begin calls action job and returns what waits for its end.
func begin(ctx context.Context, session *client.Session, each func(wire.Frame)) (end func() error) {
	done := make(chan error, 1)
	go func() {
		_, err := session.Call(ctx, client.Message{ID: "r", Action: "job"}, each)
		done <- err
	}()
	later(0)
	return func() error { return <-done }
}

// What a last frame does not count is taken from the log.
func TestSessionCutsTheLogAtItsEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		last string // the fields of its own
		want string
	}{
		"none counts":       {`"type":"complete","data":1,"epoch":4,"seq":0`, ""},
		"the same attempt":  {`"type":"complete","data":1,"partials":2,"epoch":2,"seq":0`, "1 2"},
		"all of the pieces": {`"type":"complete","data":1,"partials":3,"epoch":2,"seq":0`, "1 2 3"},
	} {
		run(t, func(ctx context.Context, s *service) {
			session := s.mustOpen(ctx)
			defer session.Close()
			var a assembled
			end := begin(ctx, session, a.add)
			s.emit("r", false, 1, 2, 3)
			s.push("r", false, func(*kept) string { return tt.last })
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(a.log, " "); got != tt.want || a.told[len(a.told)-1] != wire.TypeComplete {
				t.Errorf("%s: the log has %q, want %q; told were %v", name, got, tt.want, a.told)
			}
		})
	}
}

// Frames of two connections overtake each other: the newest progress counts,
// also behind a partial that came earlier, but none of an attempt before.
func TestSessionTakesProgressBehindPartials(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		var told story
		end := begin(ctx, session, told.add)
		for _, body := range []string{
			`"type":"partial","first":1,"items":["a"],"epoch":1,"seq":5`,
			`"type":"progress","percentage":1,"message":"four","epoch":1,"seq":4`,
			`"type":"progress","percentage":1,"message":"three","epoch":1,"seq":3`,
			`"type":"partial","first":1,"items":["b"],"epoch":3,"seq":1`,
			`"type":"progress","percentage":1,"message":"nine","epoch":1,"seq":9`,
			`"type":"complete","data":1,"partials":1,"epoch":4,"seq":0`,
		} {
			s.push("r", false, func(*kept) string { return body })
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if got, want := told.String(), `acknowledgment 1:"a" four 1:"b" complete`; got != want {
			t.Errorf("told was %s, want %s", got, want)
		}
	})
}

// A service that cannot answer $resume just now is asked again, over the same
// connection.
func TestSessionAsksAgainWhenRefused(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		end := begin(ctx, session, nil)
		s.mu.Lock()
		s.refuse["$resume"] = 4
		s.mu.Unlock()
		s.cut()
		later(30 * time.Second)
		s.complete("r", false)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if s.called("$resume") != 5 || s.called("$hello") != 2 {
			t.Errorf("%d $resume over %d connections", s.called("$resume"), s.called("$hello"))
		}
	})
}

// A gap that was found twice is asked for once, and what goes wrong with that is
// made good.
func TestSessionFillsAGapOverTheNextConnection(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		var a assembled
		end := begin(ctx, session, a.add)
		s.emit("r", true, 1)
		s.mu.Lock()
		s.lose["$resume"] = 1
		s.mu.Unlock()
		for n := 2; n <= 5; n++ {
			s.emit("r", false, n)
		}
		s.complete("r", false)
		later(0)
		if n := s.called("$resume"); n != 1 {
			t.Errorf("%d $resume at once", n)
		}
		s.cut()
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(a.log, " "); got != "1 2 3 4 5" {
			t.Errorf("the log has %s", got)
		}
	})
}

// Connections that end as soon as they are there, and tokens that are as good as
// over, are no reason to connect without a pause.
func TestSessionPausesBetweenShortConnections(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{time.Millisecond, 3 * time.Second} {
		run(t, func(ctx context.Context, s *service) {
			s.life = life
			session, err := s.open(ctx, client.SessionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			later(10 * time.Minute)
			if n := s.called("$hello"); n < 10 || n > 100 {
				t.Errorf("%d connections of %s in ten minutes", n, life)
			}
			_ = session.Close()
		})
	}
}

// A message without an answer is looked for before the caller is told so: only
// the answer may be lost.
func TestSessionLooksForWhatWasNotAnswered(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		s.mu.Lock()
		s.lose["job"] = 1
		s.requests["r"] = &kept{watchers: map[*websocket.Conn]bool{}} // it was accepted all the same
		s.mu.Unlock()
		end := begin(ctx, session, nil)
		later(client.Silence + time.Second)
		s.complete("r", false)
		if err := end(); err != nil || s.called("job") != 1 {
			t.Errorf("%v after %d messages", err, s.called("job"))
		}
		s.mu.Lock()
		s.lose["other"] = 1
		s.mu.Unlock()
		_, err := session.Call(ctx, client.Message{Action: "other"}, nil)
		if !errors.Is(err, client.ErrNoAnswer) || errors.Is(err, client.ErrClosed) || s.called("other") != 1 {
			t.Errorf("%v after %d messages", err, s.called("other"))
		}
	})
}

// While nobody can be asked, a message whose connection was lost has no answer,
// and the error says why.
func TestSessionSaysThatTheConnectionWasLost(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		s.mu.Lock()
		s.lose["job"] = 1
		s.statuses = slices.Repeat([]int{503}, 100)
		s.mu.Unlock()
		end := begin(ctx, session, nil)
		s.cut()
		if err := end(); !errors.Is(err, client.ErrNoAnswer) || !errors.Is(err, client.ErrClosed) || s.called("job") != 1 {
			t.Errorf("%v after %d messages", err, s.called("job"))
		}
	})
}

func TestIDsThatAreNone(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		_, called := session.Call(ctx, client.Message{ID: "a b", Action: "job"}, nil)
		_, followed := session.Follow(ctx, strings.Repeat("a", 129), nil)
		if called == nil || followed == nil || s.called("job")+s.called("$resume") > 0 {
			t.Error(called, followed)
		}
	})
}

// A lost last frame whose result is too large for an answer is asked for too.
func TestLostLastFrameRefers(t *testing.T) {
	t.Parallel()
	state := `"type":"response","data":{"status":"SUCCEEDED","epoch":2,"partials":3,"ref":{"size":9,"parts":1}}`
	silent(t, map[string]string{"job": accepted, "$get": state}, func(ctx context.Context, conn *client.Conn) {
		f, err := conn.Call(ctx, client.Message{Action: "job"}, nil)
		if err != nil || f.Ref == nil || f.Ref.Parts != 1 || f.Partials != 3 {
			t.Errorf("%+v, %v", f, err)
		}
	})
	gone := `"type":"error","code":"NOT_FOUND","message":"no such request","retryable":false`
	silent(t, map[string]string{"job": accepted, "$get": gone}, func(ctx context.Context, conn *client.Conn) {
		begun := time.Now()
		_, err := conn.Call(ctx, client.Message{Action: "job"}, nil)
		var e *wire.Error
		if !errors.As(err, &e) || e.Code != wire.CodeNotFound || time.Since(begun) > time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}

// A message that is accepted late may be unknown when the session asks for it.
func TestSessionIsNotMisledByAnAnswerThatWasOvertaken(t *testing.T) {
	t.Parallel()
	for _, resend := range []bool{false, true} {
		run(t, func(ctx context.Context, s *service) {
			session := s.mustOpen(ctx)
			defer session.Close()
			s.lose["job"], s.slow = 1, "r"
			time.AfterFunc(2*client.Silence, func() { s.complete("r", false) })
			f, err := session.Call(ctx, client.Message{ID: "r", Action: "job", Resend: resend}, nil)
			if err != nil || string(f.Data) != `"done"` || s.called("job") != 1 || s.called("$resume") != 2 {
				t.Errorf("resend %t: %+v, %v; %d sent, %d asked", resend, f, err, s.called("job"), s.called("$resume"))
			}
		})
	}
}

// A caller's context ends its call, and nobody else's connection.
func TestSessionOutlivesACallerThatGivesUp(t *testing.T) {
	t.Parallel()
	run(t, func(ctx context.Context, s *service) {
		session := s.mustOpen(ctx)
		defer session.Close()
		given, up := context.WithCancelCause(ctx)
		up(fmt.Errorf("enough: %w", context.Canceled))
		if _, err := session.Call(given, client.Message{Action: "quick"}, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := session.Call(ctx, client.Message{Action: "quick"}, nil); err != nil || s.called("$hello") != 1 || s.called("quick") != 1 {
			t.Errorf("%v over %d connections", err, s.called("$hello"))
		}
	})
}
