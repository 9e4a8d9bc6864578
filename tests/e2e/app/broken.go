package app

import (
	"context"
	"errors"
	"os"

	streamer "github.com/streamer-go/streamer/runtime"
)

// Broken works when there is a file of that path.
type Broken struct {
	Until string `json:"until"`
}

func broken(_ context.Context, task *streamer.Task, in Broken) (Ran, error) {
	if _, err := os.Stat(in.Until); err != nil {
		return Ran{}, errors.New(Secret + " is wrong")
	}
	return Ran{task.Attempt()}, nil
}
