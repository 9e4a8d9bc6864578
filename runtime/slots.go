package streamer

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
)

// slotStore is what the dispatcher needs of the tables where tenants are limited.
type slotStore interface {
	Slots(ctx context.Context, tenant string) ([]request.Slot, error)
	// TakeSlot returns false when somebody else has it; from may hand it on.
	TakeSlot(ctx context.Context, tenant string, slot, from request.Slot, now time.Time) (bool, error)
	FreeSlot(ctx context.Context, tenant string, slot request.Slot) error
	// Waiting lists the keys that wait for the tenant, the oldest first.
	Waiting(ctx context.Context, tenant string, most int) ([]string, error)
}

const (
	// slotLife is how long a slot is held that nobody gives back. What holds it is
	// offered again before 15 minutes are over while it waits for a processor, and
	// that lives 15 minutes at most.
	slotLife = 2*maxOfferBackoff + 2*time.Minute
	// parkWait is when what waits for its tenant is offered although nobody has
	// said that a slot is free. It doubles with every offer, up to maxParkWait: a
	// long queue must not be offered again and again, and any slot that is handed
	// on makes up for one that was not.
	parkWait    = 5 * time.Minute
	maxParkWait = time.Hour
	// parkCheck is when the dispatcher looks at a tenant again that something was
	// parked for: a slot may have been freed in between, and the index that says
	// who waits is behind the table by a moment.
	parkCheck = 5 * time.Second
	// handOnMost bounds what one message about a tenant has offered.
	handOnMost = 100
)

// gate decides what is started now. The zero value lets everything pass.
type gate struct {
	store slotStore
	// concurrency is how many requests of a tenant may be at work; 0: any number.
	concurrency int
	paused      bool
}

// batch is what one invocation of the dispatcher knows of the tenants: each is
// asked for once, and one that is found full is not asked for again.
type batch struct {
	*gate
	mu      sync.Mutex // guards tenants
	tenants map[string]*tenancy
}

// tenancy is one tenant in a batch.
type tenancy struct {
	mu     sync.Mutex // guards the rest
	asked  bool
	held   map[string]request.Slot // by holder
	free   []int
	parked int
}

func (g *gate) batch() *batch { return &batch{gate: g, tenants: map[string]*tenancy{}} }

func (b *batch) tenant(name string) *tenancy {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tenants[name]
	if t == nil {
		t = &tenancy{}
		b.tenants[name] = t
	}
	return t
}

// living are the slots that somebody has, by holder, and free the numbers that
// can be taken, in any order. A limit that was lowered leaves slots above it.
func (g *gate) living(all []request.Slot, now time.Time) (held map[string]request.Slot, free []int) {
	held = make(map[string]request.Slot, len(all))
	taken := map[int]bool{}
	for _, s := range all {
		if s.Until >= now.Unix() {
			held[s.Holder], taken[s.Number] = s, true
		}
	}
	for n := range g.concurrency {
		if !taken[n] {
			free = append(free, n)
		}
	}
	free = free[:max(0, min(len(free), g.concurrency-len(taken)))]
	// At random, so that dispatchers that run at once seldom want the same.
	rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	return held, free
}

// take gets the offered request one of its tenant's slots, its own where it has
// one; false when there is none.
func (b *batch) take(ctx context.Context, h work.Hint) (bool, error) {
	name := keys.Tenant(h.Key)
	t := b.tenant(name)
	for {
		slot, ok, err := t.choose(ctx, b, name, h)
		if err != nil || !ok {
			return false, err
		}
		// A late hint, whose claim will be refused; or the slot was just given to it.
		if slot.Epoch > h.Epoch || slot.Epoch == h.Epoch && slot.Until > time.Now().Add(slotLife-time.Minute).Unix() {
			return true, nil
		}
		slot.Epoch, slot.Until = h.Epoch, time.Now().Add(slotLife).Unix()
		ok, err = b.store.TakeSlot(ctx, name, slot, request.Slot{}, time.Now())
		if ok || err != nil {
			return ok, err
		}
		t.mu.Lock()
		delete(t.held, h.Key) // somebody else was faster
		t.mu.Unlock()
	}
}

