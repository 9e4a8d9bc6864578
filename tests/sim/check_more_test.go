package sim_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/streamer-go/streamer/internal/contract"
)

func conditionFailed(answer []byte) bool {
	return bytes.Contains(answer, []byte("ConditionalCheckFailed")) || bytes.Contains(answer, []byte("TransactionConflictExceptionException"))
}

// checkRuns: an invocation that claimed a request and came to its end has run
// the handler, unless the request was at its end already. Otherwise an attempt
// was spent on nothing.
func (w *world) checkRuns() {
	for _, request := range w.requestsSeen() {
		changes := w.past.changes[request]
		for n, c := range changes {
			i := c.item
			if i.state != "PROCESSING" || n == 0 || changes[n-1].item.epoch == i.epoch {
				continue
			}
			inv := w.nonces[i.by]
			spent := i.attempt > i.max || cancelled(changes[n:], i.epoch) || !c.at.Before(time.UnixMilli(i.deadline).Add(-2*w.plan.skew))
			if slices.ContainsFunc(changes[n:], func(c change) bool { return c.item.epoch == i.epoch+1 && c.item.attempt == i.attempt-1 }) {
				continue // postponed, which costs no attempt; or carried on
			}
			if inv != nil && takenOver(changes[n+1:], i.epoch, inv.until) {
				continue // before it could say that it postpones
			}
			if inv == nil || !inv.ended || inv.failed || inv.lost || spent || w.ranBy(request, inv) || w.missedInput(request, inv) {
				continue
			}
			w.violate(request, "epoch %d was claimed by an invocation that ended well and did not run the handler", i.epoch)
		}
	}
}

// checkOnce: an idempotent request runs once in a router, however often it is
// sent; and what a router hands on runs no more there.
func (w *world) checkOnce() {
	for _, request := range w.requestsSeen() {
		var quick []*run
		for _, r := range w.runs[request] {
			if r.invocation.role == string(contract.RoleRouter) {
				quick = append(quick, r)
			}
		}
		if len(quick) > 1 {
			w.violate(request, "ran %d times in routers", len(quick))
		}
		for _, c := range w.past.changes[request] {
			by := w.nonces[c.item.by]
			if c.item.state != "PENDING" || c.item.epoch != 2 || by == nil || by.role != string(contract.RoleRouter) {
				continue
			}
			// Stream times are in whole seconds.
			if len(quick) == 0 || quick[0].ended.IsZero() || quick[0].ended.After(c.at.Add(time.Second)) {
				w.violate(request, "is handed on by a router while its handler runs")
			}
		}
	}
}

// takenOver says whether what follows gives that epoch to others before then.
func takenOver(changes []change, epoch int64, then time.Time) bool {
	for _, c := range changes {
		if c.item.start == epoch || c.item.epoch > epoch {
			return c.item.start == epoch && c.at.Before(then)
		}
	}
	return false
}

// cancelled says whether the request was cancelled within the epoch that begins
// changes: after a claim whose reply was lost, before it was asked again.
func cancelled(changes []change, epoch int64) bool {
	for _, c := range changes {
		if c.item.epoch == epoch && c.item.cancel {
			return true
		}
	}
	return false
}

func (w *world) ranBy(request string, inv *invocation) bool {
	for _, r := range w.runs[request] {
		if r.invocation == inv {
			return true
		}
	}
	return false
}

// missedInput says whether the invocation could not read the input.
func (w *world) missedInput(request string, inv *invocation) bool {
	for _, f := range w.fired {
		if strings.Contains(f, "processor load "+request+" ") {
			return true
		}
	}
	return len(w.plan.outages) > 0
}

// checkWatchers: an invocation that ended a request and lived on has tried to
// tell every connection that had been promised its frames.
func (w *world) checkWatchers() {
	for _, request := range w.requestsSeen() {
		for n, c := range w.past.changes[request] {
			if !c.item.terminal() || n == 0 {
				continue
			}
			inv := w.nonces[c.item.by]
			if inv == nil || inv.role != string(contract.RoleProcessor) || !inv.ended || inv.failed || inv.lost {
				break
			}
			for _, promise := range w.watching {
				// Stream times are in whole seconds.
				early := w.story.began.Add(promise.at).Before(c.at.Add(-time.Second))
				if promise.request == request && early && !w.told(request, promise.connection, inv) && len(c.item.watchers) < 8 {
					w.violate(request, "%s was promised its frames and not told the end", promise.connection)
				}
			}
			break
		}
	}
}

// told says whether the invocation tried to send the connection the end, or
// had learnt before that it is gone.
func (w *world) told(request, connection string, inv *invocation) bool {
	for _, p := range w.pushes {
		if p.request == request && p.to == connection && p.invocation == inv && p.terminal {
			return true
		}
	}
	for _, f := range w.fired {
		if strings.HasPrefix(f, string(gone)) && strings.Contains(f, request+" ") && strings.Contains(f, "to "+connection+" ") {
			return true
		}
	}
	for _, p := range w.pushes { // 410 of a connection that was closed
		if p.request == request && p.to == connection && p.invocation == inv && w.sockets[connection].ended() {
			return true
		}
	}
	return false
}

func (s *socket) ended() bool {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.client.socket != s
}

// checkBackOff: what is offered already is not offered again soon, unless its
// owner has taken the offer back meanwhile.
func (w *world) checkBackOff() {
	last := map[string]offered{}
	for _, o := range w.offers {
		before, repeated := last[o.request+o.epoch]
		last[o.request+o.epoch] = o
		pause := o.at.Sub(before.at)
		// Two that read the item at the same time both offer it; a claim counts one.
		if repeated && pause > 30*time.Second && pause < 5*time.Minute-2*w.plan.skew && !w.beatBetween(o.request, before.at, o.at) {
			w.violate(o.request, "epoch%s is offered again after %s", o.epoch, pause)
		}
	}
}

// beatBetween says whether an owner wrote between two times; the stream's are in
// whole seconds.
func (w *world) beatBetween(request string, from, to time.Time) bool {
	for _, c := range w.past.changes[request] {
		if c.item.state == "PROCESSING" && !c.at.Before(from.Add(-time.Second)) && !c.at.After(to) {
			return true
		}
	}
	return false
}

// open counts what the index due holds.
func (w *world) open() int {
	out, err := w.db.Scan(context.Background(), &dynamodb.ScanInput{TableName: &w.requests, IndexName: aws.String(contract.IndexDue)})
	if err != nil {
		w.violate("", "scan index: %v", err)
		return 0
	}
	return len(out.Items)
}

// checkQuiet lets time pass in which nobody does anything, and counts.
func (w *world) checkQuiet() {
	minutes := w.plan.quiet
	w.mu.Lock()
	before := len(w.invocations)
	w.mu.Unlock()
	time.Sleep(time.Duration(minutes) * time.Minute)
	w.mu.Lock()
	defer w.mu.Unlock()
	sweeps := 0
	for _, inv := range w.invocations[before:] {
		if inv.name == "sweep" {
			sweeps++
			continue
		}
		w.broken = append(w.broken, violation{text: "in a quiet time the " + inv.role + " is invoked: " + inv.name})
	}
	if sweeps != minutes {
		w.broken = append(w.broken, violation{text: fmt.Sprintf("in %d quiet minutes there are %d sweeps", minutes, sweeps)})
	}
}
