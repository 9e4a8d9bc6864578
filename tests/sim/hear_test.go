package sim_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
)

// hear takes a frame as docs/protocol.md says, and checks what can be checked
// at once: whom it is for, and that it fits with what was heard before.
func (c *client) hear(s *socket, raw []byte) {
	var f frame
	if err := json.Unmarshal(raw, &f); err != nil {
		c.violate("", "%s gets what is no frame: %s", s.name, raw)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Type == "" {
		c.tell("", "hears from the gateway: %s", f.Message)
		return
	}
	if q := c.queries[f.ID]; q != nil {
		delete(c.queries, f.ID)
		c.answered(s, q, &f)
		return
	}
	a := c.asked[f.ID]
	if a == nil {
		c.violate(c.plan.user+"/"+f.ID, "%s of %s gets a frame of a request that is not its own: %s", s.name, c.plan.user, raw)
		return
	}
	a.heard = time.Now()
	if f.Type != "progress" && f.Type != "partial" {
		c.tell(f.ID, "hears %s %s%s%s on %s", f.Type, f.Status, f.Code, f.cursor(), s.name)
	}
	switch f.Type {
	case "response":
		c.response(a, &f)
	case "acknowledgment":
		a.acked = true
		c.acknowledged(s, a, &f)
	case "progress":
		c.progress(a, &f)
	case "partial":
		a.acked = true
		a.reach(*f.Epoch, *f.Seq)
		c.partial(a, stretch{Epoch: *f.Epoch, First: f.First, Items: f.Items}, (*pieces).hear)
	case "complete":
		c.settle(a, &ending{status: "SUCCEEDED", data: string(f.Data), ref: f.Ref, total: f.Partials, epoch: *f.Epoch, how: "complete"})
	case "error":
		if f.Epoch != nil {
			c.settle(a, &ending{status: f.Code, data: f.Message, epoch: *f.Epoch, how: "error"})
			return
		}
		c.refused(a, &f)
	default:
		c.breach(a, "gets a frame of type %q", f.Type)
	}
}

func (c *client) breach(a *asked, format string, args ...any) {
	c.violate(c.plan.user+"/"+a.id, "%s", c.plan.name+" "+fmt.Sprintf(format, args...))
}

// response ends a quick request. That of a stored one tells its end, without its
// epoch.
func (c *client) response(a *asked, f *frame) {
	if idempotent[a.step.action] {
		c.settle(a, &ending{status: "SUCCEEDED", data: string(f.Data), how: "response"})
		return
	}
	var r reply
	if err := json.Unmarshal(f.Data, &r); err != nil || r.User != c.plan.user || r.Tag != a.step.ask.Tag || r.Run != "" {
		c.breach(a, "gets a response that is not its own: %s", f.Data)
	}
	if a.acked {
		c.breach(a, "gets a response to an accepted request")
	}
	a.done = true
}

// progress keeps the newest. Equal cursors mean equal frames, and what comes
// later in an epoch is not behind what came earlier.
func (c *client) progress(a *asked, f *frame) {
	if f.Epoch == nil || f.Seq == nil {
		c.breach(a, "gets progress without a cursor")
		return
	}
	what := fmt.Sprintf("%v %s", f.Percentage, f.Message)
	if was, ok := a.updates[f.cursor()]; ok && was != what {
		c.breach(a, "gets two frames with cursor %s: %q and %q", f.cursor(), was, what)
	}
	a.updates[f.cursor()] = what
	if a.ending != nil && a.ending.epoch > 0 && *f.Epoch >= a.ending.epoch {
		c.breach(a, "gets progress %s of a request that ended at epoch %d", f.cursor(), a.ending.epoch)
	}
	if a.done || *f.Epoch < a.epoch || *f.Epoch == a.epoch && *f.Seq <= a.seq {
		return
	}
	a.epoch, a.seq = *f.Epoch, *f.Seq
}

// settle takes the end, once; every later one must be the same.
func (c *client) settle(a *asked, e *ending) {
	a.acked = true
	if was := a.ending; was != nil {
		// A result is told in full, or by where it is; which of both depends on
		// what else is in the message.
		same := was.data == e.data || e.ref != nil || was.ref != nil
		if was.status != e.status || !same || was.epoch != e.epoch && was.epoch > 0 && e.epoch > 0 {
			c.breach(a, "hears two ends: %s %.80s at epoch %d by %s, then %s %.80s at epoch %d by %s",
				was.status, was.data, was.epoch, was.how, e.status, e.data, e.epoch, e.how)
		}
		return
	}
	if e.epoch > 0 && e.epoch < a.epoch {
		c.breach(a, "hears an end at epoch %d after frames of epoch %d", e.epoch, a.epoch)
	}
	a.ending = e
	c.pursue(a)
}

// refused is an error about a message. What was accepted goes on.
func (c *client) refused(a *asked, f *frame) {
	quick := a.step.action == "echo" || a.step.action == "doze" || a.step.action == "either" && !a.acked
	switch {
	case c.unknownBefore(a, f):
		a.refusal, a.done = f.Code, true
	case f.SameID || f.Code == "CONFLICT" && a.acked:
		// The first is sent again by the client's timer.
	case quick:
		a.refusal, a.done = f.Code, true
	default:
		c.breach(a, "is refused with %s: %s", f.Code, f.Message)
		a.refusal, a.done = f.Code, true
	}
}

// unknownBefore says whether a message is refused for what the version before an
// update does not know. Messages are on their way for some time.
func (c *client) unknownBefore(a *asked, f *frame) bool {
	novel := f.Code == "INVALID_ACTION" && a.step.action == "novel" || f.Code == "VALIDATION_ERROR" && a.step.ask.Fresh
	updated := c.world.plan.updates[string(contract.RoleRouter)]
	return novel && !a.acked && c.since() < updated+time.Minute
}