// choose notes a slot for the request before anybody writes it, so that the
// batch uses each once.
func (t *tenancy) choose(ctx context.Context, b *batch, name string, h work.Hint) (request.Slot, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.asked {
		all, err := b.store.Slots(ctx, name)
		if err != nil {
			return request.Slot{}, false, err
		}
		t.asked = true
		t.held, t.free = b.living(all, time.Now())
	}
	if own, ok := t.held[h.Key]; ok {
		return own, true, nil
	}
	if len(t.free) == 0 {
		return request.Slot{}, false, nil
	}
	slot := request.Slot{Number: t.free[0], Holder: h.Key, Epoch: h.Epoch}
	t.free = t.free[1:]
	t.held[h.Key] = slot
	return slot, true, nil
}

// admit says whether an offered request may be started now, and gives it what
// it needs for that. What may not is parked.
func (d *dispatcher) admit(ctx context.Context, b *batch, o *offer) (bool, error) {
	switch {
	case b.paused:
		return false, d.park(ctx, o, request.WaitsPaused)
	case b.concurrency == 0:
		return true, nil
	}
	ok, err := b.take(ctx, o.Hint)
	if ok || err != nil {
		o.Slot = ok
		return ok, err
	}
	t := b.tenant(keys.Tenant(o.Key))
	t.mu.Lock()
	t.parked++
	t.mu.Unlock()
	return false, d.park(ctx, o, request.WaitsTenant)
}

// offer is a request that is to be started.
type offer struct {
	work.Hint
	createdAt, offers int64
}

// park takes the offer back. What waits for its tenant is offered when somebody
// hands a slot on; what was paused, by the first sweep that may.
func (d *dispatcher) park(ctx context.Context, o *offer, why string) error {
	at := time.Now()
	if why == request.WaitsTenant {
		wait := min(parkWait<<min(o.offers, 8), maxParkWait)
		at = at.Add(wait - rand.N(wait/3)) // what came at once is not to come back at once
	}
	due := at.UnixMilli()
	if o.Deadline > 0 {
		due = min(due, o.Deadline)
	}
	_, err := d.store.Do(ctx, request.Park, o.Key, request.Attrs{
		request.PEpoch: o.Epoch, c.AttrRunAt: at.UnixMilli(), c.AttrDueAt: due,
		c.AttrWaiting: why, c.AttrLane: keys.Waiting(keys.Tenant(o.Key)), c.AttrLaneAt: o.createdAt,
	})
	return err
}

// checkLater ends a batch: the tenants for which something was parked are looked
// at again a moment later.
func (d *dispatcher) checkLater(ctx context.Context, b *batch) {
	for name, t := range b.tenants {
		if t.parked == 0 {
			continue
		}
		d.log.Info("tenant has what it may have", "tenant", name, "parked", t.parked)
		if err := d.wake.Wake(ctx, work.Hint{Tenant: name}, parkCheck); err != nil {
			d.log.Warn("wake", "tenant", name, "error", err.Error()) // the sweep offers it
		}
	}
}

// handsOn works off a message about a tenant, or what amounts to one.
func (d *dispatcher) handsOn(ctx context.Context, h work.Hint) {
	if err := d.freed(ctx, h.Tenant, h.Key, h.Epoch); err != nil {
		d.log.Warn("hand slot on", "tenant", h.Tenant, "request", h.Key, "error", err.Error())
		if errors.Is(err, request.ErrRefused) {
			return // it expires
		}
		if err := d.wake.Wake(ctx, h, startRetry); err != nil {
			d.log.Warn("wake", "tenant", h.Tenant, "error", err.Error()) // it expires
		}
	}
}

// freed hands on the slots that a request needs for no epoch up to that one any
// more, to what has waited longest, and whatever else is free. A message alone
// may name no request. Handing on is one write: nobody comes in between, so that
// newcomers do not pass by what waits. It can be repeated.
func (d *dispatcher) freed(ctx context.Context, tenant, key string, epoch int64) error {
	g := &d.gate
	if g.concurrency == 0 {
		return nil
	}
	all, err := g.store.Slots(ctx, tenant)
	if err != nil {
		return err
	}
	var back []request.Slot // more than one where two dispatchers started it at once
	all = slices.DeleteFunc(all, func(s request.Slot) bool {
		over := s.Holder == key && key != "" && s.Epoch <= epoch
		if over {
			back = append(back, s)
		}
		return over
	})
	held, free := g.living(all, time.Now())
	left := free
	if !g.paused {
		left, err = d.handOn(ctx, tenant, held, free, request.Slot{Holder: key, Epoch: epoch})
	}
	if err != nil { // it is repeated: until then no newcomer is to pass
		return err
	}
	for _, s := range back {
		if slices.Contains(free, s.Number) && !slices.Contains(left, s.Number) {
			continue // somebody has it
		}
		s.Epoch = epoch
		err = errors.Join(err, g.store.FreeSlot(ctx, tenant, s))
	}
	return err
}

