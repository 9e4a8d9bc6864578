package sim_test

import (
	"context"
	"fmt"

	streamer "github.com/streamer-go/streamer/runtime"
)

// durable registers the handlers that last for longer than one function, and
// remember what they have done.
func (w *world) durable(app *streamer.App, retry streamer.Option) {
	streamer.HandleTask(app, "steps", w.inSteps, retry)
	streamer.HandleTask(app, "counts", w.counting, retry)
	streamer.HandleTask(app, "tells", w.telling, retry)
}

// inSteps does its work in steps. A step that was finished once has the same
// value ever after.
func (w *world) inSteps(ctx context.Context, task *streamer.Task, in ask) (reply, error) {
	call := streamer.CallFrom(ctx)
	inv, _ := ctx.Value(invocationKey{}).(*invocation)
	r := w.begin(call.Caller.User+"/"+call.ID, call.Attempt, inv)
	for n := 1; n <= in.Steps; n++ {
		name := fmt.Sprintf("step %d", n)
		value, err := streamer.Step(ctx, name, func(ctx context.Context) (int, error) {
			if err := w.pace(ctx, r, in, n); err != nil {
				return 0, err
			}
			return w.tick(), nil
		})
		if err != nil {
			return reply{}, w.finish(r, err)
		}
		w.mu.Lock()
		was, known := w.steps[r.request+name]
		w.steps[r.request+name] = value
		w.mu.Unlock()
		if known && was != value {
			w.violate(r.request, "%s had value %d and has %d", name, was, value)
		}
		task.Progress(streamer.Progress{Percentage: 100 * float64(n) / float64(in.Steps), Message: name, Metadata: map[string]any{"user": call.Caller.User}})
		w.instant(fmt.Sprint(r.name, n)) // what is remembered takes no time
	}
	return w.close(ctx, r, call, in)
}

// counting stores a checkpoint for each of its steps. What was stored is not
// done again.
func (w *world) counting(ctx context.Context, task *streamer.Task, in ask) (reply, error) {
	call := streamer.CallFrom(ctx)
	inv, _ := ctx.Value(invocationKey{}).(*invocation)
	r := w.begin(call.Caller.User+"/"+call.ID, call.Attempt, inv)
	n := 0
	if _, err := task.Restore(&n); err != nil {
		return reply{}, w.finish(r, err)
	}
	w.mu.Lock()
	least := w.restored[r.request]
	w.mu.Unlock()
	if n < least {
		w.violate(r.request, "checkpoint %d was stored, %d is restored", least, n)
	}
	for n++; n <= in.Steps; n++ {
		if err := w.pace(ctx, r, in, n); err != nil {
			return reply{}, w.finish(r, err)
		}
		if err := task.Checkpoint(ctx, n); err != nil {
			return reply{}, w.finish(r, err)
		}
		w.mu.Lock()
		w.restored[r.request] = max(w.restored[r.request], n)
		w.mu.Unlock()
	}
	return w.close(ctx, r, call, in)
}

// close is how the handlers end.
func (w *world) close(ctx context.Context, r *run, call streamer.Call, in ask) (reply, error) {
	ending := in.Endings[min(call.Attempt, len(in.Endings))-1]
	if ending == "panic" {
		_ = w.finish(r, errPanic)
	}
	if err := endings[ending](ctx, in); err != nil {
		return reply{}, w.finish(r, err)
	}
	return w.result(r, call, in)
}

// tick counts; no two steps get the same number.
func (w *world) tick() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ticks++
	return w.ticks
}
