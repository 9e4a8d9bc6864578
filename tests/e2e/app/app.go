// Package app is the service that the end-to-end tests call: each action is one
// behaviour of a handler that a system has to cope with. Handlers keep no state
// but the files that count writes into $E2E_DIR.
package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
)

// Secret is in what fails: it belongs in the log and nowhere else.
const Secret = "password-of-the-database"

// App registers the actions.
func App() *streamer.App {
	app := streamer.New()
	soon := streamer.Exponential(100 * time.Millisecond)
	streamer.Handle(app, "echo", echo)
	streamer.Handle(app, "echo.secret", echo, streamer.Require("secrets:read"))
	streamer.Handle(app, "echo.estimated", echo, streamer.EstimateBy(func(in Echo) time.Duration {
		return time.Duration(in.N) * time.Millisecond
	}))
	streamer.Handle(app, "panic", func(context.Context, struct{}) (Echo, error) { panic(Secret) })
	streamer.Handle(app, "error", func(context.Context, struct{}) (Echo, error) { return Echo{}, errors.New(Secret) })
	streamer.Handle(app, "large", func(_ context.Context, in Large) (Echo, error) { return large(in), nil })
	streamer.Handle(app, "wait", func(ctx context.Context, _ struct{}) (Echo, error) {
		<-ctx.Done()
		return Echo{}, context.Cause(ctx)
	})
	streamer.HandleTask(app, "fail", fail, streamer.Retry(3, soon))
	streamer.HandleTask(app, "sleep", sleep, streamer.ProgressEvery(20*time.Millisecond))
	streamer.HandleTask(app, "hold", hold)
	streamer.HandleTask(app, "broken", broken, streamer.Retry(2, soon))
	streamer.HandleTask(app, "count", count, streamer.Retry(20, soon))
	streamer.HandleTask(app, "panic.long", func(context.Context, *streamer.Task, struct{}) (Echo, error) { panic(Secret) }, streamer.Retry(1, soon))
	streamer.HandleTask(app, "large.long", func(_ context.Context, _ *streamer.Task, in Large) (Echo, error) { return large(in), nil })
	streamer.HandleTask(app, "length.long", func(_ context.Context, _ *streamer.Task, in Echo) (Echo, error) { return Echo{N: len(in.Text)}, nil })
	streamer.HandleTask(app, "wait.long", func(ctx context.Context, _ *streamer.Task, _ struct{}) (Echo, error) {
		<-ctx.Done()
		return Echo{}, context.Cause(ctx)
	}, streamer.Deadline(3*time.Second), streamer.Retry(1, soon))
	durable(app)
	quick(app)
	return app
}

// Echo is answered as it came.
type Echo struct {
	Text string `json:"text"`
	N    int    `json:"n,omitempty"`
	Rows []Row  `json:"rows,omitempty"`
}

// Row is there for paths of mistakes to have more than one step.
type Row struct {
	N int `json:"n"`
}

func echo(_ context.Context, in Echo) (Echo, error) { return in, nil }

// Large asks for a result of about so many bytes.
type Large struct {
	Bytes int `json:"bytes"`
}

func large(in Large) Echo { return Echo{Text: strings.Repeat("x", in.Bytes), N: in.Bytes} }

// Fail fails that many times before it succeeds.
type Fail struct {
	Times int `json:"times"`
}

// Ran says in which attempt a task succeeded.
type Ran struct {
	Attempt int `json:"attempt"`
}

func fail(_ context.Context, task *streamer.Task, in Fail) (Ran, error) {
	if task.Attempt() <= in.Times {
		return Ran{}, errors.New(Secret)
	}
	return Ran{task.Attempt()}, nil
}

// Sleep takes that long, in as many steps.
type Sleep struct {
	Milliseconds int `json:"ms"`
	Steps        int `json:"steps,omitempty"`
}

func sleep(ctx context.Context, task *streamer.Task, in Sleep) (Ran, error) {
	steps := max(in.Steps, 1)
	each := time.NewTicker(max(time.Duration(in.Milliseconds)*time.Millisecond/time.Duration(steps), time.Millisecond))
	defer each.Stop()
	for i := range steps {
		if in.Steps > 0 {
			task.Progress(streamer.Progress{Percentage: 100 * float64(i) / float64(steps), Message: fmt.Sprintf("step %d", i)})
		}
		select {
		case <-each.C:
		case <-ctx.Done():
			return Ran{}, context.Cause(ctx)
		}
	}
	return Ran{task.Attempt()}, nil
}

// Hold works until there is a file of that name in $E2E_DIR.
type Hold struct {
	Until string `json:"until"`
}

func hold(ctx context.Context, task *streamer.Task, in Hold) (Ran, error) {
	task.Progress(streamer.Progress{Message: "at work"})
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		_, err := os.Stat(filepath.Join(os.Getenv("E2E_DIR"), filepath.Base(in.Until)))
		if !errors.Is(err, os.ErrNotExist) {
			return Ran{task.Attempt()}, err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return Ran{}, context.Cause(ctx)
		}
	}
}

// count notes each attempt in a file named after the request, then sleeps.
func count(ctx context.Context, task *streamer.Task, in Sleep) (Ran, error) {
	f, err := os.OpenFile(filepath.Join(os.Getenv("E2E_DIR"), task.ID()), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return Ran{}, err
	}
	_, err = fmt.Fprintf(f, "%d %d\n", task.Attempt(), os.Getpid())
	if err = errors.Join(err, f.Close()); err != nil {
		return Ran{}, err
	}
	return sleep(ctx, task, in)
}
