package streamer_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

type piecesOf struct {
	Epoch, First int64
	Items        []string
	More, Lost   bool
}

type entryOf struct {
	ID       string `json:"request_id"`
	Status   string
	Waiting  string
	Epoch    *int64
	Seq      int64
	Attempt  int64
	Retained string `json:"retained_until"`
	Progress *struct{ Percentage float64 }
	Partials *piecesOf
	Result   json.RawMessage
	Ref      *wire.Ref
	Error    *wire.Error
	Total    int64 `json:"partials_total"`
	More     bool
}

func (s *system) entries(who client, action, requests string) []entryOf {
	s.t.Helper()
	var out struct{ Requests []entryOf }
	f := s.asks(who, action, `{"requests":[`+requests+`]}`, &out)
	if n := len(f.Data); n > wire.MaxMessage-200 {
		s.t.Errorf("%s: an answer of %d bytes", action, n)
	}
	return out.Requests
}

var elsewhere = client{user: "alice", tenant: "acme", connection: "c2", permissions: `[]`, expires: time.Hour}

func TestResumeFollowsAndTells(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		open, done := s.accept("open", "task", `{"text":"a"}`), s.accept("done", "task", `{"text":"b"}`)
		s.mustRun(done, 0)
		s.cancels(alice, "never-sent")
		s.store.edit(open, func(a request.Attrs) {
			a[c.AttrState], a[c.AttrEpoch], a[c.AttrAttempt], a[c.AttrWaiting] = "PENDING", int64(2), int64(1), "tenant"
			a[c.AttrProgress] = (&request.Snapshot{Epoch: 1, Seq: 4, Percentage: 50}).Attrs()
		})
		got := s.entries(elsewhere, "$resume", `{"request_id":"open","epoch":1,"seq":3},{"request_id":"done"},{"request_id":"none"},{"request_id":"never-sent"}`)
		if len(got) != 4 {
			t.Fatalf("%+v", got)
		}
		if e := got[0]; e.Status != "PENDING" || *e.Epoch != 2 || e.Waiting != "tenant" || e.Attempt != 1 || e.Progress == nil || e.Progress.Percentage != 50 || e.Partials != nil {
			t.Errorf("open: %+v", e)
		}
		if e := got[1]; e.Status != "SUCCEEDED" || string(e.Result) != `{"text":"b"}` || *e.Epoch != 2 || e.More {
			t.Errorf("done: %+v", e)
		}
		if e := got[2]; e.Status != "" || e.Error == nil || e.Error.Code != wire.CodeNotFound || e.Epoch != nil {
			t.Errorf("none: %+v", e)
		}
		if e := got[3]; e.Status != "CANCELLED" || e.Error.Code != wire.CodeCancelled || *e.Epoch != 0 {
			t.Errorf("cancelled before it was sent: %+v", e)
		}
		if w := s.store.item(open).Watchers; w["c2"] != time.Now().Add(time.Hour).Unix() || w["c1"] == 0 {
			t.Errorf("watchers %v", w)
		}
		if got := s.entries(elsewhere, "$resume", `{"request_id":"open","epoch":1,"seq":4}`); got[0].Progress != nil {
			t.Errorf("progress that the client has: %+v", got)
		}
		bob := client{"bob", "acme", "c3", `[]`, time.Hour}
		if got := s.entries(bob, "$resume", `{"request_id":"open"}`); got[0].Error == nil || got[0].Error.Code != wire.CodeNotFound {
			t.Errorf("another user: %+v", got)
		}
		if w := s.store.item(open).Watchers; w["c3"] != 0 {
			t.Errorf("another user watches: %v", w)
		}
	})
}

