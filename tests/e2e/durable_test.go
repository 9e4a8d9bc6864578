package e2e_test

import (
	"context"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

// Functions that have ten seconds carry on what takes longer.
func TestLongerThanAFunction(t *testing.T) {
	t.Parallel()
	s := own(t, func(o *devhost.Options) { o.Config = map[string]string{"processorTimeout": "10"} })
	for name, test := range map[string]func(*testing.T, *system){
		"checkpoints go on":                   func(t *testing.T, s *system) { goesOn(t, s, "march") },
		"steps go on":                         func(t *testing.T, s *system) { goesOn(t, s, "stages") },
		"checkpoints are restored by a retry": func(t *testing.T, s *system) { retried(t, s, "march") },
		"steps are remembered by a retry":     func(t *testing.T, s *system) { retried(t, s, "stages") },
		"a retry starts the log again":        emitsAgain,
		"nothing that moves":                  nowhere,
		"a crash":                             crashed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// work sends a request through a session and returns its story. The connection
// is cut after every so many pieces of the log; 0: it is not.
func work(t *testing.T, s *system, m client.Message, cutEvery int) (tale, wire.Frame, error) {
	t.Helper()
	var cuts cutter
	var told tale
	session, err := client.Open(bounded(t), client.SessionOptions{
		URL: s.URL, HTTPClient: cuts.client(),
		Token: func(context.Context) (string, error) { return s.Keys.Token(m.ID, "", nil, time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() }) // the test has ended
	f, err := session.Call(bounded(t), m, func(f wire.Frame) {
		if told.add(t, f); cutEvery > 0 && f.Type == wire.TypePartial && len(told.log)%cutEvery == 0 {
			cuts.cut()
		}
	})
	return told, f, err
}

// goesOn does what takes two functions and more; its client is cut off again and
// again.
func goesOn(t *testing.T, s *system, action string) {
	const units = 10
	id := "on-" + action
	told, f, err := work(t, s, client.Message{ID: id, Action: action, Payload: app.March{Units: units, Milliseconds: 1700}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	told.wantLog(t, units)
	wantMarched(t, f, 1, units)
	if f.Partials != units {
		t.Errorf("the end counts %d pieces", f.Partials)
	}
	if got := firsts(t, s.noted(t, id)); !slices.Equal(got, numbers(units)) {
		t.Errorf("units were done as %v", got)
	}
	runs := firsts(t, s.noted(t, id+".runs"))
	if len(runs) < 3 || slices.Max(runs) != 1 {
		t.Errorf("attempts of the invocations: %v, want three of one attempt", runs)
	}
	got := get(t, s.connect(t, id), id)
	if got.Status != wire.StatusSucceeded || got.Attempt != 1 || got.Epoch != int64(2*len(runs)) {
		t.Errorf("stored is %+v after %d invocations", got, len(runs))
	}
}

func wantMarched(t *testing.T, f wire.Frame, attempt, units int) {
	t.Helper()
	var out app.Marched
	if read(t, f.Data, &out); out.Attempt != attempt || out.Units != units {
		t.Errorf("the result is %s, want %d units in attempt %d", f.Data, units, attempt)
	}
}

// retried fails in the middle, and does what was done no second time.
func retried(t *testing.T, s *system, action string) {
	const units, fails = 6, 3
	id := "retried-" + action
	told, f, err := work(t, s, client.Message{ID: id, Action: action, Payload: app.March{Units: units, Milliseconds: 50, FailAfter: fails}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	told.wantLog(t, units)
	wantMarched(t, f, 2, units)
	done := s.noted(t, id)
	if got := firsts(t, done); !slices.Equal(got, numbers(units)) {
		t.Errorf("units were done as %v", got)
	}
	if runs := firsts(t, s.noted(t, id+".runs")); !slices.Equal(runs, []int{1, 2}) {
		t.Errorf("attempts of the invocations: %v", runs)
	}
	if action == "march" {
		return
	}
	keys := map[string]bool{}
	for _, words := range done {
		keys[words[1]] = true
	}
	if len(keys) != units {
		t.Errorf("%d keys of %d steps", len(keys), units)
	}
}

// emitsAgain has no memory: its second attempt replaces the log of the first.
func emitsAgain(t *testing.T, s *system) {
	const units = 5
	var firstAgain bool
	var told tale
	_, err := s.session(t, "again").Call(bounded(t), client.Message{
		ID: "again", Action: "write", Payload: app.March{Units: units, Milliseconds: 150, FailAfter: 3},
	}, func(f wire.Frame) {
		firstAgain = firstAgain || f.Type == wire.TypePartial && f.First == 1 && len(told.log) > 0
		told.add(t, f)
	})
	if err != nil {
		t.Fatal(err)
	}
	told.wantLog(t, units)
	if !firstAgain {
		t.Error("the log was not cut where the second attempt began")
	}
}

// nowhere gets nothing done in a function's time: that is no continuation, but
// an attempt that failed.
func nowhere(t *testing.T, s *system) {
	conn := s.connect(t, "nowhere")
	r := s.raw(t, "nowhere")
	r.accept(`{"id":"nowhere","action":"march","payload":{"units":2,"ms":600000}}`)
	eventually(t, "the second attempt begins", patience, func() bool { return get(t, conn, "nowhere").Attempt > 1 })
	if status := s.cancel(t, "nowhere", "nowhere"); status != wire.StatusProcessing && status != wire.StatusCancelled {
		t.Errorf("$cancel says %s", status)
	}
}

// crashed is killed while it marches: what was checkpointed stays done.
func crashed(t *testing.T, s *system) {
	const units = 12
	done := make(chan error, 1)
	var told tale
	session := s.session(t, "crash")
	go func() {
		_, err := session.Call(bounded(t), client.Message{ID: "crash", Action: "march", Payload: app.March{Units: units, Milliseconds: 200}}, func(f wire.Frame) { told.add(t, f) })
		done <- err
	}()
	eventually(t, "four units are done", patience, func() bool { return len(s.noted(t, "crash")) >= 4 })
	pid, err := strconv.Atoi(s.noted(t, "crash.runs")[0][2])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	told.wantLog(t, units)
	all := firsts(t, s.noted(t, "crash"))
	if n := len(all); n > units+1 || !slices.Equal(slices.Compact(slices.Sorted(slices.Values(all))), numbers(units)) {
		t.Errorf("units were done as %v", all)
	}
	runs := s.noted(t, "crash.runs")
	if len(runs) != 2 || runs[1][0] != "2" || runs[1][1] < "3" {
		t.Errorf("invocations (attempt, unit, process): %v", runs)
	}
}
