package streamer_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

var errDown = errors.New("the store is down")

// memory is the tables; transitions are executed by Apply, which the database
// is tested to agree with.
type memory struct {
	mu    sync.Mutex
	items map[string]request.Attrs
	blobs map[string][]byte
	// objects are what the bucket holds; nil where it is switched off.
	objects map[string][]byte
	done    []string // events that happened, in order
	pages   int      // calls of Due
	// fault is asked before each call: errDown refuses it, errLost carries it
	// out and loses the reply.
	fault func(call string) error
	// hang, where set, is asked before fault and may hold a call up.
	hang func(ctx context.Context, call string) error
	// watch, where set, is told of every try to put a blob.
	watch func(name string, data []byte)
	// tenants are their slots and counts.
	tenants slotTable
}

var errLost = errors.New("the reply was lost")

func newMemory() *memory {
	return &memory{items: map[string]request.Attrs{}, blobs: map[string][]byte{}}
}

func (m *memory) failing(call string) error {
	if m.fault == nil {
		return nil
	}
	return m.fault(call)
}

func (m *memory) Do(ctx context.Context, t request.Transition, key string, p request.Attrs) (request.Outcome, error) {
	if _, err := t.Write(key, p); err != nil {
		return request.Outcome{}, err
	}
	if m.hang != nil {
		if err := m.hang(ctx, t.Name); err != nil {
			return request.Outcome{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fault := m.failing(t.Name)
	if fault != nil && !errors.Is(fault, errLost) {
		return request.Outcome{}, fault
	}
	before := m.items[key]
	after, ok := t.Apply(before, key, p)
	out := request.Outcome{OK: ok, Found: after != nil, Item: request.Decode(after)}
	if ok && t.Before() && fault == nil {
		was := request.Decode(before)
		out.Before = &was
	}
	if ok {
		m.items[key] = after
		m.done = append(m.done, t.Name)
	} else if by, _ := p[c.AttrBy].(string); by != "" && out.Item.By == by {
		out.OK = true
	}
	return out, fault
}

func (m *memory) Get(ctx context.Context, key string) (request.Item, bool, error) {
	if m.hang != nil {
		if err := m.hang(ctx, "get"); err != nil {
			return request.Item{}, false, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("get"); err != nil {
		return request.Item{}, false, err
	}
	a := m.items[key]
	return request.Decode(a), a != nil, nil
}

func (m *memory) item(key string) request.Item {
	m.mu.Lock()
	defer m.mu.Unlock()
	return request.Decode(m.items[key])
}

// edit changes an item behind everybody's back.
func (m *memory) edit(key string, f func(request.Attrs)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := maps.Clone(m.items[key])
	f(a)
	m.items[key] = a
}

func (m *memory) events() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.done)
}

// Due answers in pages of two.
func (m *memory) Due(_ context.Context, shard string, before int64, page any) (due []string, next any, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages++
	if err := m.failing("due"); err != nil {
		return nil, nil, err
	}
	from, _ := page.(string)
	for _, key := range slices.Sorted(maps.Keys(m.items)) {
		a := m.items[key]
		at, ok := a[c.AttrDueAt].(int64)
		if !ok || a[c.AttrDueShard] != shard || at > before || key <= from {
			continue
		}
		if len(due) == 2 {
			return due, due[1], nil
		}
		due = append(due, key)
	}
	return due, nil, nil
}

func (m *memory) PutBlob(_ context.Context, key, name string, data []byte, expires int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watch != nil {
		m.watch(name, data)
	}
	if err := m.failing("put blob"); err != nil {
		return err
	}
	if expires == 0 {
		return errors.New("put blob: it would never expire")
	}
	m.blobs[key+" "+name] = slices.Clone(data)
	m.done = append(m.done, "blob")
	return nil
}

func (m *memory) GetBlob(ctx context.Context, key, name string) ([]byte, error) {
	if m.hang != nil {
		if err := m.hang(ctx, "get blob"); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("get blob"); err != nil {
		return nil, err
	}
	if data, ok := m.blobs[key+" "+name]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("get blob %s: %w", name, request.ErrNoBlob)
}

// sockets are the connections.
type sockets struct {
	mu     sync.Mutex
	frames []received
	calls  map[string]int
	closed []string
	fault  func(connection string, frame wire.Frame) error
	// hangs is how long a push takes before it fails.
	hangs time.Duration
}

type received struct {
	wire.Frame
	connection string
	at         time.Time
}

func (s *sockets) Push(ctx context.Context, connection string, frame []byte) error {
	var f wire.Frame
	if err := f.Decode(frame); err != nil {
		return err
	}
	if s.hangs > 0 {
		select {
		case <-time.After(s.hangs):
			return errors.New("no answer")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[connection]++
	if s.fault != nil {
		if err := s.fault(connection, f); err != nil {
			return err
		}
	}
	s.frames = append(s.frames, received{f, connection, time.Now()})
	return nil
}

func (s *sockets) Close(_ context.Context, connection string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = append(s.closed, connection)
	return nil
}

// of lists the frames of a type, in order of their cursor.
func (s *sockets) of(kind string) (out []received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.frames {
		if f.Type == kind {
			out = append(out, f)
		}
	}
	return out
}

// hints records what was sent to the queue, or to the processor.
type hints struct {
	mu    sync.Mutex
	sent  []hint
	fault error
}

type hint struct {
	work.Hint
	delay time.Duration
}

func (h *hints) Wake(_ context.Context, w work.Hint, delay time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = append(h.sent, hint{w, delay})
	return h.fault
}

func (h *hints) Start(ctx context.Context, w work.Hint) error { return h.Wake(ctx, w, 0) }

func (h *hints) all() []hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := slices.Clone(h.sent)
	slices.SortFunc(out, func(a, b hint) int { return cmp.Compare(a.Key, b.Key) })
	return out
}