func TestResumeMakesRoomAmongWatchers(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{}`)
		for i := range 20 {
			<-time.After(time.Minute)
			s.entries(client{"alice", "acme", fmt.Sprint("d", i), "", time.Hour}, "$resume", `{"request_id":"r1"}`)
		}
		w := s.store.item(key).Watchers
		if len(w) != 8 || w["d19"] == 0 || w["d12"] == 0 || w["c1"] != 0 {
			t.Errorf("%v", w)
		}
	})
}

func TestSyncTellsWhatDiffers(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		same, further, retried := s.accept("same", "task", `{}`), s.accept("further", "task", `{}`), s.accept("retried", "task", `{}`)
		done := s.accept("done", "task", `{"text":"b"}`)
		s.mustRun(done, 0)
		s.store.edit(further, func(a request.Attrs) {
			a[c.AttrState], a[c.AttrEpoch] = "PROCESSING", int64(1)
			a[c.AttrProgress] = (&request.Snapshot{Epoch: 1, Seq: 4, Percentage: 50}).Attrs()
		})
		s.store.edit(retried, func(a request.Attrs) { a[c.AttrEpoch] = int64(2) })
		s.store.edit(same, func(a request.Attrs) { a[c.AttrState], a[c.AttrEpoch] = "PROCESSING", int64(1) })
		s.batch(same, 1, 1, "a", "b")
		writes := len(s.store.events())
		got := s.entries(elsewhere, "$sync", `{"request_id":"same","epoch":1,"seq":9},{"request_id":"further","epoch":1,"seq":3},
			{"request_id":"retried","epoch":1,"seq":3},{"request_id":"done","epoch":1,"seq":1},{"request_id":"none"}`)
		var ids []string
		for _, e := range got {
			ids = append(ids, e.ID+" "+e.Status)
		}
		if want := []string{"further PROCESSING", "retried PENDING", "done SUCCEEDED", "none "}; !reflect.DeepEqual(ids, want) {
			t.Errorf("%q", ids)
		}
		got = s.entries(elsewhere, "$sync", `{"request_id":"same","epoch":1,"seq":9,"partial_epoch":1,"partials":1}`)
		if len(got) != 1 || got[0].Partials == nil || !reflect.DeepEqual(*got[0].Partials, piecesOf{Epoch: 1, First: 2, Items: []string{"b"}}) {
			t.Errorf("pieces: %+v", got)
		}
		if n := len(s.store.events()) - writes; n != 0 {
			t.Errorf("$sync made %d writes", n)
		}
		s.store.fault = func(string) error { return errDown }
		if f := s.says(alice, `{"id":"y","action":"$sync","payload":{"requests":[{"request_id":"same"}]}}`); f.Code != wire.CodeUnavailable {
			t.Errorf("%+v", f)
		}
	})
}

func TestResumeSaysWhichRequestCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, call := range []string{request.Watch.Name, "partials", "last partial"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				key := s.accept("r1", "task", `{}`)
				s.store.edit(key, func(a request.Attrs) { a[c.AttrState], a[c.AttrEpoch] = "PROCESSING", int64(1) })
				s.store.fault = func(what string) error {
					if what == call {
						return errDown
					}
					return nil
				}
				got := s.entries(elsewhere, "$resume", `{"request_id":"r1","partial_epoch":1,"partials":3}`)
				if len(got) != 1 || got[0].Status != "" || got[0].Error == nil || got[0].Error.Code != wire.CodeUnavailable || !got[0].Error.Retryable {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// batch puts a batch of the log into history.
func (s *system) batch(key string, epoch, first int64, items ...string) {
	s.t.Helper()
	raw, err := json.Marshal(items)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.store.PutBlob(s.t.Context(), key, keys.Partial(epoch, first), raw, 1); err != nil {
		s.t.Fatal(err)
	}
}

func TestResumeSendsTheLog(t *testing.T) {
	t.Parallel()
	type b struct {
		epoch, first int64
		items        string // one letter each
	}
	once := []b{{1, 1, "ab"}, {1, 3, "c"}, {1, 4, "de"}, {1, 6, "f"}}
	again := append(once[:4:4], b{3, 1, "AB"}, b{3, 3, "CD"})
	goesOn := append(once[:4:4], b{3, 5, "EF"}, b{3, 7, "G"})
	tests := []struct {
		name        string
		log         []b
		epoch, have int64
		state       string // PROCESSING when empty
		total       int64
		want        piecesOf // Items as one string
		none        bool
	}{
		{name: "all of it", log: once, want: piecesOf{Epoch: 1, First: 1, Items: []string{"abcdef"}}},
		{name: "behind a batch", log: once, epoch: 1, have: 3, want: piecesOf{Epoch: 1, First: 4, Items: []string{"def"}}},
		{name: "within a batch", log: once, epoch: 1, have: 4, want: piecesOf{Epoch: 1, First: 5, Items: []string{"ef"}}},
		{name: "within the last batch", log: once[:3], epoch: 1, have: 4, want: piecesOf{Epoch: 1, First: 5, Items: []string{"e"}}},
		{name: "nothing new", log: once, epoch: 1, have: 6, none: true},
		{name: "no log", none: true},
		{name: "started again", log: again, epoch: 1, have: 6, want: piecesOf{Epoch: 3, First: 1, Items: []string{"ABCD"}}},
		{name: "started again, new client", log: again, want: piecesOf{Epoch: 3, First: 1, Items: []string{"ABCD"}}},
		{name: "started again, known", log: again, epoch: 3, have: 2, want: piecesOf{Epoch: 3, First: 3, Items: []string{"CD"}}},
		{name: "goes on, all known", log: goesOn, epoch: 3, have: 7, none: true},
		{name: "goes on where the client has more", log: goesOn, epoch: 1, have: 6, want: piecesOf{Epoch: 3, First: 5, Items: []string{"EFG"}}},
		{name: "goes on where the client has less", log: goesOn, epoch: 1, have: 2, want: piecesOf{Epoch: 3, First: 3, Items: []string{"cdEFG"}}},
		{name: "goes on, new client", log: goesOn, want: piecesOf{Epoch: 3, First: 1, Items: []string{"abcdEFG"}}},
		{name: "the first batches are gone", log: once[2:], want: piecesOf{Epoch: 1, First: 4, Items: []string{"def"}, Lost: true}},
		{name: "a batch within is gone", log: []b{{1, 1, "ab"}, {1, 4, "de"}}, epoch: 1, have: 1, want: piecesOf{Epoch: 1, First: 4, Items: []string{"de"}, Lost: true}},
		{name: "gone, then started again", log: append([]b{{1, 4, "de"}}, again[4:]...), want: piecesOf{Epoch: 3, First: 1, Items: []string{"ABCD"}}},
		{name: "ended", log: once, state: "SUCCEEDED", total: 6, want: piecesOf{Epoch: 1, First: 1, Items: []string{"abcdef"}}},
		{name: "ended, all known", log: once, state: "SUCCEEDED", total: 6, epoch: 1, have: 6, none: true},
		{name: "ended before what others emitted", log: once, state: "SUCCEEDED", total: 4, want: piecesOf{Epoch: 1, First: 1, Items: []string{"abcd"}}},
		{name: "ended without", log: once, state: "SUCCEEDED", epoch: 1, have: 3, none: true},
		{name: "as many, but others", log: append(again[:4:4], b{3, 1, "ABCDEF"}), state: "SUCCEEDED", total: 6, epoch: 1, have: 6, want: piecesOf{Epoch: 3, First: 1, Items: []string{"ABCDEF"}}},
		{name: "failed", log: once, state: "FAILED", epoch: 1, have: 5, want: piecesOf{Epoch: 1, First: 6, Items: []string{"f"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				key := s.accept("r1", "task", `{}`)
				s.store.edit(key, func(a request.Attrs) {
					a[c.AttrState], a[c.AttrEpoch] = "PROCESSING", int64(3)
					if tt.state != "" {
						a[c.AttrState], a[c.AttrEpoch], a[c.AttrPartials] = tt.state, int64(4), tt.total
						if len(tt.log) > 0 && tt.log[len(tt.log)-1].epoch == 1 {
							a[c.AttrEpoch] = int64(2)
						}
					}
				})
				for _, b := range tt.log {
					s.batch(key, b.epoch, b.first, strings.Split(b.items, "")...)
				}
				got := s.entries(elsewhere, "$resume", fmt.Sprintf(`{"request_id":"r1","partial_epoch":%d,"partials":%d}`, tt.epoch, tt.have))[0]
				if got.Partials == nil || tt.none {
					if got.Partials != nil || !tt.none {
						t.Fatalf("%+v, want %+v", got.Partials, tt.want)
					}
					return
				}
				got.Partials.Items = []string{strings.Join(got.Partials.Items, "")}
				if !reflect.DeepEqual(*got.Partials, tt.want) {
					t.Errorf("%+v, want %+v", *got.Partials, tt.want)
				}
				if tt.state != "" && (got.More || got.Total != tt.total) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// logReader is a client that keeps the log as the protocol says.
type logReader struct {
	epoch int64
	log   []string
}

func (r *logReader) take(p *piecesOf) {
	switch {
	case p == nil || p.Epoch < r.epoch:
		return
	case p.Epoch > r.epoch:
		r.epoch, r.log = p.Epoch, append(r.log[:p.First-1:p.First-1], p.Items...)
	default:
		known := min(int64(len(r.log))+1-p.First, int64(len(p.Items)))
		r.log = append(r.log, p.Items[known:]...)
	}
}

// TestResumeAgreesWithTheLog: attempts start again or go on at random; a client
// that asks again for as long as there is more has the log that counts, wherever
// it stood.
func TestResumeAgreesWithTheLog(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 25 {
		bubble(t, handlers(), func(t *testing.T, s *system) {
			key := s.accept("r1", "task", `{}`)
			clients := []logReader{{}}
			var log []string
			epoch := int64(1)
			for range 1 + r.IntN(4) {
				if r.IntN(3) == 0 {
					log = nil // started again
				} else {
					log = log[:len(log)-r.IntN(len(log)+1)] // from a checkpoint
				}
				for range r.IntN(4) {
					first := int64(len(log)) + 1
					var items []string
					for n := range 1 + r.IntN(5) {
						items = append(items, fmt.Sprintf("%d.%d.%s", epoch, first+int64(n), strings.Repeat("x", r.IntN(12_000))))
					}
					s.batch(key, epoch, first, items...)
					log = append(log[:len(log):len(log)], items...)
					clients = append(clients, logReader{epoch, log[:len(log)-r.IntN(len(items))]})
				}
				epoch += 2
			}
			state := []string{"PROCESSING", "FAILED", "SUCCEEDED"}[r.IntN(3)]
			s.store.edit(key, func(a request.Attrs) {
				a[c.AttrState], a[c.AttrEpoch], a[c.AttrPartials] = state, epoch, int64(len(log))
				a[c.AttrOutput] = append([]byte{0}, `"`+strings.Repeat("y", r.IntN(90_000))+`"`...)
			})
			last := epoch - 2
			for range 3 {
				cl := clients[r.IntN(len(clients))]
				from := cl
				for n := 0; ; n++ {
					e := s.entries(elsewhere, "$resume", fmt.Sprintf(`{"request_id":"r1","partial_epoch":%d,"partials":%d}`, cl.epoch, len(cl.log)))[0]
					cl.take(e.Partials)
					if !e.More && (e.Partials == nil || !e.Partials.More) {
						if state != "PROCESSING" && (e.Error == nil) == (e.Result == nil && e.Ref == nil) {
							t.Errorf("seed %d: no outcome: %+v", seed, e)
						}
						break
					}
					if n > 200 {
						t.Fatalf("seed %d: no end", seed)
					}
				}
				if state == "SUCCEEDED" {
					cl.log = cl.log[:min(len(cl.log), len(log))]
				}
				want := log
				if state != "SUCCEEDED" { // what the last attempt has emitted nothing against, stands
					want = s.wholeLog(key, last)
				}
				if !reflect.DeepEqual(append([]string{}, cl.log...), append([]string{}, want...)) {
					t.Fatalf("seed %d, %s, from epoch %d with %d: got %d pieces, want %d", seed, state, from.epoch, len(from.log), len(cl.log), len(want))
				}
			}
		})
	}
}

// wholeLog is the log by the rule for readers: batches in order, one with first k
// cuts the log to k-1.
func (s *system) wholeLog(key string, last int64) (log []string) {
	for epoch := int64(1); epoch <= last; epoch++ {
		for page := any(nil); ; {
			batches, next, err := s.store.Partials(s.t.Context(), key, epoch, 0, page)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, b := range batches {
				if b.Epoch != epoch {
					continue
				}
				var items []string
				if err := json.Unmarshal(b.Items, &items); err != nil {
					s.t.Fatal(err)
				}
				log = append(log[:b.First-1:b.First-1], items...)
			}
			if page = next; page == nil {
				break
			}
		}
	}
	return log
}

// TestResumeFitsIntoAMessage: what does not fit is named, and comes when it is
// asked for again.
func TestResumeFitsIntoAMessage(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		sizes := []int{60_000, 60_000, 125_000, 10, 60_000, 0, 130_800}
		want, got := map[string]int{}, map[string]int{}
		var ask []string
		for i, n := range sizes {
			id := fmt.Sprint("r", i)
			s.store.edit(s.accept(id, "task", `{}`), func(a request.Attrs) {
				a[c.AttrState], a[c.AttrEpoch] = "SUCCEEDED", int64(2)
				a[c.AttrOutput] = append([]byte{0}, `"`+strings.Repeat("x", n)+`"`...)
			})
			want[id] = n + 2
			ask = append(ask, `{"request_id":"`+id+`"}`)
		}
		for rounds := 0; len(ask) > 0; rounds++ {
			entries := s.entries(elsewhere, "$resume", strings.Join(ask, ","))
			if len(entries) != len(ask) || rounds > len(sizes) {
				t.Fatalf("round %d: %d entries for %d requests", rounds, len(entries), len(ask))
			}
			ask = nil
			for _, e := range entries {
				switch {
				case e.More:
					if e.Result != nil || e.Ref != nil {
						t.Errorf("%s has an outcome, and more", e.ID)
					}
					ask = append(ask, `{"request_id":"`+e.ID+`"}`)
				case e.Ref != nil:
					got[e.ID] = int(e.Ref.Size)
					if e.ID != "r2" && e.ID != "r6" || e.Ref.Parts < 3 {
						t.Errorf("%s is not in the answer: %+v", e.ID, e.Ref)
					}
				default:
					got[e.ID] = len(e.Result)
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
