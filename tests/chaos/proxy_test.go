package chaos_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// proxy is a network between those that dial it and one address, with weather.
// It knows nothing of what it carries.
type proxy struct {
	listener net.Listener
	to       atomic.Pointer[string]
	ctx      context.Context
	stop     context.CancelFunc
	work     sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns map[net.Conn]struct{}
	now   weather
	lull  chan struct{} // closed when the network is no longer dead
	// What the weather has done, so that a run in which it did nothing is seen.
	delayed, cut, swallowed int
}

// weather is how many of each kind are over the network at this time.
type weather struct{ slow, cutting, dead int }

func newProxy() (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, conns: map[net.Conn]struct{}{}, lull: make(chan struct{})}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.work.Go(p.accept)
	return p, nil
}

// leadTo says where connections go.
func (p *proxy) leadTo(address string) { p.to.Store(&address) }

func (p *proxy) close() {
	p.stop()
	p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.work.Go(func() { p.carry(c) })
	}
}

// carry joins a connection with a new one to the address.
func (p *proxy) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", *p.to.Load())
	if err != nil {
		return
	}
	defer to.Close()
	if !p.keep(from, to) {
		return
	}
	defer p.drop(from, to)
	var both sync.WaitGroup
	both.Go(func() { p.pump(to, from) })
	both.Go(func() { p.pump(from, to) })
	both.Wait()
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return p.ctx.Err() == nil
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// pump carries one direction, in whatever weather there is when bytes come.
func (p *proxy) pump(to, from net.Conn) {
	defer to.Close() // half a connection is none here
	defer from.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			part, cut := p.meet(n)
			if _, err := to.Write(buf[:part]); err != nil || cut {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// meet lets the weather happen to n bytes: how many of them arrive, and whether
// the connection is cut then.
func (p *proxy) meet(n int) (part int, cut bool) {
	p.mu.Lock()
	w, lull := p.now, p.lull
	var delay time.Duration
	switch {
	case w.dead > 0:
		p.swallowed++
	case w.cutting > 0 && rand.IntN(5) == 0:
		p.cut++
		part, cut = rand.IntN(n+1), true
	case w.slow > 0:
		p.delayed++
		delay = time.Millisecond * time.Duration(rand.IntN(300))
	}
	p.mu.Unlock()
	if w.dead > 0 { // nothing arrives and nobody is told, until it is over
		p.wait(lull, time.Hour)
		return 0, true
	}
	if cut {
		return part, true
	}
	p.wait(nil, delay)
	return n, false
}

func (p *proxy) wait(until <-chan struct{}, d time.Duration) {
	if d == 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-until:
	case <-t.C:
	case <-p.ctx.Done():
	}
}

// change is weather that comes (+1) or goes (-1).
func (p *proxy) change(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.slow, p.now.cutting = p.now.slow+w.slow, p.now.cutting+w.cutting
	if p.now.dead += w.dead; p.now.dead == 0 && w.dead < 0 {
		close(p.lull)
		p.lull = make(chan struct{})
	}
}

func (p *proxy) counts() (delayed, cut, swallowed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delayed, p.cut, p.swallowed
}

// behind is a listener that is reached through a proxy: it gives the proxy's
// address for its own.
type behind struct {
	net.Listener
	address net.Addr
}

func (b behind) Addr() net.Addr { return b.address }

// listenBehind opens a listener for each name behind a proxy of its own.
func listenBehind(made func(name string, p *proxy)) func(string) (net.Listener, error) {
	return func(name string) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		p, err := newProxy()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		p.leadTo(l.Addr().String())
		made(name, p)
		return behind{l, p.listener.Addr()}, nil
	}
}
