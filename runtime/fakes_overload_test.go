package streamer_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// slotTable is what the table of connections holds of tenants.
type slotTable struct {
	mu     sync.Mutex
	slots  map[string]map[int]request.Slot // by tenant and number
	counts map[string]int64                // by tenant and window
	calls  []string                        // in order
}

// called notes a call, and says whether it is to fail.
func (m *memory) called(call string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.tenants
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slots == nil {
		t.slots, t.counts = map[string]map[int]request.Slot{}, map[string]int64{}
	}
	t.calls = append(t.calls, call)
	return m.failing(strings.Fields(call)[0])
}

func (t *slotTable) count(call string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(t.calls), func(s string) bool { return !strings.HasPrefix(s, call) }))
}

// holders lists who has the slots of a tenant that are not past.
func (m *memory) holders(tenant string) (all []string) {
	t := &m.tenants
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.slots[tenant] {
		if s.Until >= time.Now().Unix() {
			all = append(all, s.Holder)
		}
	}
	slices.Sort(all)
	return all
}

func (m *memory) Slots(_ context.Context, tenant string) ([]request.Slot, error) {
	t := &m.tenants
	if err := m.called("slots " + tenant); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.slots[tenant])), nil
}

func (m *memory) TakeSlot(_ context.Context, tenant string, slot, from request.Slot, now time.Time) (bool, error) {
	t := &m.tenants
	if err := m.called(fmt.Sprintf("take %s %s", tenant, slot.Holder)); err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	was, there := t.slots[tenant][slot.Number]
	by := func(s request.Slot) bool { return was.Holder == s.Holder && was.Epoch <= s.Epoch }
	if there && was.Until >= now.Unix() && !by(slot) && !by(from) {
		return false, nil
	}
	if t.slots[tenant] == nil {
		t.slots[tenant] = map[int]request.Slot{}
	}
	t.slots[tenant][slot.Number] = slot
	return true, nil
}

func (m *memory) FreeSlot(_ context.Context, tenant string, slot request.Slot) error {
	t := &m.tenants
	if err := m.called("free " + tenant); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if was := t.slots[tenant][slot.Number]; was.Holder == slot.Holder && was.Epoch <= slot.Epoch {
		delete(t.slots[tenant], slot.Number)
	}
	return nil
}

func (m *memory) Waiting(_ context.Context, tenant string, most int) ([]string, error) {
	if err := m.called("waiting " + tenant); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []request.Item
	for _, a := range m.items {
		if a[c.AttrLane] == keys.Waiting(tenant) {
			found = append(found, request.Decode(a))
		}
	}
	slices.SortFunc(found, func(a, b request.Item) int {
		return cmp.Or(cmp.Compare(a.LaneAt, b.LaneAt), cmp.Compare(a.Key, b.Key))
	})
	var all []string
	for _, it := range found[:min(most, len(found))] {
		all = append(all, it.Key)
	}
	return all, nil
}

func (m *memory) Open(_ context.Context, tenant, user string, most int) (n int, err error) {
	if err := m.called("open " + tenant + " " + user); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.items {
		at, _ := a[c.AttrOpenAt].(string)
		if a[c.AttrOpen] == tenant && at != "" && (user == "" || strings.HasPrefix(at, keys.OpenOf(user))) && n < most {
			n++
		}
	}
	return n, nil
}

func (m *memory) CountMessage(_ context.Context, tenant string, start, expires, most int64) (bool, error) {
	t := &m.tenants
	if err := m.called("count " + tenant); err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if expires <= start {
		return false, fmt.Errorf("count message: it would have expired")
	}
	window := fmt.Sprint(tenant, " ", start)
	if t.counts[window] >= most {
		return false, nil
	}
	t.counts[window]++
	return true, nil
}
