package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/chaos/app"
)

// checkResult: a result is what one run of the handler returned, whole, and of
// the attempt that counts.
func (w *world) checkResult(s *seen, q *request, f wire.Frame, raw []byte, last image) {
	name := q.name()
	var r app.Reply
	if err := json.Unmarshal(raw, &r); err != nil {
		w.violate(name, "its result is not readable: %.100s", raw)
		return
	}
	if r.User != q.user || r.Tag != q.ask.Tag || len(r.Filler) != q.ask.Size {
		w.violate(name, "its result is not its own: %.200s", raw)
	}
	if q.action == "echo" {
		return
	}
	i := slices.IndexFunc(s.notes[name], func(n app.Note) bool { return n.Run == r.Run && n.What == "returns" })
	switch {
	case last.state != "SUCCEEDED":
		w.violate(name, "its client has a result, stored is %s", last)
	case f.Placed && f.Epoch != last.epoch:
		w.violate(name, "its result is of epoch %d, stored is %s", f.Epoch, last)
	case i < 0:
		w.violate(name, "its result is of run %s, which returned none", r.Run)
	case int64(s.notes[name][i].Attempt) != last.attempt:
		w.violate(name, "its result is of attempt %d, stored is %s", s.notes[name][i].Attempt, last)
	case (q.action == "steps" || q.action == "tale") && len(r.Steps) != q.ask.Steps:
		w.violate(name, "its result has %d of %d steps", len(r.Steps), q.ask.Steps)
	case q.action == "count" && r.N != q.ask.Steps:
		w.violate(name, "its result counts %d of %d", r.N, q.ask.Steps)
	}
}

// checkStories: what a client was told is one story: one last frame, at its
// end; progress that goes on; the log of partials without a gap.
func (w *world) checkStories(s *seen) {
	for _, k := range w.calls {
		w.checkStory(k)
	}
	for _, k := range s.later {
		w.checkStory(k)
	}
}

func (w *world) checkStory(k *call) {
	name := k.request.name()
	var at wire.Cursor
	var pieces log
	for n, t := range k.frames {
		f := t.frame
		last := f.Type == wire.TypeResponse || f.Type == wire.TypeComplete || f.Type == wire.TypeError
		if last != (n == len(k.frames)-1) && k.done {
			w.violate(name, "frame %d of %d is %s", n+1, len(k.frames), f.Type)
		}
		switch f.Type {
		case wire.TypeProgress:
			if n > 0 && f.Cursor().Compare(at) <= 0 {
				w.violate(name, "progress at %v after %v", f.Cursor(), at)
			}
			at = f.Cursor()
		case wire.TypePartial:
			if wrong := pieces.extend(f); wrong != "" {
				w.violate(name, "%s", wrong)
			}
		case wire.TypeComplete:
			w.checkLog(k.request, &pieces, f)
		}
	}
}

// log is the log of partials as a client keeps it.
type log struct {
	epoch int64
	items []json.RawMessage
}

func (l *log) extend(f wire.Frame) (wrong string) {
	if f.First < 1 || f.First > int64(len(l.items))+1 {
		return fmt.Sprintf("partials from %d after %d pieces", f.First, len(l.items))
	}
	if f.First <= int64(len(l.items)) && f.Epoch <= l.epoch {
		return fmt.Sprintf("partials from %d again after %d pieces, epoch %d after %d", f.First, len(l.items), f.Epoch, l.epoch)
	}
	l.epoch, l.items = f.Epoch, append(l.items[:f.First-1:f.First-1], f.Items...)
	return ""
}

// checkLog: a request that succeeded has all of its log, in order.
func (w *world) checkLog(q *request, l *log, f wire.Frame) {
	want := 0
	switch q.action {
	case "words":
		want = q.ask.Steps
	case "tale":
		want = 2 * q.ask.Steps
	}
	if len(l.items) != want || f.Partials != int64(want) {
		w.violate(q.name(), "the log has %d pieces, its last frame says %d, there are %d", len(l.items), f.Partials, want)
		return
	}
	for n, raw := range l.items {
		var p app.Piece
		if err := json.Unmarshal(raw, &p); err != nil || p.N != n+1 {
			w.violate(q.name(), "piece %d of the log is %s", n+1, raw)
		}
	}
}

// checkLater: who comes afterwards is told the same as who was there.
func (w *world) checkLater(s *seen) {
	for _, k := range w.calls {
		name := k.request.name()
		later := s.later[name]
		if later == nil {
			continue
		}
		f, result, err, _ := k.outcome()
		g, again, err2, _ := later.outcome()
		switch {
		case err == nil && err2 != nil:
			w.violate(name, "its client has a result, and one that came later was told %v", err2)
		case err == nil && !bytes.Equal(result, again):
			w.violate(name, "its client was told %.100s, and one that came later %.100s", result, again)
		case err == nil && f.Placed && !slices.EqualFunc(k.log(), later.log(), func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }):
			w.violate(name, "its client has the log %s, and one that came later %s", k.log(), later.log())
		case err != nil && f.Placed && (g.Code != f.Code || g.Epoch != f.Epoch || g.Message != f.Message):
			w.violate(name, "its client was told %v, and one that came later %v", err, err2)
		}
	}
}

