// Package sqs is Amazon SQS of the local cloud: standard queues, over the JSON
// protocol and in process.
//
// A Service is safe for concurrent use. What waits (delays, visibility, long
// polls) waits on a timer or a signal: a queue in which nothing is due costs
// nothing. The package imports account and strictjson alone.
package sqs

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Options configures a Service.
type Options struct {
	// Authorizer checks every call, in process too. nil allows everything.
	Authorizer account.Authorizer
	// Meter counts requests; nil counts nothing.
	Meter account.Meter
	// BaseURL is what queue URLs begin with, such as http://127.0.0.1:4566.
	// Default: AWS's own.
	BaseURL string
}

// QueueSpec is what a queue is made from. Zero durations are AWS's defaults,
// but Delay and ReceiveWait, whose default is 0.
type QueueSpec struct {
	Name              string
	VisibilityTimeout time.Duration // default 30 s, at most 12 h
	Delay             time.Duration // at most 15 min
	Retention         time.Duration // 1 min to 14 days, default 4 days
	ReceiveWait       time.Duration // at most 20 s
	MaxMessageSize    int           // bytes, default 1 MiB
	MaxReceive        int           // 1 to 1000; 0 without a dead-letter queue
	DeadLetterARN     string        // "" for none
	// RedriveAllow is the redrive allow policy as JSON; it is kept and returned.
	RedriveAllow string
	// Policy is the resource policy as JSON; it is kept and returned, access is
	// decided by the policies of roles alone.
	Policy string
	Tags   map[string]string
	// NoVisibility is true when the visibility timeout is to be zero.
	NoVisibility bool
	FIFO         bool // refused
}

// QueueInfo describes a queue.
type QueueInfo struct {
	ARN, URL, Name string
	Created        time.Time
	Spec           QueueSpec
	// Messages that may be received, that are in flight, and that are delayed.
	Visible, InFlight, Delayed int
}

// Service is the SQS of one account and region.
type Service struct {
	opts Options

	mu     sync.Mutex // guards what follows and everything in the queues
	queues map[string]*queue
	closed bool
}

// New returns a Service without queues. Close it to stop its timers.
func New(opts Options) *Service {
	if opts.BaseURL == "" {
		opts.BaseURL = "https://sqs." + account.Region + ".amazonaws.com"
	}
	opts.BaseURL = strings.TrimSuffix(opts.BaseURL, "/")
	return &Service{opts: opts, queues: map[string]*queue{}}
}

// Close stops all timers and ends all waits for messages.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, q := range s.queues {
		q.close()
	}
}

// QueueARN is the ARN of the queue of that name.
func QueueARN(name string) string {
	return "arn:aws:sqs:" + account.Region + ":" + account.ID + ":" + name
}

func (s *Service) queueURL(name string) string {
	return s.opts.BaseURL + "/" + account.ID + "/" + name
}

// queueName returns the name in a queue's URL or ARN. The host of a URL is not
// looked at: it depends on how the client reaches the cloud.
func queueName(urlOrARN string) (name string, ok bool) {
	if rest, isARN := strings.CutPrefix(urlOrARN, QueueARN("")); isARN {
		return rest, rest != ""
	}
	rest, name, ok := cutLast(strings.TrimSuffix(urlOrARN, "/"), "/")
	return name, ok && strings.HasSuffix(rest, "/"+account.ID)
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(sep):], true
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

func (spec QueueSpec) withDefaults() QueueSpec {
	if spec.VisibilityTimeout == 0 && !spec.NoVisibility {
		spec.VisibilityTimeout = 30 * time.Second
	}
	if spec.Retention == 0 {
		spec.Retention = 4 * 24 * time.Hour
	}
	if spec.MaxMessageSize == 0 {
		spec.MaxMessageSize = 1 << 20
	}
	return spec
}

