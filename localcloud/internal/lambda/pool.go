package lambda

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// generation is one version of a function's code and configuration with its
// environments. Guarded by Service.mu but for info and code, which never change,
// and logs.
type generation struct {
	fn      *function
	info    FunctionInfo
	code    *code
	idle    []*environment // the most recently used last
	all     map[*environment]struct{}
	retired bool
	reaper  *time.Timer // runs while there are idle environments

	logs atomic.Pointer[logAccess] // as last checked; not guarded
}

// environment is one execution environment. Whoever took it from the pool owns
// its fields; it outlives its instance when that is reset.
type environment struct {
	id        string
	gen       *generation
	logStream string
	temp      string
	accessKey string
	inst      Instance     // nil before the first start and after a reset
	pid       atomic.Int64 // of its process, 0 without one; for everybody to read
	idleSince time.Time
	limit     *time.Timer // of the invocation under way: the function's timeout; nil before the first
	// unreserved says that its invocation counts against the account.
	unreserved bool
	lines      lines
}

// acquire takes the concurrency for one invocation and an environment: the
// most recently used idle one, or a new one that is still to be started.
func (s *Service) acquire(ref string) (*environment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	f, err := s.find(ref)
	if err != nil {
		return nil, err
	}
	if f.reserved != nil {
		if f.running >= *f.reserved {
			return nil, &Throttled{Function: f.info.Name, Reason: ReasonReserved}
		}
	} else {
		if s.unreserved >= s.opts.Concurrency-s.reserved {
			return nil, &Throttled{Function: f.info.Name, Reason: ReasonAccount}
		}
	}
	g := f.current
	f.running++
	s.wg.Add(1)
	var e *environment
	if n := len(g.idle); n > 0 {
		e = g.idle[n-1]
		g.idle = g.idle[:n-1]
	} else {
		e = s.newEnvironment(g)
	}
	if e.unreserved = f.reserved == nil; e.unreserved {
		s.unreserved++
	}
	return e, nil
}

// newEnvironment adds an environment to a generation. s.mu is held.
func (s *Service) newEnvironment(g *generation) *environment {
	e := &environment{id: newID(16), gen: g}
	e.logStream = time.Now().UTC().Format("2006/01/02") + "/[$LATEST]" + e.id
	if g.code.dir != "" {
		e.temp = filepath.Join(s.dir, "tmp", e.id)
	}
	e.lines.service, e.lines.gen, e.lines.instance, e.lines.stream = s, g, e.id, e.logStream
	g.all[e] = struct{}{}
	return e
}

// finish gives back the concurrency of an invocation. The environment still
// belongs to the caller.
func (s *Service) finish(e *environment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished(e)
}

// finished is finish with s.mu held.
func (s *Service) finished(e *environment) {
	e.gen.fn.running--
	if e.unreserved {
		s.unreserved--
	}
}

// release puts an environment back into the pool, or ends it when its
// generation is no longer current. With finish, its invocation's concurrency is
// given back as well.
func (s *Service) release(e *environment, finish bool) {
	defer s.wg.Done()
	s.mu.Lock()
	if finish {
		s.finished(e)
	}
	g := e.gen
	if !g.retired {
		e.idleSince = time.Now()
		g.idle = append(g.idle, e)
		if g.reaper == nil {
			g.reaper = time.AfterFunc(s.opts.IdleAfter, func() { s.reap(g) })
		}
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.discard(e)
}

// reap ends what has been idle for too long.
func (s *Service) reap(g *generation) {
	s.mu.Lock()
	if g.retired || g.reaper == nil {
		s.mu.Unlock()
		return
	}
	n := 0
	for n < len(g.idle) && time.Since(g.idle[n].idleSince) >= s.opts.IdleAfter {
		n++
	}
	dead := append([]*environment(nil), g.idle[:n]...)
	g.idle = append(g.idle[:0], g.idle[n:]...)
	if len(g.idle) > 0 {
		g.reaper.Reset(s.opts.IdleAfter - time.Since(g.idle[0].idleSince))
	} else {
		g.reaper = nil
	}
	s.wg.Add(len(dead))
	s.mu.Unlock()
	for _, e := range dead {
		go func() {
			defer s.wg.Done()
			s.discard(e)
		}()
	}
}

// retire takes a generation out of service: what is idle ends now, the rest
// when its invocation is over.
func (s *Service) retire(g *generation) {
	s.mu.Lock()
	g.retired = true
	if g.reaper != nil {
		g.reaper.Stop()
		g.reaper = nil
	}
	idle := g.idle
	g.idle = nil
	if len(g.all) == 0 {
		s.mu.Unlock()
		s.releaseCode(g.code)
		return
	}
	s.wg.Add(len(idle))
	s.mu.Unlock()
	for _, e := range idle {
		go func() {
			defer s.wg.Done()
			s.discard(e)
		}()
	}
}

// discard stops an environment's instance and forgets the environment.
func (s *Service) discard(e *environment) {
	s.reset(e)
	if e.temp != "" {
		os.RemoveAll(e.temp)
	}
	s.mu.Lock()
	delete(e.gen.all, e)
	last := e.gen.retired && len(e.gen.all) == 0
	s.mu.Unlock()
	if last {
		s.releaseCode(e.gen.code)
	}
}

// reset ends the instance of an environment and keeps the environment.
func (s *Service) reset(e *environment) {
	if e.inst == nil {
		return
	}
	e.inst.Stop()
	e.inst = nil
	e.pid.Store(0)
	s.revoke(e)
}

// revoke ends the credentials that an instance had.
func (s *Service) revoke(e *environment) {
	if s.opts.Revoke != nil && e.accessKey != "" {
		s.opts.Revoke(e.accessKey)
	}
	e.accessKey = ""
}

// InstanceInfo is one execution environment.
type InstanceInfo struct {
	Function, ID string
	PID          int  // of its process; 0 for none (not started, reset, or a Func)
	Busy         bool // an invocation is under way
}

// Instances returns the execution environments of all functions, those of
// replaced versions that are not over yet excepted.
func (s *Service) Instances() []InstanceInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []InstanceInfo
	for _, f := range s.functions {
		for e := range f.current.all {
			out = append(out, InstanceInfo{
				Function: f.info.Name, ID: e.id, PID: int(e.pid.Load()), Busy: !slices.Contains(f.current.idle, e),
			})
		}
	}
	slices.SortFunc(out, func(a, b InstanceInfo) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// newID returns n random bytes in hexadecimal.
func newID(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
