package session_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/contract"
	protocol "github.com/streamer-go/streamer/runtime/wire"
)

const outage = 4 * time.Minute

// break lets something be out of order; repair puts it right.
type breakage func(t *testing.T, s *system, n *network) (repair func())

// fails lets invocations of a function fail.
func fails(role contract.Role) breakage {
	return func(_ *testing.T, s *system, _ *network) func() {
		fail := func(_ context.Context, r contract.Role) error {
			if r == role {
				return errors.New("out of order")
			}
			return nil
		}
		s.invoke.Store(&fail)
		return func() { s.invoke.Store(nil) }
	}
}

// throttled takes a function's concurrency away.
func throttled(role string) breakage {
	return func(t *testing.T, s *system, _ *network) func() {
		functions := s.cloud.Services().Functions
		set := func(n *int) {
			for _, info := range functions.Functions() {
				if strings.Contains(info.Name, "-"+role) {
					spec := info.Spec
					spec.Reserved = n
					if _, err := functions.PutFunction(spec); err != nil {
						t.Error(err)
					}
				}
			}
		}
		set(new(int))
		return func() { set(nil) }
	}
}

// A session whose service answers nothing, or whose network has gone, recovers
// by itself: what was under way goes on, and what was sent meanwhile is done.
func TestOutage(t *testing.T) {
	t.Parallel()
	var scenes []scene
	for name, tt := range map[string]struct {
		begin breakage
		cut   bool // connections are lost besides
		lost  bool // OnDisconnect is to be told
	}{
		"router fails":             {fails(contract.RoleRouter), false, false},
		"router throttled":         {throttled("router"), false, false},
		"router throttled, cut":    {throttled("router"), true, true},
		"connect fails, cut":       {fails(contract.RoleConnect), true, true},
		"connect fails":            {fails(contract.RoleConnect), false, false},
		"handshakes answered, cut": {refused(http.StatusServiceUnavailable), true, true},
		"too many handshakes, cut": {refused(http.StatusTooManyRequests), true, true},
		"network takes everything": {muted, false, true},
	} {
		scenes = append(scenes, scene{name, func(t *testing.T, s *system) {
			survive(t, s, strings.NewReplacer(" ", "-", ",", "").Replace(name), tt.begin, tt.cut, tt.lost)
		}})
	}
	play(t, component.StreamerArgs{}, append(append(scenes, losses()...), scene{"no large payloads", noLargePayloads})...)
}

func refused(status int) breakage {
	return func(_ *testing.T, _ *system, n *network) func() {
		n.refuse(status)
		return func() { n.refuse(0) }
	}
}

// muted is a network that lets nothing through and ends nothing, of which nobody
// hears anything for a while either.
func muted(_ *testing.T, _ *system, n *network) func() {
	n.mute()
	n.refuse(http.StatusBadGateway)
	return func() { n.refuse(0) }
}

func survive(t *testing.T, s *system, user string, begin breakage, cut, lost bool) {
	n := &network{}
	p := s.open(user, time.Hour, n)
	y, long := p.follow(t, client.Message{ID: "long", Action: "tell", Payload: ask{Pieces: 100, Pace: 5000, Every: 7}})
	time.Sleep(time.Minute)
	repair := begin(t, s, n)
	var work sync.WaitGroup
	work.Go(func() { p.resent(t, "sent before", 2*time.Minute) })
	if cut {
		n.cut()
	}
	time.Sleep(time.Minute)
	work.Go(func() { p.resent(t, "sent meanwhile", 2*time.Minute) })
	work.Go(func() {
		f, err := p.Call(t.Context(), client.Message{ID: "unsure", Action: "echo"}, nil)
		if _, runs := s.books.of(user + "/unsure"); err == nil && f.Type != protocol.TypeResponse || err != nil && !errors.Is(err, client.ErrNoAnswer) || runs > 1 {
			t.Errorf("unsure: %+v, %v after %d runs", f, err, runs)
		}
	})
	time.Sleep(outage - time.Minute)
	repair()
	if y.mu.Lock(); !lost && y.silence > 12*time.Second {
		t.Errorf("over a connection that was not lost nothing was heard for %s", y.silence)
	}
	y.mu.Unlock()
	time.Sleep(75 * time.Second) // a pause between two handshakes, and a look
	y.mu.Lock()
	y.silence = 0
	y.mu.Unlock()
	work.Wait()
	p.resent(t, "sent afterwards", time.Second)
	long()
	if y.silence > 12*time.Second {
		t.Errorf("more than a minute after the outage nothing was heard for %s", y.silence)
	}
	if told := p.disconnects(); len(told) > 0 != lost {
		t.Errorf("OnDisconnect was told %q", told)
	}
	finish(t, p)
}

