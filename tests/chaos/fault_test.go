package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
)

// fault is something that goes wrong at a time, for a time.
type fault struct {
	faultKind
	at    time.Duration
	lasts time.Duration
	dice  uint64
}

// faultKind is a kind of fault. do says what it has met, "" for nothing; it
// returns when it is over.
type faultKind struct {
	name    string
	longest time.Duration
	rare    bool // it ends what the others have begun
	do      func(ctx context.Context, w *world, f *fault, r *rand.Rand) string
}

// faults repeat what is to come more often than others.
var faults = []faultKind{
	{name: "kill a processor", do: kill(contract.RoleProcessor)},
	{name: "kill a processor at work", do: killAtWork},
	{name: "kill a processor at work", do: killAtWork},
	{name: "kill a dispatcher", do: kill(contract.RoleDispatcher)},
	{name: "kill a router", do: kill(contract.RoleRouter)},
	{name: "kill a connect", do: kill(contract.RoleConnect)},
	{name: "kill everything", rare: true, do: killAll},
	{name: "freeze a processor at work", longest: 8 * time.Second, do: freeze},
	{name: "freeze a processor at work", longest: 8 * time.Second, do: freeze},
	{name: "freeze a processor at work", longest: 8 * time.Second, do: freeze},
	{name: "freeze a processor at work", longest: 8 * time.Second, do: freeze},
	{name: "full disk", longest: 2 * time.Second, do: fillDisk},
	{name: "slow services", longest: 3 * time.Second, do: during(services, weather{slow: 1})},
	{name: "services cut connections", longest: 2 * time.Second, do: during(services, weather{cutting: 1})},
	{name: "dead services", longest: 4 * time.Second, do: during(services, weather{dead: 1})},
	{name: "slow API", longest: 2 * time.Second, do: during(callback, weather{slow: 1})},
	{name: "API cuts connections", longest: 1500 * time.Millisecond, do: during(callback, weather{cutting: 1})},
	{name: "cut a client", do: cutOne},
	{name: "cut a client", do: cutOne},
	{name: "cut all clients", do: func(_ context.Context, w *world, _ *fault, _ *rand.Rand) string { return w.cutAll() }},
	{name: "hints", do: hints},
}

// kill ends one instance of a role, whatever it is doing.
func kill(role contract.Role) func(context.Context, *world, *fault, *rand.Rand) string {
	return func(_ context.Context, w *world, _ *fault, r *rand.Rand) string {
		pids := slices.DeleteFunc(w.processes(role), w.isFrozen)
		if len(pids) == 0 {
			return ""
		}
		pid := pids[r.IntN(len(pids))]
		if !signal(pid, syscall.SIGKILL) {
			return ""
		}
		w.kills.Add(1)
		return fmt.Sprintf("pid %d", pid)
	}
}

// killAll spares the frozen: to die is not to wake up.
func killAll(_ context.Context, w *world, _ *fault, _ *rand.Rand) string {
	n := 0
	for _, pid := range slices.DeleteFunc(w.processes(""), w.isFrozen) {
		if signal(pid, syscall.SIGKILL) {
			n++
		}
	}
	w.kills.Add(int64(n))
	return fmt.Sprintf("%d processes", n)
}

// killAtWork ends a processor whose handler runs.
func killAtWork(_ context.Context, w *world, _ *fault, r *rand.Rand) string {
	n, ok := w.atWork(r, func(string) bool { return true })
	if !ok || w.isFrozen(n.PID) || !signal(n.PID, syscall.SIGKILL) {
		return ""
	}
	w.kills.Add(1)
	return fmt.Sprintf("pid %d, at work on %s", n.PID, n.Request)
}

