package eventsource

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Options of a Manager. Invoke and Function are required.
type Options struct {
	// Invoke runs a function synchronously, without a permission check: Lambda
	// is its own caller. An error is an invocation that did not take place, such
	// as a throttle.
	Invoke func(ctx context.Context, function string, payload []byte) (Result, error)
	// Function resolves a name or ARN.
	Function   func(ref string) (Function, bool)
	Authorizer account.Authorizer // nil: everything is allowed
	Streams    Streams            // nil: stream mappings are refused
	Queues     Queues             // nil: queue mappings are refused
	// Send puts a failure record into a queue.
	Send func(ctx context.Context, queueARN, body string) error
	// RetryMin and RetryMax bound the wait, which doubles, before a failed batch
	// or poll is tried again. Defaults 1 s and 1 minute.
	RetryMin, RetryMax time.Duration
	// Problem takes what is wrong with a mapping, of which its function does not
	// hear. nil: none is told.
	Problem func(function, line string)
}

// Manager runs the mappings of an account.
type Manager struct {
	opts   Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	// mu guards mappings and serialises changes of them.
	mu       sync.Mutex
	mappings map[string]*mapping
	closed   bool
}

// NewManager returns a Manager without mappings. Close it.
func NewManager(opts Options) *Manager {
	if opts.RetryMin <= 0 {
		opts.RetryMin = time.Second
	}
	if opts.RetryMax <= 0 {
		opts.RetryMax = time.Minute
	}
	m := &Manager{opts: opts, mappings: map[string]*mapping{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// Close stops all mappings and waits for them. Unprocessed records are lost.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.cancel()
	for _, mp := range m.mappings {
		mp.stop()
		mp.closeReader()
	}
	m.mappings = map[string]*mapping{}
}

// Put creates a mapping, or changes the one with the same ID, which then goes
// on where it was. The function's role must have the rights to source and
// failure destination, and both must be there. A stream mapping at LATEST sees
// every record written after Put returned. Errors: *Invalid, *Conflict.
func (m *Manager) Put(spec Spec) (Info, error) {
	spec, err := spec.normalise()
	if err != nil {
		return Info{}, err
	}
	filters, err := compileFilters(spec.Filters)
	if err != nil {
		return Info{}, err
	}
	fn, ok := m.opts.Function(spec.Function)
	if !ok {
		return Info{}, invalid("Function not found: %s", spec.Function)
	}
	spec.Function = fn.Name
	if spec.stream() && m.opts.Streams == nil || spec.queue() && m.opts.Queues == nil {
		return Info{}, invalid("event source %s: this cloud has no such service", spec.SourceARN)
	}
	if spec.OnFailureARN != "" && m.opts.Send == nil {
		return Info{}, invalid("failure destination %s: this cloud has no queues", spec.OnFailureARN)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Info{}, errors.New("event source mappings are closed")
	}
	if spec.ID == "" {
		spec.ID = newUUID()
	}
	if err := m.checkDuplicate(spec); err != nil {
		return Info{}, err
	}
	if err := m.check(spec, fn); err != nil {
		return Info{}, err
	}
	mp := m.mappings[spec.ID]
	if mp == nil {
		mp = &mapping{manager: m, lastResult: "No records processed"}
	}
	reader, err := m.open(mp, spec, fn)
	if err != nil {
		return Info{}, err
	}
	mp.stop()
	mp.configure(spec, fn, filters, reader)
	m.mappings[spec.ID] = mp
	if spec.Enabled {
		mp.start()
	}
	return mp.info(), nil
}

func (m *Manager) checkDuplicate(spec Spec) error {
	for id, other := range m.mappings {
		if id != spec.ID && other.spec.SourceARN == spec.SourceARN && other.spec.Function == spec.Function {
			return &Conflict{Message: fmt.Sprintf("The event source arn (\" %s \") and function (\" %s \") provided mapping already exists. Please update or delete the existing mapping with UUID %s", spec.SourceARN, spec.Function, id)}
		}
	}
	return nil
}

// Delete stops and forgets a mapping. An invocation under way finishes.
func (m *Manager) Delete(id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	mp := m.mappings[id]
	if mp == nil {
		return &NotFound{ID: id}
	}
	delete(m.mappings, id)
	mp.stop()
	mp.closeReader()
	return nil
}

// Mapping returns a mapping; ok is false for none.
func (m *Manager) Mapping(id string) (Info, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mp := m.mappings[id]
	if mp == nil {
		return Info{}, false
	}
	return mp.info(), true
}

// Mappings returns all mappings, by ID.
func (m *Manager) Mappings() []Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Info, 0, len(m.mappings))
	for _, mp := range m.mappings {
		out = append(out, mp.info())
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// backoff is the wait before the n-th retry, from 1.
func (m *Manager) backoff(n int) time.Duration {
	d := m.opts.RetryMin
	for ; n > 1 && d < m.opts.RetryMax; n-- {
		d *= 2
	}
	return min(d, m.opts.RetryMax)
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// sleep waits; it returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
