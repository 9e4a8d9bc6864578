package lambda

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

// Options of a Service. Only Launcher is required.
type Options struct {
	Launcher   Launcher
	Authorizer account.Authorizer // nil: everything is allowed
	Meter      account.Meter      // nil: nothing is counted
	// Dir is where code is unpacked and instances have their /tmp. Default: a
	// directory of the system's temporary one, removed by Close.
	Dir string
	// Credentials returns the AWS_… variables of an instance; Revoke is told the
	// access key when the instance is gone. Both may be nil.
	Credentials func(role, session string) map[string]string
	Revoke      func(accessKeyID string)
	// Assumable says whether Lambda may assume a role on behalf of a function; an
	// error refuses the function. nil: any role will do.
	Assumable func(role, functionARN string) error
	// Changes counts the changes of what Authorizer decides by. nil: it never
	// changes its mind about the same function.
	Changes func() uint64
	// Environ is added to every instance's environment, over everything else.
	Environ map[string]string
	// Log takes what instances write and the platform's START, END and REPORT
	// lines. It is called from many goroutines. nil: no lines are made.
	Log func(function, instance, line string)
	// Problem takes what goes wrong around a function, of which it does not hear
	// itself: with its event sources, its destinations, its log. nil: none is told.
	Problem func(function, line string)
	// Concurrency of the account. Default 1000.
	Concurrency int
	// IdleAfter is how long an idle instance lives. Default 5 minutes.
	IdleAfter time.Duration
	// InitLimit is the time an initialisation may take. Default 10 s.
	InitLimit time.Duration
	// AsyncRetries are the waits before the retries of an asynchronous
	// invocation whose function failed. Default 1 minute, 2 minutes.
	AsyncRetries []time.Duration
	// ThrottleMin and ThrottleMax bound the backoff of an asynchronous
	// invocation that is throttled. Defaults 1 s and 5 minutes.
	ThrottleMin, ThrottleMax time.Duration
	// Send puts a message into the queue of a destination; the context carries
	// the function role's caller. nil: destinations are refused.
	Send func(ctx context.Context, queueARN, body string) error
	// Streams and Queues are the sources of event source mappings. nil: such
	// mappings are refused.
	Streams eventsource.Streams
	Queues  eventsource.Queues
	// StreamRetryMin and StreamRetryMax bound the wait before a failed stream
	// batch is tried again. Defaults 1 s and 1 minute.
	StreamRetryMin, StreamRetryMax time.Duration
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 1000
	}
	set(&o.IdleAfter, 5*time.Minute)
	set(&o.InitLimit, 10*time.Second)
	set(&o.ThrottleMin, time.Second)
	set(&o.ThrottleMax, 5*time.Minute)
	if o.AsyncRetries == nil {
		o.AsyncRetries = []time.Duration{time.Minute, 2 * time.Minute}
	}
	return o
}

// Service is the Lambda service of one account and region.
type Service struct {
	opts     Options
	mappings *eventsource.Manager
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup // invocations, stops, async events

	dirOnce sync.Once
	dir     string
	lock    *os.File // of a temporary dir, nil of another
	dirErr  error

	// mu guards everything below, and all fields of function, generation and
	// environment that are not marked otherwise.
	mu         sync.Mutex
	functions  map[string]*function
	codes      map[string]*code // by digest
	waiting    map[*asyncEvent]struct{}
	unreserved int // invocations under way that count against the account
	reserved   int // sum of reserved concurrency
	closed     bool
}

// New returns a Service without functions. Close it.
func New(opts Options) *Service {
	s := &Service{opts: opts.withDefaults(), functions: map[string]*function{}, codes: map[string]*code{}, waiting: map[*asyncEvent]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mappings = eventsource.NewManager(eventsource.Options{
		Invoke:     s.invokeForMapping,
		Function:   s.functionForMapping,
		Authorizer: opts.Authorizer,
		Streams:    opts.Streams,
		Queues:     opts.Queues,
		Send:       opts.Send,
		RetryMin:   opts.StreamRetryMin,
		RetryMax:   opts.StreamRetryMax,
		Problem:    s.problem,
	})
	return s
}

// Close stops mappings, asynchronous invocations and instances, waits for them
// and removes what was unpacked. A second call does nothing.
func (s *Service) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	fns := s.functions
	for a := range s.waiting {
		a.timer.Stop()
	}
	s.functions = map[string]*function{}
	s.mu.Unlock()
	s.mappings.Close()
	s.cancel()
	for _, f := range fns {
		s.retire(f.current)
	}
	s.wg.Wait()
	if s.opts.Dir == "" && s.dir != "" {
		_ = removeHome(s.dir, s.lock)
	}
}

// home returns the directory for code and temporary files, made on first use:
// a simulation needs none.
func (s *Service) home() (string, error) {
	s.dirOnce.Do(func() {
		if s.dir = s.opts.Dir; s.dir == "" {
			s.dir, s.lock, s.dirErr = makeHome(os.TempDir())
			return
		}
		if s.dir, s.dirErr = filepath.Abs(s.dir); s.dirErr == nil {
			s.dirErr = os.MkdirAll(s.dir, 0o755)
		}
	})
	if s.dirErr != nil {
		return "", fmt.Errorf("make directory for functions: %w", s.dirErr)
	}
	return s.dir, nil
}

func (s *Service) count(item string, n float64) {
	if s.opts.Meter != nil {
		s.opts.Meter.Count(item, n)
	}
}

func (s *Service) authorize(ctx context.Context, action, resource string) error {
	if s.opts.Authorizer == nil {
		return nil
	}
	return s.opts.Authorizer.Authorize(ctx, action, resource)
}
