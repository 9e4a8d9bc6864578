package lambda

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// switched counts what a process is told.
type switched struct{ freezes, thaws atomic.Int32 }

func (s *switched) freeze() { s.freezes.Add(1) }
func (s *switched) thaw()   { s.thaws.Add(1) }

// TestFreezeComesLate holds that an instance with work to do is never frozen
// between two invocations, and an idle one is, once.
func TestFreezeComesLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		c, f := newWireConn(near), &switched{}
		s := newRuntimeState("f", f, func() {})
		next := func() {
			if err := s.next(c); err != nil {
				t.Fatal(err)
			}
		}
		next()
		for range 10 {
			time.Sleep(freezeAfter / 2)
			s.deliver(&Invocation{RequestID: "r", Deadline: time.Now().Add(time.Second), Payload: []byte("{}")})
			time.Sleep(freezeAfter * 2) // an invocation may take its time
			if err := s.respond(c, "r", Outcome{}, false); err != nil {
				t.Fatal(err)
			}
			next()
			<-s.done
		}
		if n := f.freezes.Load(); n != 0 {
			t.Fatalf("frozen %d times under load", n)
		}
		time.Sleep(10 * freezeAfter)
		synctest.Wait()
		if n := f.freezes.Load(); n != 1 {
			t.Fatalf("idle: frozen %d times, want once", n)
		}
		s.deliver(&Invocation{RequestID: "r", Deadline: time.Now().Add(time.Second), Payload: []byte("{}")})
		if err := s.respond(c, "r", Outcome{}, false); err != nil {
			t.Fatal(err)
		}
		next()
		s.end(false)
		time.Sleep(10 * freezeAfter)
		if n := f.freezes.Load(); n != 1 {
			t.Fatalf("frozen while it is stopped")
		}
	})
}
