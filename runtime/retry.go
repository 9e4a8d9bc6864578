package streamer

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// RetryIf decides for each error of the handler whether another attempt makes
// sense. It is asked for every error but what Permanent and RetryAfter return,
// which have decided already, and overrules Retryable of an *Error. False fails
// the request now; true leaves it to the policy, which may have no attempt left.
// When f panics, the request is treated as if it had not been asked.
func RetryIf(f func(error) bool) Option {
	if f == nil {
		panic("streamer: RetryIf: want a function")
	}
	return func(a *action) { a.retryIf = f }
}

// retryable says whether an error that has not decided for itself allows another
// attempt.
func (a *action) retryable(err error, told *Error) (yes bool, panicked any) {
	yes = told.Retryable
	if a.retryIf == nil {
		return yes, nil
	}
	defer func() {
		if v := recover(); v != nil {
			panicked = v
		}
	}()
	return a.retryIf(err), nil
}

const (
	// postponeFor is how long a request waits for a version that can run it, all
	// pauses together.
	postponeFor = 15 * time.Minute
	// leastPostpone and mostPostpone bound the wait between two looks.
	leastPostpone = 10 * time.Second
	mostPostpone  = time.Minute
)

// outdated is why a request is postponed while a deployment may be under way: the
// router has accepted what the handlers here cannot run.
const outdated = "this version of the handlers cannot run it"

// postpone waits where the handler could not be called. That costs no attempt,
// and ends when it is clear that nothing will come.
func (p *processor) postpone(it request.Item, reason string, why *Error) verdict {
	var waited time.Duration // without what else it has waited for: its tenant's turn, say
	if it.Failure != nil {
		waited = time.Duration(it.Failure.Waited) * time.Millisecond
	}
	after := min(max(waited, leastPostpone), mostPostpone) // as long again as it was
	after += share(it.Key, it.Epoch, after/10)
	told := *why // it may be a value of the program
	told.Retryable = true
	v := verdict{state: request.Pending, err: &told, after: after, postponed: true, waited: waited + after}
	v.text = reason + ": " + why.Message
	if len(why.Details) > 0 {
		v.text += fmt.Sprintf(" (%s: %s)", why.Details[0].Path, why.Details[0].Reason)
	}
	if waited >= postponeFor || time.Now().Add(after).UnixMilli() >= it.Deadline {
		v.state, v.err, v.postponed, v.waited = request.Failed, why, false, 0
	}
	return v
}

// share is a time below d that differs from request to request, for what came at
// once is not to come back at once; and from epoch to epoch.
func share(key string, epoch int64, d time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s#%d", key, epoch)
	return time.Duration(h.Sum64() % uint64(d))
}
