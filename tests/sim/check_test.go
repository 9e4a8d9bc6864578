package sim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
)

// checks are the promises, looked at when a run is over.
var checks = []func(*world){
	(*world).checkHistory, (*world).checkEnds, (*world).checkClients, (*world).checkRuns, (*world).checkOnce, (*world).checkWatchers, (*world).checkBackOff,
}

// slack is what an end may come after its deadline: the beats of an owner that
// ignores its context stop a minute after it, its lease has to pass, and the
// sweep comes once a minute; then there are the clocks.
const slack = 5 * time.Minute

func (w *world) requestsSeen() []string { return slices.Sorted(maps.Keys(w.past.changes)) }

// checkHistory holds each write against the one before.
func (w *world) checkHistory() {
	for _, request := range w.requestsSeen() {
		before := image{epoch: -1}
		for n, c := range w.past.changes[request] {
			if c.gone {
				w.violate(request, "is deleted")
				break
			}
			for _, rule := range rules {
				if wrong := rule(w, request, before, c.item); wrong != "" {
					w.violate(request, "write %d, %s after %s: %s", n, lineOf(c.item), lineOf(before), wrong)
				}
			}
			before = c.item
		}
	}
}

// rules say what is wrong with a write, "" for nothing. The first write of an
// item comes after one with epoch -1.
var rules = []func(w *world, request string, before, after image) string{
	func(_ *world, _ string, before, after image) string {
		switch {
		case before.epoch < 0 && idempotent[after.action]: // at work from its first write on; or cancelled before
		case after.epoch != before.epoch && after.epoch != before.epoch+1:
			return "the epoch jumps"
		case after.epoch > before.epoch && after.by == before.by, after.epoch == before.epoch && after.by != before.by:
			return "the nonce and the epoch do not move together"
		}
		return ""
	},
	func(_ *world, _ string, before, after image) string {
		changed := before.state != after.state || before.epoch != after.epoch || before.failure != after.failure || before.attempt != after.attempt
		if before.terminal() && changed {
			return "it had ended"
		}
		if after.terminal() && (after.indexed || after.start >= 0) {
			return "it has ended and is still to be looked after"
		}
		if !after.terminal() && !after.indexed {
			return "it is open and nobody looks after it"
		}
		return ""
	},
	func(_ *world, _ string, before, after image) string { // a claim
		if after.state != "PROCESSING" || after.epoch == before.epoch || before.epoch < 0 && idempotent[after.action] {
			return ""
		}
		if before.start != before.epoch {
			return "it is claimed without having been offered"
		}
		if after.attempt != before.attempt+1 {
			return "a claim counts one attempt"
		}
		return ""
	},
	func(w *world, _ string, before, after image) string { // an offer of what somebody owns
		lease := time.UnixMilli(before.lease)
		if before.state == "PROCESSING" && after.state == "PENDING" && after.epoch == before.epoch && lease.After(after.at.Add(time.Second+2*w.plan.skew)) {
			return "a living owner is robbed, its lease is good for another " + lease.Sub(after.at).String()
		}
		return ""
	},
	func(w *world, request string, before, after image) string { // the writes of an owner
		switch {
		case after.beat > before.beat && after.epoch == before.epoch:
			inv := w.beats[fmt.Sprintf("%s @%d.%d", request, after.epoch, after.beat)]
			return w.byOwner(request, after.epoch, inv)
		case before.state == "PROCESSING" && after.epoch > before.epoch && w.nonces[after.by] != nil && w.nonces[after.by].role != string(contract.RoleDispatcher):
			return w.byOwner(request, before.epoch, w.nonces[after.by])
		}
		return ""
	},
	func(_ *world, _ string, before, after image) string {
		p, was := after.progress, before.progress
		if p == nil || was != nil && *p == *was {
			return ""
		}
		if p.epoch != before.epoch {
			return fmt.Sprintf("progress of epoch %d is stored", p.epoch)
		}
		if was != nil && was.epoch == p.epoch && (p.seq <= was.seq || p.percentage < was.percentage) {
			return fmt.Sprintf("progress goes back from %v to %v", *was, *p)
		}
		return ""
	},
	func(w *world, request string, before, after image) string {
		if after.state == "CANCELLED" && !w.cancelled[request] {
			return "nobody has asked for that"
		}
		return ""
	},
}

