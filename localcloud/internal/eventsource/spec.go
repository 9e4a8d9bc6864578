package eventsource

import (
	"fmt"
	"strings"
	"time"
)

// Spec describes a mapping. Fields that only one kind of source has must be
// zero for the other.
type Spec struct {
	ID        string // UUID; made when ""
	SourceARN string // of a stream or a queue
	Function  string // name or ARN
	// BatchSize: streams 1 to 10,000, default 100; queues 1 to 10,000, default
	// 10, and over 10 only with a window.
	BatchSize int
	// Window is how long a batch may wait to become full: 0 to 300 s, default 0.
	Window  time.Duration
	Filters []string // patterns, one of which must match
	// ReportItemFailures lets the function name what failed of a batch.
	ReportItemFailures bool
	Enabled            bool

	// Of streams:
	Parallelization  int           // batches at once, in order per key: 1 to 10, default 1
	StartingPosition string        // TRIM_HORIZON or LATEST
	MaxRetries       *int          // 0 to 10,000; nil or -1: without end
	MaxAge           time.Duration // 60 s to 604,800 s; 0: without end
	Bisect           bool
	OnFailureARN     string // queue for records of what was given up

	// Of queues:
	MaxConcurrency int // invocations at once: 2 to 1,000; 0: as many as there are batches
}

// Info is a mapping as AWS shows it.
type Info struct {
	Spec
	ARN, FunctionARN string
	State            string // Enabled or Disabled
	// LastResult is "No records processed", "OK" or what went wrong.
	LastResult   string
	LastModified time.Time
}

// Invalid is a specification that Lambda refuses.
type Invalid struct{ Message string }

func (e *Invalid) Error() string { return e.Message }

func invalid(format string, args ...any) error {
	return &Invalid{Message: fmt.Sprintf(format, args...)}
}

// NotFound is a mapping that does not exist.
type NotFound struct{ ID string }

func (e *NotFound) Error() string {
	return "The resource you requested does not exist: event source mapping " + e.ID
}

// Conflict is a second mapping of the same source and function.
type Conflict struct{ Message string }

func (e *Conflict) Error() string { return e.Message }

func (p *Spec) stream() bool { return strings.HasPrefix(p.SourceARN, "arn:aws:dynamodb:") }
func (p *Spec) queue() bool  { return strings.HasPrefix(p.SourceARN, "arn:aws:sqs:") }

// normalise checks a specification and fills in defaults.
func (p Spec) normalise() (Spec, error) {
	size := 10
	if p.stream() {
		size = 100
	} else if !p.queue() {
		return p, invalid("event source %s is not supported locally: want a DynamoDB stream or an SQS queue", p.SourceARN)
	}
	if p.BatchSize == 0 {
		p.BatchSize = size
	}
	if p.BatchSize < 1 || p.BatchSize > 10000 {
		return p, invalid("batch size %d of %s: want 1 to 10000", p.BatchSize, p.SourceARN)
	}
	if p.Window < 0 || p.Window > 300*time.Second {
		return p, invalid("batching window %s of %s: want 0 to 300 s", p.Window, p.SourceARN)
	}
	if p.stream() {
		return p, p.checkStream()
	}
	return p, p.checkQueue()
}

func (p *Spec) checkStream() error {
	if p.Parallelization == 0 {
		p.Parallelization = 1
	}
	switch {
	case p.Parallelization < 1 || p.Parallelization > 10:
		return invalid("parallelization factor %d of %s: want 1 to 10", p.Parallelization, p.SourceARN)
	case p.StartingPosition != "TRIM_HORIZON" && p.StartingPosition != "LATEST":
		return invalid("starting position %q of %s: want TRIM_HORIZON or LATEST", p.StartingPosition, p.SourceARN)
	case p.MaxRetries != nil && (*p.MaxRetries < -1 || *p.MaxRetries > 10000):
		return invalid("maximum retry attempts %d of %s: want -1 to 10000", *p.MaxRetries, p.SourceARN)
	case p.MaxAge != 0 && (p.MaxAge < time.Minute || p.MaxAge > 604800*time.Second):
		return invalid("maximum record age %s of %s: want 60 to 604800 s", p.MaxAge, p.SourceARN)
	case p.OnFailureARN != "" && !strings.HasPrefix(p.OnFailureARN, "arn:aws:sqs:"):
		return invalid("failure destination %s of %s is not supported locally: want an SQS queue", p.OnFailureARN, p.SourceARN)
	case p.MaxConcurrency != 0:
		return invalid("maximum concurrency of %s: a stream has none", p.SourceARN)
	}
	if p.MaxRetries != nil && *p.MaxRetries == -1 {
		p.MaxRetries = nil
	}
	return nil
}

func (p *Spec) checkQueue() error {
	switch {
	case p.BatchSize > 10 && p.Window < time.Second:
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	case p.MaxConcurrency != 0 && (p.MaxConcurrency < 2 || p.MaxConcurrency > 1000):
		return invalid("maximum concurrency %d of %s: want 2 to 1000", p.MaxConcurrency, p.SourceARN)
	case p.Parallelization > 1 || p.StartingPosition != "" || p.MaxRetries != nil && *p.MaxRetries != -1 ||
		p.MaxAge != 0 || p.Bisect || p.OnFailureARN != "":
		return invalid("%s: parallelization, starting position, retries, record age, bisection and failure destination are for streams", p.SourceARN)
	}
	p.MaxRetries, p.Parallelization = nil, 0
	return nil
}
