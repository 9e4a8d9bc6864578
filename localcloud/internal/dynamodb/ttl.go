package dynamodb

import (
	"container/heap"
	"context"
	"strconv"
	"time"
)

// maxExpired is how long ago an item may have expired to be deleted at all:
// older times are taken for mistakes (DynamoDB guide, TTL).
const maxExpired = 5 * 365 * 24 * time.Hour

// ttl deletes the expired items of one table. It is one timer for the item
// that expires first, and a queue of the others. Entries of the queue are only
// hints: what an item says when its time comes is what counts.
type ttl struct {
	attribute string // "" when disabled
	changed   time.Time
	queue     expiries
	timer     *time.Timer
}

type expiry struct {
	at  time.Time
	key item
}

type expiries []expiry

func (q expiries) Len() int           { return len(q) }
func (q expiries) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q expiries) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *expiries) Push(x any)        { *q = append(*q, x.(expiry)) }
func (q *expiries) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

func (l *ttl) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// expires is when the item is to be deleted; ok is false for never. Only a
// number of whole seconds counts.
func (s *Service) expires(t *table, it item) (at time.Time, ok bool) {
	if t.ttl.attribute == "" || it == nil {
		return time.Time{}, false
	}
	v, found := it[t.ttl.attribute]
	if !found || v.kind != kindNumber {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(v.text, 64)
	// Beyond the year 9999 it is no time.
	if err != nil || seconds < 0 || seconds > 253402300799 {
		return time.Time{}, false
	}
	at = time.Unix(int64(seconds), 0)
	if time.Since(at) > maxExpired {
		return time.Time{}, false
	}
	return at, true
}

// watchExpiry takes note of when an item that was just stored expires. When
// it expires as its predecessor did, the queue knows already.
func (s *Service) watchExpiry(t *table, old, now item) {
	at, ok := s.expires(t, now)
	if !ok || s.closed {
		return
	}
	if was, ok := s.expires(t, old); ok && was.Equal(at) {
		return
	}
	heap.Push(&t.ttl.queue, expiry{at.Add(s.options.TTLDelay), t.key.of(now)})
	if t.ttl.queue[0].at.Equal(at.Add(s.options.TTLDelay)) {
		s.armExpiry(t)
	}
}

// armExpiry sets the timer to the head of the queue.
func (s *Service) armExpiry(t *table) {
	t.ttl.stop()
	if len(t.ttl.queue) == 0 || s.closed {
		return
	}
	t.ttl.timer = time.AfterFunc(time.Until(t.ttl.queue[0].at), func() { s.expire(t) })
}

// expire deletes what has expired. The deletion is free of charge.
func (s *Service) expire(t *table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.tables[t.spec.Name] != t {
		return
	}
	for len(t.ttl.queue) > 0 && !t.ttl.queue[0].at.After(time.Now()) {
		head := heap.Pop(&t.ttl.queue).(expiry)
		it := t.get(head.key)
		at, ok := s.expires(t, it)
		if ok && !at.Add(s.options.TTLDelay).After(time.Now()) {
			s.commit(t, &outcome{old: it}, timeToLive())
		}
	}
	s.armExpiry(t)
}

// setTTL switches the attribute; "" disables. All items are looked at anew.
func (s *Service) setTTL(t *table, attribute string) {
	if t.ttl.attribute == attribute {
		return
	}
	t.ttl.stop()
	t.ttl.queue = nil
	t.ttl.attribute = attribute
	t.spec.TTL = attribute
	for _, p := range t.items.parts {
		for _, r := range p.rows {
			s.watchExpiry(t, nil, r.item)
		}
	}
}

type timeToLiveInput struct {
	TableName               string
	TimeToLiveSpecification struct {
		AttributeName string
		Enabled       bool
	}
}

func (s *Service) updateTimeToLive(ctx context.Context, in *timeToLiveInput) (any, error) {
	name := shortName(in.TableName)
	if err := s.authorize(ctx, "UpdateTimeToLive", name, ""); err != nil {
		return nil, err
	}
	spec := in.TimeToLiveSpecification
	if spec.AttributeName == "" {
		return nil, validation("TimeToLiveSpecification.AttributeName must not be empty")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil {
		return nil, tableNotFound(name)
	}
	switch {
	case spec.Enabled && t.ttl.attribute == spec.AttributeName:
		return nil, validation("TimeToLive is already enabled")
	case spec.Enabled && t.ttl.attribute != "":
		return nil, validation("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.ttl.attribute)
	case !spec.Enabled && t.ttl.attribute == "":
		return nil, validation("TimeToLive is already disabled")
	case !spec.Enabled && t.ttl.attribute != spec.AttributeName:
		return nil, validation("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.ttl.attribute)
	case !t.ttl.changed.IsZero() && time.Since(t.ttl.changed) < time.Hour:
		return nil, validation("Time to live has been modified multiple times within a fixed interval")
	}
	t.ttl.changed = time.Now()
	attribute := spec.AttributeName
	if !spec.Enabled {
		attribute = ""
	}
	s.setTTL(t, attribute)
	return map[string]any{"TimeToLiveSpecification": map[string]any{
		"AttributeName": spec.AttributeName, "Enabled": spec.Enabled,
	}}, nil
}

func (s *Service) describeTimeToLive(ctx context.Context, in *tableInput) (any, error) {
	name := shortName(in.TableName)
	if err := s.authorize(ctx, "DescribeTimeToLive", name, ""); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil {
		return nil, tableNotFound(name)
	}
	description := map[string]any{"TimeToLiveStatus": "DISABLED"}
	if t.ttl.attribute != "" {
		description = map[string]any{"TimeToLiveStatus": "ENABLED", "AttributeName": t.ttl.attribute}
	}
	return map[string]any{"TimeToLiveDescription": description}, nil
}