// resent makes an idempotent quick call, and a long one, that may be sent again.
// Once the outage has ended they may take so long.
func (p *person) resent(t *testing.T, text string, most time.Duration) {
	ended := time.Now().Add(outage + most)
	if strings.HasSuffix(text, "afterwards") {
		ended = time.Now().Add(most + time.Second)
	}
	id := strings.ReplaceAll(text, " ", "-")
	for _, action := range []string{"once", "tell"} {
		y := &story{name: p.user + "/" + id + action}
		f, err := p.Call(t.Context(), client.Message{ID: id + action, Action: action, Payload: ask{}, Resend: true}, y.frame)
		o, err := told(t.Context(), p.Session, f, err)
		if _, runs := p.s.books.of(y.name); err != nil || o.status != protocol.StatusSucceeded || runs != 1 {
			t.Errorf("%s %s: %+v, %v after %d runs", text, action, o, err, runs)
		}
		y.check(p.s, o)
	}
	if late := time.Since(ended); late > 0 {
		t.Errorf("%s: it took %s too long", text, late)
	}
}

// losses are pushes that fail, or get lost without anybody's knowing: the silence
// ends by asking for what was missed.
func losses() (scenes []scene) {
	for name, tt := range map[string]struct {
		status int // of a push; 0: it breaks off
		kind   string
	}{
		"lost":          {200, ""},
		"refused":       {500, "InternalServerError"},
		"busy":          {429, "LimitExceededException"},
		"broken off":    {0, ""},
		"gone, it says": {410, "GoneException"},
	} {
		scenes = append(scenes, scene{"pushes: " + name, func(t *testing.T, s *system) {
			lose(t, s, strings.NewReplacer(" ", "-", ",", "").Replace(name), func(r *http.Request) (*http.Response, error) {
				if tt.status == 0 {
					return nil, errors.New("connection reset by peer")
				}
				return answer(r, tt.status, tt.kind), nil
			})
		}})
	}
	return scenes
}

func lose(t *testing.T, s *system, user string, how func(*http.Request) (*http.Response, error)) {
	p := s.open(user, time.Hour, nil)
	y, long := p.follow(t, client.Message{ID: "long", Action: "tell", Payload: ask{Pieces: 90, Pace: 3000, Every: 7}})
	_, brief := p.follow(t, client.Message{ID: "brief", Action: "tell", Payload: ask{Pieces: 20, Pace: 3000, Every: 7}})
	time.Sleep(20 * time.Second)
	call := func(_ contract.Role, r *http.Request) (*http.Response, error) {
		if !posts(r) {
			return nil, nil
		}
		return how(r)
	}
	s.call.Store(&call)
	before := s.posts.Load()
	brief() // its end is lost as well
	time.Sleep(time.Minute)
	if n := s.posts.Load() - before; n > 0 {
		t.Errorf("%d pushes went through", n)
	}
	s.call.Store(nil)
	long()
	if y.silence > 50*time.Second {
		t.Errorf("nothing was heard for %s", y.silence)
	}
	if y.percent != 100 {
		t.Errorf("the last progress was %v", y.percent)
	}
	if lost := p.disconnects(); len(lost) > 0 {
		t.Errorf("OnDisconnect was told %q", lost)
	}
	finish(t, p)
}
