// Package scheduler is EventBridge Scheduler of the local cloud: recurring
// schedules that invoke functions.
//
// A Service is safe for concurrent use. Each enabled schedule has one goroutine
// that sleeps until its next time; nothing outlives Close. The package imports
// account alone; functions reach it through the interface Invoker.
package scheduler

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Invoker invokes functions asynchronously, with the rights of the context's
// caller. A nil error means that the event was accepted.
type Invoker interface {
	InvokeAsync(ctx context.Context, functionARN string, payload []byte) error
}

// Options configures a Service. Invoker is required.
type Options struct {
	Invoker Invoker
	// Meter counts invocations; nil counts nothing.
	Meter account.Meter
	// Assumable says whether a role's trust policy lets the service assume it on
	// behalf of the source, a schedule group; nil lets it.
	Assumable func(role, service, source string) error
	// Interval, when set, replaces what every schedule's expression says.
	Interval time.Duration
	// Log takes one line about an invocation that was not accepted; may be nil.
	Log func(schedule, line string)
}

// ScheduleSpec is what a schedule is made from.
type ScheduleSpec struct {
	Name  string
	Group string // default "default"
	// Expression is rate(5 minutes) or cron(0 12 * * ? *).
	Expression string
	TimeZone   string // IANA name of the cron's zone, default UTC
	TargetARN  string // of a Lambda function
	RoleName   string // name or ARN of the role that invokes it
	// Input is the event. Default: a Scheduled Event as EventBridge has it.
	Input   string
	Enabled bool
	// MaxRetries of an invocation that was not accepted; nil for AWS's 185.
	MaxRetries *int
	// MaxAge ends the retries; default 24 h.
	MaxAge time.Duration
}

// ScheduleInfo describes a schedule.
type ScheduleInfo struct {
	ARN  string
	Spec ScheduleSpec
}

// Service is the scheduler of one account and region.
type Service struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines of schedules; Add under mu

	mu        sync.Mutex // guards what follows
	schedules map[string]*schedule
	closed    bool
}

type schedule struct {
	spec   ScheduleSpec
	cancel context.CancelFunc // nil when disabled
}

// New returns a Service without schedules. Close it.
func New(opts Options) *Service {
	s := &Service{opts: opts, schedules: map[string]*schedule{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close stops all schedules and waits for invocations under way.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
}

// ARN is the ARN of a schedule.
func ARN(group, name string) string {
	return "arn:aws:scheduler:" + account.Region + ":" + account.ID + ":schedule/" + group + "/" + name
}

// groupARN is what a trust policy may name: schedules by themselves it may not.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
func groupARN(group string) string {
	return "arn:aws:scheduler:" + account.Region + ":" + account.ID + ":schedule-group/" + group
}

// Invalid is a schedule that AWS would refuse, or that the local cloud does not
// support.
type Invalid struct{ Message string }

func (e *Invalid) Error() string { return "ValidationException: " + e.Message }

func invalid(format string, args ...any) error {
	return &Invalid{Message: fmt.Sprintf(format, args...)}
}

// NotFound is a schedule that does not exist.
type NotFound struct{ Name string }

func (e *NotFound) Error() string {
	return "ResourceNotFoundException: Schedule " + e.Name + " does not exist."
}

func (spec ScheduleSpec) normalise() (ScheduleSpec, times, error) {
	if spec.Group == "" {
		spec.Group = "default"
	}
	if spec.MaxAge == 0 {
		spec.MaxAge = 24 * time.Hour
	}
	if spec.MaxRetries == nil {
		n := 185
		spec.MaxRetries = &n
	}
	if i := strings.LastIndexByte(spec.RoleName, '/'); i >= 0 {
		spec.RoleName = spec.RoleName[i+1:]
	}
	switch {
	case spec.Name == "" || len(spec.Name) > 64:
		return spec, nil, invalid("name %q must have 1 to 64 characters", spec.Name)
	case spec.RoleName == "":
		return spec, nil, invalid("the target has no role")
	case !strings.HasPrefix(spec.TargetARN, "arn:aws:lambda:"):
		return spec, nil, invalid("target %s is not supported by the local cloud: want a Lambda function", spec.TargetARN)
	}
	zone, err := time.LoadLocation(spec.TimeZone)
	if err != nil {
		return spec, nil, invalid("time zone %q: %s", spec.TimeZone, err)
	}
	t, err := parseExpression(spec.Expression, zone)
	return spec, t, err
}

// Put creates a schedule or replaces the one of that name. A rate counts from
// now, and its first time is now, as in AWS without a start date:
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
func (s *Service) Put(spec ScheduleSpec) (ScheduleInfo, error) {
	spec, when, err := spec.normalise()
	if err == nil && s.opts.Assumable != nil {
		if e := s.opts.Assumable(spec.RoleName, "scheduler.amazonaws.com", groupARN(spec.Group)); e != nil {
			err = invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role: %s", e)
		}
	}
	if err != nil {
		return ScheduleInfo{}, fmt.Errorf("put schedule %s: %w", spec.Name, err)
	}
	if s.opts.Interval > 0 {
		when = rate(s.opts.Interval)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ScheduleInfo{}, fmt.Errorf("put schedule %s: the local cloud is closed", spec.Name)
	}
	if old := s.schedules[spec.Name]; old != nil && old.cancel != nil {
		old.cancel()
	}
	sch := &schedule{spec: spec}
	s.schedules[spec.Name] = sch
	if spec.Enabled {
		ctx, cancel := context.WithCancel(s.ctx)
		sch.cancel = cancel
		s.wg.Go(func() { s.run(ctx, spec, when) })
	}
	return ScheduleInfo{ARN: ARN(spec.Group, spec.Name), Spec: spec}, nil
}

// Delete stops and removes a schedule. The error is a *NotFound.
func (s *Service) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sch := s.schedules[name]
	if sch == nil {
		return &NotFound{name}
	}
	if sch.cancel != nil {
		sch.cancel()
	}
	delete(s.schedules, name)
	return nil
}

// Schedule returns a schedule; ok is false for none.
func (s *Service) Schedule(name string) (info ScheduleInfo, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sch := s.schedules[name]
	if sch == nil {
		return ScheduleInfo{}, false
	}
	return ScheduleInfo{ARN: ARN(sch.spec.Group, name), Spec: sch.spec}, true
}

// Schedules returns the names of all schedules, sorted.
func (s *Service) Schedules() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.schedules))
}

