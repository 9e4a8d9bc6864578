// Package memnet is a network inside the process: listeners and connections
// that need no sockets, so that programs on it run in the virtual time of
// testing/synctest. Unlike net.Pipe a connection buffers, as sockets do: two
// sides that write at the same time do not wait for each other.
//
// Everything is safe for concurrent use; no goroutine is started. The package
// imports the standard library alone.
package memnet

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Network is a set of listeners by address.
type Network struct {
	mu        sync.Mutex // guards what follows
	listeners map[string]*listener
	last      int // number of the latest listener
}

// New returns an empty Network.
func New() *Network { return &Network{listeners: map[string]*listener{}} }

// domain ends all addresses. It is reserved, so that a request that misses the
// Network goes nowhere: https://www.rfc-editor.org/rfc/rfc6762
const domain = ".localcloud.local"

// Listen opens a listener; its address is a host name made from name and a
// number.
func (n *Network) Listen(name string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	host := strings.ToLower(strings.Map(hostRune, name)) + "-" + strconv.Itoa(n.last) + domain
	l := &listener{
		network: n, address: address(host + ":80"),
		backlog: make(chan net.Conn, 128), closed: make(chan struct{}),
	}
	n.listeners[string(l.address)] = l
	return l, nil
}

func hostRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
		return r
	}
	return '-'
}

// Dial connects to a listener's address, or to a name below it. It fails as a
// dial to a closed port does when there is none.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[addr]
	for below := addr; l == nil && below != ""; l = n.listeners[below] {
		_, below, _ = strings.Cut(below, ".")
	}
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Addr: address(addr), Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	client, server := pair(address("client"+domain+":1"), l.address)
	select {
	case <-l.closed:
		return nil, refused
	default:
	}
	select {
	case l.backlog <- server:
		return client, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, fmt.Errorf("dial %s: %w", addr, ctx.Err())
	}
}

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }

type listener struct {
	network *Network
	address address
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	case c := <-l.backlog:
		return c, nil
	}
}

// Close also ends connections that nobody has accepted.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.address))
		l.network.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.backlog:
				_ = c.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.address }
