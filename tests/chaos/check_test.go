package chaos_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/chaos/app"
)

// seen is all that the checks look at.
type seen struct {
	past  past
	notes map[string][]app.Note // by request
	wire  []heard
	// What a client that comes afterwards is told, by request.
	later map[string]*call
}

// checks are the promises.
var checks = []func(*world, *seen){
	(*world).checkHistory, (*world).checkEnds, (*world).checkCalls, (*world).checkStories, (*world).checkLater,
	(*world).checkWire, (*world).checkRuns, (*world).checkMemory,
}

// slack is what an end may come after its deadline, or after the storm: a lease
// has to pass and a sweep to come, on a machine that is busy.
const slack = 25 * time.Second

// check looks at everything that was left behind.
func (w *world) check(ctx context.Context) (*seen, error) {
	s := &seen{notes: map[string][]app.Note{}, later: map[string]*call{}}
	var err error
	if s.past, err = w.read(ctx); err != nil {
		return s, err
	}
	notes, err := w.notes(1 << 40)
	if err != nil {
		return s, err
	}
	for _, n := range notes {
		s.notes[n.Request] = append(s.notes[n.Request], n)
	}
	if err := w.comeBack(ctx, s); err != nil {
		return s, err
	}
	frames, wrong := w.ear.all()
	s.wire = frames
	for _, text := range wrong {
		w.violate("", "what was no frame came over a client's socket: %s", text)
	}
	for _, check := range checks {
		check(w, s)
	}
	return s, nil
}

// comeBack follows every stored request anew, as a client does that has lost
// all it knew but the ids.
func (w *world) comeBack(ctx context.Context, s *seen) error {
	for _, user := range users {
		c, err := w.connect(ctx, user+"'s later client", user)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(s.past)) {
			q := w.planned[name]
			if q == nil || q.user != user {
				continue
			}
			if last, ok := s.past.last(name); !ok || !last.terminal() {
				continue
			}
			k := &call{request: q, sent: time.Now()}
			f, err := c.session.Follow(ctx, q.id, k.hear)
			k.finish(ctx, c, f, err)
			s.later[name] = k
		}
		if err := c.session.Close(); err != nil {
			return err
		}
	}
	return nil
}

// checkHistory holds each write against the one before.
func (w *world) checkHistory(s *seen) {
	for _, name := range slices.Sorted(maps.Keys(s.past)) {
		before := image{epoch: -1, start: -1}
		for n, c := range s.past[name] {
			if c.gone {
				w.violate(name, "is deleted")
				break
			}
			for _, rule := range rules {
				if wrong := rule(before, c.item); wrong != "" {
					w.violate(name, "write %d, %s after %s: %s", n, c.item, before, wrong)
				}
			}
			before = c.item
		}
	}
}

// rules say what is wrong with a write, "" for nothing. The first write of an
// item comes after one with epoch -1.
var rules = []func(before, after image) string{
	func(before, after image) string {
		switch {
		case before.epoch >= 0 && after.epoch != before.epoch && after.epoch != before.epoch+1:
			return "the epoch jumps"
		case after.epoch > before.epoch && after.by == before.by, after.epoch == before.epoch && after.by != before.by:
			return "the nonce and the epoch do not move together"
		}
		return ""
	},
	func(before, after image) string {
		changed := before.state != after.state || before.epoch != after.epoch || before.failure != after.failure || before.attempt != after.attempt
		switch {
		case before.terminal() && changed:
			return "it had ended"
		case after.terminal() && (after.indexed || after.start >= 0):
			return "it has ended and is still to be looked after"
		case !after.terminal() && !after.indexed:
			return "it is open and nobody looks after it"
		}
		return ""
	},
	func(before, after image) string { // a claim; the first write may be one of a quick request
		switch {
		case after.state != "PROCESSING" || after.epoch == before.epoch || before.epoch < 0:
			return ""
		case before.start != before.epoch:
			return "it is claimed without having been offered"
		case after.attempt != before.attempt+1:
			return "a claim counts one attempt"
		}
		return ""
	},
	func(before, after image) string {
		p, was := after.progress, before.progress
		switch {
		case p == nil || was != nil && *p == *was:
		case p.epoch != before.epoch:
			return "progress of another epoch is stored"
		case was != nil && was.epoch == p.epoch && (p.seq <= was.seq || p.percentage < was.percentage):
			return "progress goes back"
		}
		return ""
	},
	func(before, after image) string {
		if after.epoch == before.epoch && after.beat < before.beat {
			return "the beat goes back"
		}
		return ""
	},
	func(before, after image) string {
		if after.state == "CANCELLED" && !before.cancel && before.state == "PROCESSING" {
			return "nobody has asked for that"
		}
		return ""
	},
}

