package lambda

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Limits of asynchronous invocation.
const (
	maxAsyncRetries = 2
	minEventAge     = time.Minute
	maxEventAge     = 6 * time.Hour
)

// AsyncSpec configures asynchronous invocation of a function.
type AsyncSpec struct {
	MaxRetries                 *int          // 0 to 2, default 2
	MaxAge                     time.Duration // 1 minute to 6 hours, default 6 hours
	OnFailureARN, OnSuccessARN string        // queues; "" for none
}

// PutAsyncConfig replaces a function's configuration of asynchronous invocation.
// The function's role must be allowed to send to the destinations.
func (s *Service) PutAsyncConfig(function string, spec AsyncSpec) error {
	if spec.MaxRetries != nil && (*spec.MaxRetries < 0 || *spec.MaxRetries > maxAsyncRetries) {
		return invalid("maximum retry attempts of function %s: %d: want 0 to %d", function, *spec.MaxRetries, maxAsyncRetries)
	}
	if spec.MaxAge != 0 && (spec.MaxAge < minEventAge || spec.MaxAge > maxEventAge) {
		return invalid("maximum event age of function %s: %s: want %s to %s", function, spec.MaxAge, minEventAge, maxEventAge)
	}
	for _, arn := range []string{spec.OnFailureARN, spec.OnSuccessARN} {
		if arn != "" && (!strings.HasPrefix(arn, "arn:aws:sqs:") || s.opts.Send == nil) {
			return invalid("destination %s of function %s is not supported locally: want an SQS queue", arn, function)
		}
	}
	if info, ok := s.Function(function); ok {
		if err := s.checkDestinations(&info.Spec, spec.OnFailureARN, spec.OnSuccessARN); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(function)
	if err != nil {
		return fmt.Errorf("put async configuration: %w", err)
	}
	f.async = spec
	return nil
}

// DeleteAsyncConfig sets the defaults again.
func (s *Service) DeleteAsyncConfig(function string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(function)
	if err != nil {
		return fmt.Errorf("delete async configuration: %w", err)
	}
	f.async = AsyncSpec{}
	return nil
}

// asyncEvent is an accepted event on its way to exactly one end. Between
// attempts it is a timer, not a goroutine.
type asyncEvent struct {
	event
	function  string
	accepted  time.Time
	attempts  int // invocations whose function failed
	throttles int
	timer     *time.Timer
}

// accept queues an event.
func (s *Service) accept(function string, ev event) (InvokeResult, error) {
	name, _ := splitReference(function)
	a := &asyncEvent{event: ev, function: name, accepted: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return InvokeResult{}, errClosed
	}
	s.wg.Add(1)
	go s.attempt(a)
	return InvokeResult{RequestID: ev.id, StatusCode: 202, ExecutedVersion: "$LATEST"}, nil
}

// after tries a again when d is over.
func (s *Service) after(d time.Duration, a *asyncEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.waiting[a] = struct{}{}
	a.timer = time.AfterFunc(d, func() {
		s.mu.Lock()
		delete(s.waiting, a)
		if s.closed {
			s.mu.Unlock()
			return
		}
		s.wg.Add(1)
		s.mu.Unlock()
		s.attempt(a)
	})
}

// attempt runs a once and decides how it goes on.
func (s *Service) attempt(a *asyncEvent) {
	defer s.wg.Done()
	config, reserved, ok := s.asyncConfig(a.function)
	if !ok {
		return // deleted meanwhile: its events go with it
	}
	if reserved != nil && *reserved == 0 {
		// A function that is switched off gets no retries:
		// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
		s.conclude(a, config.OnFailureARN, "RetriesExhausted", nil)
		return
	}
	res, err := s.invoke(context.Background(), a.function, a.event)
	if s.ctx.Err() != nil {
		return
	}
	var throttled *Throttled
	switch {
	case errors.As(err, &throttled):
		wait := s.throttleBackoff(a.throttles)
		a.throttles++
		s.retry(a, config, wait, nil)
	case err != nil:
		return // deleted or closed meanwhile
	case res.FunctionError == "":
		s.conclude(a, config.OnSuccessARN, "Success", &res)
	default:
		a.attempts++
		retries := min(maxAsyncRetries, len(s.opts.AsyncRetries))
		if config.MaxRetries != nil {
			retries = *config.MaxRetries
		}
		if a.attempts > retries {
			s.conclude(a, config.OnFailureARN, "RetriesExhausted", &res)
			return
		}
		s.retry(a, config, s.asyncWait(a.attempts), &res)
	}
}

// asyncWait is the wait before the n-th retry.
func (s *Service) asyncWait(n int) time.Duration {
	waits := s.opts.AsyncRetries
	if len(waits) == 0 {
		return 0
	}
	return waits[min(n, len(waits))-1]
}

// retry waits and tries again, unless the event is too old by then.
func (s *Service) retry(a *asyncEvent, config AsyncSpec, wait time.Duration, res *InvokeResult) {
	maxAge := config.MaxAge
	if maxAge == 0 {
		maxAge = maxEventAge
	}
	if time.Since(a.accepted)+wait > maxAge {
		s.conclude(a, config.OnFailureARN, "EventAgeExceeded", res)
		return
	}
	s.after(wait, a)
}

// throttleBackoff doubles from ThrottleMin to ThrottleMax.
func (s *Service) throttleBackoff(n int) time.Duration {
	d := s.opts.ThrottleMin
	for ; n > 0 && d < s.opts.ThrottleMax; n-- {
		d *= 2
	}
	return min(d, s.opts.ThrottleMax)
}

func (s *Service) asyncConfig(function string) (spec AsyncSpec, reserved *int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(function)
	if err != nil {
		return AsyncSpec{}, nil, false
	}
	return f.async, f.reserved, true
}
