package sim_test

import (
	"fmt"
	"time"
)

// pushed is a frame that a function tried to send.
type pushed struct {
	to         string // connection
	request    string
	terminal   bool
	invocation *invocation
}

// watched is a connection that was told that its request's frames come to it.
type watched struct {
	at                  time.Duration
	connection, request string
}

// offered is a start that the dispatcher offered by a decision of its own, not
// by repeating a call.
type offered struct {
	at             time.Time
	request, epoch string
}

// wrote notes who is about to write what, so that what the table's stream shows
// can be traced to an invocation.
func (w *world) wrote(c *call, nonce string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if nonce != "" {
		w.nonces[nonce] = c.by
	}
	if c.op == "beat" {
		w.beats[c.request+c.detail] = c.by
	}
}

// tried notes a frame that is to be sent, whatever becomes of it.
func (w *world) tried(c *call) {
	if c.op != "push" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pushes = append(w.pushes, pushed{to: c.to, request: c.request, terminal: c.push.terminal(), invocation: c.by})
}

// answered notes the outcome of a call that was carried out.
func (w *world) answered(c *call, status int, answer []byte) {
	if status == 200 && c.op == "offer" && c.try == 1 && !c.copied {
		w.mu.Lock()
		w.offers = append(w.offers, offered{time.Now(), c.request, c.detail})
		w.mu.Unlock()
	}
	switch {
	case status == 200 || status == 204:
		if writesState[c.op] {
			w.story.tell(c.role, c.request, "writes %s%s", c.op, c.detail)
		}
	case status == 400 && writesState[c.op]:
		w.story.tell(c.role, c.request, "is refused %s%s", c.op, c.detail)
	case status == 410 && c.op == "push":
	case status == 400 || status == 403:
		w.violate(c.request, "%s's %s%s is answered %d: %.300s", c.role, c.op, c.detail, status, answer)
	}
	if status == 400 && !conditionFailed(answer) {
		w.violate(c.request, "%s's %s%s is not valid: %.300s", c.role, c.op, c.detail, answer)
	}
}

// writesState are the writes that a story tells.
var writesState = map[string]bool{
	"accept": true, "claim": true, "retry": true, "continue": true, "end": true, "offer": true, "watch": true, "flag": true,
	"cancel": true, "advance-cancel": true, "advance-fail": true, "tombstone": true, "beat": true, "update": true,
	"postpone": true, "park": true, "step": true,
}

// acknowledged notes that a connection was promised the request's frames.
func (c *client) acknowledged(s *socket, a *asked, f *frame) {
	if f.Epoch != nil && f.Seq != nil {
		a.reach(*f.Epoch, *f.Seq)
	}
	c.promised(s, a)
	if a.refusal != "" { // sent again, to a version that knows more
		a.refusal, a.done = "", false
	}
	if f.Status != "PENDING" && f.Status != "PROCESSING" {
		c.breach(a, "gets an acknowledgment that says %s", f.Status)
	}
}

// reach moves the cursor, never back.
func (a *asked) reach(epoch, seq int64) {
	if epoch > a.epoch || epoch == a.epoch && seq > a.seq {
		a.epoch, a.seq = epoch, seq
	}
}

func (c *client) promised(s *socket, a *asked) {
	c.world.mu.Lock()
	c.watching = append(c.watching, watched{c.since(), s.name, c.plan.user + "/" + a.id})
	c.world.mu.Unlock()
}

func lineOf(i image) string {
	return fmt.Sprintf("%s epoch %d attempt %d start %d offers %d beat %d", i.state, i.epoch, i.attempt, i.start, i.offers, i.beat)
}
