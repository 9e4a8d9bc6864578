package streamer_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/boot"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// offers is the event of the stream for those requests, as they are now.
func (s *system) offers(all ...string) string {
	var images []string
	for _, key := range all {
		it := s.store.item(key)
		images = append(images, fmt.Sprintf(`{"pk":{"S":%q},"epoch":{"N":"%d"},"start":{"N":"%d"},"created_at":{"N":"%d"},"deadline":{"N":"%d"},"offers":{"N":"%d"}}`,
			key, it.Epoch, it.Start, it.CreatedAt, it.Deadline, it.Offers))
	}
	return stream(images...)
}

// taken takes what was started since the last time.
func (h *hints) taken() []hint {
	all := h.all()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = nil
	return all
}

// runStarted runs what was started, one after another.
func (s *system) runStarted() (ran []string) {
	s.t.Helper()
	for _, h := range s.start.taken() {
		if err := s.invoke(s.t.Context(), s.processor, h.Hint); err != nil {
			s.t.Fatal(err)
		}
		ran = append(ran, h.Key)
	}
	return ran
}

// about are the messages about tenants that were sent since the last time; they
// are handed to the dispatcher.
func (s *system) about() (sent []work.Hint) {
	s.t.Helper()
	for _, h := range s.wake.taken() {
		if h.Tenant != "" {
			sent = append(sent, h.Hint)
			s.dispatch(sqs(h.Hint))
		}
	}
	return sent
}

// ask has requests of alice's tenant accepted, one a second.
func (s *system) ask(n int) (all []string) {
	for i := range n {
		all = append(all, s.accept(fmt.Sprintf("r%d", i), "task", `{}`))
		<-time.After(time.Second)
	}
	return all
}

func keysOf(all []hint) (out []string) {
	for _, h := range all {
		out = append(out, h.Key)
	}
	return out
}

func two() boot.Limits { return boot.Limits{TenantConcurrency: 2} }

func TestTenantWaitsForItsSlots(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), two(), func(t *testing.T, s *system) {
		all := s.ask(5)
		if got := s.demands(eve, "e1"); got != wire.TypeAcknowledgment {
			t.Fatal(got)
		}
		other := keys.Request("other", "alice", "e1")
		began := time.Now()
		s.dispatch(s.offers(append(slices.Clone(all), other)...))
		started := s.start.taken()
		if len(started) != 3 || !slices.Contains(keysOf(started), other) {
			t.Fatalf("started %+v, want two of acme's and %s", started, other)
		}
		for _, h := range started {
			if !h.Slot || h.Deadline == 0 {
				t.Errorf("%+v says nothing of its slot", h)
			}
		}
		if n := s.store.tenants.count("slots acme"); n != 1 {
			t.Errorf("asked %d times for the slots of one tenant", n)
		}
		parked := 0
		for _, key := range all {
			it := s.store.item(key)
			if it.Waiting == "" {
				continue
			}
			parked++
			wait := time.UnixMilli(it.RunAt).Sub(began)
			if it.State != request.Pending || it.Start != -1 || it.Waiting != request.WaitsTenant || it.LaneAt != it.CreatedAt ||
				wait < 3*time.Minute || wait > 5*time.Minute+time.Second || it.DueAt != it.RunAt {
				t.Errorf("%s waits %s: %+v", key, wait, it)
			}
		}
		if parked != 3 || len(s.store.holders("acme")) != 2 || len(s.store.holders("other")) != 1 {
			t.Errorf("%d parked, slots %v", parked, s.store.holders("acme"))
		}
		want := []hint{{work.Hint{Tenant: "acme"}, 5 * time.Second}}
		if got := s.wake.all(); !reflect.DeepEqual(got, want) {
			t.Errorf("wakes %+v, want %+v", got, want)
		}
		s.dispatch(sqs(want[0].Hint)) // nothing is free
		if n := len(s.start.taken()); n != 0 {
			t.Errorf("%d", n)
		}
	})
}

