package session_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud"
)

// posts says whether a function's call pushes a frame.
func posts(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/@connections/")
}

// answer is one that AWS might give.
func answer(r *http.Request, status int, kind string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Amzn-Errortype": {kind}, "Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader("{}")), ContentLength: 2,
	}
}

// network is what a client's connections run over.
type network struct {
	chance *chance // of losing them; nil: none is lost
	calm   bool    // guarded by mu: none is lost any more

	mu     sync.Mutex
	spoils []int // bytes after which the next connections are cut
	lines  map[*line]bool
	cuts   int
	status int                     // not 0: what handshakes are answered with
	heard  func(connection []byte) // given what comes in, when set
}

func (n *network) client(cloud *localcloud.Cloud) *http.Client {
	return &http.Client{Transport: gate{n, &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, kind, addr string) (net.Conn, error) {
		conn, err := cloud.Dial(ctx, kind, addr)
		if err != nil {
			return nil, err
		}
		return n.add(conn), nil
	}}}}
}

// gate answers handshakes in the place of the service.
type gate struct {
	*network
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (g gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	status := g.status
	g.mu.Unlock()
	if status != 0 {
		return answer(r, status, ""), nil
	}
	return g.base.RoundTrip(r)
}

func (n *network) refuse(status int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.status = status
}

func (n *network) add(conn net.Conn) net.Conn {
	l := &line{Conn: conn, network: n, ended: make(chan struct{}), in: -1, out: -1}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lines == nil {
		n.lines = map[*line]bool{}
	}
	n.lines[l] = true
	if len(n.spoils) > 0 {
		l.in, l.over, n.spoils = n.spoils[0], l.cut, n.spoils[1:]
		return l
	}
	if n.chance == nil || n.calm {
		return l
	}
	// A handshake is some hundred bytes each way.
	end := l.cut
	if n.chance.n(10) == 0 {
		end = l.mute
	}
	switch n.chance.n(4) {
	case 0:
		l.in, l.over = n.chance.n(6000), end
	case 1:
		l.out, l.over = n.chance.n(3000), end
	default:
		l.timer = time.AfterFunc(time.Duration(n.chance.exp()*float64(40*time.Second)), end)
	}
	return l
}

// cut ends all connections; mute makes them silent.
func (n *network) cut()  { n.each((*line).cut) }
func (n *network) mute() { n.each((*line).mute) }

func (n *network) each(do func(*line)) {
	n.mu.Lock()
	var all []*line
	for l := range n.lines {
		all = append(all, l)
	}
	n.mu.Unlock()
	for _, l := range all {
		do(l)
	}
}

// spoil cuts the next connections after those numbers of bytes; it says how many
// are left of the last time.
func (n *network) spoil(after []int) (left int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left, n.spoils = len(n.spoils), after
	return left
}

// settle lets nothing be lost from now on.
func (n *network) settle() (cuts int) {
	n.mu.Lock()
	n.calm = true
	cuts = n.cuts
	n.mu.Unlock()
	n.each((*line).cut) // also those that are silent
	return cuts
}

// line is a connection that can be lost, after a time or a number of bytes.
type line struct {
	net.Conn
	network *network
	timer   *time.Timer
	ended   chan struct{} // closed with the connection
	once    sync.Once

	mu      sync.Mutex // guards what follows
	in, out int        // bytes until over; -1 for any number
	over    func()
	silent  bool
}

// cut breaks it for both sides.
func (l *line) cut() {
	l.count()
	_ = l.Conn.Close()
	_ = l.Close()
}

// mute lets nothing through any more; nobody is told.
func (l *line) mute() {
	l.count()
	l.mu.Lock()
	l.silent = true
	l.mu.Unlock()
}

func (l *line) count() {
	l.network.mu.Lock()
	l.network.cuts++
	l.network.mu.Unlock()
}

// Close implements net.Conn.
func (l *line) Close() error {
	l.once.Do(func() {
		close(l.ended)
		if l.timer != nil {
			l.timer.Stop()
		}
		l.network.mu.Lock()
		delete(l.network.lines, l)
		l.network.mu.Unlock()
	})
	return l.Conn.Close()
}

// share says how many of n bytes get through, and what happens then.
func (l *line) share(left *int, n int) (through int, over func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.silent:
		return 0, nil
	case *left < 0:
		return n, nil
	case n < *left:
		*left -= n
		return n, nil
	}
	through, *left = *left, -1
	return through, l.over
}

// Read implements net.Conn.
func (l *line) Read(p []byte) (int, error) {
	for {
		n, err := l.Conn.Read(p)
		through, over := l.share(&l.in, n)
		if over != nil {
			over()
		}
		l.network.hear(p[:through])
		if through > 0 || err != nil {
			return through, err
		}
	}
}

func (n *network) hear(p []byte) {
	n.mu.Lock()
	heard := n.heard
	n.mu.Unlock()
	if heard != nil {
		heard(p)
	}
}

// Write implements net.Conn: what does not get through seems to have.
func (l *line) Write(p []byte) (int, error) {
	through, over := l.share(&l.out, len(p))
	if over != nil {
		defer over()
	}
	if n, err := l.Conn.Write(p[:through]); err != nil {
		return n, err
	}
	return len(p), nil
}

// chance is a source that goroutines share.
type chance struct {
	mu  sync.Mutex
	src *rand.Rand
}

func newChance(seed uint64) *chance { return &chance{src: rand.New(rand.NewPCG(seed, 1))} }

func (c *chance) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.src.IntN(n)
}

func (c *chance) exp() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.src.ExpFloat64()
}
