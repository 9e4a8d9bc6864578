// Package app is the service that the chaos test breaks. Its handlers write down
// what they do, in one file that outlives them, so that the test can hold what
// clients were told against what has really run.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
)

// Life bounds every request but those of Brief.
const (
	Life  = 90 * time.Second
	Brief = 8 * time.Second
)

// Ask is the payload of every action.
type Ask struct {
	// Steps of the work, each of Pace milliseconds.
	Steps int `json:"steps,omitempty"`
	Pace  int `json:"pace,omitempty"`
	// Fail is how many attempts fail at their end.
	Fail int `json:"fail,omitempty"`
	// Size of the result's filling, in bytes.
	Size int `json:"size,omitempty"`
	// Deaf handlers do not look at their context: they go on until they are done.
	Deaf bool   `json:"deaf,omitempty"`
	Tag  string `json:"tag"`
}

// Reply is the result of every action.
type Reply struct {
	User   string   `json:"user"`
	Tag    string   `json:"tag"`
	Run    string   `json:"run,omitempty"`   // of the handler that returned it
	Steps  []string `json:"steps,omitempty"` // the results of steps
	N      int      `json:"n,omitempty"`     // how far the count came
	Filler string   `json:"filler,omitempty"`
}

// Piece is a partial.
type Piece struct {
	N   int    `json:"n"`
	Run string `json:"run"`
}

// App registers the actions.
func App() *streamer.App {
	app := streamer.New()
	options := []streamer.Option{
		streamer.Retry(30, streamer.Exponential(200*time.Millisecond)), streamer.Deadline(Life), streamer.ProgressEvery(50 * time.Millisecond),
	}
	streamer.Handle(app, "echo", func(ctx context.Context, in Ask) (Reply, error) {
		return Reply{User: streamer.CallerFrom(ctx).User, Tag: in.Tag}, nil
	})
	streamer.Handle(app, "once", func(ctx context.Context, in Ask) (Reply, error) {
		return run(ctx, in, func(*at) error { return nil })
	}, append(options, streamer.Idempotent())...)
	streamer.HandleTask(app, "report", task(report), options...)
	streamer.HandleTask(app, "disk", task(disk), options...)
	streamer.HandleTask(app, "steps", task(steps), options...)
	streamer.HandleTask(app, "count", task(count), options...)
	streamer.HandleTask(app, "words", task(words), options...)
	streamer.HandleTask(app, "tale", task(tale), options...)
	streamer.HandleTask(app, "doomed", task(func(context.Context, *at) error {
		return streamer.Permanent(errors.New("broken for good"))
	}), options...)
	streamer.HandleTask(app, "stuck", task(func(ctx context.Context, _ *at) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}), streamer.Retry(3, streamer.Exponential(200*time.Millisecond)), streamer.Deadline(Brief))
	return app
}

// at is one run of a handler.
type at struct {
	task  *streamer.Task
	call  streamer.Call
	in    Ask
	name  string
	reply Reply
}

func task(work func(context.Context, *at) error) func(context.Context, *streamer.Task, Ask) (Reply, error) {
	return func(ctx context.Context, t *streamer.Task, in Ask) (Reply, error) {
		return run(ctx, in, func(r *at) error {
			r.task = t
			return work(ctx, r)
		})
	}
}

// run notes the beginning and the end of a handler's run.
func run(ctx context.Context, in Ask, work func(*at) error) (Reply, error) {
	r := &at{call: streamer.CallFrom(ctx), in: in, name: rand.Text()[:10]}
	r.reply = Reply{User: r.call.Caller.User, Tag: in.Tag, Run: r.name}
	if err := r.note("begin", "", 0); err != nil {
		return Reply{}, err
	}
	err := work(r)
	if err == nil && r.call.Attempt <= in.Fail {
		err = fmt.Errorf("attempt %d is to fail", r.call.Attempt)
	}
	if err != nil {
		return Reply{}, errors.Join(err, r.note("failed", err.Error(), 0))
	}
	r.reply.Filler = strings.Repeat("x", in.Size)
	return r.reply, r.note("returns", "", 0)
}

// pause is a step of the work.
func (r *at) pause(ctx context.Context) error {
	d := time.After(time.Duration(r.in.Pace) * time.Millisecond)
	if r.in.Deaf {
		<-d
		return nil
	}
	select {
	case <-d:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *at) progress(n int) {
	r.task.Progress(streamer.Progress{Percentage: 100 * float64(n) / float64(r.in.Steps), Message: r.name, Metadata: map[string]any{"user": r.reply.User}})
}

func report(ctx context.Context, r *at) error {
	for n := range r.in.Steps {
		r.progress(n)
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// disk is a report that keeps something on the disk, as Dir/scratch.
func disk(ctx context.Context, r *at) error {
	for n := range r.in.Steps {
		if err := Append("scratch", make([]byte, 512)); err != nil {
			return errors.Join(err, r.note("disk", err.Error(), n))
		}
		r.progress(n)
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step is one remembered step, which has another result each time that it runs.
func (r *at) step(ctx context.Context, n int, more func() error) error {
	name := fmt.Sprintf("step %d", n)
	out, err := streamer.Step(ctx, name, func(ctx context.Context) (string, error) {
		if err := r.pause(ctx); err != nil {
			return "", err
		}
		if err := more(); err != nil {
			return "", err
		}
		result := rand.Text()[:10]
		return result, r.note("effect", name+" "+result, n)
	})
	if err != nil {
		return err
	}
	r.reply.Steps = append(r.reply.Steps, out)
	return r.note("told", name+" "+out, n)
}

func steps(ctx context.Context, r *at) error {
	for n := range r.in.Steps {
		if err := r.step(ctx, n+1, func() error { return nil }); err != nil {
			return err
		}
		r.progress(n + 1)
	}
	return nil
}

// count goes on from its newest checkpoint.
func count(ctx context.Context, r *at) error {
	n := 0
	if _, err := r.task.Restore(&n); err != nil {
		return err
	}
	if err := r.note("restored", "", n); err != nil {
		return err
	}
	for n < r.in.Steps {
		if err := r.pause(ctx); err != nil {
			return err
		}
		n++
		if err := r.task.Checkpoint(ctx, n); err != nil {
			return err
		}
		if err := r.note("stored", "", n); err != nil {
			return err
		}
		r.progress(n)
	}
	r.reply.N = n
	return nil
}

func words(ctx context.Context, r *at) error {
	for n := range r.in.Steps {
		if err := r.task.Emit(Piece{n + 1, r.name}); err != nil {
			return err
		}
		r.progress(n)
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tale emits two words in every step.
func tale(ctx context.Context, r *at) error {
	for n := range r.in.Steps {
		err := r.step(ctx, n+1, func() error {
			return errors.Join(r.task.Emit(Piece{2*n + 1, r.name}), r.task.Emit(Piece{2*n + 2, r.name}))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Append adds to a file of the test's directory, in one write.
func Append(name string, data []byte) error {
	f, err := os.OpenFile(filepath.Join(os.Getenv("CHAOS_DIR"), name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
