package lambda_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// withheld are actions that no role is allowed; it counts questions.
type withheld struct {
	mu      sync.Mutex
	actions map[string]bool
	changes uint64
	asked   int
}

func (w *withheld) set(actions ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes++
	w.actions = map[string]bool{}
	for _, a := range actions {
		w.actions[a] = true
	}
}

func (w *withheld) count() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

func (w *withheld) questions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.asked
	w.asked = 0
	return n
}

func (w *withheld) Authorize(ctx context.Context, action, resource string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasPrefix(action, "logs:") {
		w.asked++
	}
	if c, _ := account.CallerFrom(ctx); w.actions[action] {
		return &account.Denied{Caller: c, Action: action, Resource: resource}
	}
	return nil
}

// collected are the lines of a log, and the problems.
type collected struct {
	mu              sync.Mutex
	lines, problems []string
}

func (c *collected) log(_, _, line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, line)
}

func (c *collected) problem(function, line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, function+": "+line)
}

func (c *collected) take() (lines, problems []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines, problems = c.lines, c.problems
	c.lines, c.problems = nil, nil
	return lines, problems
}

// Without the right to write its log a function's lines are lost, and one
// problem says so; the right is not asked for line by line.
func TestLogNeedsRights(t *testing.T) {
	for _, action := range []string{"logs:CreateLogStream", "logs:PutLogEvents"} {
		t.Run(action, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				rights, c := &withheld{}, &collected{}
				s := newSim(lambda.Options{Authorizer: rights, Changes: rights.count, Log: c.log, Problem: c.problem},
					func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
				defer s.close()
				rights.set(action)
				s.put(t, "f", func(p *lambda.FunctionSpec) { p.LogGroup = "/my/group" })
				for range 2 {
					s.Invoke(t.Context(), "f", nil, lambda.InvokeOptions{Tail: true})
				}
				lines, problems := c.take()
				if len(lines) != 0 || len(problems) != 1 || s.meter[account.MeterLogBytes] != 0 {
					t.Fatalf("lines %q, problems %q, metered %v", lines, problems, s.meter)
				}
				for _, part := range []string{"f: PROBLEM: ", "AccessDeniedException", action, "arn:aws:logs:us-east-1:000000000000:log-group:/my/group:log-stream:", "assumed-role/role-f/f"} {
					if !strings.Contains(problems[0], part) {
						t.Errorf("problem %q does not name %s", problems[0], part)
					}
				}
				// A change of other rights, a new version and a new instance: the same problem.
				rights.set(action, "sqs:SendMessage")
				s.put(t, "f", func(p *lambda.FunctionSpec) { p.LogGroup = "/my/group" })
				invoke(t, s.Service, "f", `{}`)
				if lines, problems = c.take(); len(lines)+len(problems) != 0 {
					t.Fatalf("lines %q, problems %q", lines, problems)
				}
				rights.set()
				rights.questions()
				for range 3 {
					invoke(t, s.Service, "f", `{}`)
				}
				if lines, problems = c.take(); len(lines) != 9 || len(problems) != 0 || rights.questions() != 2 {
					t.Fatalf("with the right: lines %q, problems %q, asked %d times", lines, problems, rights.asked)
				}
				rights.set(action)
				invoke(t, s.Service, "f", `{}`)
				if lines, problems = c.take(); len(lines) != 0 || len(problems) != 1 {
					t.Fatalf("taken away again: lines %q, problems %q", lines, problems)
				}
			})
		})
	}
}

// A destination that cannot be sent to is refused when it is set, and a problem
// when the right is lost afterwards.
func TestDestinationNeedsRights(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rights, c := &withheld{}, &collected{}
		s := newSim(lambda.Options{Authorizer: rights, Changes: rights.count, Queues: idle{}, Log: c.log, Problem: c.problem, AsyncRetries: []time.Duration{}},
			func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no") })
		defer s.close()
		s.put(t, "f")
		const queue = "arn:aws:sqs:us-east-1:000000000000:q"
		put := func(arn string) error {
			return errors.Join(s.PutAsyncConfig("f", lambda.AsyncSpec{OnFailureARN: arn}), s.PutAsyncConfig("f", lambda.AsyncSpec{OnSuccessARN: arn}))
		}
		rights.set("sqs:SendMessage")
		if err := put(queue); err == nil || strings.Count(err.Error(), "The function's execution role does not have permissions to call SendMessage on "+queue) != 2 {
			t.Errorf("without the right: %v", err)
		}
		rights.set()
		if err := put(queue + ":missing"); err == nil || strings.Count(err.Error(), "the specified queue does not exist") != 2 {
			t.Errorf("without the queue: %v", err)
		}
		if err := put(queue); err != nil {
			t.Fatal(err)
		}
		if err := s.PutAsyncConfig("f", lambda.AsyncSpec{OnFailureARN: queue}); err != nil {
			t.Fatal(err)
		}
		s.refuse = &account.Denied{Action: "sqs:SendMessage", Resource: queue}
		if _, err := s.Invoke(t.Context(), "f", nil, lambda.InvokeOptions{Async: true}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		lines, problems := c.take()
		if len(problems) != 1 || !strings.Contains(problems[0], "f: PROBLEM: send record of event") || !strings.Contains(problems[0], "sqs:SendMessage") {
			t.Errorf("problems %q", problems)
		}
		if slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "PROBLEM") }) {
			t.Errorf("the function's own log has the problem: %q", lines)
		}
	})
}
