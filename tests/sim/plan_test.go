package sim_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
)

// plan is everything that a run is made of. The same plan gives the same run.
type plan struct {
	seed    uint64
	clients []clientPlan
	storm   time.Duration // after it nothing goes wrong any more
	rates   map[fault]float64
	outages []outage
	skew    time.Duration            // of clocks, at most, to either side
	updates map[string]time.Duration // when a role gets the new version; nil: it had it before
	// only these faults may happen; nil for all that are drawn.
	only   map[string]bool
	mutant *mutant
	// stay is how long clients wait for outcomes, from the end of the storm on.
	stay time.Duration
	// quiet is for how many minutes nobody does anything at the end.
	quiet int
}

// clientPlan is what one client does, in order of time.
type clientPlan struct {
	name, user string
	steps      []step
}

// step is a deed at its time.
type step struct {
	at      time.Duration
	do      string
	request string
	action  string
	ask     ask
}

func (s step) String() string { return fmt.Sprintf("%s %s %s %s", s.at, s.do, s.request, s.action) }

// requests counts what is sent for the first time.
func (p *plan) requests() int {
	n := 0
	for _, c := range p.clients {
		for _, s := range c.steps {
			if s.do == "send" {
				n++
			}
		}
	}
	return n
}

// perClient is how many requests one client sends.
const perClient = 8

// newPlan draws a plan for a number of requests.
func newPlan(seed uint64, requests int) *plan {
	d := dice(seed)
	p := &plan{
		seed: seed, storm: d.between("storm", 5*time.Minute, 12*time.Minute), stay: 75 * time.Minute, quiet: one(d, "quiet", 5, 5, 5, 60),
		rates: map[fault]float64{}, skew: one(d, "skew", 0, 0, 2*time.Second, 20*time.Second, 2*time.Minute),
	}
	if d.below("update", 3) > 0 { // the two in any order, up to minutes apart
		at := d.between("update of router", 0, p.storm)
		p.updates = map[string]time.Duration{
			string(contract.RoleRouter): at, string(contract.RoleProcessor): at + d.between("update of processor", -4*time.Minute, 8*time.Minute),
		}
	}
	for _, f := range slices.Concat(callFaults, eventFaults) {
		p.rates[f] = one(d, "rate of "+string(f), 0, 0, 0.005, 0.02, 0.06)
	}
	for i := range d.below("outages", 4) {
		name := fmt.Sprintf("outage %d ", i)
		from := d.between(name+"from", 0, p.storm)
		p.outages = append(p.outages, outage{
			from: from, to: min(p.storm, from+d.skewed(name+"length", 5*time.Second, 3*time.Minute)),
			role:    one(d, name+"role", "", "router", "processor", "processor", "dispatcher"),
			service: one(d, name+"service", "dynamodb", "dynamodb", "connections", "sqs", "lambda"),
			hang:    d.below(name+"hang", 3) == 0,
		})
	}
	for i := 0; requests > 0; i++ {
		n := min(perClient, requests)
		p.clients = append(p.clients, d.client(i, n, p.storm))
		requests -= n
	}
	return p
}

// client draws a client. Every third shares its user with the one before: they
// are two devices.
func (d dice) client(i, requests int, storm time.Duration) clientPlan {
	user := i
	if i%3 == 2 {
		user--
	}
	c := clientPlan{name: fmt.Sprintf("c%d", i), user: fmt.Sprintf("u%d", user)}
	for n := range requests {
		// Some ids are used by all users.
		id := fmt.Sprintf("%s-r%d", c.name, n)
		if n == 0 && i%3 != 2 {
			id = "first"
		}
		c.steps = append(c.steps, d.request(c.name+" "+id, id, storm)...)
	}
	for n := range d.below(c.name+" losses", 4) {
		name := fmt.Sprintf("%s loss %d", c.name, n)
		c.steps = append(c.steps, step{
			at: d.between(name, time.Second, storm), do: one(d, name+" how", "cut", "cut", "silence", "leave", "handover"),
		})
	}
	slices.SortStableFunc(c.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return c
}

// request draws a request with what is done about it later.
func (d dice) request(name, id string, storm time.Duration) []step {
	first := step{at: d.between(name+" at", 0, storm), do: "send", request: id}
	switch first.action = one(d, name+" action", "echo", "doze", "either", "work", "work", "work", "once", "brief", "chatty", "steps", "counts", "tells", "novel", "noted", "shifted"); first.action {
	case "echo":
		first.ask.Tag = name
	case "doze":
		first.ask.Tag, first.ask.Pace = name, one(d, name+" pace", 10, 1000, 9000)
	default:
		if first.action == "steps" || first.action == "counts" {
			name += " lasting" // for longer than one function
		}
		first.ask = ask{knownBefore: knownBefore{
			Steps: d.below(name+" steps", 6), Pace: one(d, name+" pace", 20, 300, 2000, 9000),
			Size: one(d, name+" size", 0, 0, 0, 1000, 20000, 140000), Wait: one(d, name+" wait", 1, 20, 120, 120, 120, 1000), Tag: name,
		}}
		switch first.action {
		case "steps", "counts":
			first.ask.Steps *= 3
		case "work":
			first.ask.Fresh = d.below(name+" fresh", 6) == 0
		case "tells":
			first.ask.Steps *= 5
			first.ask.Pace /= 3
			first.ask.Keep = d.below(name+" keep", 2) == 0
		}
		for n := range 1 + d.below(name+" endings", 3) {
			first.ask.Endings = append(first.ask.Endings, one(d, fmt.Sprintf("%s ending %d", name, n),
				"ok", "ok", "ok", "ok", "ok", "error", "error", "later", "panic", "permanent", "refused", "wait", "deaf"))
		}
	}
	steps := []step{first}
	for _, more := range []struct {
		do     string
		chance float64
	}{{"again", .15}, {"again", .1}, {"conflict", .05}, {"get", .2}, {"hello", .05}, {"cancel", .1}, {"ask other", .03}} {
		n := fmt.Sprintf("%s %s %d", name, more.do, len(steps))
		quick := len(first.ask.Endings) == 0 || first.action == "either"
		if d.unit(n) < more.chance && !(more.do == "cancel" && quick) {
			s := first
			s.do, s.at = more.do, first.at+d.skewed(n+" at", time.Millisecond, 3*time.Minute)
			steps = append(steps, s)
		}
	}
	return steps
}
