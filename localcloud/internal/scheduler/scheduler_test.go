package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/scheduler"
)

const target = "arn:aws:lambda:us-east-1:000000000000:function:sweep"

// recorder notes invocations and fails as often as it is told.
type recorder struct {
	mu       sync.Mutex
	began    time.Time
	at       []time.Duration
	payloads []string
	caller   account.Caller
	errs     []error // of the next calls
}

func (r *recorder) InvokeAsync(ctx context.Context, arn string, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = append(r.at, time.Since(r.began))
	r.payloads = append(r.payloads, string(payload))
	r.caller, _ = account.CallerFrom(ctx)
	if len(r.errs) == 0 {
		return nil
	}
	err := r.errs[0]
	r.errs = r.errs[1:]
	return err
}

func (r *recorder) times() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.at)
}

// in runs a test in a bubble: it begins at midnight of 1 January 2000.
func in(t *testing.T, errs []error, test func(t *testing.T, s *scheduler.Service, r *recorder)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{began: time.Now(), errs: errs}
		s := scheduler.New(scheduler.Options{Invoker: r})
		defer s.Close()
		test(t, s, r)
	})
}

func spec(expression string) scheduler.ScheduleSpec {
	return scheduler.ScheduleSpec{Name: "s", Expression: expression, TargetARN: target, RoleName: "arn:aws:iam::000000000000:role/scheduler", Input: `{"a":1}`, Enabled: true}
}

// A role may be for schedules of one group only.
func TestRoleIsAssumedForTheGroup(t *testing.T) {
	t.Parallel()
	var asked string
	s := scheduler.New(scheduler.Options{Invoker: &recorder{}, Assumable: func(role, service, source string) error {
		asked = role + " " + service + " " + source
		return errors.New("not trusted")
	}})
	defer s.Close()
	var bad *scheduler.Invalid
	if _, err := s.Put(spec("rate(1 minute)")); !errors.As(err, &bad) || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("error %v", err)
	}
	if want := "scheduler scheduler.amazonaws.com arn:aws:scheduler:us-east-1:000000000000:schedule-group/default"; asked != want {
		t.Errorf("asked for %s, want %s", asked, want)
	}
}

func put(t *testing.T, s *scheduler.Service, p scheduler.ScheduleSpec) {
	t.Helper()
	if _, err := s.Put(p); err != nil {
		t.Fatal(err)
	}
}

