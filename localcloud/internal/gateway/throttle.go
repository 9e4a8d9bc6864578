package gateway

import (
	"sync"
	"time"
)

// bucket is a token bucket. A nil bucket lets everything through.
type bucket struct {
	rate, burst float64

	mu     sync.Mutex // guards the fields below
	tokens float64
	last   time.Time
}

// newBucket returns a full bucket, or nil (no limit) for a negative rate. A
// burst below one is one: otherwise nothing would ever pass.
func newBucket(rate float64, burst int) *bucket {
	if rate < 0 {
		return nil
	}
	b := float64(max(1, burst))
	return &bucket{rate: rate, burst: b, tokens: b, last: time.Now()}
}

// take removes a token and reports whether there was one.
func (b *bucket) take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
