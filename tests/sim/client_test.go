package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// client is one device of a user. It does what its plan says, and otherwise
// what docs/protocol.md asks of a client: it connects again, resends what has an
// unknown outcome with the same id, asks for what it hears nothing of.
type client struct {
	*world
	plan clientPlan

	mu      sync.Mutex // guards what follows
	socket  *socket    // the newest; nil without
	dials   int
	dialing bool
	asked   map[string]*asked // by id of the request
	queries map[string]*query // by id of the message
	serial  int               // of queries
	leaving bool
}

// asked is what a client knows of one of its requests.
type asked struct {
	id      string
	step    step
	sent    time.Time // last
	heard   time.Time // last
	tries   int
	acked   bool
	epoch   int64 // cursor: the highest
	seq     int64
	updates map[string]string // progress by cursor
	ending  *ending           // of an accepted one
	done    bool              // nothing more is expected
	refusal string            // code of a refusal that is final
	parts   []string          // of a result that is fetched
	fetched bool              // all of them are there
	pieces  pieces            // of its log
	read    time.Time         // when it was asked for pieces last
	logged  bool              // the log is whole
	stopped string            // what $cancel said last
}

// ending is how an accepted request ended, as the client was told.
type ending struct {
	status string // SUCCEEDED, or the code of the error
	data   string
	ref    *reference // where the data is, when it is too large for a message
	total  int        // pieces of the log
	epoch  int64      // 0 when it was not told
	how    string     // by which frame
}

// query is a message that is about another request, or about none.
type query struct {
	kind  string // names its entry of answers
	about string
	known map[string]knowledge // what it is about, as far as it was known when it was sent
}

// knowledge is what a client knew of a request when it asked for it. A message
// may overtake another: only what was acknowledged by then has to be there.
type knowledge struct {
	epoch int64
	acked bool
}

// deeds are what steps of a plan can do.
var deeds = map[string]func(*client, step){
	"send":     (*client).send,
	"again":    (*client).resend,
	"conflict": (*client).conflict,
	"get":      func(c *client, s step) { c.get(s.request) },
	"cancel":   (*client).cancel,
	"hello":    func(c *client, _ step) { c.query("hello", "", "$hello", nil) },
	// The id is another user's own; this user has none of that name.
	"ask other": func(c *client, _ step) {
		c.query("other", "", "$get", map[string]string{"request_id": c.stranger()})
	},
	"cut":      func(c *client, _ step) { c.lose(func(s *socket) { s.line.cut() }, "loses the connection") },
	"silence":  func(c *client, _ step) { c.lose(func(s *socket) { s.line.silence() }, "is cut off without knowing it") },
	"leave":    func(c *client, _ step) { c.lose(func(s *socket) { s.close() }, "closes the connection") },
	"handover": (*client).handover,
}

// patience are the pauses of a client without news.
const (
	silenceLimit = 30 * time.Second
	lookAround   = 10 * time.Second
)