func TestRate(t *testing.T) {
	in(t, nil, func(t *testing.T, s *scheduler.Service, r *recorder) {
		put(t, s, spec("rate(1 minute)"))
		time.Sleep(2*time.Minute + time.Second)
		if got := r.times(); !slices.Equal(got, []time.Duration{0, time.Minute, 2 * time.Minute}) {
			t.Errorf("invoked at %v", got)
		}
		if r.payloads[0] != `{"a":1}` || r.caller != account.AssumedRole("scheduler", "s") {
			t.Errorf("payload %s, caller %+v", r.payloads[0], r.caller)
		}
		off := spec("rate(1 minute)")
		off.Enabled = false
		put(t, s, off)
		time.Sleep(time.Hour)
		if got := r.times(); len(got) != 3 {
			t.Errorf("disabled, but invoked at %v", got)
		}
		put(t, s, spec("rate(2 hours)"))
		time.Sleep(time.Second)
		if err := s.Delete("s"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if got := r.times(); len(got) != 4 {
			t.Errorf("deleted, but invoked at %v", got)
		}
		var missing *scheduler.NotFound
		if err := s.Delete("s"); !errors.As(err, &missing) {
			t.Errorf("error %v", err)
		}
	})
}

// What is not accepted is tried again, but not what the role may not do.
func TestRetries(t *testing.T) {
	busy := errors.New("too many requests")
	in(t, []error{busy, busy, nil}, func(t *testing.T, s *scheduler.Service, r *recorder) {
		p := spec("cron(0 0 2 1 ? 2000)")
		p.Input = `{"n":"<aws.scheduler.attempt-number>","at":"<aws.scheduler.scheduled-time>","arn":"<aws.scheduler.schedule-arn>"}`
		put(t, s, p)
		time.Sleep(48 * time.Hour)
		day := 24 * time.Hour
		if got := r.times(); !slices.Equal(got, []time.Duration{day, day + time.Second, day + 3*time.Second}) {
			t.Errorf("tried at %v", got)
		}
		want := `{"n":"3","at":"2000-01-02T00:00:00Z","arn":"arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"}`
		if r.payloads[2] != want {
			t.Errorf("payload %s", r.payloads[2])
		}
	})
}

func TestDeniedIsNotRetried(t *testing.T) {
	in(t, []error{&account.Denied{Action: "lambda:InvokeFunction"}}, func(t *testing.T, s *scheduler.Service, r *recorder) {
		put(t, s, spec("rate(1 day)"))
		time.Sleep(23 * time.Hour)
		if got := r.times(); len(got) != 1 {
			t.Errorf("tried at %v", got)
		}
	})
}

func TestDefaultInput(t *testing.T) {
	in(t, nil, func(t *testing.T, s *scheduler.Service, r *recorder) {
		p := spec("rate(1 day)")
		p.Input = ""
		put(t, s, p)
		synctest.Wait()
		var event map[string]any
		if err := json.Unmarshal([]byte(r.payloads[0]), &event); err != nil || event["detail-type"] != "Scheduled Event" || event["time"] != "2000-01-01T00:00:00Z" {
			t.Errorf("event %s: %v", r.payloads[0], err)
		}
	})
}

func TestCron(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"cron(15 10 * * ? *)":               "2000-01-01T10:15 2000-01-02T10:15",
		"cron(0/20 8-9 ? * MON-FRI *)":      "2000-01-03T08:00 2000-01-03T08:20 2000-01-03T08:40 2000-01-03T09:00",
		"cron(0 0 L * ? *)":                 "2000-01-31T00:00 2000-02-29T00:00",
		"cron(0 0 L-2 * ? *)":               "2000-01-29T00:00 2000-02-27T00:00",
		"cron(0 0 1W * ? *)":                "2000-01-03T00:00 2000-02-01T00:00",
		"cron(0 0 LW 4,12 ? *)":             "2000-04-28T00:00 2000-12-29T00:00",
		"cron(0 0 ? * 6L *)":                "2000-01-28T00:00 2000-02-25T00:00",
		"cron(0 0 ? * TUE#3 *)":             "2000-01-18T00:00 2000-02-15T00:00",
		"cron(0 0 29 2 ? 2001-2010)":        "2004-02-29T00:00 2008-02-29T00:00",
		"cron(30 12 ? JAN,MAR 1 2000-2001)": "2000-01-02T12:30 2000-01-09T12:30",
		"cron(0 0 1 1 ? 1999)":              "",
	} {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{began: time.Now()}
				s := scheduler.New(scheduler.Options{Invoker: r})
				defer s.Close()
				p := spec(expression)
				put(t, s, p)
				times := strings.Fields(want)
				time.Sleep(9 * 366 * 24 * time.Hour)
				var got []string
				for _, at := range r.times()[:min(len(times), len(r.at))] {
					got = append(got, r.began.Add(at).UTC().Format("2006-01-02T15:04"))
				}
				if !slices.Equal(got, times) || (want == "" && len(r.at) > 0) {
					t.Errorf("invoked at %v, want %v", got, times)
				}
			})
		})
	}
}

func TestTimeZone(t *testing.T) {
	in(t, nil, func(t *testing.T, s *scheduler.Service, r *recorder) {
		p := spec("cron(30 2 * * ? *)")
		p.TimeZone = "Europe/Berlin"
		put(t, s, p)
		time.Sleep(2 * time.Hour)
		if got := r.times(); !slices.Equal(got, []time.Duration{90 * time.Minute}) {
			t.Errorf("invoked at %v", got)
		}
	})
}

func TestInvalid(t *testing.T) {
	in(t, nil, func(t *testing.T, s *scheduler.Service, _ *recorder) {
		for _, expression := range []string{
			"", "5 minutes", "rate(5 minutes", "rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(1 second)", "rate(1)",
			"at(2030-01-01T00:00:00)", "cron(* * * * *)", "cron(0 0 * * * *)", "cron(0 0 ? * ? *)", "cron(60 0 * * ? *)", "cron(0 24 * * ? *)",
			"cron(0 0 32 * ? *)", "cron(0 0 ? * 8 *)", "cron(0 0 ? * MON#6 *)", "cron(0 0 * FOO ? *)", "cron(0/0 0 * * ? *)", "cron(5-1 0 * * ? *)", "cron(0 0 * * ? 1969)",
		} {
			var bad *scheduler.Invalid
			if _, err := s.Put(spec(expression)); !errors.As(err, &bad) {
				t.Errorf("%q: error %v", expression, err)
			}
		}
		p := spec("rate(1 day)")
		p.TargetARN = "arn:aws:sqs:us-east-1:000000000000:q"
		if _, err := s.Put(p); err == nil || !strings.Contains(err.Error(), p.TargetARN) {
			t.Errorf("error %v", err)
		}
	})
}