// What waits is next in the order in which it came, and a newcomer waits behind.
func TestSlotIsHandedOn(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 1}, func(t *testing.T, s *system) {
		all := s.ask(4)
		s.dispatch(s.offers(all[0]))
		s.dispatch(s.offers(all[3], all[1], all[2])) // in any order
		s.wake.taken()
		for i, key := range all {
			if ran := s.runStarted(); !reflect.DeepEqual(ran, []string{key}) {
				t.Fatalf("%v ran, want %s", ran, key)
			}
			if it := s.store.item(key); it.State != request.Succeeded {
				t.Fatalf("%+v", it)
			}
			if i == 1 { // comes while the slot is on its way
				late := s.accept("late", "task", `{}`)
				s.dispatch(s.offers(late))
				if n := len(s.start.taken()); n != 0 || s.store.item(late).Waiting != request.WaitsTenant {
					t.Error("the newcomer has passed by what waits")
				}
				all = append(all, late)
			}
			if i == 3 {
				break
			}
			want := work.Hint{Key: key, Epoch: 1, Tenant: "acme"}
			if got := s.about(); !slices.Contains(got, want) {
				t.Fatalf("said %+v, want %+v", got, want)
			}
			next := all[i+1]
			if it := s.store.item(next); it.Start != it.Epoch || it.Waiting != "" || it.Offers != 1 {
				t.Errorf("%s was not offered: %+v", next, it)
			}
			if got := s.store.holders("acme"); !reflect.DeepEqual(got, []string{next}) {
				t.Errorf("the slot has %v, want %s", got, next)
			}
			takes := s.store.tenants.count("take")
			s.dispatch(s.offers(next))
			if n := s.store.tenants.count("take") - takes; n != 0 {
				t.Errorf("the slot it was just given was taken %d times again", n)
			}
		}
	})
}

func TestLastSlotIsGivenBack(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), two(), func(t *testing.T, s *system) {
		all := s.ask(1)
		s.dispatch(s.offers(all...))
		s.runStarted()
		s.about()
		if got := s.store.holders("acme"); len(got) != 0 {
			t.Errorf("slots %v", got)
		}
		// Doubled and late hints take one, and give it back.
		s.dispatch(stream(image(all[0], 0, 0)))
		s.runStarted()
		if got := s.about(); len(got) != 1 {
			t.Errorf("said %+v", got)
		}
		if got := s.store.holders("acme"); len(got) != 0 {
			t.Errorf("slots %v after a late hint", got)
		}
	})
}

// A slot that nobody gives back is free half an hour later, and what waits is
// offered without being told.
func TestSlotExpires(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 1}, func(t *testing.T, s *system) {
		all := s.ask(2)
		s.dispatch(s.offers(all...))
		first := s.start.taken()[0].Key
		s.claims(first, 0)
		s.does(request.End, first, request.Attrs{request.PEpoch: int64(1), request.PNext: int64(2), request.PState: "SUCCEEDED", c.AttrExpires: int64(1), c.AttrBy: "x"})
		s.wake.taken() // lost, all of them
		began := time.Now()
		for len(s.start.all()) == 0 && time.Since(began) < 3*time.Hour {
			<-time.After(time.Minute)
			s.dispatch(c.SweepEvent)
			for _, key := range all {
				if it := s.store.item(key); it.State == request.Pending && it.Start == it.Epoch {
					s.dispatch(s.offers(key))
				}
			}
			s.wake.taken()
		}
		if took := time.Since(began); took < 30*time.Minute || took > 80*time.Minute {
			t.Errorf("started after %s", took)
		}
	})
}

// A limit that was lowered is kept to as slots come free, not by force.
func TestLimitIsLowered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var parts streamer.Parts
		s := newSystem(t, handlers(), func(p *streamer.Parts) { p.Limits.TenantConcurrency = 4; parts = *p })
		all := s.ask(6)
		s.dispatch(s.offers(all...))
		parts.Limits.TenantConcurrency = 2
		s.dispatcher = streamer.NewDispatcher(parts)
		atWork := s.start.taken()
		s.wake.taken()
		for i, left := range []int{3, 2, 2, 2, 1, 0} {
			s.runs(atWork[i].Hint)
			s.about()
			if got := s.store.holders("acme"); len(got) != left {
				t.Errorf("after %d have ended, %d slots are held, want %d", i+1, len(got), left)
			}
			for _, key := range all {
				if it := s.store.item(key); it.State == request.Pending && it.Start == it.Epoch {
					s.dispatch(s.offers(key))
				}
			}
			for _, h := range s.start.taken() {
				if !slices.Contains(keysOf(atWork), h.Key) {
					atWork = append(atWork, h)
				}
			}
		}
		for _, key := range all {
			if st := s.store.item(key).State; st != request.Succeeded {
				t.Errorf("%s is %s", key, st)
			}
		}
	})
}