// handOn offers as much of what waits as there are slots, the oldest first, and
// returns the slots that are left. What waits although it has a slot, because its
// offer was lost between the two writes, comes before all else.
func (d *dispatcher) handOn(ctx context.Context, tenant string, held map[string]request.Slot, free []int, from request.Slot) ([]int, error) {
	waiting, err := d.gate.store.Waiting(ctx, tenant, handOnMost)
	if err != nil {
		return free, err
	}
	more, handed := len(waiting) == handOnMost, false
	var mu sync.Mutex // guards err
	resume := func(key string, number int, from request.Slot) (used bool) {
		used, problem := d.resume(ctx, tenant, key, number, from)
		mu.Lock()
		defer mu.Unlock()
		err = errors.Join(err, problem)
		return used
	}
	waiting = slices.DeleteFunc(waiting, func(key string) bool {
		s, own := held[key]
		if own {
			resume(key, s.Number, request.Slot{})
		}
		return own
	})
	for len(free) > 0 && len(waiting) > 0 {
		n := min(len(free), len(waiting))
		used := make([]bool, n)
		each(used, func(i int) { used[i] = resume(waiting[i], free[i], from) })
		var left []int
		for i, u := range used {
			if handed = handed || u; !u {
				left = append(left, free[i])
			}
		}
		free, waiting = slices.Concat(left, free[n:]), waiting[n:]
	}
	if more && len(free) > 0 {
		delay := parkCheck // what does not wait any more is the sweep's: leave it the time
		if handed {
			delay = 0
		}
		if err := d.wake.Wake(ctx, work.Hint{Tenant: tenant}, delay); err != nil {
			d.log.Warn("wake", "tenant", tenant, "error", err.Error())
		}
	}
	return free, err
}

// resume gives a waiting request the slot and offers it. It returns false when
// the request does not wait any more, and the slot is still there. After an error
// the slot may be the request's: whoever looks next finds it waiting with one.
func (d *dispatcher) resume(ctx context.Context, tenant, key string, number int, from request.Slot) (used bool, err error) {
	it, found, err := d.store.Get(ctx, key)
	if err != nil {
		return false, err
	}
	now := time.Now()
	it.RunAt = min(it.RunAt, now.UnixMilli())
	// What is to end is the sweep's.
	if next, _ := request.Advance(it, now); !found || next != request.Again || it.Waiting == "" {
		return false, nil
	}
	slot := request.Slot{Number: number, Holder: key, Epoch: it.Epoch, Until: now.Add(slotLife).Unix()}
	taken, err := d.gate.store.TakeSlot(ctx, tenant, slot, from, now)
	if err != nil || !taken {
		return true, err
	}
	out, err := d.store.Do(ctx, request.Offer, key, request.Attrs{
		request.PEpoch: it.Epoch, request.PBeat: it.Beat, c.AttrDueAt: offerDue(it, now).UnixMilli(),
	})
	if err != nil || out.OK {
		return true, err
	}
	// It was offered meanwhile, or has ended.
	err = d.gate.store.FreeSlot(ctx, tenant, slot)
	return err != nil, err
}

// release says that a request needs its slot for no epoch up to that one any
// more. When the message is lost, the slot is free when it expires.
func (p *processor) release(ctx context.Context, key string, epoch int64) {
	if err := p.wake.Wake(ctx, work.Hint{Key: key, Epoch: epoch, Tenant: keys.Tenant(key)}, 0); err != nil {
		p.log.Warn("release slot", "request", key, "error", err.Error())
	}
}

// over says that nobody will work on what was offered at that epoch any more.
func over(it request.Item, epoch int64) bool {
	return it.State == "" || it.State.Terminal() || it.Epoch > epoch+1
}

// whole reads a number of a stream record; 0 when it is none.
func whole(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }
