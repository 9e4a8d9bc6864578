package streamer_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/boot"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// A handler that returns as soon as its context ends has given up at its
// deadline, whichever of the two timers was first.
func TestPromotedWhenItReturnsAtOnce(t *testing.T) {
	t.Parallel()
	app := plain(func(ctx context.Context, _ text) (string, error) { <-ctx.Done(); return "", ctx.Err() }, streamer.Promote())
	bubble(t, app, func(t *testing.T, s *system) {
		for n := range 300 {
			if f := s.says(alice, fmt.Sprintf(`{"id":"r%d","action":"do","payload":{"text":"a"}}`, n)); f.Type != wire.TypeAcknowledgment {
				t.Fatalf("%d: %+v", n, f)
			}
		}
	})
}

// While it is not known whether a request is carried on, its message is not asked
// for again: it would run twice at once.
func TestPromotionOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lost   int // replies of the accepting write
		down   bool
		answer string
	}{
		"a reply is lost":         {lost: 1, answer: wire.TypeAcknowledgment},
		"all replies are":         {lost: 100, answer: string(wire.CodeUnavailable)},
		"the store does not work": {down: true, answer: string(wire.CodeUnavailable)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := plain(polite(cause), streamer.Promote())
			bubble(t, app, func(t *testing.T, s *system) {
				n := 0
				s.store.fault = func(call string) error {
					switch n++; {
					case call != "accept":
						return nil
					case tt.down:
						return errDown
					case n <= tt.lost:
						return errLost
					}
					return nil
				}
				f := s.says(alice, do)
				if got := f.Type; got != tt.answer && string(f.Code) != tt.answer || f.SameID || f.Code != "" && !f.Retryable {
					t.Errorf("%+v", f)
				}
				if got := s.store.events(); !tt.down && (len(got) != 1 || got[0] != "accept") {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

// A request that could not be carried on is refused before its handler runs.
func TestPromotableIsCountedBeforeItRuns(t *testing.T) {
	t.Parallel()
	ran := 0
	app := plain(func(ctx context.Context, in text) (string, error) { ran++; <-ctx.Done(); return "", ctx.Err() }, streamer.Promote())
	limitedBubble(t, app, boot.Limits{OpenPerUser: 1}, func(t *testing.T, s *system) {
		if f := s.says(alice, do); f.Type != wire.TypeAcknowledgment {
			t.Fatalf("%+v", f)
		}
		if f := s.says(alice, `{"id":"r2","action":"do","payload":{"text":"b"}}`); f.Code != wire.CodeRateLimited || ran != 1 {
			t.Errorf("%+v after %d runs", f, ran)
		}
	})
}

// Handlers that ignore their context do not pile up without end.
func TestAbandonedHandlersAreBounded(t *testing.T) {
	t.Parallel()
	var ran atomic.Int64
	app := plain(func(_ context.Context, in text) (string, error) {
		if in.Text == "deaf" {
			ran.Add(1)
			time.Sleep(time.Hour)
		}
		return in.Text, nil
	})
	bubble(t, app, func(t *testing.T, s *system) {
		for n := range 30 {
			if f := s.says(alice, fmt.Sprintf(`{"id":"r%d","action":"do","payload":{"text":"deaf"}}`, n)); f.Code != wire.CodeTimeout {
				t.Fatalf("%d: %+v", n, f)
			}
		}
		if n := ran.Load(); n != 16 {
			t.Errorf("%d ran", n)
		}
		if f := s.says(alice, `{"id":"x","action":"do","payload":{"text":"deaf"}}`); f.Code != wire.CodeTimeout {
			t.Errorf("%+v", f)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if f := s.says(alice, do); f.Type != wire.TypeResponse {
			t.Errorf("%+v", f)
		}
	})
}

// What is too large to be kept is not asked for again; all else may pass.
func TestRefusedByTheStore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want wire.Code
	}{
		"too large": {request.ErrTooLarge, wire.CodePayloadTooLarge},
		"refused":   {request.ErrRefused, wire.CodeUnavailable},
		"down":      {errDown, wire.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(func(context.Context, *streamer.Task, text) (string, error) { return "", nil }), func(t *testing.T, s *system) {
				s.store.fault = func(call string) error {
					if call == "put blob" {
						return fmt.Errorf("put: %w", tt.err)
					}
					return nil
				}
				f := s.says(alice, `{"id":"r1","action":"job","payload":{"text":"`+strings.Repeat("x", 1000)+`"}}`)
				if f.Code != tt.want || f.SameID != (tt.want == wire.CodeUnavailable) {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

// The sweep never looks later than at the deadline, whoever holds the request.
func TestOnceIsDueByItsDeadline(t *testing.T) {
	t.Parallel()
	app := plain(func(context.Context, text) (string, error) { return "a", nil }, streamer.Idempotent(), streamer.Deadline(5*time.Second))
	bubble(t, app, func(t *testing.T, s *system) {
		s.store.fault = func(call string) error {
			if call == "end" {
				return errDown
			}
			return nil
		}
		s.says(alice, do)
		for key := range s.store.items {
			if it := s.store.item(key); it.DueAt != it.Deadline {
				t.Errorf("due %d, deadline %d", it.DueAt, it.Deadline)
			}
		}
	})
}
