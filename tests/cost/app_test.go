package cost_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
)

// errPassing is why the first attempt fails of a job that is to fail.
var errPassing = errors.New("the service behind is not there")

// job says what a handler does.
type job struct {
	Frames   int     `json:"frames,omitempty"`   // reports of progress, evenly over the time
	Partials int     `json:"partials,omitempty"` // pieces of the result, likewise
	Seconds  float64 `json:"seconds"`
	Fails    int     `json:"fails,omitempty"`   // attempts, each after a second
	Later    int     `json:"later,omitempty"`   // seconds until the attempt after a failed one
	Message  int     `json:"message,omitempty"` // bytes of a report's message, at least
	Meta     int     `json:"meta,omitempty"`    // bytes of a report's metadata, besides its envelope
	Result   int     `json:"result,omitempty"`  // bytes of the result, besides its envelope
	Filler   string  `json:"filler,omitempty"`  // makes the input longer
}

type result struct {
	Report string `json:"report"`
}

func app() *streamer.App {
	app := streamer.New()
	backoff := func(int) time.Duration { return 5 * time.Second }
	streamer.Handle(app, "echo", func(_ context.Context, in map[string]any) (map[string]any, error) { return in, nil })
	streamer.HandleTask(app, "report", work, streamer.Retry(3, backoff))
	streamer.HandleTask(app, "fast", work, streamer.ProgressEvery(10*time.Millisecond))
	return app
}

// work does what the job says.
func work(ctx context.Context, task *streamer.Task, in job) (result, error) {
	if task.Attempt() <= in.Fails {
		time.Sleep(time.Second)
		if in.Later > 0 {
			return result{}, streamer.RetryAfter(time.Duration(in.Later)*time.Second, errPassing)
		}
		return result{}, errPassing
	}
	steps := max(in.Frames, in.Partials, 1)
	for n := 1; n <= steps; n++ {
		select {
		case <-time.After(time.Duration(in.Seconds * float64(time.Second) / float64(steps))):
		case <-ctx.Done():
			return result{}, context.Cause(ctx)
		}
		if n <= in.Partials {
			if err := task.Emit(fmt.Sprintf("piece %d of a text that grows while it is read", n)); err != nil {
				return result{}, err
			}
		}
		if n <= in.Frames {
			message := fmt.Sprintf("%d of %d documents are read", n, in.Frames)
			p := streamer.Progress{
				Percentage: 100 * float64(n) / float64(in.Frames),
				Message:    message + strings.Repeat(".", max(0, in.Message-len(message))),
			}
			if in.Meta > 0 {
				p.Metadata = map[string]string{"now": strings.Repeat("m", in.Meta)}
			}
			task.Progress(p)
		}
	}
	return result{Report: "https://reports.example.com/2026/" + strings.Repeat("r", in.Result)}, nil
}
