//go:build linux || darwin

package lambda

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// ProcessOptions of a ProcessLauncher. The zero value works.
type ProcessOptions struct {
	// Listener of the Runtime API. Default: a free port of 127.0.0.1.
	Listener net.Listener
	// GracefulStop ends idle instances by an error answer to their next call,
	// on which aws-lambda-go exits: with GOCOVERDIR in the environment they then
	// write their coverage counters, which signals lose.
	GracefulStop bool
	// StopBudget is how long an instance may take to exit by itself when it is
	// stopped gracefully. Default 2 s. With an internal extension it has 500 ms
	// after SIGTERM, as on AWS.
	StopBudget time.Duration
	// Starts is how many instances start at the same time; the others wait for
	// their turn. Default 4 for each CPU.
	Starts int
	// NoFreeze leaves idle instances running.
	NoFreeze bool
}

// ProcessLauncher runs bootstrap binaries as processes. They die with this
// process, also on kill -9: on Linux by the parent-death signal, everywhere by
// a watchdog that kills their process groups.
type ProcessLauncher struct {
	opts     ProcessOptions
	api      *runtimeAPI
	address  string
	spawner  *spawner
	watchdog *watchdog
	starts   chan struct{}  // one for each that starts
	wg       sync.WaitGroup // processes

	mu        sync.Mutex // guards the rest
	instances map[*process]struct{}
	closed    bool
}

var (
	_ Launcher = (*ProcessLauncher)(nil)
	_ runner   = (*ProcessLauncher)(nil)
	_ turns    = (*ProcessLauncher)(nil)
	_ Instance = (*process)(nil)
)

// NewProcessLauncher starts the Runtime API. Close it after the Service.
func NewProcessLauncher(opts ProcessOptions) (*ProcessLauncher, error) {
	if opts.StopBudget <= 0 {
		opts.StopBudget = 2 * time.Second
	}
	if opts.Starts <= 0 {
		opts.Starts = defaultStarts()
	}
	l := opts.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("listen for the runtime API: %w", err)
		}
	}
	dog, err := newWatchdog()
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("start watchdog of processes: %w", err)
	}
	return &ProcessLauncher{
		opts: opts, api: newRuntimeAPI(l), address: l.Addr().String(), spawner: newSpawner(), watchdog: dog,
		instances: map[*process]struct{}{}, starts: make(chan struct{}, opts.Starts),
	}, nil
}

// Close kills what still runs and waits for it.
func (l *ProcessLauncher) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	for p := range l.instances {
		p.child.kill()
	}
	l.mu.Unlock()
	l.wg.Wait()
	l.spawner.close()
	l.watchdog.close()
	l.api.close()
}

// Check refuses a bootstrap that this machine cannot run.
func (l *ProcessLauncher) Check(dir, architecture string) error {
	return checkBinary(filepath.Join(dir, "bootstrap"), architecture)
}

// Launch implements Launcher.
func (l *ProcessLauncher) Launch(ctx context.Context, p Process) (Instance, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	bootstrap := filepath.Join(p.Dir, "bootstrap")
	if info, err := os.Stat(bootstrap); err != nil || info.IsDir() {
		return nil, &InitError{Type: "Runtime.InvalidEntrypoint", Message: "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}
	}
	if p.Temp != "" {
		if err := os.MkdirAll(p.Temp, 0o755); err != nil {
			return nil, fmt.Errorf("make /tmp of instance %s: %w", p.InstanceID, err)
		}
	}
	i := &process{launcher: l, id: newID(8), read: p.Read, dead: make(chan struct{})}
	i.state = newRuntimeState(p.Function, i, i.drain)
	var err error
	if i.pipes, err = newLogPipes(p.LogLine); err != nil {
		return nil, fmt.Errorf("make log pipes of instance %s: %w", p.InstanceID, err)
	}
	l.api.add(i.id, i.state) // from here on connections read i
	if err := l.spawn(i, bootstrap, p); err != nil {
		i.pipes.close()
		l.api.remove(i.id)
		return nil, err
	}
	select {
	case <-i.state.ready:
		return i, nil
	case <-i.dead:
		return nil, i.initFailure()
	case <-ctx.Done():
		i.Stop()
		return nil, ctx.Err()
	}
}

// spawn starts the process of i with its log pipes.
func (l *ProcessLauncher) spawn(i *process, bootstrap string, p Process) error {
	env := make([]string, 0, len(p.Env)+1)
	for k, v := range p.Env {
		env = append(env, k+"="+v)
	}
	env = append(env, "AWS_LAMBDA_RUNTIME_API="+l.address+"/env/"+i.id)
	slices.Sort(env)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errStopped
	}
	l.wg.Add(1)
	l.mu.Unlock()
	// The process may ask for work before its child is known here.
	i.state.mu.Lock()
	var err error
	i.child, err = l.spawner.start(bootstrap, p.Dir, env, i.pipes.files())
	i.state.mu.Unlock()
	i.pipes.started()
	if err != nil {
		l.wg.Done()
		var errno interface{ Temporary() bool }
		if errors.As(err, &errno) && errno.Temporary() {
			return fmt.Errorf("start process of instance %s: %w", p.InstanceID, err)
		}
		return &InitError{Type: "Runtime.InvalidEntrypoint", Message: "fork/exec /var/task/bootstrap: " + err.Error()}
	}
	l.watchdog.add(i.child.pid)
	l.mu.Lock()
	l.instances[i] = struct{}{}
	closed := l.closed
	l.mu.Unlock()
	if closed {
		i.child.kill()
	}
	go i.reap()
	return nil
}

