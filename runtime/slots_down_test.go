package streamer_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/boot"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
)

// What cannot be asked comes back; nothing is started without a slot.
func TestSlotsThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]struct{ started, woken int }{
		"slots": {0, 2},
		"take":  {0, 1}, // the other one was parked: whether the slot was taken is not known
		"park":  {1, 1},
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 1}, func(t *testing.T, s *system) {
				all := s.ask(2)
				s.store.fault = func(c string) error {
					if c == call {
						return errDown
					}
					return nil
				}
				s.dispatch(s.offers(all...))
				started, wakes := s.start.taken(), s.wake.taken()
				wakes = slices.DeleteFunc(wakes, func(h hint) bool { return h.Tenant != "" })
				if len(started) != want.started || len(wakes) != want.woken {
					t.Fatalf("started %+v, woken %+v", started, wakes)
				}
				s.store.fault = nil
				for _, h := range wakes {
					if h.delay != 5*time.Second {
						t.Errorf("%+v", h)
					}
					s.dispatch(sqs(h.Hint))
				}
				started = append(started, s.start.taken()...)
				if len(started) != 1 || len(s.store.holders("acme")) != 1 {
					t.Errorf("started %+v, slots %v", started, s.store.holders("acme"))
				}
			})
		})
	}
	t.Run("message", func(t *testing.T) {
		t.Parallel()
		limitedBubble(t, handlers(), two(), func(t *testing.T, s *system) {
			s.store.fault = func(string) error { return errDown }
			h := work.Hint{Tenant: "acme", Key: "acme/u/1", Epoch: 7}
			s.dispatch(sqs(h))
			if got := s.wake.all(); !reflect.DeepEqual(got, []hint{{h, 5 * time.Second}}) {
				t.Errorf("%+v", got)
			}
			// What is refused for good is not tried again.
			s.wake.taken()
			s.store.fault = func(string) error { return fmt.Errorf("%w: no right", request.ErrRefused) }
			s.dispatch(sqs(h))
			if got := s.wake.all(); len(got) != 0 {
				t.Errorf("%+v", got)
			}
		})
	})
}