// byOwner says whether the invocation is the one that claimed the epoch.
func (w *world) byOwner(request string, epoch int64, inv *invocation) string {
	for _, c := range w.past.changes[request] {
		if c.item.epoch == epoch && c.item.state == "PROCESSING" {
			if owner := w.nonces[c.item.by]; owner != inv {
				return "it is written by an invocation that does not own it"
			}
			return ""
		}
	}
	return ""
}

// checkEnds: what was accepted has ended, in time.
func (w *world) checkEnds() {
	for _, request := range w.requestsSeen() {
		last, ok := w.past.last(request)
		if !ok {
			continue
		}
		if !last.terminal() {
			w.violate(request, "has not ended: %s", lineOf(last))
			continue
		}
		for _, c := range w.past.changes[request] {
			if !c.item.terminal() {
				continue
			}
			limit := time.UnixMilli(c.item.deadline)
			if calm := w.story.began.Add(w.plan.storm); limit.Before(calm) {
				limit = calm
			}
			if late := c.at.Sub(limit); late > slack+2*w.plan.skew {
				w.violate(request, "ended %s after its deadline", late)
			}
			break
		}
		if last.state == "FAILED" && (last.failure == "INVALID_ACTION" || last.failure == "VALIDATION_ERROR") {
			w.violate(request, "was given up because a function had an older version")
		}
		if last.attempt > last.max+1 {
			w.violate(request, "took %d attempts of %d", last.attempt, last.max)
		}
	}
}

// checkClients: what was acknowledged is there, and its owner knows how it ended.
func (w *world) checkClients() {
	for _, c := range w.clients {
		for _, id := range c.ids() {
			a, request := c.asked[id], c.plan.user+"/"+id
			last, stored := w.past.last(request)
			switch {
			case !a.done:
				w.violate(request, "%s does not know how it ended (acknowledged: %v; stored: %s)", c.plan.name, a.acked, lineOf(last))
			case a.acked && !stored:
				w.violate(request, "was acknowledged and is not there")
			case a.acked && a.ending == nil:
				w.violate(request, "%s was told no end", c.plan.name)
			case a.ending == nil:
			case a.ending.epoch > 0 && a.ending.epoch != last.epoch:
				w.violate(request, "%s was told of an end at epoch %d, stored is %d", c.plan.name, a.ending.epoch, last.epoch)
			case last.state == "SUCCEEDED":
				w.checkResult(request, a, last)
			case last.state == "FAILED" && (a.ending.status != last.failure || a.ending.data != last.message):
				w.violate(request, "%s was told %s %q, stored is %s %q", c.plan.name, a.ending.status, a.ending.data, last.failure, last.message)
			case a.stopped == "CANCELLED" && last.state != "CANCELLED":
				w.violate(request, "%s was told that it is cancelled, stored is %s", c.plan.name, last.state)
			case last.state == "CANCELLED" && a.ending.status != "CANCELLED":
				w.violate(request, "%s was told %s, stored is CANCELLED", c.plan.name, a.ending.status)
			}
		}
	}
}

// checkResult: a result is what one run of the handler returned, whole, and
// that run's invocation wrote it.
func (w *world) checkResult(request string, a *asked, last image) {
	var r reply
	if err := json.Unmarshal([]byte(a.ending.data), &r); a.ending.status != "SUCCEEDED" || err != nil {
		w.violate(request, "its owner was told %s %.100s, stored is SUCCEEDED", a.ending.status, a.ending.data)
		return
	}
	i := slices.IndexFunc(w.runs[request], func(run *run) bool { return run.name == r.Run })
	switch {
	case i < 0 || !w.runs[request][i].ok:
		w.violate(request, "the result is of %q, which returned none", r.Run)
	case w.runs[request][i].invocation != w.nonces[last.by]:
		w.violate(request, "the result is of %q, another invocation ended it", r.Run)
	case r.Tag != a.step.ask.Tag || len(r.Filler) != a.step.ask.Size || int64(w.runs[request][i].attempt) != last.attempt:
		w.violate(request, "the result %.100s is not that of the request", a.ending.data)
	case a.step.action == "tells" && !slices.Equal(a.pieces.items, w.logs[place{-1, r.Run}]):
		w.violate(request, "the log has %q, told were %q", a.pieces.items, w.logs[place{-1, r.Run}])
	}
}
