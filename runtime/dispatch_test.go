package streamer_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// sqs is the event of a queue with that body.
func sqs(body any) map[string]any {
	raw, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		raw = string(b)
	}
	return map[string]any{"Records": []any{map[string]any{"eventSource": "aws:sqs", "messageId": "m", "body": raw}}}
}

// stream is the event of a table's stream with those images.
func stream(images ...string) string {
	for i, image := range images {
		images[i] = `{"eventSource":"aws:dynamodb","eventName":"MODIFY","dynamodb":{"NewImage":` + image + `,"StreamViewType":"NEW_IMAGE"}}`
	}
	return `{"Records":[` + strings.Join(images, ",") + `]}`
}

func image(key string, epoch, start int) string {
	return fmt.Sprintf(`{"pk":{"S":%q},"epoch":{"N":"%d"},"start":{"N":"%d"},"input":{"B":"AA=="},"cancel":{"BOOL":true},"watchers":{"M":{"c1":{"N":"1"}}}}`, key, epoch, start)
}

func (s *system) dispatch(event any) {
	s.t.Helper()
	if err := s.invoke(s.t.Context(), s.dispatcher, event); err != nil {
		s.t.Fatal(err)
	}
}

func TestStreamStarts(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		s.dispatch(stream(image("a", 0, 0), image("b", 4, 4), image("old", 5, 4), `{"pk":{"S":"none"},"epoch":{"N":"1"}}`, `{}`))
		want := []hint{{work.Hint{Key: "a"}, 0}, {work.Hint{Key: "b", Epoch: 4}, 0}}
		if got := s.start.all(); !reflect.DeepEqual(got, want) || len(s.wake.all()) != 0 {
			t.Errorf("started %+v, want %+v", got, want)
		}
	})
}

