package streamer_test

import (
	"context"
	"fmt"
	"strings"

	streamer "github.com/streamer-go/streamer/runtime"
)

// A loop that goes on where the invocation before has come to.
func ExampleTask_Checkpoint() {
	app := streamer.New()
	streamer.HandleTask(app, "export", func(ctx context.Context, task *streamer.Task, rows int) (int, error) {
		var at struct{ Row int }
		if _, err := task.Restore(&at); err != nil {
			return 0, err
		}
		for ; at.Row < rows; at.Row += 1000 {
			if err := task.Checkpoint(ctx, at); err != nil {
				return 0, err
			}
			// copy a thousand rows
		}
		return rows, nil
	})
}

// What is done stays done, and what is charged is charged once.
func ExampleStep() {
	charge := func(_ context.Context, card, key string) (string, error) { return card + key, nil }
	app := streamer.New()
	streamer.HandleTask(app, "order", func(ctx context.Context, _ *streamer.Task, card string) (string, error) {
		receipt, err := streamer.Step(ctx, "charge", func(ctx context.Context) (string, error) {
			return charge(ctx, card, streamer.StepKey(ctx))
		})
		if err != nil {
			return "", err
		}
		return streamer.Step(ctx, "ship", func(context.Context) (string, error) { return "shipped for " + receipt, nil })
	})
}

// The words of a text, as they come.
func ExampleTask_Emit() {
	app := streamer.New()
	streamer.HandleTask(app, "spell", func(_ context.Context, task *streamer.Task, text string) (string, error) {
		for _, word := range strings.Fields(text) {
			if err := task.Emit(word); err != nil {
				return "", err
			}
		}
		return fmt.Sprint(len(text)), nil
	})
}
