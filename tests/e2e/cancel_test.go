package e2e_test

import (
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

// cancel sends $cancel as a user and returns the state that it is answered with.
func (s *system) cancel(t *testing.T, user, id string) string {
	t.Helper()
	f := call(t, s.connect(t, user), client.Message{Action: wire.ActionCancel, Payload: map[string]string{"request_id": id}}, nil)
	var out struct {
		RequestID string `json:"request_id"`
		Status    string `json:"status"`
	}
	if read(t, f.Data, &out); out.RequestID != id {
		t.Errorf("$cancel of %s is answered %s", id, f.Data)
	}
	return out.Status
}

func (s *system) wantCancel(t *testing.T, user, id, status string) {
	t.Helper()
	if got := s.cancel(t, user, id); got != status {
		t.Errorf("$cancel of %s: %s, want %s", id, got, status)
	}
}

// wantCancelled wants the last frame to say CANCELLED, with a cursor.
func wantCancelled(t *testing.T, frames []wire.Frame) {
	t.Helper()
	if last := frames[len(frames)-1]; last.Type != wire.TypeError || last.Code != wire.CodeCancelled || !last.Placed || last.Retryable {
		t.Errorf("the last frame is %+v, want CANCELLED with a cursor", last)
	}
}

// What waits for its next attempt ends at once, and never runs again.
func TestCancelWhatWaits(t *testing.T) {
	t.Parallel()
	const user, id = "cancel waiting", "cancel-waiting"
	r, conn := shared.raw(t, user), shared.connect(t, user)
	r.accept(`{"id":"` + id + `","action":"later","payload":{"ms":4000}}`)
	eventually(t, "the first attempt ends", patience, func() bool {
		got := get(t, conn, id)
		return got.Attempt == 1 && got.Status == wire.StatusPending
	})
	shared.wantCancel(t, user, id, wire.StatusCancelled)
	wantCancelled(t, r.until(id))
	shared.wantCancel(t, user, id, wire.StatusCancelled)
	<-time.After(6 * time.Second) // its next attempt would have been, and a sweep
	if got := get(t, conn, id); got.Status != wire.StatusCancelled || got.Error == nil || got.Error.Code != wire.CodeCancelled || got.Attempt != 1 {
		t.Errorf("stored is %+v", got)
	}
	if got := shared.noted(t, id); len(got) != 1 {
		t.Errorf("attempts %v", got)
	}
	// The id is taken: its outcome is CANCELLED for good.
	r.send(`{"id":"` + id + `","action":"later","payload":{"ms":4000}}`)
	wantCancelled(t, r.until(id))
}

// A handler is told, and why.
func TestCancelWhatRuns(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		payload string
		then    func(t *testing.T, frames []wire.Frame)
		status  string
	}{
		"it stops": {`{"ms":0}`, wantCancelled, wire.StatusCancelled},
		"it succeeds all the same": {`{"ms":0,"text":"done"}`, func(t *testing.T, frames []wire.Frame) {
			if last := frames[len(frames)-1]; last.Type != wire.TypeComplete {
				t.Errorf("the last frame is %+v", last)
			}
		}, wire.StatusSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user := "cancel: " + name
			id := "cancel-" + tt.status
			r := shared.raw(t, user)
			r.send(`{"id":"` + id + `","action":"cause","payload":` + tt.payload + `}`)
			for r.next().Type != wire.TypeProgress {
			}
			shared.wantCancel(t, user, id, wire.StatusProcessing)
			shared.cancel(t, user, id) // harmless
			tt.then(t, r.until(id))
			if got := shared.noted(t, id); len(got) != 1 || got[0][0] != "true" {
				t.Errorf("the handler was told %v", got)
			}
			if got := get(t, shared.connect(t, user), id); got.Status != tt.status {
				t.Errorf("stored is %+v", got)
			}
			shared.wantCancel(t, user, id, tt.status)
		})
	}
}

// The cancellation waits for a request that has not arrived.
func TestCancelBeforeItArrives(t *testing.T) {
	t.Parallel()
	const user, id = "cancel early", "cancel-early"
	shared.wantCancel(t, user, id, wire.StatusCancelled)
	shared.wantCancel(t, user, id, wire.StatusCancelled)
	r := shared.raw(t, user)
	for range 2 {
		r.send(`{"id":"` + id + `","action":"count","payload":{"ms":1}}`)
		frames := r.until(id)
		if wantCancelled(t, frames); len(frames) != 1 {
			t.Errorf("got %+v", frames)
		}
	}
	if numbers, _ := shared.attempts(t, id); len(numbers) > 0 {
		t.Errorf("attempts %v", numbers)
	}
	conn := shared.connect(t, user)
	if got := get(t, conn, id); got.Status != wire.StatusCancelled || got.Error == nil || got.Error.Code != wire.CodeCancelled {
		t.Errorf("stored is %+v", got)
	}
	var e entry
	f := call(t, conn, client.Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": id}}, nil)
	if read(t, f.Data, &e); e.Action != "" {
		t.Errorf("$get names an action: %s", f.Data)
	}
	if got := list(t, conn, nil); len(got.Requests) != 0 {
		t.Errorf("$list has %+v", got)
	}
}

func TestCancelAfterTheEnd(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "cancel late")
	call(t, conn, client.Message{ID: "late-ok", Action: "fail", Payload: app.Fail{}}, nil)
	refused(t, conn, client.Message{ID: "late-failed", Action: "panic.long", Payload: struct{}{}}, wire.CodeInternal)
	shared.wantCancel(t, "cancel late", "late-ok", wire.StatusSucceeded)
	shared.wantCancel(t, "cancel late", "late-failed", wire.StatusFailed)
	if got := get(t, conn, "late-ok"); got.Status != wire.StatusSucceeded {
		t.Errorf("stored is %+v", got)
	}
	refused(t, conn, client.Message{Action: wire.ActionCancel, Payload: map[string]string{"request_id": "a b"}}, wire.CodeValidation)
}

// A user's id says nothing about another user's request.
func TestCancelAnotherUsers(t *testing.T) {
	t.Parallel()
	const id = "cancel-theirs"
	r := shared.raw(t, "cancel alice")
	r.send(`{"id":"` + id + `","action":"count","payload":{"ms":2500,"steps":5}}`)
	for r.next().Type != wire.TypeProgress {
	}
	shared.wantCancel(t, "cancel bob", id, wire.StatusCancelled) // of his own, which never came
	frames := r.until(id)
	if last := frames[len(frames)-1]; last.Type != wire.TypeComplete {
		t.Errorf("the request of another user ended with %+v", last)
	}
	if got := get(t, shared.connect(t, "cancel alice"), id); got.Status != wire.StatusSucceeded || got.Attempt != 1 {
		t.Errorf("stored is %+v", got)
	}
}
