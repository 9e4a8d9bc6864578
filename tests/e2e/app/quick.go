package app

import (
	"context"
	"os"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
)

// quick registers what is answered at once, if it can be.
func quick(app *streamer.App) {
	short := streamer.Timeout(500 * time.Millisecond)
	streamer.Handle(app, "pid", func(context.Context, struct{}) (Echo, error) { return Echo{N: os.Getpid()}, nil })
	streamer.Handle(app, "deaf", deaf, short)
	streamer.Handle(app, "slow.promote", slow, short, streamer.Promote())
	streamer.Handle(app, "deaf.promote", deaf, short, streamer.Promote())
	streamer.Handle(app, "slow.once", slow, streamer.Idempotent(), streamer.Timeout(10*time.Second))
	streamer.Handle(app, "slow.once.promote", slow, short, streamer.Idempotent(), streamer.Promote())
}

// deaf does not listen to its context.
func deaf(ctx context.Context, in Sleep) (Ran, error) {
	call := streamer.CallFrom(ctx)
	if err := note(call.ID, "%d %d", call.Attempt, os.Getpid()); err != nil {
		return Ran{}, err
	}
	<-time.After(time.Duration(in.Milliseconds) * time.Millisecond)
	return Ran{call.Attempt}, nil
}

// slow does. Where its time is short it gives up; in the background it has enough.
func slow(ctx context.Context, in Sleep) (Ran, error) {
	call := streamer.CallFrom(ctx)
	if err := note(call.ID, "%d %d", call.Attempt, os.Getpid()); err != nil {
		return Ran{}, err
	}
	return Ran{call.Attempt}, wait(ctx, in.Milliseconds)
}
