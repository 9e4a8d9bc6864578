package streamer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Bounds of a request's steps.
const (
	MaxSteps       = 1000
	MaxStepName    = 128       // characters
	MaxStepResult  = 256 << 10 // bytes of JSON, of one
	MaxStepResults = 16 << 20  // bytes of JSON, of all
)

// Step runs fn and remembers its result under the name, for as long as the
// request: in a later invocation of the handler the same step returns the result
// at once. ctx is the handler's, or made from it. In a request that is answered
// at once Step just calls fn.
//
// The memory is exactly once, effects are at least once: when the function dies
// between fn's effect and the result's being stored, fn runs again. Give the
// system that fn changes StepKey, so that it can tell. An error of fn is
// returned as it is and not remembered: the step may be tried again.
//
// The result travels through JSON, the first time too. Names are 1 to 128
// characters and each is used once in an invocation; what a handler does between
// steps must lead to the same names every time. Step returns ErrLost when the
// request has another owner, the cause of a context that ended before fn was
// called, and an error, for good, that says which bound was met.
func Step[T any](ctx context.Context, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	var out T
	if n := utf8.RuneCountInString(name); n == 0 || n > MaxStepName || !utf8.ValidString(name) {
		return out, Permanent(fmt.Errorf("step %q: a name has 1 to %d characters of UTF-8", name, MaxStepName))
	}
	j, _ := ctx.Value(journalKey{}).(*journal)
	if j == nil {
		return fn(withStepKey(ctx, name))
	}
	raw, err := j.step(ctx, name, func(ctx context.Context) ([]byte, error) {
		v, err := fn(ctx)
		if err != nil {
			return nil, err
		}
		raw, err := encode(v)
		if err != nil {
			return nil, Permanent(fmt.Errorf("step %q: marshal result: %w", name, err))
		}
		return raw, nil
	})
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("step %q: read result: %w", name, err)
	}
	return out, nil
}

// StepKey is the idempotency key of the step that the context belongs to: the
// request's and the step's name, the same in every attempt and no other's.
// Outside of a step it is empty.
func StepKey(ctx context.Context) string {
	key, _ := ctx.Value(stepKey{}).(string)
	return key
}

type (
	journalKey struct{}
	stepKey    struct{}
)

func withStepKey(ctx context.Context, name string) context.Context {
	call := CallFrom(ctx)
	return context.WithValue(ctx, stepKey{}, keys.Request(call.Caller.Tenant, call.Caller.User, call.ID)+"/"+name)
}

func (j *journal) step(ctx context.Context, name string, run func(context.Context) ([]byte, error)) ([]byte, error) {
	if err := j.open(); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := j.load(ctx); err != nil {
		return nil, err
	}
	s, known, err := j.begin(name)
	if err != nil {
		return nil, Permanent(fmt.Errorf("step %q: %w", name, err))
	}
	if known {
		j.owner.pieces.jump(place{s.Partials, s.Bytes})
		return s.Result, nil
	}
	done := false
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.running--
		if !done { // also when fn panics
			delete(j.used, name)
		}
	}()
	raw, err := run(withStepKey(ctx, name))
	if err != nil {
		return nil, err
	}
	if len(raw) > MaxStepResult {
		return nil, Permanent(fmt.Errorf("step %q: the result has %d bytes of JSON, at most %d are allowed", name, len(raw), MaxStepResult))
	}
	if s, err = j.remember(name, raw); err != nil {
		return nil, fmt.Errorf("step %q: %w", name, err)
	}
	done = true
	return s.Result, nil
}

// begin notes that a step is at work, or returns what is known of it.
func (j *journal) begin(name string) (s request.Step, known bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s, known = j.known[name]
	switch {
	case j.used[name]:
		return s, false, errors.New("the name is used twice in one invocation")
	case !known && len(j.known)+j.running >= MaxSteps:
		return s, false, fmt.Errorf("the request has %d steps, no more are allowed", MaxSteps)
	case !known && j.results >= MaxStepResults:
		return s, false, fmt.Errorf("the results of the request's steps have %d bytes, no more are allowed", j.results)
	}
	j.used[name] = true
	if !known {
		j.running++
	}
	return s, known, nil
}

// remember stores a finished step. What fn did has happened, so its result is
// stored after the handler's time, too.
func (j *journal) remember(name string, result []byte) (s request.Step, err error) {
	at, err := j.settle(j.life)
	if err != nil {
		return s, err
	}
	s = request.Step{Name: name, Result: result, Partials: at.n, Bytes: at.bytes}
	err = j.insist(j.life, "store result", func(ctx context.Context) (err error) {
		kept, err := j.memory.step(ctx, s)
		if err == nil {
			s = kept
		}
		return err
	})
	if err != nil {
		return s, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.known[name] = s
	j.results += len(s.Result)
	j.finished++
	return s, nil
}