// A slot that is freed while a request is being parked, so that neither sees the
// other, is found a moment later.
func TestParkedBehindAFreeSlot(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 1}, func(t *testing.T, s *system) {
		all := s.ask(2)
		s.dispatch(s.offers(all[0]))
		s.runStarted()
		freed := s.wake.taken() // under way
		s.dispatch(s.offers(all[1]))
		later := s.wake.taken()
		if len(freed) != 1 || len(later) != 1 || later[0] != (hint{work.Hint{Tenant: "acme"}, 5 * time.Second}) {
			t.Fatalf("%+v, %+v", freed, later)
		}
		s.store.edit(all[1], func(a request.Attrs) { delete(a, c.AttrLane) }) // the index is behind
		s.dispatch(sqs(freed[0].Hint))
		if len(s.store.holders("acme")) != 0 || s.store.item(all[1]).Start >= 0 {
			t.Fatal("what the index does not show was offered")
		}
		s.store.edit(all[1], func(a request.Attrs) { a[c.AttrLane] = keys.Waiting("acme") })
		s.dispatch(sqs(later[0].Hint))
		if it := s.store.item(all[1]); it.Start != it.Epoch || len(s.store.holders("acme")) != 1 {
			t.Errorf("%+v", it)
		}
	})
}

// Records of the stream may be doubled: in one batch, too, a request has one slot.
func TestDoubledRecordsShareASlot(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 5}, func(t *testing.T, s *system) {
		key := s.ask(1)[0]
		s.dispatch(s.offers(key, key, key))
		if got := s.store.holders("acme"); len(got) != 1 {
			t.Errorf("slots %v", got)
		}
	})
}

// The index may still show what does not wait any more, such as the next attempt
// of a request: it keeps its time, and the slot is another's.
func TestIndexIsBehind(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 1}, func(t *testing.T, s *system) {
		all := s.ask(4)
		s.dispatch(s.offers(all[0]))
		s.dispatch(s.offers(all[1:]...))
		s.store.edit(all[1], func(a request.Attrs) { delete(a, c.AttrWaiting) })
		s.store.edit(all[2], func(a request.Attrs) { a[c.AttrState] = "CANCELLED" })
		s.runStarted()
		s.about()
		if got := s.store.holders("acme"); !reflect.DeepEqual(got, all[3:]) || s.store.item(all[1]).Start >= 0 {
			t.Errorf("slots %v, want %v", got, all[3:])
		}
	})
}

// Many slots come free at once: one message has a hundred offered, and says so.
func TestManyAreHandedOn(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{TenantConcurrency: 150}, func(t *testing.T, s *system) {
		for i := range 130 {
			key := s.accept(fmt.Sprintf("r%03d", i), "task", `{}`)
			s.does(request.Park, key, request.Attrs{
				request.PEpoch: int64(0), c.AttrRunAt: time.Now().Add(time.Hour).UnixMilli(), c.AttrDueAt: time.Now().Add(time.Hour).UnixMilli(),
				c.AttrWaiting: request.WaitsTenant, c.AttrLane: keys.Waiting("acme"), c.AttrLaneAt: int64(i),
			})
		}
		s.dispatch(sqs(work.Hint{Tenant: "acme"}))
		if got := len(s.store.holders("acme")); got != 100 {
			t.Errorf("%d were offered, want 100", got)
		}
		if got := s.about(); !reflect.DeepEqual(got, []work.Hint{{Tenant: "acme"}}) {
			t.Errorf("said %+v", got)
		}
		if got := len(s.store.holders("acme")); got != 130 {
			t.Errorf("%d were offered, want all", got)
		}
	})
}