func TestRefusedStartComesBack(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{}`)
		s.start.fault = errDown
		s.dispatch(stream(image(key, 0, 0)))
		want := []hint{{work.Hint{Key: key}, 5 * time.Second}}
		if got := s.wake.all(); !reflect.DeepEqual(got, want) {
			t.Fatalf("wake %+v, want %+v", got, want)
		}
		s.start.fault = nil
		s.dispatch(sqs(want[0].Hint))
		again := work.Hint{Key: key, Deadline: s.store.item(key).Deadline}
		if got := s.start.all(); len(got) != 2 || got[1].Hint != again || len(s.wake.all()) != 1 {
			t.Errorf("started %+v, wake %+v", got, s.wake.all())
		}
	})
}

func TestWakes(t *testing.T) {
	t.Parallel()
	soon := func(attr string, d time.Duration) func(request.Attrs) {
		return func(a request.Attrs) {
			delete(a, c.AttrStart)
			a[attr] = time.Now().Add(d).UnixMilli()
		}
	}
	running := func(a request.Attrs) {
		a[c.AttrState], a[c.AttrEpoch], a[c.AttrAttempt] = "PROCESSING", int64(1), int64(1)
	}
	tests := []struct {
		name  string
		edit  func(a request.Attrs)
		body  string // "": the hint
		wake  time.Duration
		event string // what happens, if anything
	}{
		{"in time", soon(c.AttrRunAt, 0), "", 0, "advance (offer)"},
		{"too early", soon(c.AttrRunAt, 30*time.Second), "", 30 * time.Second, ""},
		{"owner lives", func(a request.Attrs) { soon(c.AttrLease, 20*time.Second)(a); running(a) }, "", 20 * time.Second, ""},
		{"owner is dead", func(a request.Attrs) { soon(c.AttrLease, 0)(a); running(a) }, "", 0, "advance (offer)"},
		{"failure record", func(a request.Attrs) { soon(c.AttrLease, 20*time.Second)(a); running(a) },
			`{"version":"1.0","requestContext":{"condition":"RetriesExhausted"},"requestPayload":{"key":"acme/alice/r1","epoch":0},"responsePayload":{"errorType":"x"}}`, 20 * time.Second, ""},
		{"failure record of a young offer", nil, `{"requestPayload":{"key":"acme/alice/r1","epoch":0}}`, 30 * time.Second, ""},
		{"failure record of an old offer", func(a request.Attrs) { a[c.AttrDueAt] = time.Now().Add(4 * time.Minute).UnixMilli() },
			`{"requestPayload":{"key":"acme/alice/r1","epoch":0}}`, 0, ""},
		{"hint of an epoch that is over", func(a request.Attrs) { soon(c.AttrLease, 20*time.Second)(a); running(a); a[c.AttrEpoch] = int64(3) },
			`{"key":"acme/alice/r1","epoch":2}`, 0, ""},
		{"failure record of an epoch that is over", func(a request.Attrs) { soon(c.AttrLease, 20*time.Second)(a); running(a); a[c.AttrEpoch] = int64(3) },
			`{"requestPayload":{"key":"acme/alice/r1","epoch":1}}`, 0, ""},
		{"failure record of a push", soon(c.AttrRunAt, 0), `{"requestPayload":{"key":"acme/alice/r1","push":true}}`, 0, ""},
		{"terminal", func(a request.Attrs) { a[c.AttrState] = "SUCCEEDED" }, "", 0, ""},
		{"unknown", nil, `{"key":"acme/alice/none","epoch":1}`, 0, ""},
		{"not readable", nil, `{`, 0, ""},
		{"empty", nil, `{}`, 0, ""},
		{"cancelled while it waits", func(a request.Attrs) { soon(c.AttrRunAt, time.Hour)(a); a[c.AttrCancel] = true }, "", 0, "advance (cancel)"},
		{"attempts spent", func(a request.Attrs) { soon(c.AttrLease, 0)(a); running(a); a[c.AttrAttempt] = int64(3) }, "", 0, "advance (fail)"},
		{"deadline spent", func(a request.Attrs) { a[c.AttrDeadline] = time.Now().UnixMilli() }, "", 0, "advance (fail)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				key := s.accept("r1", "task", `{}`)
				if tt.edit != nil {
					s.store.edit(key, tt.edit)
				}
				epoch := s.store.item(key).Epoch
				if tt.body == "" {
					s.dispatch(sqs(work.Hint{Key: key, Epoch: epoch}))
				} else {
					s.dispatch(sqs(tt.body))
				}
				var wake []hint
				if tt.wake > 0 {
					it := s.store.item(key)
					wake = []hint{{work.Hint{Key: key, Epoch: it.Epoch, Deadline: it.Deadline}, tt.wake}}
				}
				got := s.wake.all()
				if !reflect.DeepEqual(got, wake) {
					t.Errorf("wake %+v, want %+v", got, wake)
				}
				want := []string{"accept"}
				if tt.event != "" {
					want = append(want, tt.event)
				}
				if got := s.store.events(); !reflect.DeepEqual(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
				it := s.store.item(key)
				if ended := tt.event == "advance (cancel)" || tt.event == "advance (fail)"; ended {
					if it.State == request.Failed && it.Failure == nil || !it.State.Terminal() || it.Expires == 0 {
						t.Errorf("%+v", it)
					}
					if got, want := s.start.all(), []hint{{work.Hint{Key: key, Epoch: epoch + 1, Push: true}, 0}}; !reflect.DeepEqual(got, want) {
						t.Errorf("started %+v, want %+v", got, want)
					}
				}
			})
		})
	}
}

func TestAdvancePutsBackWhatItCannotRead(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		s.store.fault = func(string) error { return errDown }
		s.dispatch(sqs(work.Hint{Key: "k", Epoch: 3}))
		if got, want := s.wake.all(), []hint{{work.Hint{Key: "k", Epoch: 3}, 5 * time.Second}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
		if err := s.invoke(t.Context(), s.dispatcher, c.SweepEvent); err == nil {
			t.Error("a sweep that saw nothing is no success")
		}
	})
}

func TestSweepReadsEveryPage(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		for i := range 100 {
			s.accept(fmt.Sprint("r", i), "task", `{}`)
		}
		s.dispatch(c.SweepEvent)
		if n := len(s.store.events()); n != 100 {
			t.Fatalf("a sweep before anything is due made %d writes", n-100)
		}
		<-time.After(6 * time.Minute)
		s.store.pages = 0
		s.dispatch(c.SweepEvent)
		offers := len(slices.DeleteFunc(s.store.events(), func(e string) bool { return e != "advance (offer)" }))
		if offers != 100 || s.store.pages < 50 {
			t.Errorf("%d offers over %d pages", offers, s.store.pages)
		}
		s.dispatch(c.SweepEvent)
		if n := len(s.store.events()); n != 200 {
			t.Errorf("the next sweep made %d writes more", n-200)
		}
	})
}

func TestOffersBackOffUntilTheDeadline(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key, began := s.accept("r1", "task", `{}`), time.Now()
		var at []time.Duration
		for s.store.item(key).State == request.Pending && time.Since(began) < 30*time.Hour {
			<-time.After(time.Minute)
			before := len(s.store.events())
			s.dispatch(c.SweepEvent)
			if len(s.store.events()) > before {
				at = append(at, time.Since(began).Round(time.Minute))
			}
		}
		it := s.store.item(key)
		if it.State != request.Failed || it.Failure.Code != string(wire.CodeTimeout) || at[len(at)-1] != 24*time.Hour {
			t.Errorf("%s %+v at %v", it.State, it.Failure, at[len(at)-1])
		}
		want := []time.Duration{6, 12, 24, 39, 54}
		for i, m := range want {
			if at[i] != m*time.Minute {
				t.Fatalf("offered at %v, want minutes %v", at[:len(want)], want)
			}
		}
		if s.mustRun(key, 0); len(s.conns.frames) != 0 {
			t.Error("a late start ran")
		}
		if err := s.invoke(t.Context(), s.processor, work.Hint{Key: key, Push: true}); err != nil || len(s.conns.frames) != 0 {
			t.Errorf("%v: the watcher's token has expired, and it was pushed to: %v", err, s.conns.frames)
		}
	})
}

func TestPushHintTellsTheWatchers(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{}`)
		s.store.edit(key, func(a request.Attrs) { a[c.AttrDeadline] = time.Now().UnixMilli() })
		s.dispatch(sqs(work.Hint{Key: key}))
		for _, h := range s.start.all() {
			if err := s.invoke(t.Context(), s.processor, h.Hint); err != nil {
				t.Fatal(err)
			}
		}
		if f := s.last("c1"); f.Code != wire.CodeTimeout || f.Epoch != 1 {
			t.Errorf("%+v", f)
		}
	})
}

func TestEventsThatAreNoEvents(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		if err := s.invoke(t.Context(), s.dispatcher, "["); err == nil {
			t.Error("no error")
		}
		s.dispatch(`{"Records":[{"eventSource":"aws:kinesis"}]}`)
		s.dispatch(stream(image(keys.Request("", "u", "r"), 1, 1), `{"pk":{"S":"x"},"epoch":{"N":"x"},"start":{"N":"x"}}`))
		if n := len(s.start.all()); n != 1 || !strings.Contains(s.log.String(), "aws:kinesis") {
			t.Errorf("%d started: %s", n, s.log)
		}
	})
}
