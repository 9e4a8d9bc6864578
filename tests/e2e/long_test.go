package e2e_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

func TestLongRequest(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "long")
	var frames []wire.Frame
	last := call(t, conn, client.Message{ID: "r", Action: "sleep", Payload: app.Sleep{Milliseconds: 1000, Steps: 10}}, func(f wire.Frame) {
		frames = append(frames, f)
	})
	var acknowledged, progress int
	var cursor wire.Cursor
	percentage := -1.0
	for _, f := range frames {
		if !f.Placed || f.RequestID != "r" {
			t.Fatalf("%+v has no cursor or not our id", f)
		}
		switch f.Type {
		case wire.TypeAcknowledgment:
			acknowledged++
			if f.Status != wire.StatusPending || f.RetainedUntil == "" {
				t.Errorf("got %+v, want PENDING, and how long it is kept", f)
			}
		case wire.TypeProgress, wire.TypeComplete:
			if c := f.Cursor(); c.Compare(cursor) <= 0 {
				t.Errorf("cursor %v after %v", c, cursor)
			} else {
				cursor = c
			}
		}
		if f.Type == wire.TypeProgress {
			progress++
			if f.Percentage <= percentage || f.Message == "" {
				t.Errorf("progress %v %q after %v", f.Percentage, f.Message, percentage)
			}
			percentage = f.Percentage
		}
	}
	if acknowledged != 1 || progress < 3 || last.Type != wire.TypeComplete {
		t.Errorf("%d acknowledgments, %d of progress, then %s", acknowledged, progress, last.Type)
	}
	wantAttempt(t, last.Data, 1)
	s := get(t, conn, "r")
	if s.Status != wire.StatusSucceeded || s.Attempt != 1 || s.Epoch != last.Epoch {
		t.Errorf("stored is %+v, the last frame was %+v", s, last)
	}
	wantAttempt(t, s.Result, 1)
}

func wantAttempt(t *testing.T, result []byte, attempt int) {
	t.Helper()
	var ran app.Ran
	read(t, result, &ran)
	if ran.Attempt != attempt {
		t.Errorf("result %s, want attempt %d", result, attempt)
	}
}

func TestRetryThenSuccess(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "retry")
	f := call(t, conn, client.Message{ID: "r", Action: "fail", Payload: app.Fail{Times: 2}}, nil)
	wantAttempt(t, f.Data, 3)
	if s := get(t, conn, "r"); s.Status != wire.StatusSucceeded || s.Attempt != 3 {
		t.Errorf("stored is %+v", s)
	}
}

func TestAttemptsSpent(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "spent")
	e, f := refused(t, conn, client.Message{ID: "r", Action: "fail", Payload: app.Fail{Times: 9}}, wire.CodeInternal)
	if !f.Placed || !e.Retryable {
		t.Errorf("got %+v, want a cursor and retryable", f)
	}
	s := get(t, conn, "r")
	if s.Status != wire.StatusFailed || s.Attempt != 3 || s.Error == nil || s.Error.Code != wire.CodeInternal || s.Error.Message != e.Message {
		t.Errorf("stored is %+v with %+v, the frame said %v", s, s.Error, e)
	}
	// It stays failed.
	again, _ := refused(t, conn, client.Message{ID: "r", Action: "fail", Payload: app.Fail{Times: 9}}, wire.CodeInternal)
	if again.Message != e.Message {
		t.Errorf("sent again it is %v, first it was %v", again, e)
	}
}

func TestDeadlineOfALongRequest(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "deadline")
	if _, f := refused(t, conn, client.Message{ID: "r", Action: "wait.long", Payload: struct{}{}}, wire.CodeTimeout); !f.Placed {
		t.Errorf("got %+v, want a cursor", f)
	}
	if s := get(t, conn, "r"); s.Status != wire.StatusFailed {
		t.Errorf("stored is %+v", s)
	}
}

func TestLargeResult(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "large")
	for _, action := range []string{"large", "large.long"} {
		f := call(t, conn, client.Message{ID: action, Action: action, Payload: app.Large{Bytes: 100 << 10}}, nil)
		var out app.Echo
		read(t, f.Data, &out)
		if len(out.Text) != 100<<10 {
			t.Errorf("%s: %d bytes", action, len(out.Text))
		}
	}
	var out app.Echo
	read(t, get(t, conn, "large.long").Result, &out)
	if len(out.Text) != 100<<10 {
		t.Errorf("$get: %d bytes", len(out.Text))
	}
}

