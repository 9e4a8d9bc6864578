package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

// maxStories bounds what a failing run prints.
const maxStories = 5

// event is a line of a story.
type event struct {
	at   time.Time
	text string
}

// report is what a failing run prints: the faults as they came, what is wrong,
// and the story of each request that went wrong.
func (w *world) report(s *seen) string {
	var b strings.Builder
	fmt.Fprintf(&b, "STREAMER_CHAOS_SEED=%d, a storm of %s, %d requests\n\n%s", w.plan.seed, w.plan.storm, len(w.plan.requests), w.schedule())
	b.WriteString("\nwrong:\n")
	var about []string
	for _, v := range w.broken {
		fmt.Fprintf(&b, "  %s: %s\n", v.request, v.text)
		if v.request != "" && !slices.Contains(about, v.request) {
			about = append(about, v.request)
		}
	}
	for n, name := range about {
		if n == maxStories {
			fmt.Fprintf(&b, "\nand %d more requests\n", len(about)-n)
			break
		}
		fmt.Fprintf(&b, "\n%s, %s:\n", name, w.describe(name))
		for _, e := range w.story(name, s) {
			fmt.Fprintf(&b, "%10s  %s\n", w.since(e.at), e.text)
		}
		for _, line := range w.lines(`-/`+name+`"`, `"`+name[strings.Index(name, "/")+1:]+`"`) {
			fmt.Fprintf(&b, "            log: %.400s\n", line)
		}
	}
	return b.String()
}

func (w *world) since(at time.Time) string {
	return at.Sub(w.began).Round(time.Millisecond).String()
}

func (w *world) describe(name string) string {
	q := w.planned[name]
	if q == nil {
		return "which nobody has planned"
	}
	return fmt.Sprintf("%s %+v by %s at %s, cancelled after %s", q.action, q.ask, w.clients[q.client].name, q.at, q.cancel)
}

// schedule is the faults as they came, and what they met.
func (w *world) schedule() string {
	var b strings.Builder
	b.WriteString("faults:\n")
	slices.SortFunc(w.met, func(a, b happening) int { return a.from.Compare(b.from) })
	for _, h := range w.met {
		what := h.what
		if what == "" {
			what = "there was nothing to meet"
		}
		fmt.Fprintf(&b, "%10s  %s: %s, until %s\n", w.since(h.from), h.name, what, w.since(h.to))
	}
	return b.String()
}

// story is all that is known of a request, in the order of the clock. Writes
// are told to the second, so they come before what else was in it.
func (w *world) story(name string, s *seen) (events []event) {
	for _, k := range w.calls {
		if k.request.name() != name {
			continue
		}
		k.mu.Lock()
		if !k.sent.IsZero() {
			events = append(events, event{k.sent, "client: sent"})
		}
		for _, t := range k.frames {
			events = append(events, event{t.at, "client: is told " + short(t.frame)})
		}
		if k.done {
			events = append(events, event{k.ended, fmt.Sprintf("client: ended with %v", k.err)})
		}
		k.mu.Unlock()
	}
	if s != nil {
		for _, c := range s.past[name] {
			events = append(events, event{c.at, "table: " + c.item.String()})
		}
		for _, n := range s.notes[name] {
			events = append(events, event{n.At, fmt.Sprintf("handler: run %s of attempt %d in %d: %s %s %d", n.Run, n.Attempt, n.PID, n.What, n.Text, n.N)})
		}
		for _, h := range s.wire {
			if h.user+"/"+h.frame.RequestID == name {
				events = append(events, event{h.at, fmt.Sprintf("socket %d: %s", h.socket, short(h.frame))})
			}
		}
	}
	for _, h := range w.met {
		if strings.Contains(h.what, name) {
			events = append(events, event{h.from, "fault: " + h.name + ": " + h.what}, event{h.to, "fault: " + h.name + " is over"})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	return events
}

func short(f wire.Frame) string {
	raw, err := f.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%.160s", raw)
}

// summary says what a run was: how requests ended and what faults met.
func (w *world) summary(s *seen) string {
	ends := map[string]int{}
	for _, k := range w.calls {
		f, _, err, _ := k.outcome()
		how := "response"
		switch e := f.Err(); {
		case err == nil && f.Placed:
			how = "complete"
		case e != nil:
			how = string(e.Code)
		case err != nil:
			how = "no answer"
		}
		ends[how]++
	}
	var parts []string
	for _, how := range slices.Sorted(maps.Keys(ends)) {
		parts = append(parts, fmt.Sprintf("%d %s", ends[how], how))
	}
	delayed, cut, swallowed := w.services.counts()
	runs, disk := 0, 0
	for _, notes := range s.notes {
		for _, n := range notes {
			switch n.What {
			case "begin":
				runs++
			case "disk":
				disk++
			}
		}
	}
	_, cutToo, _ := w.callback.counts()
	return fmt.Sprintf("seed %d: %d requests: %s; %d runs of handlers. Killed %d processes, froze %d (%d woke up and had lost their request), "+
		"cut %d sockets of clients, %d connections to services and %d to the API, %d packets late, %d swallowed, %d writes to a full disk",
		w.plan.seed, len(w.calls), strings.Join(parts, ", "), runs, w.kills.Load(), w.frozen.Load(), w.robbed.Load(),
		w.cuts.Load(), cut, cutToo, delayed, swallowed, disk)
}