// live runs the client's plan and then waits until it knows of every request
// how it ended, or until the context ends.
func (c *client) live(ctx context.Context) {
	c.connect(ctx)
	looks := time.NewTicker(lookAround + c.dice.between("pace of "+c.plan.name, 0, time.Second))
	defer looks.Stop()
	defer c.leave()
	next := time.NewTimer(0)
	defer next.Stop()
	steps := c.plan.steps
	for {
		if len(steps) > 0 {
			next.Reset(max(0, steps[0].at-c.since()))
		} else if c.content() {
			return
		}
		select {
		case <-next.C:
			for len(steps) > 0 && steps[0].at <= c.since() {
				deeds[steps[0].do](c, steps[0])
				steps = steps[1:]
			}
		case <-looks.C:
			c.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look does what is due by the client's own timers.
func (c *client) look(ctx context.Context) {
	c.mu.Lock()
	s := c.socket
	c.mu.Unlock()
	if s != nil && s.mute() {
		c.tell("", "gives %s up: it is silent", s.name)
		s.line.cut()
	}
	c.connect(ctx)
	c.mu.Lock()
	var resend, get []*asked
	for _, id := range c.ids() {
		a := c.asked[id]
		if a.done {
			continue
		}
		// The pauses grow, or a request that waits for hours would be all there is.
		quiet := silenceLimit * time.Duration(min(1<<min(a.tries, 10), 20))
		switch {
		case a.pieces.lacks:
			c.pursue(a)
		case time.Since(a.sent) < silenceLimit:
		case a.ending != nil:
			c.pursue(a)
		case time.Since(a.heard) < quiet:
		case a.acked:
			get = append(get, a)
		default:
			resend = append(resend, a)
		}
	}
	c.mu.Unlock()
	for _, a := range resend {
		c.transmit(a)
	}
	c.mu.Lock()
	for _, a := range get {
		a.tries++
		a.sent = time.Now()
	}
	c.mu.Unlock()
	if c.modern() && len(get) > 0 {
		c.positions("sync", get)
		return
	}
	for _, a := range get {
		c.get(a.id)
	}
}

// modern clients ask with $resume and $sync, the others resend and ask with $get.
func (c *client) modern() bool { return c.dice.unit("modern "+c.plan.name) < .6 }

// positions sends the cursors of requests, to $resume or $sync.
func (c *client) positions(kind string, of []*asked) {
	most := 20
	if kind == "sync" {
		most = 100
	}
	for part := range slices.Chunk(of, most) {
		var list []map[string]any
		c.mu.Lock()
		for _, a := range part {
			p := map[string]any{"request_id": a.id}
			if a.epoch >= 0 {
				p["epoch"], p["seq"] = a.epoch, a.seq
			}
			if a.step.action == "tells" {
				a.pieces.position(p)
			}
			list = append(list, p)
		}
		c.mu.Unlock()
		c.query(kind, "", "$"+kind, map[string]any{"requests": list})
	}
}

// cancel stops a request, perhaps before it has arrived.
func (c *client) cancel(s step) {
	c.mu.Lock()
	a := c.asked[s.request]
	c.mu.Unlock()
	if a == nil {
		return
	}
	c.tell(s.request, "cancels")
	c.world.mu.Lock()
	c.cancelled[c.plan.user+"/"+s.request] = true
	c.world.mu.Unlock()
	c.query("cancel", s.request, "$cancel", map[string]string{"request_id": s.request})
}

func (c *client) ids() []string {
	ids := make([]string, 0, len(c.asked))
	for id := range c.asked {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// content says whether the client waits for nothing.
func (c *client) content() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asked {
		if !a.done {
			return false
		}
	}
	return true
}

func (c *client) send(s step) {
	a := &asked{id: s.request, step: s, epoch: -1, updates: map[string]string{}, heard: time.Now()}
	c.mu.Lock()
	c.asked[s.request] = a
	c.mu.Unlock()
	c.world.asked(c, a)
	c.transmit(a)
}

// transmit sends a request, the first time or once more: the same bytes.
func (c *client) transmit(a *asked) {
	c.mu.Lock()
	a.sent = time.Now()
	a.tries++
	c.mu.Unlock()
	c.tell(a.id, "sends %s", a.step.action)
	c.write(message{ID: a.id, Action: a.step.action, Payload: a.step.ask})
}

func (c *client) resend(s step) {
	c.mu.Lock()
	a := c.asked[s.request]
	c.mu.Unlock()
	if a != nil {
		c.transmit(a)
	}
}

// conflict uses the id of an accepted request for another one.
func (c *client) conflict(s step) {
	c.mu.Lock()
	a := c.asked[s.request]
	usable := a != nil && a.acked
	c.mu.Unlock()
	if !usable || s.action == "either" {
		return
	}
	s.ask.Tag += " changed"
	c.tell(s.request, "sends another request with the same id")
	c.write(message{ID: s.request, Action: s.action, Payload: s.ask})
}

func (c *client) get(id string) {
	c.tell(id, "asks how it is")
	c.query("get", id, "$get", map[string]string{"request_id": id})
}

// query sends a message about something else than itself.
func (c *client) query(kind, about, action string, payload any) {
	c.mu.Lock()
	c.serial++
	id := fmt.Sprintf("%s-q%d", c.plan.name, c.serial)
	q := &query{kind: kind, about: about, known: map[string]knowledge{}}
	named := []string{about}
	if m, ok := payload.(map[string]any); ok && m["requests"] != nil {
		list, _ := m["requests"].([]map[string]any)
		for _, p := range list {
			named = append(named, fmt.Sprint(p["request_id"]))
		}
	}
	for _, id := range named {
		if a := c.asked[id]; a != nil {
			k := knowledge{a.epoch, a.acked}
			if a.ending != nil {
				k.epoch = max(a.epoch, a.ending.epoch)
			}
			q.known[id] = k
		}
	}
	c.queries[id] = q
	c.mu.Unlock()
	c.write(message{ID: id, Action: action, Payload: payload})
}

// stranger is the id of a request of somebody else.
func (c *client) stranger() string {
	for _, other := range c.world.plan.clients {
		if other.user != c.plan.user && len(other.steps) > 0 {
			return other.name + "-r1"
		}
	}
	return "nobody's"
}

func (c *client) tell(id, format string, args ...any) {
	request := ""
	if id != "" {
		request = c.plan.user + "/" + id
	}
	c.story.tell(c.plan.name, request, format, args...)
}

type message struct {
	ID      string `json:"id"`
	Action  string `json:"action"`
	Payload any    `json:"payload,omitempty"`
}

// write sends a message on the newest connection, if there is one.
func (c *client) write(m message) {
	c.mu.Lock()
	s := c.socket
	c.mu.Unlock()
	raw, err := json.Marshal(m)
	if err != nil {
		c.violate("", "marshal message %s: %v", m.ID, err)
		return
	}
	if s != nil {
		s.send(raw)
	}
}
