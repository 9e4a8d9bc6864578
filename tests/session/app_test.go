package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
)

// ask is the payload of every action: what the handler is to do.
type ask struct {
	Pieces int `json:"pieces,omitempty"` // that it emits in all
	Pace   int `json:"pace,omitempty"`   // milliseconds before each
	Every  int `json:"every,omitempty"`  // pieces from one checkpoint or step to the next; 0: no memory
	// Fails are the pieces before which the attempts fail, in their order; those
	// after the last of them do not.
	Fails []int  `json:"fails,omitempty"`
	Dies  bool   `json:"dies,omitempty"`  // in the place of failing the process ends
	Final bool   `json:"final,omitempty"` // the first failure is the last
	Mute  bool   `json:"mute,omitempty"`  // only the first attempt emits
	Size  int    `json:"size,omitempty"`  // of the result's filling
	Text  string `json:"text,omitempty"`  // in each piece
	// Ballast makes the message large.
	Ballast string `json:"ballast,omitempty"`
}

// reply is the result of every action.
type reply struct {
	ID     string `json:"id"`
	Run    int    `json:"run"` // how many runs of the handler there were
	Pieces int    `json:"pieces,omitempty"`
	Filler string `json:"filler,omitempty"`
}

// books are what the handlers know to be true.
type books struct {
	mu   sync.Mutex
	logs map[string][]string // what was emitted and counts, by user/id
	runs map[string]int
}

// begin counts a run that goes on behind so many pieces.
func (b *books) begin(name string) (run int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[name]++
	return b.runs[name]
}

// back says that of the log so many pieces count.
func (b *books) back(name string, pieces int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logs[name] = b.logs[name][:pieces]
}

func (b *books) add(name, piece string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logs[name] = append(b.logs[name], piece)
}

func (b *books) of(name string) (log []string, runs int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.logs[name]), b.runs[name]
}

var errFails = errors.New("it fails as it was told")

func (s *system) app() *streamer.App {
	app := streamer.New()
	wait := func(int) time.Duration { return 5 * time.Second }
	streamer.Handle(app, "echo", s.quick)
	streamer.Handle(app, "once", s.quick, streamer.Idempotent())
	// What takes longer than two seconds is carried on in the background.
	streamer.Handle(app, "grow", s.quick, streamer.Idempotent(), streamer.Promote(), streamer.Timeout(2*time.Second))
	streamer.HandleTask(app, "tell", s.tell, streamer.Retry(5, wait))
	streamer.HandleTask(app, "steps", s.steps, streamer.Retry(5, wait))
	return app
}

func name(ctx context.Context) string {
	call := streamer.CallFrom(ctx)
	return call.Caller.User + "/" + call.ID
}

func pause(ctx context.Context, in ask) error {
	select {
	case <-time.After(time.Duration(in.Pace) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// quick answers after a pause.
func (s *system) quick(ctx context.Context, in ask) (reply, error) {
	run := s.books.begin(name(ctx))
	if err := pause(ctx, in); err != nil {
		return reply{}, err
	}
	return in.result(ctx, run), nil
}

func (in ask) result(ctx context.Context, run int) reply {
	return reply{ID: streamer.CallFrom(ctx).ID, Run: run, Pieces: in.Pieces, Filler: strings.Repeat("ä", in.Size/2)}
}

// fail ends the run before that piece, when it is this attempt's to fail there.
func (s *system) fail(ctx context.Context, in ask, piece int) error {
	attempt := streamer.CallFrom(ctx).Attempt
	switch {
	case attempt > len(in.Fails) || in.Fails[attempt-1] != piece:
		return nil
	case in.Dies:
		id, _ := ctx.Value(instanceKey{}).(string)
		s.cloud.Kill(id)
		<-ctx.Done()
		return context.Cause(ctx)
	case in.Final:
		return streamer.Permanent(errFails)
	default:
		return errFails
	}
}

// emit emits a piece that says which it is, and by which run.
func (s *system) emit(ctx context.Context, task *streamer.Task, in ask, n, run int) error {
	if err := s.fail(ctx, in, n); err != nil {
		return err
	}
	if err := pause(ctx, in); err != nil {
		return err
	}
	if in.Mute && streamer.CallFrom(ctx).Attempt > 1 {
		return nil
	}
	piece := fmt.Sprintf("%s %d of run %d %s", name(ctx), n, run, in.Text)
	s.books.add(name(ctx), piece)
	if err := task.Emit(piece); err != nil {
		return err
	}
	task.Progress(streamer.Progress{Percentage: 100 * float64(n) / float64(in.Pieces), Message: fmt.Sprint(n)})
	return nil
}

// tell emits pieces, with checkpoints.
func (s *system) tell(ctx context.Context, task *streamer.Task, in ask) (reply, error) {
	run, at := s.books.begin(name(ctx)), 0
	if in.Every > 0 {
		if _, err := task.Restore(&at); err != nil {
			return reply{}, err
		}
	}
	s.books.back(name(ctx), at)
	for n := at + 1; n <= in.Pieces; n++ {
		if err := s.emit(ctx, task, in, n, run); err != nil {
			return reply{}, err
		}
		if in.Every > 0 && n%in.Every == 0 {
			if err := task.Checkpoint(ctx, n); err != nil {
				return reply{}, err
			}
		}
	}
	return in.result(ctx, run), nil
}

// steps emits pieces in steps.
func (s *system) steps(ctx context.Context, task *streamer.Task, in ask) (reply, error) {
	run := s.books.begin(name(ctx))
	for from := 0; from < in.Pieces; from += in.Every {
		_, err := streamer.Step(ctx, fmt.Sprint("from ", from), func(ctx context.Context) (int, error) {
			s.books.back(name(ctx), from)
			for n := from + 1; n <= min(from+in.Every, in.Pieces); n++ {
				if err := s.emit(ctx, task, in, n, run); err != nil {
					return 0, err
				}
			}
			return from, nil
		})
		if err != nil {
			return reply{}, err
		}
	}
	return in.result(ctx, run), nil
}
