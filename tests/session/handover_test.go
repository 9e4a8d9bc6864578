package session_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/localcloud"
	protocol "github.com/streamer-go/streamer/runtime/wire"
)

// For ten hours connections end after two hours, or with their tokens after five
// minutes: a request that lasts as long is followed without a pause, quick ones
// are answered, and nobody is told of it.
func TestHandover(t *testing.T) {
	t.Parallel()
	hours := 10
	if testing.Short() || raceDetector {
		hours = 5
	}
	for name, tt := range map[string]struct {
		life     time.Duration // of a token
		quick    time.Duration // between quick requests; 0: there are none
		connects int64         // in ten hours, at least
	}{
		"two hours":       {48 * time.Hour, 5 * time.Minute, 5},
		"five minutes":    {5 * time.Minute, 71 * time.Second, 100},
		"nothing to send": {48 * time.Hour, 0, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				// Nothing here is for the sweep to find.
				s := standWith(t, localcloud.Config{Limits: localcloud.Limits{ScheduleInterval: 15 * time.Minute}}, component.StreamerArgs{})
				s.delay(newChance(uint64(hours)))
				p := s.open("ann", tt.life, nil)
				end := time.Now().Add(time.Duration(hours) * time.Hour)
				var work sync.WaitGroup
				if tt.quick > 0 {
					work.Go(func() { p.long(t, hours) })
				}
				for n := 0; tt.quick > 0 && time.Now().Before(end); n++ {
					time.Sleep(tt.quick)
					work.Go(func() { p.echo(t, fmt.Sprint("q", n), time.Duration(n%4)*time.Second) })
				}
				time.Sleep(time.Until(end))
				p.echo(t, "last", 0)
				work.Wait()
				finish(t, p)
				if lost := p.disconnects(); len(lost) > 0 {
					t.Errorf("OnDisconnect was told %q", lost)
				}
				if n := p.connects.Load(); n < tt.connects*int64(hours)/10 || n > 3*tt.connects {
					t.Errorf("%d connections", n)
				}
			})
		})
	}
}

// long follows a request that emits every two minutes for so many hours.
func (p *person) long(t *testing.T, hours int) {
	y := &story{name: p.user + "/long"}
	f, err := p.Call(t.Context(), client.Message{
		ID: "long", Action: "tell", Payload: ask{Pieces: hours*30 - 1, Pace: 120_000, Every: 5},
	}, y.frame)
	o, err := told(t.Context(), p.Session, f, err)
	if err != nil || o.status != protocol.StatusSucceeded {
		t.Errorf("%+v, %v", o, err)
	}
	y.check(p.s, o)
	// A function gives the request to the next one with some pieces not under a
	// checkpoint; those come again.
	if y.silence > 4*time.Minute+30*time.Second {
		t.Errorf("nothing was heard for %s", y.silence)
	}
}

// echo makes a quick call that may not fail, and is not sent twice.
func (p *person) echo(t *testing.T, id string, pace time.Duration) {
	f, err := p.Call(t.Context(), client.Message{ID: id, Action: "echo", Payload: ask{Pace: int(pace / time.Millisecond)}}, nil)
	if err != nil || f.Type != protocol.TypeResponse {
		t.Errorf("%s: %s: %+v, %v", time.Now().Format(time.TimeOnly), id, f, err)
	}
}
