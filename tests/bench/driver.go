package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// The servers, in the order of the tables.
const (
	serverEcho = iota
	serverBare
	serverCloud
	serverCount
)

var serverRoles = [serverCount]string{"echo", "bare", "cloud"}

// driver runs servers and clients.
type driver struct {
	plan    plan
	peers   []*peer // all, in the order of their start
	servers [serverCount]*peer
	addr    [serverCount]reply // URL and token
}

func (d *driver) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

func (d *driver) peer(role string) (*peer, error) {
	p, err := startPeer(role)
	if err == nil {
		d.peers = append(d.peers, p)
	}
	return p, err
}

// start starts the servers. The bare host runs the router of the local cloud, so
// one message has to have gone there.
func (d *driver) start() error {
	d.progress("building and starting the system")
	var err error
	for k := range d.servers {
		if d.servers[k], err = d.peer(serverRoles[k]); err != nil {
			return err
		}
	}
	if d.addr[serverEcho], err = d.servers[serverEcho].ask(order{Op: "start"}); err != nil {
		return err
	}
	if d.addr[serverCloud], err = d.servers[serverCloud].ask(order{Op: "start", Path: d.plan.Dir}); err != nil {
		return err
	}
	first, err := d.dial(serverCloud, 1)
	if err != nil {
		return err
	}
	if _, err := first.ask(order{Op: "each"}); err != nil {
		return err
	}
	if err := d.end(first); err != nil {
		return err
	}
	h, err := d.servers[serverCloud].ask(order{Op: "host"})
	if err != nil {
		return err
	}
	d.addr[serverBare], err = d.servers[serverBare].ask(order{Op: "start", Host: h.Host})
	return err
}

// dial starts a client with connections to a server.
func (d *driver) dial(server, connections int) (*peer, error) {
	c, err := d.peer("client")
	if err != nil {
		return nil, err
	}
	_, err = c.ask(order{Op: "dial", URL: d.addr[server].URL, Token: d.addr[server].Token, Connections: connections})
	return c, err
}

// end ends a peer before the others.
func (d *driver) end(p *peer) error {
	for i, other := range d.peers {
		if other == p {
			d.peers = append(d.peers[:i], d.peers[i+1:]...)
			break
		}
	}
	return p.close()
}

func (d *driver) close() error {
	var err error
	for i := len(d.peers) - 1; i >= 0; i-- {
		err = errors.Join(err, d.peers[i].close())
	}
	return err
}

// roundTrips measures the closed loops and the open one.
func (d *driver) roundTrips(r *results) error {
	var err error
	small := order{Op: "closed", For: d.plan.For}
	if d.plan.Profile != "" {
		if err := d.profile(small); err != nil {
			return err
		}
	}
	if r.small, err = d.series("closed loop", d.plan.Small, small); err != nil {
		return err
	}
	if r.big, err = d.series("closed loop", d.plan.Big, order{Op: "closed", For: d.plan.For}); err != nil {
		return err
	}
	if d.plan.Rate > 0 {
		r.open, err = d.series("open loop", d.plan.Big, order{Op: "open", For: d.plan.For, Rate: d.plan.Rate})
	}
	return err
}

// profile takes a CPU profile of the local cloud under load, apart from the
// measurements because it costs time itself.
func (d *driver) profile(o order) error {
	c, err := d.dial(serverCloud, d.plan.Small)
	if err != nil {
		return err
	}
	if _, err := c.ask(order{Op: "closed", For: d.plan.Warm}); err != nil {
		return err
	}
	if _, err := d.servers[serverCloud].ask(order{Op: "profile", Path: d.plan.Profile, For: o.For - o.For/10}); err != nil {
		return err
	}
	if _, err := c.ask(o); err != nil {
		return err
	}
	return d.end(c)
}

