package eventsource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// mapping is one event source mapping. Manager.mu serialises its changes; the
// fields are fixed while it runs, but for what result guards.
type mapping struct {
	manager  *Manager
	spec     Spec
	fn       Function
	filters  []filter
	modified time.Time

	reader  StreamReader // of a stream, nil for a queue
	backlog []record     // read but not processed, from before a stop

	cancel context.CancelFunc // nil when stopped
	wg     sync.WaitGroup

	result     sync.Mutex // guards lastResult
	lastResult string
}

// configure takes over a specification while the mapping is stopped. reader is
// that of another stream than before, nil when the source stays: then what has
// been read stays too.
func (mp *mapping) configure(spec Spec, fn Function, filters []filter, reader StreamReader) {
	if mp.spec.SourceARN != spec.SourceARN {
		mp.closeReader()
		mp.reader, mp.backlog = reader, nil
	}
	mp.spec, mp.fn, mp.filters, mp.modified = spec, fn, filters, time.Now()
}

func (mp *mapping) closeReader() {
	if mp.reader != nil {
		mp.reader.Close()
		mp.reader = nil
	}
}

func (mp *mapping) start() {
	ctx, cancel := context.WithCancel(mp.manager.ctx)
	mp.cancel = cancel
	run := mp.runQueue
	if mp.spec.stream() {
		run = mp.runStream
	}
	mp.wg.Go(func() { run(ctx) })
}

// stop ends polling and waits for it.
func (mp *mapping) stop() {
	if mp.cancel != nil {
		mp.cancel()
		mp.wg.Wait()
		mp.cancel = nil
	}
}

// asRole adds the caller that the function's role is, at this time: an update
// of the function may have changed it.
func (mp *mapping) asRole(ctx context.Context) context.Context {
	role := mp.fn.Role
	if fn, ok := mp.manager.opts.Function(mp.fn.Name); ok {
		role = fn.Role
	}
	return account.WithCaller(ctx, account.AssumedRole(role, mp.fn.Name))
}

func (mp *mapping) authorize(ctx context.Context, action string) error {
	return mp.manager.authorize(ctx, action, mp.spec.SourceARN)
}

// report keeps what happened last, and tells it when it is a new problem. That
// some of a batch failed is none: the function itself has said so.
func (mp *mapping) report(err error) {
	text := "OK"
	if err != nil {
		text = "PROBLEM: " + err.Error()
	}
	mp.result.Lock()
	changed := mp.lastResult != text
	mp.lastResult = text
	mp.result.Unlock()
	if changed && err != nil && !errors.Is(err, errItems) {
		mp.log(text)
	}
}

func (mp *mapping) log(text string) {
	if mp.manager.opts.Problem != nil {
		mp.manager.opts.Problem(mp.fn.Name, fmt.Sprintf("event source mapping %s of %s: %s", mp.spec.ID, mp.spec.SourceARN, text))
	}
}

func (mp *mapping) info() Info {
	mp.result.Lock()
	defer mp.result.Unlock()
	state := "Disabled"
	if mp.spec.Enabled {
		state = "Enabled"
	}
	return Info{
		Spec: mp.spec, FunctionARN: mp.fn.ARN, State: state, LastResult: mp.lastResult, LastModified: mp.modified,
		ARN: "arn:aws:lambda:" + account.Region + ":" + account.ID + ":event-source-mapping:" + mp.spec.ID,
	}
}
