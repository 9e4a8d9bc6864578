package sim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/wire"
)

// ask is the payload of every action: what the handler is to do.
type ask struct {
	knownBefore
	// Fresh is a field that the version before does not know.
	Fresh bool `json:"fresh,omitempty"`
}

// knownBefore is the payload as the version before knows it.
type knownBefore struct {
	// Endings of the attempts, in order; the last one is that of all further ones.
	Endings []string `json:"endings,omitempty"`
	// Steps of progress, each after Pace milliseconds.
	Steps int `json:"steps,omitempty"`
	Pace  int `json:"pace,omitempty"`
	// Size of the result's filling, in bytes.
	Size int `json:"size,omitempty"`
	// Wait in seconds of a retry that names its time.
	Wait int `json:"wait,omitempty"`
	// Keep says that checkpoints are stored.
	Keep bool `json:"keep,omitempty"`
	// Tag makes a payload another one.
	Tag string `json:"tag,omitempty"`
}

// reply is the result of every action: which run of which handler it is of.
type reply struct {
	User   string `json:"user"`
	Run    string `json:"run"` // of a stored one: request, attempt and number
	Tag    string `json:"tag,omitempty"`
	Filler string `json:"filler,omitempty"`
}

// idempotent are the quick actions whose requests are stored.
var idempotent = map[string]bool{"noted": true, "shifted": true}

// run is one run of a handler of a stored request.
type run struct {
	name       string
	request    string
	attempt    int
	invocation *invocation
	ok         bool // returned a result
	ended      time.Time
}

// endings are what handlers do when their steps are done.
var endings = map[string]func(ctx context.Context, in ask) error{
	"ok":        func(context.Context, ask) error { return nil },
	"error":     func(context.Context, ask) error { return errors.New("something broke") },
	"permanent": func(context.Context, ask) error { return streamer.Permanent(errors.New("broken for good")) },
	"refused":   func(context.Context, ask) error { return &streamer.Error{Code: wire.CodeForbidden, Message: "not you"} },
	"later": func(_ context.Context, in ask) error {
		return streamer.RetryAfter(time.Duration(in.Wait)*time.Second, errors.New("not now"))
	},
	"panic": func(context.Context, ask) error { panic("the handler's own") },
	// Until the function's deadline is near, and then as it should.
	"wait": func(ctx context.Context, _ ask) error { <-ctx.Done(); return ctx.Err() },
	// Past it, whatever its context says: Lambda kills it.
	"deaf": func(context.Context, ask) error { time.Sleep(processorTimeout + time.Minute); return nil },
}

// app is the system's program; before an update it lacks an action, and a field
// of another. Waits between attempts have no random part, so that a plan is all
// there is to a run.
func (w *world) app(updated bool) *streamer.App {
	app := streamer.New()
	retry := func(n int) streamer.Option {
		return streamer.Retry(n, func(n int) time.Duration { return time.Duration(n) * 3 * time.Second })
	}
	streamer.Handle(app, "echo", func(ctx context.Context, in ask) (reply, error) {
		return reply{User: streamer.CallerFrom(ctx).User, Tag: in.Tag}, nil
	})
	streamer.Handle(app, "doze", func(ctx context.Context, in ask) (reply, error) {
		time.Sleep(time.Duration(in.Pace) * time.Millisecond)
		return reply{User: streamer.CallerFrom(ctx).User, Tag: in.Tag}, ctx.Err()
	})
	// Quick or long by its input.
	streamer.Handle(app, "either", func(ctx context.Context, in ask) (reply, error) {
		if streamer.CallFrom(ctx).Attempt == 0 {
			return reply{User: streamer.CallerFrom(ctx).User, Tag: in.Tag}, nil
		}
		return w.work(ctx, nil, in)
	}, streamer.EstimateBy(func(in ask) time.Duration { return time.Duration(in.Steps*in.Pace) * time.Millisecond }), retry(3))
	plain := func(ctx context.Context, in ask) (reply, error) { return w.work(ctx, nil, in) }
	streamer.Handle(app, "noted", plain, streamer.Idempotent(), streamer.Timeout(5*time.Second), retry(3))
	streamer.Handle(app, "shifted", plain, streamer.Idempotent(), streamer.Promote(), streamer.Timeout(2*time.Second), retry(3))
	if updated {
		streamer.HandleTask(app, "work", w.work, retry(4))
		streamer.HandleTask(app, "novel", w.work, retry(3))
	} else {
		streamer.HandleTask(app, "work", func(ctx context.Context, task *streamer.Task, in knownBefore) (reply, error) {
			return w.work(ctx, task, ask{knownBefore: in})
		}, retry(4))
	}
	streamer.HandleTask(app, "once", w.work, retry(1))
	streamer.HandleTask(app, "brief", w.work, retry(10), streamer.Deadline(3*time.Minute))
	streamer.HandleTask(app, "chatty", w.work, retry(2), streamer.ProgressEvery(50*time.Millisecond), streamer.Deadline(time.Hour))
	w.durable(app, retry(4))
	return app
}

// work is the handler of all long actions, and of the idempotent ones.
func (w *world) work(ctx context.Context, task *streamer.Task, in ask) (reply, error) {
	call := streamer.CallFrom(ctx)
	inv, _ := ctx.Value(invocationKey{}).(*invocation)
	r := w.begin(call.Caller.User+"/"+call.ID, call.Attempt, inv)
	for n := 1; n <= in.Steps; n++ {
		if err := w.pace(ctx, r, in, n); err != nil {
			return reply{}, w.finish(r, err)
		}
		if task != nil {
			task.Progress(streamer.Progress{
				Percentage: 100 * float64(n) / float64(in.Steps), Message: fmt.Sprintf("%s step %d", r.name, n),
				Metadata: map[string]any{"user": call.Caller.User},
			})
		}
	}
	return w.close(ctx, r, call, in)
}

var errPanic = errors.New("panic")

// result is what a run returns that has done all it should.
func (w *world) result(r *run, call streamer.Call, in ask) (reply, error) {
	w.mu.Lock()
	r.ok = true
	w.mu.Unlock()
	return reply{User: call.Caller.User, Run: r.name, Tag: in.Tag, Filler: strings.Repeat("x", in.Size)}, w.finish(r, nil)
}

func (w *world) begin(request string, attempt int, inv *invocation) *run {
	w.mu.Lock()
	r := &run{request: request, attempt: attempt, invocation: inv}
	r.name = fmt.Sprintf("%s attempt %d run %d", request, attempt, len(w.runs[request])+1)
	w.runs[request] = append(w.runs[request], r)
	w.mu.Unlock()
	w.story.tell("handler", request, "begins attempt %d", attempt)
	return r
}

// pace is the time that a step takes. Steps and ends of handlers have instants of
// their own, for nothing says what comes first at one.
func (w *world) pace(ctx context.Context, r *run, in ask, n int) error {
	timer := time.NewTimer(time.Duration(in.Pace)*time.Millisecond + w.dice.between(fmt.Sprint("pace ", r.name, n), 0, time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// instant lets a little time pass.
func (w *world) instant(name string) {
	time.Sleep(w.dice.between("instant of "+name, time.Microsecond, 5*time.Millisecond))
}

func (w *world) finish(r *run, err error) error {
	w.instant("end " + r.name)
	what := "result"
	if err != nil {
		// The SDK has several words for a call that was cancelled.
		what, _, _ = strings.Cut(err.Error(), "operation error")
	}
	w.mu.Lock()
	r.ended = time.Now()
	w.mu.Unlock()
	w.story.tell("handler", r.request, "ends attempt %d: %s", r.attempt, what)
	return err
}
