package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/component"
	protocol "github.com/streamer-go/streamer/runtime/wire"
)

// For an hour connections are lost at any byte while requests of all kinds run,
// and every caller is told one story, which ends as the store says.
func TestWeather(t *testing.T) {
	t.Parallel()
	seeds, hour := []uint64{1, 2, 3}, time.Hour
	if testing.Short() {
		seeds, hour = seeds[:1], 20*time.Minute
	}
	if text := os.Getenv("STREAMER_SESSION_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal("STREAMER_SESSION_SEED: ", err)
		}
		seeds, hour = []uint64{seed}, time.Hour
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { weather(t, seed, hour) })
		})
	}
}

// calls is what happened in an hour.
type calls struct {
	*person
	chance *chance
	until  time.Time

	mu    sync.Mutex // guards what follows
	n     int
	ended map[string]outcome // by id
	kinds map[string]int     // by action and outcome
	jumps int
}

func weather(t *testing.T, seed uint64, hour time.Duration) {
	s := stand(t, component.StreamerArgs{Processor: &component.Function{Timeout: pulumi.Int(60)}})
	c := &calls{chance: newChance(seed), until: time.Now().Add(hour), ended: map[string]outcome{}, kinds: map[string]int{}}
	n := &network{calm: true, chance: newChance(seed + 1000)}
	s.delay(newChance(seed + 2000))
	c.person = s.open("ann", 10*time.Minute, n)
	n.mu.Lock()
	n.calm = false
	n.mu.Unlock()
	n.cut()
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() {
			for time.Now().Before(c.until) {
				time.Sleep(time.Duration(c.chance.n(30000)) * time.Millisecond)
				c.one(t.Context())
			}
		})
	}
	work.Wait()
	cuts := n.settle()
	finish(t, c.person)
	conn, err := client.Dial(t.Context(), s.url, s.token("ann", time.Hour), client.Options{HTTPClient: s.cloud.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for id, told := range c.ended {
		if is, err := stored(t.Context(), conn, id); err != nil || is != told {
			t.Errorf("%s: the caller was told %+.200v, stored is %+.200v, %v", id, told, is, err)
		}
	}
	t.Logf("seed %d: %d connections of %d were cut; %d logs began again; %v", seed, cuts, c.connects.Load(), c.jumps, c.kinds)
	if cuts < 10 || len(c.ended) < int(hour/time.Minute)/2 || c.jumps == 0 {
		t.Errorf("this was no weather: %d cuts, %d requests, %d logs that began again", cuts, len(c.ended), c.jumps)
	}
}

// one makes one call of some kind.
func (c *calls) one(ctx context.Context) {
	c.mu.Lock()
	c.n++
	id := fmt.Sprint("r", c.n)
	c.mu.Unlock()
	kinds := []func(context.Context, string){c.echo, c.note, c.once, c.once, c.tell, c.tell, c.tell, c.steps, c.bulk, c.cancel}
	kinds[c.chance.n(len(kinds))](ctx, id)
}

// call makes a call and checks its story; err is an end that is not the
// request's own.
func (c *calls) call(ctx context.Context, m client.Message) (o outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	y := &story{name: c.user + "/" + m.ID}
	f, err := c.Call(ctx, m, y.frame)
	o, err = told(ctx, c.Session, f, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.kinds[m.Action+" unknown"]++
		return o, err
	}
	c.kinds[m.Action+" "+o.status]++
	c.jumps += y.restarts
	if f.Type != protocol.TypeResponse || m.Action != "echo" {
		c.ended[m.ID] = o
	}
	y.check(c.s, o)
	return o, nil
}

// succeed makes a call that is to succeed; it returns how often its handler ran.
func (c *calls) succeed(ctx context.Context, id, action string, in ask) (runs int) {
	o, err := c.call(ctx, client.Message{ID: id, Action: action, Payload: in, Resend: true})
	_, runs = c.s.books.of(c.user + "/" + id)
	var r reply
	if err == nil {
		err = json.Unmarshal([]byte(o.result), &r)
	}
	if err != nil || o.status != protocol.StatusSucceeded || r.ID != id || len(r.Filler) != in.Size/2*2 || r.Run > runs {
		c.s.t.Errorf("%s %s %+v ended with %+.300v, %v after %d runs", time.Now().Format(time.TimeOnly), action, in, o, err, runs)
	}
	return runs
}

func (c *calls) echo(ctx context.Context, id string) {
	c.succeed(ctx, id, "echo", ask{
		Pace: c.chance.n(3000), Size: c.chance.n(2) * 50000, Ballast: strings.Repeat("x", c.chance.n(2)*100_000),
	})
}

// note is quick and may not run twice: the caller lives with not knowing.
func (c *calls) note(ctx context.Context, id string) {
	_, err := c.call(ctx, client.Message{ID: id, Action: "echo", Payload: ask{Pace: c.chance.n(5000)}})
	if _, runs := c.s.books.of(c.user + "/" + id); err != nil && !errors.Is(err, client.ErrNoAnswer) || err == nil && runs != 1 || runs > 1 {
		c.s.t.Errorf("%s ended with %v after %d runs", id, err, runs)
	}
}

// once is idempotent: no weather makes it run twice, but for what is promoted.
func (c *calls) once(ctx context.Context, id string) {
	action := []string{"once", "grow"}[c.chance.n(2)]
	in := ask{Pace: c.chance.n(5000)}
	if runs := c.succeed(ctx, id, action, in); runs > 1 && (action == "once" || in.Pace < 2000) || runs > 2 {
		c.s.t.Errorf("%s %s %+v ran %d times", action, id, in, runs)
	}
}

// tale is a request that emits for some minutes, fails and dies.
func (c *calls) tale() ask {
	in := ask{Pieces: 1 + c.chance.n(15), Pace: 500 + c.chance.n(12000), Every: 1 + c.chance.n(20)}
	if c.chance.n(2) == 0 {
		in.Pace, in.Pieces = 10, 100
	}
	in.Every = min(in.Every, 1+30000/in.Pace) // a function has a minute
	for range c.chance.n(3) {
		in.Fails = append(in.Fails, 1+c.chance.n(in.Pieces))
	}
	in.Dies = c.chance.n(4) == 0
	return in
}

func (c *calls) tell(ctx context.Context, id string) {
	in := c.tale()
	if c.chance.n(3) == 0 { // without memory it has to get by with one function
		in.Every, in.Pace = 0, min(in.Pace, 40000/in.Pieces)
		in.Mute = c.chance.n(3) == 0
	}
	if len(in.Fails) > 0 && c.chance.n(5) == 0 {
		in.Final, in.Dies = true, false
		o, err := c.call(ctx, client.Message{ID: id, Action: "tell", Payload: in, Resend: true})
		if err != nil || o.status != protocol.StatusFailed {
			c.s.t.Errorf("tell %+v ended with %+.200v, %v", in, o, err)
		}
		return
	}
	c.succeed(ctx, id, "tell", in)
}

func (c *calls) steps(ctx context.Context, id string) {
	in := c.tale()
	in.Every = min(in.Every, 10)
	c.succeed(ctx, id, "steps", in)
}

// bulk has a result that comes in parts.
func (c *calls) bulk(ctx context.Context, id string) {
	c.succeed(ctx, id, "tell", ask{Pieces: c.chance.n(5), Pace: 500, Size: 100000 + c.chance.n(240000)})
}

// cancel cancels a tale at some moment, perhaps before it has arrived.
func (c *calls) cancel(ctx context.Context, id string) {
	in := c.tale()
	var cancelling sync.WaitGroup
	cancelling.Go(func() {
		time.Sleep(time.Duration(c.chance.n(60000)) * time.Millisecond)
		if state, err := c.Cancel(ctx, id); err != nil || state == protocol.StatusPending {
			c.s.t.Errorf("cancel %s: %s, %v", id, state, err)
		}
	})
	o, err := c.call(ctx, client.Message{ID: id, Action: "tell", Payload: in, Resend: true})
	if err != nil || o.status == protocol.StatusFailed {
		c.s.t.Errorf("cancel %s: tell %+v ended with %+.200v, %v", id, in, o, err)
	}
	cancelling.Wait()
}