func TestEstimateDecides(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "estimate")
	for n, want := range map[int]string{999: wire.TypeResponse, 1001: wire.TypeComplete} {
		id := fmt.Sprint("estimate-", n)
		f := call(t, conn, client.Message{ID: id, Action: "echo.estimated", Payload: app.Echo{Text: "a", N: n}}, nil)
		var out app.Echo
		read(t, f.Data, &out)
		if f.Type != want || out.N != n {
			t.Errorf("estimate of %d ms: got %s %s, want %s", n, f.Type, f.Data, want)
		}
	}
	if s := get(t, conn, "estimate-1001"); s.Status != wire.StatusSucceeded {
		t.Errorf("stored is %+v", s)
	}
	refused(t, conn, client.Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": "estimate-999"}}, wire.CodeNotFound)
}

func TestResendWithTheSameID(t *testing.T) {
	t.Parallel()
	first, second := shared.raw(t, "resend"), shared.raw(t, "resend")
	const id = "resend-1"
	const message = `{"id":"resend-1","action":"count","payload":{"ms":1500,"steps":10}}`
	first.send(message)
	for first.next().Type != wire.TypeProgress {
	}
	// Another connection follows the request that is open.
	second.send(message)
	frames := second.until(id)
	if !slices.ContainsFunc(frames, func(f wire.Frame) bool {
		return f.Type == wire.TypeAcknowledgment && f.Status == wire.StatusProcessing
	}) || frames[len(frames)-1].Type != wire.TypeComplete {
		t.Errorf("the second connection got %+v", frames)
	}
	if frames := first.until(id); frames[len(frames)-1].Type != wire.TypeComplete {
		t.Errorf("the first connection got %+v", frames)
	}
	// One that has ended is answered with its result.
	second.send(message)
	if frames := second.until(id); len(frames) != 1 || frames[0].Type != wire.TypeComplete {
		t.Errorf("afterwards the answer is %+v", frames)
	}
	for _, other := range []string{
		`{"id":"resend-1","action":"count","payload":{"ms":1500,"steps":11}}`,
		`{"id":"resend-1","action":"sleep","payload":{"ms":1500,"steps":10}}`,
	} {
		second.send(other)
		if f := second.until(id)[0]; f.Code != wire.CodeConflict || f.Placed {
			t.Errorf("%s: got %+v, want CONFLICT without a cursor", other, f)
		}
	}
	if numbers, _ := shared.attempts(t, id); !slices.Equal(numbers, []int{1}) {
		t.Errorf("attempts %v, want one", numbers)
	}
}

func TestUsersAreApart(t *testing.T) {
	t.Parallel()
	alice, bob := shared.connect(t, "alice"), shared.connect(t, "bob")
	const id = "the-same"
	call(t, alice, client.Message{ID: id, Action: "fail", Payload: app.Fail{}}, nil)
	_, err := bob.Call(bounded(t), client.Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": id}}, nil)
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != wire.CodeNotFound {
		t.Fatalf("bob asks for the request of alice and gets %v", err)
	}
	// The same id with another payload is no conflict: it is another request.
	f := call(t, bob, client.Message{ID: id, Action: "fail", Payload: app.Fail{Times: 1}}, nil)
	wantAttempt(t, f.Data, 2)
	if s := get(t, alice, id); s.Attempt != 1 {
		t.Errorf("alice has %+v", s)
	}
	if s := get(t, bob, id); s.Attempt != 2 {
		t.Errorf("bob has %+v", s)
	}
}

// A user of one tenant is nobody in another.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	conns := map[string]*client.Conn{}
	for _, tenant := range []string{"", "a", "b"} {
		token, err := shared.Keys.Token("tenant-user", tenant, nil, patience*10)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := client.Dial(bounded(t), shared.URL, token, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() }) // the test has ended
		conns[tenant] = conn
	}
	call(t, conns["a"], client.Message{ID: "r", Action: "fail", Payload: app.Fail{}}, nil)
	for _, tenant := range []string{"", "b"} {
		refused(t, conns[tenant], client.Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": "r"}}, wire.CodeNotFound)
	}
}

// The client hangs up; the request goes on, and its outcome can be asked for.
func TestRequestOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	first := shared.raw(t, "hung up")
	first.send(`{"id":"r","action":"sleep","payload":{"ms":1000,"steps":10}}`)
	for first.next().Type != wire.TypeProgress {
	}
	if err := first.ws.CloseNow(); err != nil {
		t.Fatal(err)
	}
	conn := shared.connect(t, "hung up")
	eventually(t, "the request succeeds", patience, func() bool { return get(t, conn, "r").Status == wire.StatusSucceeded })
}