func (k *call) log() []json.RawMessage {
	var l log
	for _, t := range k.frames {
		if t.frame.Type == wire.TypePartial {
			_ = l.extend(t.frame) // checkStory has said so
		}
	}
	return l.items
}

// checkWire: nothing on any socket is another user's; the end that anybody was
// ever pushed is the one that is stored; who has lost a request may go on about
// its own epoch, which every client knows to be older, and about no other. A
// frame may come twice, for who pushes it cannot know that it arrived when the
// answer was lost; checkStory sees to it that the client is told once.
func (w *world) checkWire(s *seen) {
	type stream struct {
		socket  int
		request string
		epoch   int64
	}
	newest := map[stream]wire.Frame{}
	for _, h := range s.wire {
		f, name := h.frame, h.user+"/"+h.frame.RequestID
		if owner, _, found := strings.Cut(f.RequestID, "."); found && slices.Contains(users, owner) && owner != h.user {
			w.violate(owner+"/"+f.RequestID, "%s was sent its %s", h.user, f.Type)
			continue
		}
		q := w.planned[name]
		if q == nil || !f.Placed {
			continue // of the session itself
		}
		last, stored := s.past.last(name)
		at := stream{h.socket, name, f.Epoch}
		switch {
		case !stored:
			w.violate(name, "%s was pushed, and it is not there", f.Type)
		case f.Epoch > last.epoch:
			w.violate(name, "%s of epoch %d was pushed, stored is %s", f.Type, f.Epoch, last)
		case f.Terminal() && (f.Epoch != last.epoch || !ends(f, last)):
			w.violate(name, "%s %s of epoch %d was pushed, stored is %s", f.Type, f.Code, f.Epoch, last)
		case f.Type == wire.TypeProgress && f.Seq < newest[at].Seq:
			w.violate(name, "progress %d of epoch %d came after %d", f.Seq, f.Epoch, newest[at].Seq)
		case f.Type == wire.TypeProgress && f.Seq == newest[at].Seq && !sameProgress(f, newest[at]):
			w.violate(name, "progress %d of epoch %d came twice, and says two things", f.Seq, f.Epoch)
		}
		if f.Type == wire.TypeProgress {
			if f.Seq > newest[at].Seq {
				newest[at] = f
			}
			if !strings.Contains(string(f.Metadata), `"`+q.user+`"`) {
				w.violate(name, "its progress says %s", f.Metadata)
			}
		}
	}
}

func sameProgress(a, b wire.Frame) bool {
	return a.Percentage == b.Percentage && a.Message == b.Message && bytes.Equal(a.Metadata, b.Metadata)
}

// ends says whether a last frame tells what is stored.
func ends(f wire.Frame, last image) bool {
	switch last.state {
	case "SUCCEEDED":
		return f.Type == wire.TypeComplete
	case "CANCELLED":
		return f.Code == wire.CodeCancelled
	default:
		return string(f.Code) == last.failure
	}
}

// checkRuns: no handler runs for a request that is not there, and none of a
// higher attempt than was counted.
func (w *world) checkRuns(s *seen) {
	for name, notes := range s.notes {
		last, stored := s.past.last(name)
		if !stored {
			w.violate(name, "a handler ran, and it is not there")
			continue
		}
		for _, n := range notes {
			if int64(n.Attempt) > last.attempt+1 {
				w.violate(name, "run %s is of attempt %d, stored is %s", n.Run, n.Attempt, last)
			}
		}
	}
}

// checkMemory: a step that is remembered has one result, that of a run of it;
// and what was restored is not older than what had been stored before.
func (w *world) checkMemory(s *seen) {
	for name, notes := range s.notes {
		effects, results := map[string]bool{}, map[string]string{}
		stored := map[int]int{} // the furthest, by attempt
		for _, n := range notes {
			switch n.What {
			case "effect":
				effects[n.Text] = true
			case "told":
				step := n.Text[:strings.LastIndex(n.Text, " ")]
				if was := results[step]; was != "" && was != n.Text {
					w.violate(name, "a step has two results: %s and %s", was, n.Text)
				}
				if results[step] = n.Text; !effects[n.Text] {
					w.violate(name, "a step has a result that none of its runs had: %s", n.Text)
				}
			case "stored":
				stored[n.Attempt] = max(stored[n.Attempt], n.N)
			case "restored":
				// Who is at an older attempt has lost the request meanwhile.
				for attempt, furthest := range stored {
					if attempt <= n.Attempt && furthest > n.N {
						w.violate(name, "attempt %d went on from %d, attempt %d had stored %d", n.Attempt, n.N, attempt, furthest)
					}
				}
			}
		}
	}
}
