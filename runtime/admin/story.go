package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Story is a request and how it came to be as it is.
type Story struct {
	Request
	// RedrivenAs is the id of the request that repeats this one.
	RedrivenAs string `json:"redriven_as,omitempty"`
	// Attempts are in the order of their beginning.
	Attempts []Attempt `json:"attempts"`
}

// Outcomes of attempts.
const (
	// Failed: the handler returned an error, or could not be run for good.
	Failed = "failed"
	// Postponed: this version of the handlers could not run it; it cost no attempt.
	Postponed = "postponed"
	// Silent: it ended without a word, as when the function crashed, ran out of
	// memory or was stopped.
	Silent = "silent"
	// Running, Succeeded and Cancelled are of the last attempt alone.
	Running   = "running"
	Succeeded = "succeeded"
	Cancelled = "cancelled"
)

// Attempt is what is known of an attempt: all of it when it Failed or was
// Postponed; of one that was Silent when it began and where, once the one after it
// has begun; of the last one the same, function and log group where another attempt has named them.
type Attempt struct {
	Number  int    `json:"attempt"`
	Outcome string `json:"outcome"`
	// Began and Ended are by the clock of the function, Next is when the next
	// attempt was to begin; zero for none.
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	Next  time.Time `json:"next,omitzero"`
	// Code and Message are what its owner would be told, Text is the handler's
	// own error, at most 1 KB of it, and Reference is what ties it to the log.
	Code      string `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
	Text      string `json:"text,omitempty"`
	Reference string `json:"reference,omitempty"`
	// Function, LogGroup, LogStream and Invocation (AWS's request id) say where to
	// look on.
	Function   string `json:"function,omitempty"`
	LogGroup   string `json:"log_group,omitempty"`
	LogStream  string `json:"log_stream,omitempty"`
	Invocation string `json:"invocation,omitempty"`
}

// Show tells the story of a request, whatever its state, for as long as it is
// kept.
func (a *Admin) Show(ctx context.Context, key Key) (Story, error) {
	it, err := a.get(ctx, "show", key)
	if err != nil {
		return Story{}, err
	}
	s := Story{}
	if s.Request, err = describe(it); err != nil {
		return s, fmt.Errorf("show %s: %w", key, err)
	}
	_, told, err := a.store.Attempts(ctx, it.Key)
	if err != nil {
		return s, fmt.Errorf("show %s: %w", key, err)
	}
	s.Attempts = story(it, told)
	if it.State == request.Failed && !dead(it) {
		if s.RedrivenAs, err = a.redrivenAs(ctx, it); err != nil {
			return s, fmt.Errorf("show %s: %w", key, err)
		}
	}
	return s, nil
}

// story puts what attempts have left in order, and adds those that left nothing.
func story(it request.Item, told []request.Attempt) []Attempt {
	all := []Attempt{}
	left := told
	for n := int64(1); n <= it.Attempt; n++ {
		known := false
		for len(left) > 0 && left[0].Number <= n {
			all = append(all, attempt(left[0]))
			known = !left[0].Postponed
			left = left[1:]
		}
		if !known {
			all = append(all, untold(it, n, told))
		}
	}
	for _, t := range left { // postponed since, which is not counted
		all = append(all, attempt(t))
	}
	return all
}

// untold is the n-th attempt, which has left nothing. Of the newest the request
// itself knows a little, and what has been told names the function: all are the
// processor's.
func untold(it request.Item, n int64, told []request.Attempt) Attempt {
	a := Attempt{Number: int(n), Outcome: unknown(it, n)}
	last := it.Claimed
	if last != nil && n == it.Attempt && (last.Epoch == it.Epoch || it.State.Terminal() && last.Epoch == it.Epoch-1) {
		a.Began, a.LogStream, a.Invocation = at(last.At), last.LogStream, last.RequestID
		if len(told) > 0 {
			a.Function, a.LogGroup = told[0].Where.Function, told[0].Where.LogGroup
		}
	}
	return a
}

// unknown is what became of the n-th attempt, which has left nothing.
func unknown(it request.Item, n int64) string {
	if n < it.Attempt {
		return Silent
	}
	switch it.State {
	case request.Processing:
		return Running
	case request.Succeeded:
		return Succeeded
	case request.Cancelled:
		return Cancelled
	default:
		return Silent
	}
}

func attempt(t request.Attempt) Attempt {
	a := Attempt{
		Number: int(t.Number), Outcome: Failed, Began: at(t.Began),
		Code: t.Code, Message: t.Message, Text: t.Text, Reference: t.Reference,
		Function: t.Where.Function, LogGroup: t.Where.LogGroup, LogStream: t.Where.LogStream, Invocation: t.Where.RequestID,
	}
	switch {
	case t.Postponed:
		a.Outcome = Postponed
	case t.Silent:
		a.Outcome = Silent
	}
	if t.Ended > 0 {
		a.Ended = at(t.Ended)
	}
	if t.Next > 0 {
		a.Next = at(t.Next)
	}
	return a
}
