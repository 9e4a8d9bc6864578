package e2e_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

// A handler that ignores its context is answered for, in time, and its instance
// answers the next message.
func TestHandlerThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	const user, id = "deaf", "deaf-1"
	conn := shared.connect(t, user)
	call(t, conn, client.Message{Action: "pid", Payload: struct{}{}}, nil) // an instance is there
	began := time.Now()
	e, f := refused(t, conn, client.Message{ID: id, Action: "deaf", Payload: app.Sleep{Milliseconds: 300_000}}, wire.CodeTimeout)
	if took := time.Since(began); took < 1500*time.Millisecond || took > 8*time.Second || !e.Retryable || f.Placed {
		t.Errorf("after %s: %+v", took, f)
	}
	noted := shared.noted(t, id)
	if len(noted) != 1 {
		t.Fatalf("ran %v", noted)
	}
	eventually(t, "its process answers another", patience, func() bool { return strconv.Itoa(shared.router(t, conn)) == noted[0][1] })
	if shared.log.find("handler ignores its context", `"action":"deaf"`, id) == "" {
		t.Error("the log does not say so")
	}
	eventually(t, "it is counted", patience, func() bool { return shared.log.find(`"Action":"deaf"`, `"QuickTimeouts":1`) != "" })
	eventually(t, "it is counted while it still runs", patience, func() bool {
		shared.router(t, conn)
		return shared.log.find("abandoned handler still runs", `"action":"deaf"`) != "" && shared.log.find(`"Action":"deaf"`, `"AbandonedHandlers":1`) != ""
	})
}

// router asks several routers at once for their process, and returns one's.
func (s *system) router(t *testing.T, conn *client.Conn) int {
	t.Helper()
	var wg sync.WaitGroup
	pids := make([]int, 4)
	for i := range pids {
		wg.Go(func() {
			f, err := conn.Call(bounded(t), client.Message{Action: "pid", Payload: struct{}{}}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			var out app.Echo
			read(t, f.Data, &out)
			pids[i] = out.N
		})
	}
	wg.Wait()
	return pids[time.Now().UnixNano()%int64(len(pids))]
}

// A handler that gives up at its deadline is called again in the background, and
// one that does not is never there twice.
func TestPromote(t *testing.T) {
	t.Parallel()
	conn := shared.connect(t, "promote")
	var kinds []string
	f := call(t, conn, client.Message{ID: "promoted-1", Action: "slow.promote", Payload: app.Sleep{Milliseconds: 1200}}, func(f wire.Frame) { kinds = append(kinds, f.Type) })
	if wantAttempt(t, f.Data, 1); f.Type != wire.TypeComplete || kinds[0] != wire.TypeAcknowledgment {
		t.Errorf("frames %v, then %+v", kinds, f)
	}
	if got := firsts(t, shared.noted(t, "promoted-1")); fmt.Sprint(got) != "[0 1]" {
		t.Errorf("attempts %v, want one that is quick and one in the background", got)
	}
	if got := get(t, conn, "promoted-1"); got.Status != wire.StatusSucceeded || got.Attempt != 1 {
		t.Errorf("stored is %+v", got)
	}
	f = call(t, conn, client.Message{ID: "promoted-2", Action: "slow.promote", Payload: app.Sleep{Milliseconds: 1}}, nil)
	if f.Type != wire.TypeResponse {
		t.Errorf("a fast one is answered %+v", f)
	}
	refused(t, conn, client.Message{ID: "promoted-3", Action: "deaf.promote", Payload: app.Sleep{Milliseconds: 2500}}, wire.CodeTimeout)
	refused(t, conn, client.Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": "promoted-3"}}, wire.CodeNotFound)
	<-time.After(3 * time.Second)
	if got := shared.noted(t, "promoted-3"); len(got) != 1 {
		t.Errorf("one that does not listen ran %v", got)
	}
}

// What is idempotent runs once, however often it is sent.
func TestIdempotent(t *testing.T) {
	t.Parallel()
	const user, id, message = "once", "once-1", `{"id":"once-1","action":"slow.once","payload":{"ms":3000}}`
	first, second := shared.raw(t, user), shared.raw(t, user)
	first.send(message)
	eventually(t, "it runs", patience, func() bool { return len(shared.noted(t, id)) == 1 })
	// The connection is lost before the answer; the message is sent again.
	if err := first.ws.CloseNow(); err != nil {
		t.Fatal(err)
	}
	second.send(message)
	frames := second.until(id)
	if frames[0].Type != wire.TypeAcknowledgment || frames[0].Status != wire.StatusProcessing || frames[len(frames)-1].Type != wire.TypeComplete {
		t.Errorf("while it runs: %+v", frames)
	}
	wantAttempt(t, frames[len(frames)-1].Data, 1)
	for range 2 {
		second.send(message)
		if frames := second.until(id); len(frames) != 1 || frames[0].Type != wire.TypeResponse {
			t.Errorf("afterwards: %+v", frames)
		} else {
			wantAttempt(t, frames[0].Data, 1)
		}
	}
	second.send(`{"id":"once-1","action":"slow.once","payload":{"ms":3001}}`)
	if f := second.until(id)[0]; f.Code != wire.CodeConflict || f.Placed {
		t.Errorf("another payload: %+v", f)
	}
	if got := shared.noted(t, id); len(got) != 1 {
		t.Errorf("ran %v", got)
	}
}

// Promoted or taken over from a router that died, it keeps its id and outcome.
func TestIdempotentGoesOn(t *testing.T) {
	t.Parallel()
	s := own(t, nil)
	t.Run("promoted", func(t *testing.T) {
		conn := s.connect(t, "once promoted")
		m := client.Message{ID: "once-2", Action: "slow.once.promote", Payload: app.Sleep{Milliseconds: 1200}}
		if f := call(t, conn, m, nil); f.Type != wire.TypeComplete {
			t.Errorf("%+v", f)
		}
		runs := s.noted(t, "once-2")
		if f := call(t, conn, m, nil); f.Type != wire.TypeResponse {
			t.Errorf("sent again: %+v", f)
		}
		if got := s.noted(t, "once-2"); len(runs) != 2 || len(got) != 2 {
			t.Errorf("ran %v, then %v", runs, got)
		}
	})
	t.Run("the router dies", func(t *testing.T) {
		conn, r := s.connect(t, "once died"), s.raw(t, "once died")
		r.send(`{"id":"once-3","action":"slow.once.promote","payload":{"ms":400}}`)
		eventually(t, "it runs", patience, func() bool { return len(s.noted(t, "once-3")) == 1 })
		if s.kill(t, "router") == 0 {
			t.Fatal("no router was there to be killed")
		}
		var got state
		eventually(t, "a processor has done it", patience, func() bool {
			f, err := conn.Call(bounded(t), client.Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": "once-3"}, Resend: true}, nil)
			if errors.Is(err, client.ErrNoAnswer) {
				return false
			}
			if err != nil {
				t.Fatal(err)
			}
			read(t, f.Data, &got)
			return got.Status != wire.StatusPending && got.Status != wire.StatusProcessing
		})
		if got.Status != wire.StatusSucceeded || len(s.noted(t, "once-3")) != 2 {
			t.Errorf("stored is %+v, ran %v", got, s.noted(t, "once-3"))
		}
	})
}