// checkEnds: what was stored has ended, in time.
func (w *world) checkEnds(s *seen) {
	for _, name := range slices.Sorted(maps.Keys(s.past)) {
		last, ok := s.past.last(name)
		if !ok {
			continue
		}
		if !last.terminal() {
			w.violate(name, "has not ended: %s", last)
			continue
		}
		if last.attempt > last.max+1 {
			w.violate(name, "took %d attempts of %d", last.attempt, last.max)
		}
		i := slices.IndexFunc(s.past[name], func(c change) bool { return c.item.terminal() })
		limit := time.UnixMilli(last.deadline)
		if limit.Before(w.calm) {
			limit = w.calm
		}
		if last.deadline > 0 && s.past[name][i].at.After(limit.Add(slack)) {
			w.violate(name, "ended %s after its deadline", s.past[name][i].at.Sub(time.UnixMilli(last.deadline)))
		}
	}
}

// checkCalls: who asked knows how it ended, and it is what is stored.
func (w *world) checkCalls(s *seen) {
	acknowledged := map[string]bool{}
	for _, h := range s.wire {
		if h.frame.Type == wire.TypeAcknowledgment {
			acknowledged[h.user+"/"+h.frame.RequestID] = true
		}
	}
	for _, k := range w.calls {
		name := k.request.name()
		last, stored := s.past.last(name)
		f, result, err, done := k.outcome()
		var refusal *wire.Error
		switch {
		case !done:
			w.violate(name, "its client does not know how it ended")
		case acknowledged[name] && !stored:
			w.violate(name, "was acknowledged and is not there")
		case err == nil && !stored && k.request.action != "echo":
			w.violate(name, "has a result and is not there")
		case err == nil:
			w.checkResult(s, k.request, f, result, last)
		case errors.As(err, &refusal) && stored && f.Placed:
			w.checkFailure(s, k.request, refusal, f, last)
		case errors.As(err, &refusal) && !f.Placed && stored:
			// The answer of a quick request that was ended as one has no cursor.
			if last.failure != string(refusal.Code) && last.state != "CANCELLED" && !refusal.SameID {
				w.violate(name, "its client was told %v, stored is %s", refusal, last)
			}
			if last.state == "FAILED" && !mayFail(s, k.request, refusal) {
				w.violate(name, "has failed: %v", refusal)
			}
		case acknowledged[name]:
			w.violate(name, "was acknowledged, and its client was told %v", err)
		case errors.As(err, &refusal) && refusal.SameID, errors.Is(err, client.ErrNoAnswer):
			w.gaveUp.Add(1) // the client has tried often enough
		default:
			w.violate(name, "its client was told %v", err)
		}
	}
}

func (w *world) checkFailure(s *seen, q *request, told *wire.Error, f wire.Frame, last image) {
	name := q.name()
	switch {
	case f.Epoch != last.epoch:
		w.violate(name, "its client was told of an end at epoch %d, stored is %s", f.Epoch, last)
	case last.state == "CANCELLED" && told.Code != wire.CodeCancelled:
		w.violate(name, "its client was told %v, stored is %s", told, last)
	case last.state == "FAILED" && (string(told.Code) != last.failure || told.Message != last.message):
		w.violate(name, "its client was told %v, stored is %s", told, last)
	case last.state == "SUCCEEDED":
		w.violate(name, "its client was told %v, stored is %s", told, last)
	case last.state == "CANCELLED" && q.cancel == 0:
		w.violate(name, "is cancelled, and nobody has asked for that")
	case last.state == "FAILED" && !mayFail(s, q, told):
		w.violate(name, "has failed: %v", told)
	}
}

// mayFail says whether a request may fail that way. None has to for want of
// attempts; one that nothing was known of for long can be late.
func mayFail(s *seen, q *request, told *wire.Error) bool {
	if told.Code != wire.CodeTimeout {
		return q.action == "doomed" && told.Code == wire.CodeInternal
	}
	changes := s.past[q.name()]
	last := changes[len(changes)-1]
	late := last.at.Add(2 * time.Second).After(time.UnixMilli(last.item.deadline)) // at is cut to the second
	return late || q.action == "stuck" || q.action == "once"                       // of which the router's machine may be slow
}
