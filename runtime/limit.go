package streamer

import (
	"context"
	"sync"
	"time"
)

// limitContext ends at a deadline as context.WithDeadline's does, but has a timer
// only once somebody asks for its end: most handlers of quick requests never do.
type limitContext struct {
	context.Context // the parent
	deadline        time.Time
	cause           error // of its end at the deadline; nil: context.DeadlineExceeded

	mu     sync.Mutex      // guards the rest
	inner  context.Context // nil until asked for
	cancel context.CancelFunc
	over   bool
}

// withLimit returns a context that ends after d, or by its end, which has to be
// called.
func withLimit(parent context.Context, d time.Duration) *limitContext {
	return &limitContext{Context: parent, deadline: time.Now().Add(d)}
}

func (c *limitContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

// started returns the context that has the timer.
func (c *limitContext) started() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithDeadlineCause(c.Context, c.deadline, c.cause)
		if c.over {
			c.cancel()
		}
	}
	return c.inner
}

func (c *limitContext) Done() <-chan struct{} { return c.started().Done() }

func (c *limitContext) Err() error { return c.started().Err() }

// Deadline is the earlier one of its own and the parent's.
func (c *limitContext) Deadline() (time.Time, bool) {
	if d, ok := c.Context.Deadline(); ok && d.Before(c.deadline) {
		return d, true
	}
	return c.deadline, true
}

// Value asks the context with the timer, if there is one: package context looks
// there for the parent that a derived context is to be cancelled by.
func (c *limitContext) Value(key any) any {
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	if inner != nil {
		return inner.Value(key)
	}
	return c.Context.Value(key)
}
