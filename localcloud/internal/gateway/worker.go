package gateway

import (
	"sync/atomic"
	"time"
)

// maxIdle is how many workers wait for messages when there are none.
const maxIdle = 64

// job is a message to answer.
type job struct {
	c         *conn
	route     *route
	event     []byte
	requestID string
}

// handOver gives a message to a worker: one that waits, or a new one. A new
// goroutine for every message would cost a twentieth of all that a message costs
// here, most of it for its stack, which grows anew each time.
func (s *Service) handOver(j job) {
	s.mu.RLock() // against Close, which closes jobs
	defer s.mu.RUnlock()
	if s.closed {
		return
	}
	select {
	case s.jobs <- j:
	default:
		s.wg.Add(1)
		go s.work(j)
	}
}

// work answers messages until there are more idle workers than are kept.
func (s *Service) work(j job) {
	defer s.leave()
	for t, open := new(task), true; open; {
		if !t.answer(j) {
			t = new(task)
		}
		j = job{} // it is not to be held while idle
		if s.idle.Add(1) > maxIdle {
			open = false
		} else {
			j, open = <-s.jobs
		}
		s.idle.Add(-1)
	}
}

// task is a job being done, with the timer of its timeout. Both are used again
// for the next job.
type task struct {
	job
	settled atomic.Bool // by an answer or by the timer
	timer   *time.Timer // nil before the first job
}

// answer invokes the route's function and sends what comes of it: an error
// frame, or on a two-way route the returned body. After the integration's
// timeout the client is told so and the late answer is dropped. false means that
// the timer has the task, which must not be used again.
func (t *task) answer(j job) (again bool) {
	t.job = j
	t.settled.Store(false)
	if t.timer == nil {
		t.timer = time.AfterFunc(j.route.timeout, t.expire)
	} else {
		t.timer.Reset(j.route.timeout)
	}
	s := j.c.api.service
	answer, err := s.opt.Invoker.Invoke(s.ctx, Invocation{Function: j.route.function, Payload: j.event, SourceARN: j.route.sourceARN})
	inTime := t.settled.CompareAndSwap(false, true)
	if again = t.timer.Stop(); again {
		t.job = job{}
	}
	if inTime && s.ctx.Err() == nil {
		j.send(answer, err)
	}
	return again
}

func (t *task) expire() {
	if t.settled.CompareAndSwap(false, true) {
		t.c.sendError(textTimeout, t.requestID)
	}
}

// send sends what came of the invocation.
func (j *job) send(answer Answer, err error) {
	body, err := answer.message(err)
	if err != nil {
		j.c.api.service.logf(j.c.api, "route %s, connection %s, request %s: %v", j.route.key, j.c.id, j.requestID, err)
		j.c.sendError(textInternal, j.requestID)
		return
	}
	if j.route.twoWay && body != nil {
		j.c.report(j.c.sendHere(body))
	}
}