// validate checks the limits that the API reference of SetQueueAttributes gives.
func (spec *QueueSpec) validate() error {
	if spec.FIFO || strings.HasSuffix(spec.Name, ".fifo") {
		return unsupported("FIFO queues are not supported by the local cloud: queue %s", spec.Name)
	}
	if !validName.MatchString(spec.Name) {
		return invalidParameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	for _, limit := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"VisibilityTimeout", spec.VisibilityTimeout, 0, 12 * time.Hour},
		{"DelaySeconds", spec.Delay, 0, 900 * time.Second},
		{"MessageRetentionPeriod", spec.Retention, time.Minute, 14 * 24 * time.Hour},
		{"ReceiveMessageWaitTimeSeconds", spec.ReceiveWait, 0, 20 * time.Second},
	} {
		if limit.value < limit.min || limit.value > limit.max {
			return invalidAttribute(limit.name)
		}
	}
	if spec.MaxMessageSize < 1024 || spec.MaxMessageSize > 1<<20 {
		return invalidAttribute("MaximumMessageSize")
	}
	if (spec.DeadLetterARN == "") != (spec.MaxReceive == 0) || spec.MaxReceive < 0 || spec.MaxReceive > 1000 {
		return invalidParameter("Value for parameter RedrivePolicy is invalid. Reason: it must have a deadLetterTargetArn and a maxReceiveCount from 1 to 1000.")
	}
	return nil
}

// PutQueue creates a queue, or changes the one of that name: its messages stay.
func (s *Service) PutQueue(spec QueueSpec) (QueueInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.put(spec)
	if err != nil {
		return QueueInfo{}, fmt.Errorf("put queue %s: %w", spec.Name, err)
	}
	return info, nil
}

// put is called with s.mu held.
func (s *Service) put(spec QueueSpec) (QueueInfo, error) {
	spec = spec.withDefaults()
	if err := spec.validate(); err != nil {
		return QueueInfo{}, err
	}
	if err := s.checkDeadLetter(&spec); err != nil {
		return QueueInfo{}, err
	}
	q := s.queues[spec.Name]
	if q == nil {
		q = newQueue(s, spec)
		s.queues[spec.Name] = q
	}
	q.spec, q.modified = spec, time.Now()
	return q.info(), nil
}

// checkDeadLetter refuses a dead-letter queue that is not there, as AWS does.
func (s *Service) checkDeadLetter(spec *QueueSpec) error {
	if spec.DeadLetterARN == "" {
		return nil
	}
	name, ok := queueName(spec.DeadLetterARN)
	if !ok || s.queues[name] == nil {
		return invalidParameter("Value for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist: %s.", spec.DeadLetterARN)
	}
	return nil
}

// DeleteQueue removes a queue and its messages; who waits for messages gets an
// error. The queue is named by URL or ARN.
func (s *Service) DeleteQueue(urlOrARN string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(urlOrARN)
	if err != nil {
		return fmt.Errorf("delete queue %s: %w", urlOrARN, err)
	}
	q.close()
	delete(s.queues, q.spec.Name)
	return nil
}

// Queue describes the queue of that URL or ARN; ok is false when there is none.
func (s *Service) Queue(urlOrARN string) (info QueueInfo, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(urlOrARN)
	if err != nil {
		return QueueInfo{}, false
	}
	return q.info(), true
}

// Queues returns the names of all queues, sorted.
func (s *Service) Queues() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.queues))
	for name := range s.queues {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// lookup is called with s.mu held.
func (s *Service) lookup(urlOrARN string) (*queue, error) {
	name, ok := queueName(urlOrARN)
	if q := s.queues[name]; ok && q != nil {
		return q, nil
	}
	return nil, noSuchQueue()
}

// authorize checks an action on a queue, whether it exists or not.
func (s *Service) authorize(ctx context.Context, action, urlOrARN string) error {
	if s.opts.Authorizer == nil {
		return nil
	}
	name, ok := queueName(urlOrARN)
	if !ok {
		return noSuchQueue()
	}
	return s.opts.Authorizer.Authorize(ctx, "sqs:"+action, QueueARN(name))
}

// chunk is what one billed request carries at most.
const chunk = 64 << 10

func (s *Service) bill(bytes int) {
	if s.opts.Meter != nil {
		s.opts.Meter.Count(account.MeterQueueRequests, float64(max(1, (bytes+chunk-1)/chunk)))
	}
}

// billEmpty bills a receive that found nothing.
func (s *Service) billEmpty() {
	s.bill(0)
	if s.opts.Meter != nil {
		s.opts.Meter.Count(account.MeterEmptyReceives, 1)
	}
}
