package streamer_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
)

func TestLimitEndsWhenItIsTime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parent, limit, want time.Duration
	}{
		"its own":   {time.Hour, time.Second, time.Second},
		"parent's":  {time.Second, time.Hour, time.Second},
		"no parent": {0, time.Minute, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.Background(), func() {}
				if tc.parent > 0 {
					parent, cancel = context.WithTimeout(parent, tc.parent)
				}
				defer cancel()
				begin := time.Now()
				ctx, end := streamer.WithLimit(parent, tc.limit)
				defer end()
				if d, ok := ctx.Deadline(); !ok || d.Sub(begin) != tc.want {
					t.Errorf("deadline %v, %v", d.Sub(begin), ok)
				}
				time.Sleep(tc.want / 2) // asked for when half of it is over
				if err := ctx.Err(); err != nil {
					t.Errorf("half way: %v", err)
				}
				<-ctx.Done()
				if got := time.Since(begin); got != tc.want {
					t.Errorf("ended after %v", got)
				}
				if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
				if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("cause %v", err)
				}
			})
		})
	}
}

func TestLimitOfWhatHasReturned(t *testing.T) {
	t.Parallel()
	type key struct{}
	parent := context.WithValue(context.Background(), key{}, "v")
	asked, end := streamer.WithLimit(parent, time.Hour)
	derived, cancel := context.WithCancel(asked)
	defer cancel()
	if asked.Err() != nil || asked.Value(key{}) != "v" {
		t.Errorf("%v, %v", asked.Err(), asked.Value(key{}))
	}
	end()
	// What is derived is cancelled with it, not some time later by a goroutine.
	if asked.Err() != context.Canceled || derived.Err() != context.Canceled {
		t.Errorf("%v, %v", asked.Err(), derived.Err())
	}

	late, end := streamer.WithLimit(parent, time.Hour)
	if late.Value(key{}) != "v" {
		t.Error("no value")
	}
	end()
	select {
	case <-late.Done():
	default:
		t.Error("not over, asked for after its end")
	}
	if late.Err() != context.Canceled {
		t.Errorf("%v", late.Err())
	}

	gone, end := streamer.WithLimit(parent, -time.Second)
	defer end()
	if gone.Err() != context.DeadlineExceeded {
		t.Errorf("a limit in the past: %v", gone.Err())
	}
}
