package session_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

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
	if testing.Short() {
		hours = 5
	}
	synctest.Test(t, func(t *testing.T) {
		// Nothing here is for the sweep to find, and no owner dies.
		rare := localcloud.Config{Limits: localcloud.Limits{ScheduleInterval: 15 * time.Minute}}
		s := standWith(t, rare, component.StreamerArgs{Lease: pulumi.String("3m")})
		s.delay(newChance(uint64(hours)))
		end := time.Now().Add(time.Duration(hours) * time.Hour)
		var all []*person
		var work sync.WaitGroup
		for user, tt := range map[string]struct {
			life     time.Duration // of a token
			quick    time.Duration // between quick requests; 0: there are none
			connects int64         // in ten hours, at least
		}{
			"two-hours":       {48 * time.Hour, 5 * time.Minute, 5},
			"five-minutes":    {5 * time.Minute, 71 * time.Second, 100},
			"nothing-to-send": {48 * time.Hour, 0, 5},
		} {
			p := s.open(user, tt.life, nil)
			all = append(all, p)
			work.Go(func() {
				p.busy(t, hours, tt.quick)
				time.Sleep(time.Until(end))
				p.echo(t, "last", 0)
				if lost := p.disconnects(); len(lost) > 0 {
					t.Errorf("%s: OnDisconnect was told %q", user, lost)
				}
				if n := p.connects.Load(); n < tt.connects*int64(hours)/10 || n > 3*tt.connects {
					t.Errorf("%s: %d connections", user, n)
				}
			})
		}
		work.Wait()
		finish(t, all...)
	})
}

// busy makes a call that takes so many hours, and quick ones meanwhile.
func (p *person) busy(t *testing.T, hours int, pause time.Duration) {
	if pause == 0 {
		return
	}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { p.long(t, hours) })
	for n := range int(time.Duration(hours) * time.Hour / pause) {
		time.Sleep(pause)
		work.Go(func() { p.echo(t, fmt.Sprint("q", n), time.Duration(n%4)*time.Second) })
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
		t.Errorf("%s: %s/%s: %+v, %v", time.Now().Format(time.TimeOnly), p.user, id, f, err)
	}
}