// run invokes the target at each of its times until ctx ends.
func (s *Service) run(ctx context.Context, spec ScheduleSpec, when times) {
	// Retries go on while the next time comes, but not after the schedule.
	var tries sync.WaitGroup
	defer tries.Wait()
	at, ok := when.first(time.Now())
	for ok {
		if !sleep(ctx, time.Until(at)) {
			return
		}
		due := at
		tries.Go(func() { s.deliver(ctx, spec, due) })
		at, ok = when.next(at)
	}
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// deliver invokes the target, again when it is not accepted: AWS tries 185
// times over 24 h with exponential backoff.
func (s *Service) deliver(ctx context.Context, spec ScheduleSpec, due time.Time) {
	execution, wait := rand.Text(), time.Second
	caller := account.AssumedRole(spec.RoleName, spec.Name)
	for attempt := 0; ; attempt++ {
		payload := spec.event(due, execution, attempt+1)
		err := s.opts.Invoker.InvokeAsync(account.WithCaller(ctx, caller), spec.TargetARN, payload)
		if err == nil {
			if s.opts.Meter != nil {
				s.opts.Meter.Count(account.MeterSchedules, 1)
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.log(spec.Name, fmt.Sprintf("invoke %s at %s (attempt %d): %s", spec.TargetARN, due.UTC().Format(time.RFC3339), attempt+1, err))
		var denied *account.Denied
		if errors.As(err, &denied) || attempt >= *spec.MaxRetries || time.Since(due)+wait > spec.MaxAge {
			return
		}
		if !sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, 5*time.Minute)
	}
}

func (s *Service) log(schedule, line string) {
	if s.opts.Log != nil {
		s.opts.Log(schedule, line)
	}
}

// event is the input with its context attributes filled in, see
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
func (spec *ScheduleSpec) event(due time.Time, execution string, attempt int) []byte {
	arn, at := ARN(spec.Group, spec.Name), due.UTC().Format(time.RFC3339)
	if spec.Input != "" {
		return []byte(strings.NewReplacer(
			"<aws.scheduler.schedule-arn>", arn, "<aws.scheduler.scheduled-time>", at,
			"<aws.scheduler.execution-id>", execution, "<aws.scheduler.attempt-number>", strconv.Itoa(attempt),
		).Replace(spec.Input))
	}
	data, err := json.Marshal(map[string]any{
		"version": "0", "id": execution, "detail-type": "Scheduled Event", "source": "aws.scheduler",
		"account": account.ID, "time": at, "region": account.Region, "resources": []string{arn}, "detail": "{}",
	})
	if err != nil { // strings always marshal
		panic(err)
	}
	return data
}
