package streamer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/boot"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
)

// A slot that was given to what waits is no use to anybody while its offer is not
// made. Whoever looks next makes it.
func TestOfferThatWasLostBehindItsSlot(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]error{"refused": errDown, "reply lost": errLost} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 1}, func(t *testing.T, s *system) {
				all := s.ask(3)
				s.dispatch(s.offers(all[0]))
				s.dispatch(s.offers(all[1], all[2]))
				s.wake.taken()
				s.runStarted()
				failed := false
				s.store.fault = func(call string) error {
					if call == request.Offer.Name && !failed {
						failed = true
						return lost
					}
					return nil
				}
				s.about() // the slot of the first is handed on
				if holders := s.store.holders("acme"); !failed || !slices.Equal(holders, []string{all[1]}) {
					t.Fatalf("slots %v", holders)
				}
				again := s.wake.taken()
				if len(again) != 1 || again[0].delay != 5*time.Second {
					t.Fatalf("wakes %+v", again)
				}
				s.dispatch(sqs(again[0].Hint))
				for n := 1; n < 3; n++ {
					s.dispatch(s.offers(all[n]))
					if ran := s.runStarted(); !slices.Equal(ran, all[n:n+1]) {
						t.Fatalf("%v ran, want %s", ran, all[n])
					}
					s.about()
				}
			})
		})
	}
}

// An offer that is taken back by one dispatcher while another starts it leaves a
// request that waits with a slot: the processor that is refused gives it back.
func TestSlotOfAnOfferThatWasTakenBack(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 1}, func(t *testing.T, s *system) {
		all := s.ask(2)
		s.dispatch(s.offers(all[1])) // has the slot, and is parked by one that does not know
		started := s.start.taken()
		s.store.tenants.take("acme", 0, "somebody else")
		s.dispatch(s.offers(all[1]))
		s.store.tenants.take("acme", 0, all[1])
		if it := s.store.item(all[1]); it.Waiting != request.WaitsTenant || len(started) != 1 {
			t.Fatalf("%+v, started %+v", it, started)
		}
		s.wake.taken()
		if err := s.invoke(t.Context(), s.processor, started[0].Hint); err != nil {
			t.Fatal(err)
		}
		want := work.Hint{Key: all[1], Epoch: 0, Tenant: "acme"}
		if got := s.about(); !slices.Contains(got, want) {
			t.Fatalf("said %+v, want %+v", got, want)
		}
		s.dispatch(s.offers(all[1]))
		if ran := s.runStarted(); !slices.Equal(ran, all[1:]) {
			t.Errorf("%v ran", ran)
		}
	})
}

// A request that two dispatchers have started at once gives both slots back.
func TestTwoSlotsOfOneRequest(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), two(), func(t *testing.T, s *system) {
		all := s.ask(1)
		s.dispatch(s.offers(all...))
		s.store.tenants.take("acme", 0, all[0])
		s.store.tenants.take("acme", 1, all[0])
		s.runStarted()
		s.about()
		if got := s.store.holders("acme"); len(got) != 0 {
			t.Errorf("slots %v", got)
		}
	})
}

// take gives the slot to a holder, for its first epoch.
func (t *slotTable) take(tenant string, n int, holder string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots[tenant][n] = request.Slot{Number: n, Holder: holder, Until: time.Now().Add(time.Hour).Unix()}
}
