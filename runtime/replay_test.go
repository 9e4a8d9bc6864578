package streamer_test

import (
	"context"
	"errors"
	"testing"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// An attempt that emits nothing which is not remembered ends as any other: the
// log is what was stored before.
func TestAttemptThatOnlyRepeatsTheLog(t *testing.T) {
	t.Parallel()
	again := func(task *streamer.Task) error {
		if task.Attempt() == 1 {
			return errors.New("not yet")
		}
		return nil
	}
	tests := map[string]job{
		"after its last step": func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			_, err := streamer.Step(ctx, "all", func(ctx context.Context) (int, error) { return 0, emitNumbers(ctx, task, 0, 3, 0) })
			if err != nil {
				return "", err
			}
			return "", again(task)
		},
		"after its checkpoint": func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			done := false
			if _, err := task.Restore(&done); err != nil {
				return "", err
			}
			if !done {
				if err := emitNumbers(ctx, task, 0, 3, 0); err != nil {
					return "", err
				}
			}
			if err := task.Checkpoint(ctx, true); err != nil { // also where there is nothing new
				return "", err
			}
			return "", again(task)
		},
		"without restoring": func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			if err := emitNumbers(ctx, task, 0, 3, 0); err != nil {
				return "", err
			}
			if err := task.Checkpoint(ctx, true); err != nil {
				return "", err
			}
			return "", again(task)
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(f, streamer.Retry(2, linear)), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				s.untilEnd(key)
				it := s.store.item(key)
				if log := s.keptLog(key); it.State != request.Succeeded || it.Partials != 3 || len(log.items) != 3 || log.gaps > 0 {
					t.Errorf("%s with %d partials, the log is %+v", it.State, it.Partials, log)
				}
			})
		})
	}
}
