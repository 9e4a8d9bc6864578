package eventsource

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

	reader  StreamReader // nil until the stream could be opened
	backlog []record     // read but not processed, from before a stop

	cancel context.CancelFunc // nil when stopped
	wg     sync.WaitGroup

	result     sync.Mutex // guards lastResult
	lastResult string
}

// configure takes over a specification while the mapping is stopped. What has
// been read from a stream stays when the source stays.
func (mp *mapping) configure(spec Spec, fn Function, filters []filter) error {
	if mp.spec.SourceARN != spec.SourceARN {
		mp.closeReader()
		mp.backlog = nil
	}
	mp.spec, mp.fn, mp.filters, mp.modified = spec, fn, filters, time.Now()
	if !spec.stream() || mp.reader != nil {
		return nil
	}
	err := mp.open(mp.manager.ctx)
	var denied *account.Denied
	if err == nil || errors.As(err, &denied) {
		// Without the right to read, the mapping exists and reports it: rights
		// may arrive after the mapping.
		return nil
	}
	return err
}

// open opens the stream with the role's rights.
func (mp *mapping) open(ctx context.Context) error {
	ctx = mp.asRole(ctx)
	for _, action := range []string{"dynamodb:DescribeStream", "dynamodb:ListStreams", "dynamodb:GetShardIterator", "dynamodb:GetRecords"} {
		if err := mp.authorize(ctx, action); err != nil {
			return err
		}
	}
	r, err := mp.manager.opts.Streams.OpenStream(ctx, mp.spec.SourceARN, mp.spec.StartingPosition)
	if err != nil {
		var denied *account.Denied
		if errors.As(err, &denied) {
			return err
		}
		return invalid("Stream not found: %s", mp.spec.SourceARN)
	}
	mp.reader = r
	return nil
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
	if mp.manager.opts.Authorizer == nil {
		return nil
	}
	resource := mp.spec.SourceARN
	if action == "dynamodb:ListStreams" {
		// Lists the streams of a table: arn:…:table/T/stream/*.
		if i := strings.LastIndex(resource, "/"); i >= 0 {
			resource = resource[:i] + "/*"
		}
	}
	return mp.manager.opts.Authorizer.Authorize(ctx, action, resource)
}

// report keeps what happened last, and logs it when it is a new problem.
func (mp *mapping) report(err error) {
	text := "OK"
	if err != nil {
		text = "PROBLEM: " + err.Error()
	}
	mp.result.Lock()
	changed := mp.lastResult != text
	mp.lastResult = text
	mp.result.Unlock()
	if changed && err != nil {
		mp.log(text)
	}
}

func (mp *mapping) log(text string) {
	if mp.manager.opts.Log != nil {
		mp.manager.opts.Log(mp.fn.Name, fmt.Sprintf("event source mapping %s of %s: %s", mp.spec.ID, mp.spec.SourceARN, text))
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
