package dynamo_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/dynamo"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

func slots(t *testing.T, store *dynamo.Store, tenant string) []request.Slot {
	t.Helper()
	all, err := store.Slots(t.Context(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b request.Slot) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// TestTakeSlot: who gets a slot that has a holder.
func TestTakeSlot(t *testing.T) {
	t.Parallel()
	store, _ := database(t)
	now := time.Unix(5000, 0)
	held := request.Slot{Number: 3, Holder: "a/u/1", Epoch: 4, Until: 5600}
	another := request.Slot{Number: 3, Holder: "a/u/2", Epoch: 7, Until: 5900}
	tests := []struct {
		name      string
		was, slot request.Slot
		from      request.Slot
		want      bool
	}{
		{"free", request.Slot{}, another, request.Slot{}, true},
		{"somebody else's", held, another, request.Slot{}, false},
		{"past", request.Slot{Number: 3, Holder: "a/u/1", Epoch: 4, Until: 4999}, another, request.Slot{}, true},
		{"not quite past", request.Slot{Number: 3, Holder: "a/u/1", Epoch: 4, Until: 5000}, another, request.Slot{}, false},
		{"its own, again", held, held, request.Slot{}, true},
		{"its own, later", held, request.Slot{Number: 3, Holder: "a/u/1", Epoch: 5, Until: 5900}, request.Slot{}, true},
		{"its own, of a later start", held, request.Slot{Number: 3, Holder: "a/u/1", Epoch: 3, Until: 5900}, request.Slot{}, false},
		{"handed on", held, another, request.Slot{Holder: "a/u/1", Epoch: 5}, true},
		{"handed on, but taken again since", held, another, request.Slot{Holder: "a/u/1", Epoch: 3}, false},
		{"handed on by one who has it no more", held, another, request.Slot{Holder: "a/u/9", Epoch: 9}, false},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tenant := fmt.Sprint("t", i)
			var want []request.Slot
			if tt.was.Holder != "" {
				if ok, err := store.TakeSlot(t.Context(), tenant, tt.was, request.Slot{}, now); !ok || err != nil {
					t.Fatal(ok, err)
				}
				want = append(want, tt.was)
			}
			got, err := store.TakeSlot(t.Context(), tenant, tt.slot, tt.from, now)
			if got != tt.want || err != nil {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
			if tt.want {
				want = []request.Slot{tt.slot}
			}
			if all := slots(t, store, tenant); !reflect.DeepEqual(all, want) {
				t.Errorf("%+v, want %+v", all, want)
			}
		})
	}
}

func TestFreeSlot(t *testing.T) {
	t.Parallel()
	store, _ := database(t)
	held := request.Slot{Number: 0, Holder: "a/u/1", Epoch: 4, Until: 5600}
	if ok, err := store.TakeSlot(t.Context(), "t", held, request.Slot{}, time.Unix(5000, 0)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, wrong := range []request.Slot{{Holder: "a/u/2", Epoch: 9}, {Holder: "a/u/1", Epoch: 3}, {Number: 1, Holder: "a/u/1", Epoch: 9}} {
		if err := store.FreeSlot(t.Context(), "t", wrong); err != nil || len(slots(t, store, "t")) != 1 {
			t.Errorf("%+v freed it: %v", wrong, err)
		}
	}
	for range 2 { // the second finds nothing, which is no error
		if err := store.FreeSlot(t.Context(), "t", request.Slot{Holder: "a/u/1", Epoch: 5}); err != nil || len(slots(t, store, "t")) != 0 {
			t.Errorf("not freed: %v", err)
		}
	}
}

// However many want a slot at once, each has one holder, and tenants have
// nothing to do with each other.
func TestSlotsAreTakenOnce(t *testing.T) {
	t.Parallel()
	store, _ := database(t)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards got
	got := map[string]int{}
	for i := range 60 {
		tenant := []string{"-", "acme"}[i%2]
		wg.Go(func() {
			for n := range 5 {
				slot := request.Slot{Number: n, Holder: fmt.Sprint(tenant, "/u/", i), Until: time.Now().Add(time.Hour).Unix()}
				ok, err := store.TakeSlot(t.Context(), tenant, slot, request.Slot{}, time.Now())
				if err != nil {
					t.Error(err)
				}
				if ok {
					mu.Lock()
					got[tenant]++
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	if got["-"] != 5 || got["acme"] != 5 || len(slots(t, store, "-")) != 5 || len(slots(t, store, "acme")) != 5 {
		t.Errorf("%v were taken, want 5 of each", got)
	}
}
