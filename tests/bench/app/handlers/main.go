// Command handlers is what router and processor run in the benchmarks: an echo,
// and a long action that reports at once.
package main

import (
	"context"

	streamer "github.com/streamer-go/streamer/runtime"
)

type text struct {
	Text string `json:"text"`
}

func main() {
	app := streamer.New()
	streamer.Handle(app, "echo", func(_ context.Context, in text) (text, error) { return in, nil })
	streamer.HandleTask(app, "work", func(_ context.Context, task *streamer.Task, in text) (text, error) {
		task.Progress(streamer.Progress{Percentage: 50, Message: "half"})
		return in, nil
	})
	app.Run()
}
