package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Invoker runs functions. Implementations check that API Gateway may invoke
// the function (its resource policy) and are safe for concurrent use.
type Invoker interface {
	// Invoke returns the function's answer, also when the function failed; an
	// error means that it did not run (no permission, throttled, unknown).
	Invoke(ctx context.Context, call Invocation) (Answer, error)
}

// Invocation is a synchronous call of a function by API Gateway.
type Invocation struct {
	Function    string // ARN, possibly with a qualifier
	Payload     []byte // the event; not touched again by the caller
	SourceARN   string // what the function's permission is checked against
	TraceHeader string // X-Amzn-Trace-Id, "" for none
}

// Answer is what a function answered.
type Answer struct {
	Payload       []byte
	FunctionError string // "" or Unhandled, then Payload is the error object
}

// Limits are API Gateway's quotas. Zero fields take the default.
type Limits struct {
	Idle      time.Duration // connection without a message either way; 10 min
	MaxAge    time.Duration // connection in all; 2 h
	Handshake time.Duration // longest wait for the request head; 10 s
	// Requests and Burst are the account's token bucket for messages,
	// handshakes and callbacks together: 10,000 per second, 5,000. Negative
	// Requests is no limit.
	Requests float64
	Burst    int
	// Connections is how many new connections the account may open per second
	// (500); negative is no limit.
	Connections float64
	// Buffer is how many bytes may wait for a slow client, 512 KB.
	Buffer int
	// PingResetsIdle makes a client's ping count as activity.
	PingResetsIdle bool
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&l.Idle, 10*time.Minute)
	set(&l.MaxAge, 2*time.Hour)
	set(&l.Handshake, 10*time.Second)
	if l.Requests == 0 {
		l.Requests = 10_000
	}
	if l.Burst == 0 {
		l.Burst = 5_000
	}
	if l.Connections == 0 {
		l.Connections = 500
	}
	if l.Buffer == 0 {
		l.Buffer = defaultBuffer
	}
	return l
}

// Options configure a Service. Invoker is required.
type Options struct {
	Invoker Invoker
	// Verify checks a request's signature and says who signed it. Without it
	// every request is taken for the account's root.
	Verify func(r *http.Request, body []byte) (account.Caller, error)
	// Authorizer decides about execute-api:ManageConnections and, on routes
	// with IAM authorization, execute-api:Invoke. Without it all is allowed.
	Authorizer account.Authorizer
	// Meter counts messages and connection minutes; may be nil.
	Meter account.Meter
	// Listen opens the listener of the API with that name. Without it a free
	// port of 127.0.0.1 is taken.
	Listen func(name string) (net.Listener, error)
	// Log takes one line about a failure behind an API's route; may be nil.
	Log    func(api, line string)
	Limits Limits
}

// Service is the API Gateway of the local cloud. Close it when done.
type Service struct {
	opt         Options
	limits      Limits
	buffers     readBuffers
	requests    *bucket // the account's rate, shared by all APIs
	connections *bucket // the account's rate of new connections

	ctx  context.Context // of every invocation; cancelled by Close
	stop context.CancelFunc

	jobs chan job     // to workers that wait; closed by Close, sent to under mu
	idle atomic.Int32 // workers that wait

	second atomic.Pointer[secondText]

	mu     sync.RWMutex // guards the fields below, and configuration of the APIs
	apis   map[string]*api
	closed bool
	wg     sync.WaitGroup // every goroutine of the service; Add under mu
}

// New returns a service without APIs.
func New(o Options) *Service {
	if o.Listen == nil {
		o.Listen = func(string) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
	}
	if o.Log == nil {
		o.Log = func(string, string) {}
	}
	s := &Service{opt: o, limits: o.Limits.withDefaults(), apis: map[string]*api{}, jobs: make(chan job)}
	s.requests = newBucket(s.limits.Requests, s.limits.Burst)
	s.connections = newBucket(s.limits.Connections, int(s.limits.Connections))
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// enter counts a piece of work that Close must wait for; false means that the
// service is closing. Each true needs one leave.
func (s *Service) enter() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

func (s *Service) leave() { s.wg.Done() }

// spawn runs f in a goroutine that Close waits for; false when closing.
func (s *Service) spawn(f func()) bool {
	if !s.enter() {
		return false
	}
	go func() {
		defer s.leave()
		f()
	}()
	return true
}

// Close closes listeners and connections (clients see 1001), cancels running
// invocations and returns when no goroutine of the service is left. No
// $disconnect event is sent: what would handle it is going away as well. It
// may be called twice.
func (s *Service) Close() {
	s.mu.Lock()
	apis := s.apis
	s.apis = map[string]*api{}
	if !s.closed {
		s.closed = true
		close(s.jobs)
	}
	s.mu.Unlock()
	s.stop()
	var closing sync.WaitGroup
	for _, a := range apis {
		for _, c := range a.close() {
			closing.Go(c.shutdown)
		}
	}
	closing.Wait()
	s.wg.Wait()
}

func (s *Service) count(item string, n float64) {
	if s.opt.Meter != nil {
		s.opt.Meter.Count(item, n)
	}
}

// countMessage meters a message of n bytes: one for each begun 32 KB.
func (s *Service) countMessage(n int) {
	s.count(account.MeterMessages, float64(max(1, (n+frameLimit-1)/frameLimit)))
}

func (s *Service) logf(a *api, format string, args ...any) {
	s.opt.Log(a.id, fmt.Sprintf(format, args...))
}
