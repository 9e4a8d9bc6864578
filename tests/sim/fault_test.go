package sim_test

import (
	"slices"
	"time"
)

// A fault is one thing that can happen to a call or an event, at most one to
// each. Its rate is drawn for each run; many are zero in most runs, so that
// rare ones meet with those that happen all the time.
type fault string

// What can happen to a call.
const (
	none        fault = ""
	crashBefore fault = "crash before" // the instance is killed before the call
	crashAfter  fault = "crash after"  // and after it
	lostReply   fault = "lost reply"   // carried out; the function sees a broken connection
	unavailable fault = "unavailable"  // 500 or 503, not carried out
	throttled   fault = "throttled"    // not carried out
	late        fault = "late"         // broken for the function, carried out some time after that
	twice       fault = "twice"        // carried out again some time after the answer
	slow        fault = "slow"         // takes seconds
	gone        fault = "gone"         // 410 of @connections, though the connection is there
)

// What can happen to an event on its way to a function.
const (
	dropped fault = "dropped"
	doubled fault = "doubled" // comes again later
	held    fault = "held"    // comes later, perhaps by hours
	stuck   fault = "stuck"   // the instance dies as it begins
)

var (
	callFaults  = []fault{crashBefore, crashAfter, lostReply, unavailable, throttled, late, twice, slow, gone}
	eventFaults = []fault{dropped, doubled, held, stuck}
)

// fits says whether a fault can happen to a call.
func (f fault) fits(c *call) bool {
	switch f {
	case gone:
		return c.op == "push"
	case late, twice:
		// Signatures are good for minutes, so copies of calls are.
		return c.service != "connections" || c.op == "push"
	default:
		return true
	}
}

// outage is a time in which the calls of a role to a service fail.
type outage struct {
	from, to      time.Duration
	role, service string // "" for all roles
	hang          bool   // calls are not refused, they get no answer
}

// fate draws what happens to the call or event of that name. What has happened
// is kept: to shrink a run is to leave some of it out.
func (w *world) fate(name string, fits func(fault) bool, among []fault) fault {
	if now := w.since(); now < 0 || now > w.plan.storm {
		return none
	}
	u := w.dice.unit("fate of " + name)
	for _, f := range among {
		if !fits(f) {
			continue
		}
		if u -= w.plan.rates[f]; u >= 0 {
			continue
		}
		id := string(f) + ": " + name
		if w.plan.only != nil && !w.plan.only[id] {
			return none
		}
		w.mu.Lock()
		w.fired = append(w.fired, id)
		w.mu.Unlock()
		return f
	}
	return none
}

// out returns the outage that the call falls into.
func (w *world) out(c *call) *outage {
	now := w.since()
	i := slices.IndexFunc(w.plan.outages, func(o outage) bool {
		return now >= o.from && now < o.to && o.service == c.service && (o.role == "" || o.role == c.role)
	})
	if i < 0 {
		return nil
	}
	return &w.plan.outages[i]
}
