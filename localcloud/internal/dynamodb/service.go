package dynamodb

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Options configures a Service.
type Options struct {
	// Authorizer checks every call that comes over the wire. Required there:
	// nil allows everything.
	Authorizer account.Authorizer
	// Meter counts read and write units; nil counts nothing.
	Meter account.Meter
	// TTLDelay is how long after its expiry an item is deleted. Default 1s.
	// (AWS: typically within 48 hours.)
	TTLDelay time.Duration
	// StreamRetention is how long a stream keeps a record. Default 24h.
	StreamRetention time.Duration
	// ShardLife is how long a shard takes records before a child follows it.
	// Default 4h.
	ShardLife time.Duration
}

func (o Options) withDefaults() Options {
	if o.TTLDelay <= 0 {
		o.TTLDelay = time.Second
	}
	if o.StreamRetention <= 0 {
		o.StreamRetention = 24 * time.Hour
	}
	if o.ShardLife <= 0 {
		o.ShardLife = 4 * time.Hour
	}
	return o
}

// Service is a DynamoDB of one account and region. Safe for concurrent use.
type Service struct {
	options Options

	// mu orders all reads and writes; it guards everything below and all that
	// hangs on it.
	mu       sync.Mutex
	tables   map[string]*table
	streams  map[string]*stream // by ARN; outlive their table for the retention
	tokens   map[string]replay  // of transactions, by token
	requests uint64             // numbers ids
	closed   bool

	tokenAges []string // the tokens, oldest first
}

// New returns an empty service. Close it to stop its timers.
func New(options Options) *Service {
	return &Service{
		options: options.withDefaults(),
		tables:  map[string]*table{},
		streams: map[string]*stream{},
		tokens:  map[string]replay{},
	}
}

// Close stops the deletion of expired items and ends all stream readers.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, t := range s.tables {
		t.ttl.stop()
	}
	for _, st := range s.streams {
		st.wake()
	}
	return nil
}

func (s *Service) lookup(name string) (*table, error) {
	t := s.tables[name]
	if t == nil {
		return nil, resourceNotFound()
	}
	return t, nil
}

func tableARN(name string) string {
	return "arn:aws:dynamodb:" + account.Region + ":" + account.ID + ":table/" + name
}

// authorize checks one action on a table or one of its indexes.
func (s *Service) authorize(ctx context.Context, action, tableName, index string) error {
	resource := tableARN(tableName)
	if index != "" {
		resource += "/index/" + index
	}
	return s.allow(ctx, action, resource)
}

func (s *Service) allow(ctx context.Context, action, resource string) error {
	if s.options.Authorizer == nil {
		return nil
	}
	return s.options.Authorizer.Authorize(ctx, "dynamodb:"+action, resource)
}

func (s *Service) count(name string, units float64) {
	if s.options.Meter != nil && units > 0 {
		s.options.Meter.Count(name, units)
	}
}

// Table describes a table; ok is false when there is none of that name.
func (s *Service) Table(name string) (info TableInfo, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil {
		return TableInfo{}, false
	}
	return t.info(), true
}

// Tables returns the names of all tables, sorted.
func (s *Service) Tables() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.tables))
	for name := range s.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t *table) info() TableInfo {
	info := TableInfo{
		Name: t.spec.Name, ARN: t.arn, Created: t.created, Spec: t.spec,
		ItemCount: t.items.count, SizeBytes: t.items.bytes,
	}
	info.Spec.Indexes, info.Spec.Tags = slices.Clone(t.spec.Indexes), maps.Clone(t.spec.Tags)
	if t.stream != nil {
		info.StreamARN, info.StreamLabel = t.stream.arn, t.stream.label
	}
	return info
}
