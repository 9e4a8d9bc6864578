package e2e_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/wire"
)

func TestKilledProcessor(t *testing.T) {
	t.Parallel()
	s := own(t, nil)
	conn := s.connect(t, "killed")
	const id = "killed-1"
	r := s.raw(t, "killed")
	r.send(`{"id":"killed-1","action":"count","payload":{"ms":2000,"steps":10}}`)
	for r.next().Type != wire.TypeProgress {
	}
	numbers, pids := s.attempts(t, id)
	if len(numbers) != 1 {
		t.Fatalf("attempts %v before the kill", numbers)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	frames := r.until(id)
	if last := frames[len(frames)-1]; last.Type != wire.TypeComplete {
		t.Fatalf("ended with %+v", last)
	}
	if got := get(t, conn, id); got.Status != wire.StatusSucceeded || got.Attempt != 2 {
		t.Errorf("stored is %+v, want SUCCEEDED in attempt 2", got)
	}
	if numbers, pids := s.attempts(t, id); len(numbers) != 2 || numbers[1] != 2 || pids[0] == pids[1] {
		t.Errorf("attempts %v in processes %v", numbers, pids)
	}
}

// Every function dies at once, a few times over, with requests in every state;
// each of them still ends, once.
func TestKilledSystem(t *testing.T) {
	t.Parallel()
	s := own(t, nil)
	const jobs = 20
	r := s.raw(t, "killed")
	for n := range jobs {
		r.send(fmt.Sprintf(`{"id":"job-%d","action":"count","payload":{"ms":1500,"steps":3}}`, n))
	}
	acknowledged := map[string]bool{}
	for len(acknowledged) < jobs {
		if f := r.next(); f.RequestID != "" {
			if f.Type == wire.TypeError {
				t.Fatalf("refused: %+v", f)
			}
			acknowledged[f.RequestID] = true
		}
	}
	if n := s.kill(t, contract.RoleDispatcher); n == 0 {
		t.Error("no dispatcher was there to be killed")
	}
	if n := s.kill(t, ""); n == 0 {
		t.Error("no function was there to be killed")
	}
	conn := s.connectAgain(t, "killed")
	for n := range jobs {
		id := fmt.Sprintf("job-%d", n)
		// A frame may be lost with its sender; what is stored is not.
		var got state
		eventually(t, id+" ends", patience, func() bool {
			got = get(t, conn, id)
			return got.Status != wire.StatusPending && got.Status != wire.StatusProcessing
		})
		if got.Status != wire.StatusSucceeded {
			t.Errorf("%s is %+v", id, got)
		}
		numbers, _ := s.attempts(t, id)
		if len(numbers) == 0 || numbers[len(numbers)-1] != got.Attempt {
			t.Errorf("%s: attempts %v, stored is %+v", id, numbers, got)
		}
		for i, number := range numbers {
			if i > 0 && number <= numbers[i-1] {
				t.Errorf("%s: attempts %v: two of one number", id, numbers)
			}
		}
	}
}

// A router that dies is replaced, and the connection does not notice. Only a
// message that meets the dying process has no answer but the gateway's own.
func TestKilledRouter(t *testing.T) {
	t.Parallel()
	s := own(t, nil)
	r := s.raw(t, "router")
	for n := range 3 {
		answered := false
		for try := 0; try < 3 && !answered; try++ {
			r.send(fmt.Sprintf(`{"id":"echo-%d","action":"echo","payload":{"text":"a"}}`, n))
			f := r.next()
			answered = f.Type == wire.TypeResponse
			if !answered && !f.Gateway() {
				t.Fatalf("got %+v", f)
			}
		}
		if !answered {
			t.Fatal("no router after three messages")
		}
		if s.kill(t, contract.RoleRouter) == 0 {
			t.Error("no router was there to be killed")
		}
	}
}
