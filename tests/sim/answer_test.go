package sim_test

import (
	"encoding/json"
	"time"
)

// state is what $get, $resume and $sync tell of a request.
type state struct {
	RequestID string          `json:"request_id"`
	Status    string          `json:"status"`
	Epoch     int64           `json:"epoch"`
	Seq       int64           `json:"seq"`
	Result    json.RawMessage `json:"result"`
	Ref       *reference      `json:"ref"`
	More      bool            `json:"more"`
	Partials  json.RawMessage `json:"partials"` // a number in the answer to $get, else a stretch
	Total     int             `json:"partials_total"`
	Error     struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// answer is the data of a response to a query.
type answer struct {
	state
	User     string  `json:"user"`
	Requests []state `json:"requests"`
	Part     int     `json:"part"`
	Parts    int     `json:"parts"`
	Text     string  `json:"text"`
}

// answers are what becomes of the answer to a query of that kind.
var answers = map[string]func(*client, *socket, *query, *answer){
	"hello": func(c *client, _ *socket, _ *query, d *answer) {
		if d.User != c.plan.user {
			c.violate("", "%s of %s is taken for %q", c.plan.name, c.plan.user, d.User)
		}
	},
	"other": func(c *client, _ *socket, _ *query, d *answer) {
		c.violate("", "%s reads a request that is not its own: %s %s", c.plan.name, d.RequestID, d.Status)
	},
	"get": func(c *client, _ *socket, q *query, d *answer) { c.learn(q, d.state, "$get") },
	"resume": func(c *client, s *socket, q *query, d *answer) {
		for _, st := range d.Requests {
			if a := c.asked[st.RequestID]; a != nil && (st.Status == "PENDING" || st.Status == "PROCESSING") {
				c.promised(s, a)
			}
			c.learn(q, st, "$resume")
		}
	},
	"sync": func(c *client, _ *socket, q *query, d *answer) {
		for id := range q.known { // what is left out has not changed
			c.asked[id].heard = time.Now()
		}
		for _, st := range d.Requests {
			c.learn(q, st, "$sync")
		}
	},
	"cancel": func(c *client, _ *socket, q *query, d *answer) {
		c.tell(q.about, "is told by $cancel: %s", d.Status)
		c.asked[q.about].stopped = d.Status
	},
	"fetch": (*client).fetched,
}

// answered is the answer to a query. Most errors pass: the client asks again.
func (c *client) answered(s *socket, q *query, f *frame) {
	var d answer
	_ = json.Unmarshal(f.Data, &d)
	switch {
	case f.Type == "error" && f.SameID:
	case f.Type == "error" && f.Code == "NOT_FOUND" && !q.known[q.about].acked:
	case f.Type != "response":
		c.violate("", "%s: %s of %q is answered with %s %s: %s", c.plan.name, q.kind, q.about, f.Type, f.Code, f.Message)
	default:
		answers[q.kind](c, s, q, &d)
	}
}

// learn takes what the server says of a request.
func (c *client) learn(q *query, st state, how string) {
	a := c.asked[st.RequestID]
	knew, named := q.known[st.RequestID]
	switch {
	case a == nil || !named:
		c.violate("", "%s is told by %s of %q, for which it did not ask", c.plan.name, how, st.RequestID)
		return
	case st.Status == "" && st.More, st.Error.Code == "UNAVAILABLE" && st.Status == "":
		return
	case st.Status == "":
		if knew.acked {
			c.breach(a, "was accepted, and by %s is told %s", how, st.Error.Code)
		}
		return
	case st.Epoch < knew.epoch:
		c.breach(a, "knew of epoch %d, asked, and is told of epoch %d", knew.epoch, st.Epoch)
		return
	}
	a.heard, a.acked = time.Now(), true
	c.tell(a.id, "is told %s at epoch %d by %s", st.Status, st.Epoch, how)
	more := st.logTo(c, a, how)
	switch {
	case st.Status == "SUCCEEDED" && (st.Result != nil || st.Ref != nil):
		if how == "$resume" && !more {
			a.logged, a.pieces.items = true, a.pieces.items[:min(len(a.pieces.items), st.Total)]
		}
		c.settle(a, &ending{status: st.Status, data: string(st.Result), ref: st.Ref, total: st.Total, epoch: st.Epoch, how: how})
	case st.Status == "SUCCEEDED" && !st.More:
		c.breach(a, "is told by %s that it succeeded, without the result", how)
	case (st.Status == "FAILED" || st.Status == "CANCELLED") && !st.More:
		c.settle(a, &ending{status: st.Error.Code, data: st.Error.Message, epoch: st.Epoch, how: how})
	default:
		a.reach(st.Epoch, st.Seq)
	}
	if more && !a.done {
		a.pieces.lacks, a.read = true, time.Time{}
		c.pursue(a)
	}
}

// logTo gives the request its pieces of the log, and says whether there is more to
// be asked for.
func (st *state) logTo(c *client, a *asked, how string) (more bool) {
	if len(st.Partials) == 0 {
		return st.More
	}
	if how == "$get" {
		_ = json.Unmarshal(st.Partials, &st.Total)
		return false
	}
	var n stretch
	if err := json.Unmarshal(st.Partials, &n); err != nil {
		c.breach(a, "gets %s as pieces of its log: %v", st.Partials, err)
	}
	c.partial(a, n, (*pieces).take)
	return st.More || n.More
}

// fetch asks for the next part of a large result. The caller holds the lock.
func (c *client) fetch(a *asked) {
	part := len(a.parts) + 1
	a.sent = time.Now()
	c.running.Go(func() {
		c.query("fetch", a.id, "$fetch", map[string]any{"request_id": a.id, "part": part})
	})
}

func (c *client) fetched(_ *socket, q *query, d *answer) {
	a := c.asked[q.about]
	a.heard = time.Now()
	if a.fetched || d.Part != len(a.parts)+1 {
		return // asked twice
	}
	a.parts = append(a.parts, d.Text)
	if d.Part < d.Parts {
		c.fetch(a)
		return
	}
	a.fetched, a.ending.data = true, ""
	for _, p := range a.parts {
		a.ending.data += p
	}
	if len(a.ending.data) != a.ending.ref.Size {
		c.breach(a, "fetches %d bytes of a result of %d", len(a.ending.data), a.ending.ref.Size)
	}
	c.pursue(a)
}