// freeze stops a processor whose handler runs, for longer than its lease. The
// request is pointed at meanwhile, so that another takes it; then the first one
// wakes up and goes on as if nothing had been.
func freeze(ctx context.Context, w *world, f *fault, r *rand.Rand) string {
	n, ok := w.atWork(r, w.talkative)
	for try := 0; !ok && try < 20 && w.rest(ctx, 150*time.Millisecond); try++ {
		n, ok = w.atWork(r, w.talkative)
	}
	if !ok {
		n, ok = w.atWork(r, func(string) bool { return true })
	}
	if !ok || w.isFrozen(n.PID) || !signal(n.PID, syscall.SIGSTOP) {
		return ""
	}
	w.stopped.Store(n.PID, true)
	defer w.stopped.Delete(n.PID)
	w.frozen.Add(1)
	said, robbed := w.rob(ctx, n.Request, f.lasts)
	if signal(n.PID, syscall.SIGCONT) && robbed {
		w.robbed.Add(1)
	} else {
		said += ", but was not robbed, or was dead by then"
	}
	return fmt.Sprintf("pid %d, at work on %s, %s", n.PID, n.Request, said)
}

// talkative are requests whose handlers do not look at their context: they have
// the most to say after they have lost them.
func (w *world) talkative(request string) bool {
	ask := w.planned[request].ask
	return ask.Deaf && ask.Steps*ask.Pace > 1000
}

// rob has a request given to another owner, if that can be done in time.
func (w *world) rob(ctx context.Context, request string, within time.Duration) (said string, done bool) {
	key := w.planned[request].key()
	before, _, _ := w.item(ctx, key) // of no use when it fails
	said = fmt.Sprintf("which had epoch %d", before.epoch)
	w.rest(ctx, lease+lease/2)
	thaw := time.NewTimer(within)
	defer thaw.Stop()
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	for {
		_ = w.hint(ctx, key) // or the next one
		select {
		case <-again.C:
			if now, _, err := w.item(ctx, key); err == nil && now.epoch > before.epoch {
				return said + fmt.Sprintf("; woke up at epoch %d", now.epoch), true
			}
		case <-thaw.C:
			return said, false
		case <-ctx.Done():
			return said, false
		}
	}
}

func fillDisk(ctx context.Context, w *world, f *fault, _ *rand.Rand) string {
	w.filling.Lock()
	defer w.filling.Unlock()
	if err := w.fill(true); err != nil {
		w.violate("", "fill the disk: %v", err)
		return ""
	}
	w.rest(ctx, f.lasts)
	if err := w.fill(false); err != nil {
		w.violate("", "empty the disk: %v", err)
	}
	return "for " + f.lasts.Round(time.Millisecond).String()
}

func services(w *world) *proxy { return w.services }
func callback(w *world) *proxy { return w.callback }

func during(of func(*world) *proxy, change weather) func(context.Context, *world, *fault, *rand.Rand) string {
	return func(ctx context.Context, w *world, f *fault, _ *rand.Rand) string {
		p := of(w)
		p.change(change)
		defer p.change(weather{-change.slow, -change.cutting, -change.dead})
		w.rest(ctx, f.lasts)
		return "for " + f.lasts.Round(time.Millisecond).String()
	}
}

func cutOne(_ context.Context, w *world, _ *fault, r *rand.Rand) string {
	c := w.clients[r.IntN(len(w.clients))]
	n := c.line.cut()
	w.cuts.Add(int64(n))
	return fmt.Sprintf("%s, %d sockets", c.name, n)
}

func (w *world) cutAll() string {
	n := 0
	for _, c := range w.clients {
		n += c.line.cut()
	}
	w.cuts.Add(int64(n))
	return fmt.Sprintf("%d sockets", n)
}

// hints points at all that is open.
func hints(ctx context.Context, w *world, _ *fault, _ *rand.Rand) string {
	keys, err := w.open(ctx)
	for _, key := range keys {
		if err == nil {
			err = w.hint(ctx, key)
		}
	}
	if err != nil && ctx.Err() == nil {
		w.violate("", "send hints: %v", err)
	}
	return fmt.Sprintf("of %d requests", len(keys))
}

// isFrozen says whether a process is left alone by those that kill one.
func (w *world) isFrozen(pid int) bool {
	_, ok := w.stopped.Load(pid)
	return ok
}

// counts of what faults have met.
type counts struct {
	kills, cuts, gaveUp atomic.Int64
	frozen, robbed      atomic.Int64 // processors; of them, those that woke up and had lost their request
	stopped             sync.Map     // processes that are frozen
	filling             sync.Mutex   // held while the disk is full
}