// process is one running bootstrap.
type process struct {
	launcher *ProcessLauncher
	id       string // in the Runtime API
	state    *runtimeState
	child    *child
	pipes    *logPipes
	read     func() bool // see Process.Read
	frozen   bool        // guarded by state.mu
	memory   int         // MB, as of measured; for whoever invokes
	measured time.Time

	dead   chan struct{} // closed when the process is gone and its log is read
	status string        // how it ended; set before dead is closed
}

// reap waits for the process and cleans up after it.
func (i *process) reap() {
	defer i.launcher.wg.Done()
	i.status = i.child.wait()
	i.launcher.watchdog.remove(i.child.pid)
	i.pipes.drain()
	i.pipes.close()
	i.launcher.api.remove(i.id)
	i.launcher.mu.Lock()
	delete(i.launcher.instances, i)
	i.launcher.mu.Unlock()
	close(i.dead)
}

// drain reads what the process has written, unless nobody is there to read it:
// to look costs two system calls.
func (i *process) drain() {
	if i.read == nil || i.read() {
		i.pipes.drain()
	}
}

// freeze implements freezer.
func (i *process) freeze() {
	if !i.frozen && !i.launcher.opts.NoFreeze {
		i.frozen = true
		i.child.stop()
	}
}

// thaw implements freezer.
func (i *process) thaw() {
	if i.frozen {
		i.frozen = false
		i.child.cont()
	}
}

// initFailure says why the process ended before it asked for work.
func (i *process) initFailure() error {
	if doc, kind := i.state.init(); doc != nil {
		return &InitError{Type: kind, Message: "Runtime reported an error", Document: doc}
	}
	return &InitError{Type: "Runtime.ExitError", Message: (&ExitError{Status: i.status}).Error()}
}

// Begin implements Instance.
func (i *process) Begin(in Invocation) { i.state.deliver(&in) }

// Wait implements Instance.
func (i *process) Wait(ends Ends) (Outcome, error) {
	select {
	case out := <-i.state.done:
		return out, nil
	case <-i.dead:
		if out, ok := i.state.answer(); ok {
			out.Dead = true
			return out, nil
		}
		return Outcome{}, &ExitError{Status: i.status}
	case <-ends.Limit:
		return Outcome{}, context.DeadlineExceeded
	case <-ends.Closed:
		return Outcome{}, errClosed
	case <-ends.Left:
		return Outcome{}, errLeft
	}
}

// Stop implements Instance.
func (i *process) Stop() {
	extension := i.state.end(i.launcher.opts.GracefulStop)
	budget := time.Duration(0)
	switch {
	case i.launcher.opts.GracefulStop:
		budget = i.launcher.opts.StopBudget
	case extension:
		// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
		i.child.terminate()
		budget = 500 * time.Millisecond
	}
	if budget > 0 {
		t := time.NewTimer(budget)
		defer t.Stop()
		select {
		case <-i.dead:
			return
		case <-t.C:
		}
	}
	i.child.kill()
	<-i.dead
}

// PID returns the process's id.
func (i *process) PID() int { return i.child.pid }

// Gone says whether the process has ended by itself.
func (i *process) Gone() bool { return i.child.ended() }

// MemoryMB returns the most memory the process has had, measured at most once
// a second: the answer costs a system call or three.
func (i *process) MemoryMB() int {
	if now := time.Now(); now.Sub(i.measured) >= time.Second && !i.Gone() {
		if mb := peakMemory(i.child.pid); mb > 0 {
			i.memory = mb
		}
		i.measured = now
	}
	return i.memory
}
