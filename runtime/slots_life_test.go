package streamer_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
)

// TestSlotFollowsTheRequest: when the slot is given back, whatever becomes of
// the request. The handler sleeps a minute.
func TestSlotFollowsTheRequest(t *testing.T) {
	t.Parallel()
	retry := streamer.Retry(3, linear)
	fails := jobs(returns(errors.New("no")), retry)
	tests := []struct {
		name string
		app  *streamer.App
		do   func(s *system, key string, h work.Hint)
		held bool // the slot is still the request's
	}{
		{"doubled start", fails, func(s *system, key string, h work.Hint) { s.dispatch(s.offers(key, key)) }, true},
		{"late start after a retry", fails, func(s *system, key string, h work.Hint) {
			s.runs(h)
			s.about()
			s.dispatch(stream(image(key, 0, 0)))
			if len(s.store.holders("acme")) != 1 {
				s.t.Error("the late start has no slot")
			}
			s.runs(h)
		}, false},
		{"late start and late end of an earlier attempt", fails, func(s *system, key string, h work.Hint) {
			s.runs(h)
			s.about()
			s.does(request.Offer, key, request.Attrs{request.PEpoch: int64(2), request.PBeat: int64(0), c.AttrDueAt: int64(1)})
			s.dispatch(s.offers(key))
			s.dispatch(stream(image(key, 0, 0)))
			if got := s.store.holders("acme"); len(got) != 1 {
				s.t.Errorf("slots %v after a late start", got)
			}
			s.dispatch(sqs(work.Hint{Key: key, Epoch: 1, Tenant: "acme"}))
		}, true},
		{"goes on in another invocation", jobs(func(ctx context.Context, task *streamer.Task, _ text) (string, error) {
			if err := task.Checkpoint(ctx, 1); err != nil {
				return "", err
			}
			<-ctx.Done()
			return "", ctx.Err()
		}), func(s *system, key string, _ work.Hint) {
			ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
			defer cancel()
			if err := s.invoke(ctx, s.processor, work.Hint{Key: key, Slot: true}); err != nil {
				s.t.Fatal(err)
			}
			if it := s.store.item(key); it.Start != 2 {
				s.t.Errorf("%+v", it)
			}
		}, true},
		{"retry", fails, func(s *system, _ string, h work.Hint) { s.runs(h) }, false},
		{"failed for good", jobs(returns(streamer.Permanent(errors.New("no")))), func(s *system, _ string, h work.Hint) { s.runs(h) }, false},
		{"cancelled before it was claimed", fails, func(s *system, key string, h work.Hint) {
			s.does(request.CancelPending, key, request.Attrs{c.AttrExpires: int64(1), c.AttrBy: "x"})
			s.runs(h)
		}, false},
		{"claimed by another", fails, func(s *system, key string, h work.Hint) {
			s.claims(key, 0)
			s.runs(h)
		}, true},
		{"crashed, noticed at once", fails, func(s *system, key string, h work.Hint) {
			s.claims(key, 0)
			s.dispatch(failed(h))
		}, true},
		{"gone on, cancelled, and its owner crashed", fails, func(s *system, key string, h work.Hint) {
			s.claims(key, 0)
			s.does(request.Continue, key, request.Attrs{request.PEpoch: int64(1), request.PNext: int64(2), c.AttrDueAt: int64(1), c.AttrBy: "x"})
			s.does(request.CancelPending, key, request.Attrs{c.AttrExpires: int64(1), c.AttrBy: "x"})
			s.dispatch(failed(h))
		}, false},
		{"ended, and its owner crashed then", fails, func(s *system, key string, h work.Hint) {
			s.claims(key, 0)
			s.does(request.End, key, request.Attrs{request.PEpoch: int64(1), request.PNext: int64(2), request.PState: "SUCCEEDED", c.AttrExpires: int64(1), c.AttrBy: "x"})
			s.dispatch(failed(h))
		}, false},
		{"ended by the sweep", fails, func(s *system, key string, _ work.Hint) {
			<-time.After(25 * time.Hour)
			s.dispatch(c.SweepEvent)
			if st := s.store.item(key).State; st != request.Failed {
				s.t.Errorf("state %s", st)
			}
		}, false},
		{"offered by a false sweep, ended by its owner", fails, func(s *system, key string, h work.Hint) {
			s.claims(key, 0)
			s.does(request.Offer, key, request.Attrs{request.PEpoch: int64(1), request.PBeat: int64(0), c.AttrDueAt: int64(1)})
			s.dispatch(s.offers(key))
			s.dispatch(sqs(work.Hint{Key: key, Epoch: 1, Tenant: "acme"})) // as the owner of epoch 1 says
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			limitedBubble(t, tt.app, two(), func(t *testing.T, s *system) {
				key := s.accept("r1", "job", `{"text":"a"}`)
				s.dispatch(s.offers(key))
				started := s.start.taken()
				if len(started) != 1 || !started[0].Slot || len(s.store.holders("acme")) != 1 {
					t.Fatalf("%+v", started)
				}
				tt.do(s, key, started[0].Hint)
				s.about()
				if held := len(s.store.holders("acme")); held > 1 || (held == 1) != tt.held {
					t.Errorf("slots %v, want held %v", s.store.holders("acme"), tt.held)
				}
			})
		})
	}
}

func (s *system) runs(h work.Hint) {
	s.t.Helper()
	if err := s.invoke(s.t.Context(), s.processor, h); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) does(tr request.Transition, key string, p request.Attrs) {
	s.t.Helper()
	if out, err := s.store.Do(s.t.Context(), tr, key, p); err != nil || !out.OK {
		s.t.Fatalf("%s: %+v, %v", tr.Name, out, err)
	}
}

// claims has somebody else claim the request.
func (s *system) claims(key string, epoch int64) {
	s.t.Helper()
	s.does(request.Claim, key, request.Attrs{
		request.PEpoch: epoch, request.PNext: epoch + 1, c.AttrBy: "other",
		c.AttrLease: time.Now().Add(time.Hour).UnixMilli(), c.AttrDueAt: time.Now().Add(time.Hour).UnixMilli(),
	})
}

// failed is Lambda's record of an invocation that failed.
func failed(h work.Hint) any {
	raw, err := json.Marshal(map[string]any{"requestPayload": h})
	if err != nil {
		panic(err)
	}
	return sqs(string(raw))
}
