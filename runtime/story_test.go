package streamer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// told reads what the attempt with that epoch has left; nil for nothing.
func (s *system) told(key string, epoch int64) *request.Attempt {
	s.t.Helper()
	raw, err := s.store.GetBlob(s.t.Context(), key, keys.Attempt(epoch))
	if errors.Is(err, request.ErrNoBlob) {
		return nil
	}
	a, err := request.DecodeAttempt(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return &a
}

func TestFailedAttemptsLeaveAWord(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 2000)
	app := jobs(func(_ context.Context, task *streamer.Task, _ text) (string, error) {
		<-time.After(2 * time.Second)
		if task.Attempt() == 1 {
			return "", errors.New("secret " + long)
		}
		return "", fmt.Errorf("look up: %w", &streamer.Error{Code: wire.CodeNotFound, Message: "no row"})
	}, streamer.Retry(5, linear))
	bubble(t, app, func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		first := time.Now()
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "invocation-1"})
		if err := s.invoke(ctx, s.processor, work.Hint{Key: key}); err != nil {
			t.Fatal(err)
		}
		got := s.told(key, 1)
		if got == nil {
			t.Fatal("the first has left nothing")
		}
		if got.Number != 1 || got.Began != first.UnixMilli() || got.Ended-got.Began != 2000 || got.Next != got.Ended+10_000 ||
			got.Where != (request.Where{Function: "fn", LogGroup: "group", LogStream: "stream", RequestID: "invocation-1"}) ||
			got.Code != "INTERNAL_ERROR" || !strings.HasPrefix(got.Text, "secret éé") || len(got.Text) > 1024 || strings.ContainsRune(got.Text, '\uFFFD') ||
			got.Postponed {
			t.Errorf("%+v", got)
		}
		if got.Reference == "" || !strings.Contains(got.Message, got.Reference) || !strings.Contains(s.log.String(), got.Reference) {
			t.Errorf("reference %q, told %q", got.Reference, got.Message)
		}
		if m := s.store.item(key).Failure.Message; strings.Contains(m, "secret") {
			t.Errorf("the client is told %q", m)
		}
		s.goOn(key)
		got = s.told(key, 3)
		if got == nil || got.Number != 2 || got.Next != 0 || got.Code != "NOT_FOUND" || got.Message != "no row" || !strings.HasPrefix(got.Text, "look up: ") || got.Reference != "" {
			t.Errorf("%+v", got)
		}
		if at := s.store.item(key).LaneAt; got.Ended > at {
			t.Error("it was on the list before its story")
		}
	})
}

// What is neither retried nor failed leaves nothing.
func TestNothingIsToldOfWhatHasNotFailed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		f    job
		edit func(request.Attrs)
	}{
		"success":   {returns(nil), nil},
		"cancelled": {returns(nil), func(a request.Attrs) { a["cancel"] = true }},
		"goes on": {func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			if err := task.Checkpoint(ctx, 1); err != nil {
				return "", err
			}
			<-ctx.Done()
			return "", context.Cause(ctx)
		}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(tt.f), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				if tt.edit != nil {
					s.store.edit(key, tt.edit)
				}
				s.mustRun(key, 0)
				if got := s.told(key, 1); got != nil {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// Other ends of an attempt than a handler's error are told as well.
func TestEveryFailureIsTold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		f    job
		edit func(request.Attrs)
		code wire.Code
		text string
	}{
		"panic":                {func(context.Context, *streamer.Task, text) (string, error) { panic("at the disco") }, nil, wire.CodeInternal, "panic: at the disco"},
		"deadline":             {returns(nil), func(a request.Attrs) { a["deadline"] = time.Now().UnixMilli() }, wire.CodeTimeout, ""},
		"another version":      {returns(nil), func(a request.Attrs) { a["action"] = "to.come" }, wire.CodeInvalidAction, "cannot run it: there is no action to.come"},
		"another version's in": {returns(nil), func(a request.Attrs) { a["input"] = []byte("\x00" + `{"p":{"x":1}}`) }, wire.CodeValidation, "payload.x"},
		"no result":            {func(context.Context, *streamer.Task, text) (string, error) { return strings.Repeat("x", 400<<10), nil }, nil, wire.CodePayloadTooLarge, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(tt.f, streamer.Retry(1, linear)), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				if tt.edit != nil {
					s.store.edit(key, tt.edit)
				}
				s.mustRun(key, 0)
				got := s.told(key, 1)
				if got == nil || got.Code != string(tt.code) || got.Message == "" || !strings.Contains(got.Text, tt.text) {
					t.Errorf("%+v", got)
				}
				if got != nil && got.Postponed != strings.HasPrefix(name, "another") {
					t.Errorf("postponed: %v", got.Postponed)
				}
			})
		})
	}
}

// A story that cannot be kept costs the request nothing but a moment.
func TestStoryIsBestEffort(t *testing.T) {
	t.Parallel()
	bubble(t, jobs(returns(streamer.Permanent(errors.New("boom")))), func(t *testing.T, s *system) {
		key := s.accept("r1", "job", `{}`)
		s.store.fault = func(call string) error {
			if call == "put blob" {
				return errDown
			}
			return nil
		}
		began := time.Now()
		s.mustRun(key, 0)
		if it := s.store.item(key); it.State != request.Failed || time.Since(began) > 3*time.Second {
			t.Errorf("%s after %s", it.State, time.Since(began))
		}
		if !strings.Contains(s.log.String(), "remember attempt") || slices.Contains(s.store.events(), "blob") {
			t.Errorf("log: %s", s.log)
		}
	})
}

// An attempt that ends without a word is told of by the next one: when it began,
// and where to look. What it said itself stays.
func TestSilentAttemptIsToldOf(t *testing.T) {
	t.Parallel()
	crash := func(m *memory, at string) func(call string) error {
		return func(call string) error {
			if call == at {
				return errDown
			}
			return nil
		}
	}
	tests := map[string]struct {
		at     string // from there on the first attempt cannot write
		silent bool
	}{
		"it says nothing":        {"put blob", true},
		"it dies after its word": {request.Retry.Name, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, jobs(returns(errors.New("boom"))), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{}`)
				began := time.Now()
				inner := crash(s.store, tt.at)
				s.store.fault = func(call string) error {
					if call == request.Retry.Name {
						return errDown // killed before it could give the request up
					}
					return inner(call)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "invocation-1"})
				if err := s.invoke(ctx, s.processor, work.Hint{Key: key}); err == nil {
					t.Fatal("it ended well")
				}
				s.store.fault = nil
				time.Sleep(2 * time.Minute)
				s.offer(key)
				s.mustRun(key, 1)
				got := s.told(key, 1)
				if got == nil || got.Number != 1 || got.Began != began.UnixMilli() || got.Silent != tt.silent || got.Where.RequestID != "invocation-1" || got.Where.LogStream != "stream" {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}
