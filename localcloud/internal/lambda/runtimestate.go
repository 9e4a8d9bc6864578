package lambda

import (
	"encoding/json"
	"sync"
	"time"
)

// freezeAfter is how long an idle process is left running. To be stopped and
// continued, thread by thread, costs it and the local cloud a fifth of the CPU
// of a quick invocation, and the timer that sees to it fires once per freezeAfter
// and process: under load the next invocation is to come before that.
const freezeAfter = 20 * time.Millisecond

// runtimeState is the state of one runtime process as the Runtime API sees it.
// The goroutine that invokes writes the event into the connection that waits
// for it; the goroutine of that connection goes on reading.
type runtimeState struct {
	function string
	freezer  freezer
	// drain reads what the process has written to its log by now.
	drain func()

	ready chan struct{} // closed at the first next
	done  chan Outcome  // one per invocation, when next follows the answer

	mu        sync.Mutex // guards the rest
	started   bool
	waiting   *wireConn   // its next is not answered yet
	current   *Invocation // under way
	delivered bool
	responded bool
	outcome   Outcome
	initDoc   []byte // posted to init/error
	initType  string
	extension bool // an internal extension is registered: SIGTERM before SIGKILL
	ending    bool // next is answered with an error
	ended     bool // the process is being stopped: it is not frozen any more
	idleSince time.Time
	freezing  *time.Timer // nil before the first next
	armed     bool        // freezing runs
}

// freezer stops and continues a process. Both are called under runtimeState.mu.
type freezer interface {
	freeze()
	thaw()
}

func newRuntimeState(function string, f freezer, drain func()) *runtimeState {
	return &runtimeState{function: function, freezer: f, drain: drain, ready: make(chan struct{}), done: make(chan Outcome, 1)}
}

// deliver hands an invocation to the runtime, now or when it asks.
func (s *runtimeState) deliver(in *Invocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.delivered, s.responded, s.outcome = in, false, false, Outcome{}
	s.freezer.thaw()
	if s.waiting != nil {
		s.send()
	}
}

// send answers the waiting next with the current invocation. s.mu is held; a
// failed write leaves the event for the runtime's next try.
func (s *runtimeState) send() {
	c := s.waiting
	s.waiting = nil
	s.delivered = c.event(s.current) == nil
}

// next is the runtime asking for work: it ends the invocation before.
func (s *runtimeState) next(c *wireConn) error {
	s.drain()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ending:
		return c.reply("500 Internal Server Error", "", wireError("Shutdown", "the environment is shut down"))
	case s.current != nil && s.delivered && !s.responded:
		return c.reply("403 Forbidden", "", wireError("InvalidStateTransition", "next before the response"))
	}
	if !s.started {
		s.started = true
		close(s.ready)
	}
	if s.current != nil && s.responded {
		s.current = nil
		s.done <- s.outcome
	}
	s.waiting = c
	if s.current != nil {
		s.send()
	} else {
		s.idle()
	}
	return nil
}

// idle sees to it that the process is frozen soon. s.mu is held. The timer is
// left alone by invocations and looks for itself when it fires.
func (s *runtimeState) idle() {
	s.idleSince = time.Now()
	if s.armed {
		return
	}
	s.armed = true
	if s.freezing == nil {
		s.freezing = time.AfterFunc(freezeAfter, s.freeze)
		return
	}
	s.freezing.Reset(freezeAfter)
}

// freeze freezes the process if it has been idle for long enough.
func (s *runtimeState) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	if s.waiting == nil || s.ended {
		return
	}
	if left := freezeAfter - time.Since(s.idleSince); left > 0 {
		s.armed = true
		s.freezing.Reset(left)
		return
	}
	s.freezer.freeze()
}

// respond takes the answer of the invocation id.
func (s *runtimeState) respond(c *wireConn, id string, out Outcome, tooLong bool) error {
	s.mu.Lock()
	switch {
	case s.current == nil || s.current.RequestID != id:
		s.mu.Unlock()
		return c.reply("400 Bad Request", "", wireError("InvalidRequestID", "Invalid request ID"))
	case s.responded:
		s.mu.Unlock()
		return c.reply("403 Forbidden", "", wireError("InvalidStateTransition", "the invocation has its response"))
	}
	s.responded, s.outcome = true, out
	s.mu.Unlock()
	if tooLong {
		return c.reply("413 Request Entity Too Large", "", wireError("RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes)."))
	}
	return c.reply("202 Accepted", "", accepted)
}

func (s *runtimeState) initError(body []byte, kind string) {
	if kind == "" {
		var doc struct {
			Type string `json:"errorType"`
		}
		_ = json.Unmarshal(body, &doc) // a body of another form has no type
		kind = doc.Type
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.initDoc, s.initType = body, kind
}

func (s *runtimeState) register(c *wireConn, name string) error {
	if name == "" {
		return c.reply("400 Bad Request", "", wireError("Extension.InvalidExtensionName", "Empty extension name"))
	}
	s.mu.Lock()
	s.extension = true
	s.mu.Unlock()
	body, _ := json.Marshal(map[string]string{"functionName": s.function, "functionVersion": "$LATEST", "handler": "bootstrap"})
	return c.reply("200 OK", "Lambda-Extension-Identifier: "+newUUID()+"\r\n", string(body))
}

// gone forgets a connection that closed while its next was waiting.
func (s *runtimeState) gone(c *wireConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == c {
		s.waiting = nil
	}
}

// end answers the waiting next, and later ones, with 500: aws-lambda-go then
// exits by itself. It reports whether an internal extension is registered.
func (s *runtimeState) end(graceful bool) (extension bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.freezer.thaw()
	if graceful {
		s.ending = true
		if c := s.waiting; c != nil {
			s.waiting = nil
			_ = c.reply("500 Internal Server Error", "", wireError("Shutdown", "the environment is shut down")) // the signal follows
		}
	}
	return s.extension
}

// answer returns the answer of an invocation whose process ended after it.
func (s *runtimeState) answer() (Outcome, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outcome, s.current != nil && s.responded
}

// init returns what the runtime posted to init/error, nil for nothing.
func (s *runtimeState) init() (doc []byte, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.initDoc, s.initType
}