// series measures all servers in turn, round after round, so that what else the
// machine does falls on all of them.
func (d *driver) series(name string, connections int, o order) (s [serverCount][]sample, err error) {
	var clients [serverCount]*peer
	warm := order{Op: "closed", For: d.plan.Warm}
	for k := range clients {
		if clients[k], err = d.dial(k, connections); err != nil {
			return s, err
		}
		if _, err = clients[k].ask(warm); err != nil {
			return s, err
		}
	}
	for round := range d.plan.Rounds {
		for k := range clients {
			one, err := d.sample(k, clients[k], o)
			if err != nil {
				return s, err
			}
			d.progress("%s, %d connections, round %d: %s %.0f/s, p99 %v", name, connections, round+1, serverRoles[k],
				one.perSecond, one.latencies[2].Round(10*time.Microsecond))
			s[k] = append(s[k], one)
		}
	}
	for _, c := range clients {
		err = errors.Join(err, d.end(c))
	}
	return s, err
}

// sample takes one measurement.
func (d *driver) sample(server int, c *peer, o order) (s sample, err error) {
	machine, err := machineCPU()
	if err != nil {
		return s, err
	}
	before, err := d.servers[server].ask(order{Op: "usage"})
	if err != nil {
		return s, err
	}
	begin := time.Now()
	r, err := c.ask(o)
	if err != nil {
		return s, err
	}
	wall := time.Since(begin)
	after, err := d.servers[server].ask(order{Op: "usage"})
	if err != nil {
		return s, err
	}
	machineAfter, err := machineCPU()
	if err != nil {
		return s, err
	}
	l := r.Load
	if l.Count == 0 {
		return s, errors.New("no message was answered")
	}
	per := func(t time.Duration) time.Duration { return t / time.Duration(l.Count) }
	own, functions := after.Usage.CPU-before.Usage.CPU, after.Usage.Functions-before.Usage.Functions
	return sample{
		perSecond: float64(l.Count) / l.Took.Seconds(), latencies: l.Latencies,
		server: per(own), functions: per(functions), client: per(l.CPU), instances: after.Usage.Instances,
		others: max(0, (machineAfter-machine-own-functions-l.CPU).Seconds()/wall.Seconds()),
	}, nil
}

func (d *driver) longRequests(r *results) error {
	if d.plan.Long == 0 {
		return nil
	}
	d.progress("%d long requests", d.plan.Long)
	c, err := d.peer("client")
	if err != nil {
		return err
	}
	a := d.addr[serverCloud]
	got, err := c.ask(order{Op: "long", URL: a.URL, Token: a.Token, Requests: d.plan.Long, For: time.Minute})
	if err != nil {
		return err
	}
	r.long = got.Long
	return d.end(c)
}

// hold opens many connections at the local cloud, lets each of them have an
// answer while all are open, and measures what the server holds.
func (d *driver) hold(r *results) error {
	if d.plan.Connections == 0 {
		return nil
	}
	before, err := d.servers[serverCloud].ask(order{Op: "collect"})
	if err != nil {
		return err
	}
	d.progress("holding %d connections", d.plan.Connections)
	clients := make([]*peer, d.plan.Sources)
	begin := time.Now()
	err = parallel(len(clients), len(clients), func(i int) error {
		c, err := startPeer("client")
		if err != nil {
			return err
		}
		clients[i] = c
		n := d.plan.Connections / len(clients)
		if i < d.plan.Connections%len(clients) {
			n++
		}
		a := d.addr[serverCloud]
		_, err = c.ask(order{Op: "dial", URL: a.URL, Token: a.Token, Connections: n, Source: fmt.Sprintf("127.0.1.%d", i+1)})
		return err
	})
	for _, c := range clients {
		if c != nil {
			d.peers = append(d.peers, c)
		}
	}
	if err != nil {
		return err
	}
	h := &held{connections: d.plan.Connections, opened: time.Since(begin)}
	after, err := d.servers[serverCloud].ask(order{Op: "collect"})
	if err != nil {
		return err
	}
	for _, c := range clients {
		got, err := c.ask(order{Op: "each"})
		if err != nil {
			return err
		}
		h.answered += got.Load.Count
	}
	n := d.plan.Connections
	h.rss, h.heap, h.stack = (after.Usage.RSS-before.Usage.RSS)/n, (after.Usage.Heap-before.Usage.Heap)/n, (after.Usage.Stack-before.Usage.Stack)/n
	r.held = h
	for _, c := range clients {
		err = errors.Join(err, d.end(c))
	}
	return err
}
