package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/streamer-go/streamer/tests/chaos/app"
)

// plan is what is done in a run and what is broken. It comes from the seed.
type plan struct {
	seed     uint64
	storm    time.Duration
	clients  []string // the user of each; some users have two
	requests []request
	faults   []fault
}

// request is one message.
type request struct {
	at     time.Duration
	client int
	user   string
	id     string
	action string
	ask    app.Ask
	cancel time.Duration // after it was sent; 0: not cancelled
}

// key is how the table knows the request of a user without a tenant. Nothing in
// it needs to be encoded.
func (r *request) key() string { return "-/" + r.user + "/" + r.id }

// name is how handlers, checks and stories know it.
func (r *request) name() string { return r.user + "/" + r.id }

// kind is a kind of request, and how many of a hundred are of it.
type kind struct {
	action string
	weight int
	draw   func(r *rand.Rand) app.Ask
}

func between(r *rand.Rand, low, high int) int { return low + r.IntN(high-low+1) }

var kinds = []kind{
	{"echo", 18, func(*rand.Rand) app.Ask { return app.Ask{} }},
	{"once", 10, func(r *rand.Rand) app.Ask { return app.Ask{Size: between(r, 0, 600)} }},
	{"report", 14, func(r *rand.Rand) app.Ask {
		return app.Ask{Steps: between(r, 1, 8), Pace: between(r, 10, 150), Size: sizes[r.IntN(len(sizes))], Deaf: r.IntN(4) == 0}
	}},
	{"report", 8, func(r *rand.Rand) app.Ask { return app.Ask{Steps: 2, Pace: 20, Fail: between(r, 1, 3)} }},
	{"disk", 8, func(r *rand.Rand) app.Ask { return app.Ask{Steps: between(r, 4, 12), Pace: between(r, 50, 150)} }},
	// Those that a frozen processor has to say most of when it wakes up.
	{"report", 6, func(r *rand.Rand) app.Ask { return app.Ask{Steps: between(r, 10, 16), Pace: 250, Deaf: true} }},
	{"count", 3, func(r *rand.Rand) app.Ask { return app.Ask{Steps: between(r, 10, 16), Pace: 250, Deaf: true} }},
	{"steps", 10, func(r *rand.Rand) app.Ask {
		return app.Ask{Steps: between(r, 2, 6), Pace: between(r, 20, 300), Fail: r.IntN(2), Deaf: r.IntN(4) == 0}
	}},
	{"count", 4, func(r *rand.Rand) app.Ask {
		return app.Ask{Steps: between(r, 3, 12), Pace: between(r, 20, 200), Fail: r.IntN(2), Deaf: r.IntN(4) == 0}
	}},
	{"count", 2, func(*rand.Rand) app.Ask { return app.Ask{Steps: 45, Pace: 250} }}, // longer than the function may take
	{"words", 7, func(r *rand.Rand) app.Ask {
		return app.Ask{Steps: between(r, 5, 60), Pace: between(r, 5, 40), Deaf: r.IntN(4) == 0}
	}},
	{"tale", 6, func(r *rand.Rand) app.Ask { return app.Ask{Steps: between(r, 2, 6), Pace: between(r, 50, 250)} }},
	{"doomed", 2, func(*rand.Rand) app.Ask { return app.Ask{} }},
	{"stuck", 2, func(*rand.Rand) app.Ask { return app.Ask{} }},
}

// sizes are those of a small result, of one beside its item, and of one in parts.
var sizes = []int{0, 0, 0, 400, 5 << 10, 60 << 10, 150 << 10}

// users are few, so that a frame that goes astray has somewhere to go.
var users = []string{"ann", "bob", "eve"}

// draw makes a plan of so many requests in a storm that long.
func draw(seed uint64, storm time.Duration, requests int) *plan {
	r := rand.New(rand.NewPCG(seed, 0))
	p := &plan{seed: seed, storm: storm}
	for n := range 2 * len(users) {
		p.clients = append(p.clients, users[n%len(users)])
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	for n := range requests {
		k := kinds[0]
		for i, drawn := 0, r.IntN(total); drawn >= 0; i++ {
			k = kinds[i]
			drawn -= k.weight
		}
		c := r.IntN(len(p.clients))
		q := request{
			at: time.Duration(r.Int64N(int64(storm))), client: c, user: p.clients[c], action: k.action, ask: k.draw(r),
		}
		q.id = fmt.Sprintf("%s.%s.%d", q.user, k.action, n)
		q.ask.Tag = q.id
		if k.action != "echo" && r.IntN(12) == 0 {
			q.cancel = time.Duration(between(r, 1, 1500)) * time.Millisecond
		}
		p.requests = append(p.requests, q)
	}
	slices.SortFunc(p.requests, func(a, b request) int { return int(a.at - b.at) })
	p.drawFaults(r)
	return p
}

// rarity is how many faults come between two of a rare one.
const rarity = 60

// drawFaults draws one of each first, and then any.
func (p *plan) drawFaults(r *rand.Rand) {
	first, rare := r.Perm(len(faults)), 0
	pause := p.storm / time.Duration(2*len(faults))
	if pause > time.Second {
		pause = time.Second
	}
	for at := pause; at < p.storm*9/10; at += pause/2 + time.Duration(r.Int64N(int64(pause))) {
		n := r.IntN(len(faults))
		if len(first) > 0 {
			n, first = first[0], first[1:]
		} else if faults[n].rare && len(p.faults)-rare < rarity {
			continue
		}
		if faults[n].rare {
			rare = len(p.faults)
		}
		f := fault{at: at, faultKind: faults[n], dice: r.Uint64()}
		if f.longest > 0 {
			f.lasts = f.longest/4 + time.Duration(r.Int64N(int64(f.longest*3/4)))
		}
		p.faults = append(p.faults, f)
	}
}
