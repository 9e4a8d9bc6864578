package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud"
	streamer "github.com/streamer-go/streamer/runtime"
)

// instance is one execution environment of a function.
type instance struct {
	world *world
	role  string
	id    string
	env   map[string]string
	ended chan struct{} // closed when it was killed

	mu      sync.Mutex    // guards the fields below
	skew    time.Duration // of its clock while it is working
	working *invocation
	killed  bool
	until   time.Time            // Lambda ends the invocation
	tried   map[string]time.Time // when the last try of a call ended, by the SDK's id
}

// invocation is one event in the hands of an instance.
type invocation struct {
	role, name  string
	ended, lost bool      // returned; or its instance died with it
	failed      bool      // returned an error
	until       time.Time // when it returned
}

// start is localcloud.Config.Funcs.
func (w *world) start(in localcloud.Instance) (func(context.Context, []byte) ([]byte, error), error) {
	i := &instance{
		world: w, role: in.Env[contract.EnvRole], id: in.ID, env: in.Env, ended: make(chan struct{}), tried: map[string]time.Time{},
	}
	if i.role == "" {
		return nil, fmt.Errorf("function %s has no role", in.Function)
	}
	w.mu.Lock()
	w.names[i.role] = in.Function
	w.mu.Unlock()
	host := streamer.Host{
		Getenv:    func(name string) string { return in.Env[name] },
		Transport: &transport{instance: i, base: in.HTTP.Transport},
		Log:       &journal{i},
	}
	handler, err := w.handler(i.role, host)
	if err != nil {
		return nil, err
	}
	before := handler
	if _, ok := w.plan.updates[i.role]; ok {
		if before, err = w.app(false).Handler(host); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		if w.since() < w.plan.updates[i.role] {
			return i.invoke(ctx, before, payload)
		}
		return i.invoke(ctx, handler, payload)
	}, nil
}

func (w *world) handler(role string, host streamer.Host) (lambda.Handler, error) {
	switch contract.Role(role) {
	case contract.RoleConnect:
		return streamer.ConnectHandler(host)
	case contract.RoleDispatcher:
		return streamer.DispatcherHandler(host)
	default:
		return w.app(true).Handler(host)
	}
}

// invoke hands one event to the handler, if it gets there.
func (i *instance) invoke(ctx context.Context, h lambda.Handler, payload []byte) ([]byte, error) {
	w := i.world
	<-w.ready
	payload, name, f := w.receive(i, payload)
	if payload == nil {
		return nil, nil
	}
	inv := &invocation{role: i.role, name: name}
	i.mu.Lock()
	i.working = inv
	i.until, _ = ctx.Deadline()
	if i.skew = 0; w.plan.skew > 0 {
		i.skew = w.dice.between("clock "+w.ordinal(i.role+" "+name), -w.plan.skew, w.plan.skew)
	}
	i.mu.Unlock()
	w.mu.Lock()
	w.invocations = append(w.invocations, inv)
	w.mu.Unlock()
	// What Lambda ends, at its deadline or with the instance, makes no call more.
	unwatch := context.AfterFunc(ctx, func() { i.end(inv) })
	defer unwatch()
	if f == stuck {
		// Not at once: what Lambda tries again after a minute would come with the
		// schedule's next event.
		w.instant(w.ordinal("death by " + name))
		w.story.tell(i.role, "", "dies as it begins: %s", name)
		w.cloud.Kill(i.id)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	out, err := h.Invoke(withInvocation(ctx, inv), payload)
	i.mu.Lock()
	lost := inv.lost || ctx.Err() != nil // at one instant the end by Lambda wins
	if unwatch() && !lost {
		inv.ended, inv.failed, inv.until = true, err != nil, time.Now()
	}
	i.mu.Unlock()
	if err != nil && !lost {
		w.story.tell(i.role, "", "fails: %s: %s", name, w.inNames(err.Error()))
	}
	return out, err
}

// end makes the instance dead to its network.
func (i *instance) end(inv *invocation) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if inv != nil && !inv.ended {
		inv.lost = true
	}
	if !i.killed {
		i.killed = true
		close(i.ended)
	}
}

func (i *instance) dead() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.killed
}

func (i *instance) current() *invocation {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.working
}

// crash kills the instance from within.
func (i *instance) crash() error {
	i.end(i.current())
	i.world.cloud.Kill(i.id)
	return errDead
}

type invocationKey struct{}

func withInvocation(ctx context.Context, inv *invocation) context.Context {
	return context.WithValue(ctx, invocationKey{}, inv)
}

// journal takes an instance's log; what is worth a line of the story goes there.
type journal struct{ *instance }

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	silent := j.killed || !time.Now().Before(j.until)
	j.mu.Unlock()
	if silent {
		return len(p), nil
	}
	for raw := range bytes.Lines(p) {
		var l struct {
			Level   string `json:"level"`
			Text    string `json:"msg"`
			Request string `json:"request"`
			Error   string `json:"error"`
			Stack   string `json:"stack"`
			Panic   string `json:"panic"`
		}
		if json.Unmarshal(raw, &l) != nil || l.Level == "" || l.Level == "INFO" {
			continue
		}
		// References and ids differ from run to run.
		about := ""
		if strings.Contains(l.Error, "panic") {
			about = ": " + l.Error
		}
		j.world.story.tell(j.role, label(l.Request), "logs %s: %s%s", l.Level, l.Text, about)
	}
	return len(p), nil
}

var _ http.RoundTripper = (*transport)(nil)
