package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
)

// durable registers what lives longer than a function, or is carried on.
func durable(app *streamer.App) {
	soon := streamer.Retry(3, streamer.Exponential(100*time.Millisecond))
	often := streamer.ProgressEvery(50 * time.Millisecond)
	streamer.HandleTask(app, "march", march, soon, often)
	streamer.HandleTask(app, "stages", stages, soon, often)
	streamer.HandleTask(app, "write", write, soon, often)
	streamer.HandleTask(app, "later", later)
	streamer.HandleTask(app, "cause", untilTold)
}

// note adds a line to a request's file in $E2E_DIR.
func note(id, format string, args ...any) error {
	f, err := os.OpenFile(filepath.Join(os.Getenv("E2E_DIR"), filepath.Base(id)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, format+"\n", args...)
	return errors.Join(err, f.Close())
}

// wait takes that long, or less when the context ends.
func wait(ctx context.Context, milliseconds int) error {
	t := time.NewTimer(time.Duration(milliseconds) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// March goes so many units, each of which takes a while, is noted, emitted and
// checkpointed. The first attempt fails after that unit; 0: it does not.
type March struct {
	Units        int `json:"units"`
	Milliseconds int `json:"ms"`
	FailAfter    int `json:"fail_after,omitempty"`
}

// Marched says which attempt came to the end, and with how many units.
type Marched struct {
	Attempt int `json:"attempt"`
	Units   int `json:"units"`
}

func march(ctx context.Context, task *streamer.Task, in March) (Marched, error) {
	var at struct {
		Unit int    `json:"unit"`
		Load string `json:"load"` // more than the item holds itself
	}
	if _, err := task.Restore(&at); err != nil {
		return Marched{}, err
	}
	if err := note(task.ID()+".runs", "%d %d %d", task.Attempt(), at.Unit, os.Getpid()); err != nil {
		return Marched{}, err
	}
	for at.Unit < in.Units {
		if err := wait(ctx, in.Milliseconds); err != nil {
			return Marched{}, err
		}
		at.Unit++
		at.Load = fmt.Sprintf("%0500d", at.Unit)
		if err := errors.Join(note(task.ID(), "%d", at.Unit), task.Emit(at.Unit), task.Checkpoint(ctx, at)); err != nil {
			return Marched{}, err
		}
		task.Progress(streamer.Progress{Percentage: 100 * float64(at.Unit) / float64(in.Units)})
		if at.Unit == in.FailAfter && task.Attempt() == 1 {
			return Marched{}, errors.New(Secret)
		}
	}
	return Marched{task.Attempt(), at.Unit}, nil
}

// stages does the same in steps, which need no checkpoint.
func stages(ctx context.Context, task *streamer.Task, in March) (Marched, error) {
	if err := note(task.ID()+".runs", "%d", task.Attempt()); err != nil {
		return Marched{}, err
	}
	sum := 0
	for i := 1; i <= in.Units; i++ {
		n, err := streamer.Step(ctx, fmt.Sprint("stage-", i), func(ctx context.Context) (int, error) {
			if err := wait(ctx, in.Milliseconds); err != nil {
				return 0, err
			}
			return 1, errors.Join(note(task.ID(), "%d %s", i, streamer.StepKey(ctx)), task.Emit(i))
		})
		if err != nil {
			return Marched{}, err
		}
		if sum += n; i == in.FailAfter && task.Attempt() == 1 {
			return Marched{}, errors.New(Secret)
		}
	}
	return Marched{task.Attempt(), sum}, nil
}

// write emits so many numbers and tells its progress, without a memory.
func write(ctx context.Context, task *streamer.Task, in March) (Marched, error) {
	for i := range in.Units {
		if err := task.Emit(i + 1); err != nil {
			return Marched{}, err
		}
		task.Progress(streamer.Progress{Percentage: 100 * float64(i) / float64(in.Units), Message: fmt.Sprint("piece ", i+1)})
		if err := wait(ctx, in.Milliseconds); err != nil {
			return Marched{}, err
		}
		if i+1 == in.FailAfter && task.Attempt() == 1 {
			return Marched{}, errors.New(Secret)
		}
	}
	return Marched{task.Attempt(), in.Units}, nil
}

// Later asks to be tried again after that time, once.
type Later struct {
	Milliseconds int    `json:"ms"`
	Text         string `json:"text,omitempty"`
}

func later(_ context.Context, task *streamer.Task, in Later) (Echo, error) {
	if err := note(task.ID(), "%d", task.Attempt()); err != nil {
		return Echo{}, err
	}
	if task.Attempt() == 1 {
		return Echo{}, streamer.RetryAfter(time.Duration(in.Milliseconds)*time.Millisecond, errors.New(Secret))
	}
	return Echo{N: len(in.Text)}, nil
}

// untilTold works until its context ends, and notes why it did.
func untilTold(ctx context.Context, task *streamer.Task, in Later) (Echo, error) {
	task.Progress(streamer.Progress{Message: "at work"})
	<-ctx.Done()
	err := note(task.ID(), "%t %v", errors.Is(context.Cause(ctx), streamer.ErrCancelled), context.Cause(ctx))
	if in.Text != "" { // it has succeeded all the same
		return Echo{Text: in.Text}, err
	}
	return Echo{}, errors.Join(err, context.Cause(ctx))
}
