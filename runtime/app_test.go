package streamer_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/wire"
)

func TestMistakesOfTheProgramPanic(t *testing.T) {
	t.Parallel()
	plain := func(context.Context, text) (text, error) { return text{}, nil }
	add := func(app *streamer.App, name string, opts ...streamer.Option) {
		streamer.Handle(app, name, plain, opts...)
	}
	tests := map[string]struct {
		do   func(app *streamer.App)
		want string
	}{
		"twice":          {func(app *streamer.App) { add(app, "a"); add(app, "a") }, "registered twice"},
		"reserved":       {func(app *streamer.App) { add(app, "$a") }, "no leading sign"},
		"empty":          {func(app *streamer.App) { add(app, "") }, "1 to 128"},
		"too long":       {func(app *streamer.App) { add(app, strings.Repeat("a", 129)) }, "1 to 128"},
		"no attempt":     {func(app *streamer.App) { add(app, "a", streamer.Retry(0, linear)) }, "at least one attempt"},
		"no backoff":     {func(app *streamer.App) { add(app, "a", streamer.Retry(1, nil)) }, "want a backoff"},
		"no time":        {func(app *streamer.App) { add(app, "a", streamer.Deadline(0)) }, "above zero"},
		"other estimate": {func(app *streamer.App) { add(app, "a", streamer.EstimateBy(func(int) time.Duration { return 0 })) }, "EstimateBy takes int"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, tt.want) {
					t.Errorf("panic %q, want %q", v, tt.want)
				}
			}()
			tt.do(streamer.New())
		})
	}
}

// TestInputsOfAnyType: an input may be an interface, which is nil without payload.
func TestInputsOfAnyType(t *testing.T) {
	t.Parallel()
	app := streamer.New()
	streamer.Handle(app, "any", func(_ context.Context, in any) (any, error) { return in, nil }, streamer.Estimate(time.Second))
	streamer.Handle(app, "pointer", func(_ context.Context, in *text) (bool, error) { return in == nil, nil })
	streamer.Handle(app, "raw", func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	streamer.Handle(app, "long", func(context.Context, int) (int, error) { return 0, nil }, streamer.Estimate(time.Minute))
	bubble(t, app, func(t *testing.T, s *system) {
		for body, want := range map[string]string{
			`{"id":"1","action":"any"}`:                       "null",
			`{"id":"1","action":"any","payload":[1]}`:         "[1]",
			`{"id":"1","action":"pointer"}`:                   "true",
			`{"id":"1","action":"pointer","payload":{}}`:      "false",
			`{"id":"1","action":"raw","payload":{"x": [ 1]}}`: `{"x":[1]}`,
		} {
			if f := s.says(alice, body); string(f.Data) != want {
				t.Errorf("%s: %+v, want %s", body, f, want)
			}
		}
		if f := s.says(alice, `{"id":"1","action":"pointer","payload":{"text":"bad"}}`); f.Code != wire.CodeValidation {
			t.Errorf("Validate of a pointer: %+v", f)
		}
		s.accept("2", "long", "1")
	})
}

func TestExponential(t *testing.T) {
	t.Parallel()
	b := streamer.Exponential(time.Second)
	for n, full := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 5: 16, 10: 512, 11: 900, 100: 900} {
		for range 50 {
			if d := b(n); d < full*time.Second/2 || d > full*time.Second {
				t.Errorf("attempt %d waits %v, want half of %d s to all of it", n, d, full)
			}
		}
	}
}

func TestErrorsKeepTheirCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for _, err := range []error{streamer.Permanent(cause), streamer.RetryAfter(time.Second, cause)} {
		if !errors.Is(err, cause) || err.Error() != "cause" {
			t.Errorf("%v", err)
		}
	}
	if streamer.Permanent(nil) != nil {
		t.Error("no error is permanent")
	}
	var e *streamer.Error
	if !errors.As(streamer.Invalid("payload.x", "no"), &e) || e.Code != wire.CodeValidation {
		t.Errorf("%v", e)
	}
}

func TestOutsideOfAHandlerThereIsNoCall(t *testing.T) {
	t.Parallel()
	if c := streamer.CallFrom(t.Context()); c.ID != "" || c.Caller.User != "" {
		t.Errorf("%+v", c)
	}
}

func TestFunctionsSayWhatTheirEnvironmentLacks(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"AWS_REGION": "us-east-1", "STREAMER_REQUESTS_TABLE": "r", "STREAMER_HISTORY_TABLE": "h", "STREAMER_CONNECTIONS_TABLE": "c",
		"STREAMER_WAKE_QUEUE_URL": "http://q", "STREAMER_PROCESSOR_FUNCTION": "p", "STREAMER_CALLBACK_ENDPOINT": "http://x/y",
		"STREAMER_AUTH": `{"keys":[{"secret":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}]}`,
	}
	app := func(h streamer.Host) error { _, err := streamer.New().Handler(h); return err }
	connect := func(h streamer.Host) error { _, err := streamer.ConnectHandler(h); return err }
	dispatcher := func(h streamer.Host) error { _, err := streamer.DispatcherHandler(h); return err }
	tests := []struct {
		name  string
		build func(streamer.Host) error
		set   map[string]string
		want  string // "": it is built
	}{
		{"router", app, map[string]string{"STREAMER_ROLE": "router"}, ""},
		{"router that cannot close", app, map[string]string{"STREAMER_ROLE": "router", "STREAMER_CALLBACK_ENDPOINT": ""}, ""},
		{"processor", app, map[string]string{"STREAMER_ROLE": "processor"}, ""},
		{"connect", connect, map[string]string{"STREAMER_ROLE": "connect"}, ""},
		{"dispatcher", dispatcher, map[string]string{"STREAMER_ROLE": "dispatcher"}, ""},
		{"no role", app, nil, `STREAMER_ROLE is ""`},
		{"wrong role of an app", app, map[string]string{"STREAMER_ROLE": "connect"}, "an app serves"},
		{"wrong role of connect", connect, map[string]string{"STREAMER_ROLE": "router"}, "want connect"},
		{"wrong role of the dispatcher", dispatcher, map[string]string{"STREAMER_ROLE": "router"}, "want dispatcher"},
		{"everything at once", app, map[string]string{"STREAMER_ROLE": "processor", "STREAMER_HISTORY_TABLE": "", "STREAMER_LEASE": "5", "STREAMER_LOG_LEVEL": "loud"}, "STREAMER_HISTORY_TABLE is not set"},
		{"lease", app, map[string]string{"STREAMER_ROLE": "processor", "STREAMER_LEASE": "-1s"}, `STREAMER_LEASE is "-1s", want a duration`},
		{"log level", app, map[string]string{"STREAMER_ROLE": "router", "STREAMER_LOG_LEVEL": "loud"}, "want debug, info, warn or error"},
		{"auth", connect, map[string]string{"STREAMER_ROLE": "connect", "STREAMER_AUTH": "{"}, "STREAMER_AUTH: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.build(streamer.Host{Log: &lines{}, Getenv: func(k string) string {
				if v, ok := tt.set[k]; ok {
					return v
				}
				return env[k]
			}})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
