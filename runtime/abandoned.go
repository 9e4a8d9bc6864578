package streamer

import (
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// tellEvery is how often handlers that still run are told of again.
const tellEvery = time.Minute

// maxAbandoned is how many handlers of an action may still run in a router after
// they were given up. Further requests of the action are answered as those were,
// without being run, until one returns: each would take more of the router.
const maxAbandoned = 16

// leftovers are the quick handlers that ignored their deadline and still run
// while the router answers others: they take its time and memory. The zero value
// is ready.
type leftovers struct {
	n atomic.Int32 // of running; looked at for each message

	mu      sync.Mutex // guards the rest
	running map[*quickRun]struct{}
	told    time.Time
}

// of counts the handlers of an action that still run.
func (l *leftovers) of(action string) (n int) {
	if l.n.Load() == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for q := range l.running {
		if q.action.name == action {
			n++
		}
	}
	return n
}

// add gives the handler up; it returns false when it has just returned.
func (l *leftovers) add(q *quickRun) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !q.state.CompareAndSwap(running, givenUp) {
		return false
	}
	if l.running == nil {
		l.running = map[*quickRun]struct{}{}
	}
	l.running[q] = struct{}{}
	l.told = time.Time{} // of this one nobody knows
	l.n.Add(1)
	return true
}

// remove is called by a handler that was given up, when it returns.
func (l *leftovers) remove(q *quickRun, log *slog.Logger) {
	l.mu.Lock()
	delete(l.running, q)
	l.n.Add(-1)
	l.mu.Unlock()
	log.Warn("abandoned handler returned", "action", q.action.name, "age", time.Since(q.started).String())
}

// tell counts and logs the ones that still run: when there is one more, and then
// once a minute at most.
func (l *leftovers) tell(log *slog.Logger, m *metrics) {
	if l.n.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.told) < tellEvery {
		return
	}
	l.told = now
	counts := map[string]int{}
	for q := range l.running {
		counts[q.action.name]++
		log.Error("abandoned handler still runs", "action", q.action.name, "age", time.Since(q.started).String())
	}
	for action, n := range counts {
		m.quick(action, 0, n)
	}
}

// quickLine is what is counted of quick requests: nothing, while all is well.
type quickLine struct {
	AWS struct {
		Timestamp int64             `json:"Timestamp"`
		Metrics   []metricDirective `json:"CloudWatchMetrics"`
	} `json:"_aws"`
	Action    string `json:"Action"`
	Timeouts  int    `json:"QuickTimeouts"`
	Abandoned int    `json:"AbandonedHandlers"`
}

// quick counts quick requests that were answered with TIMEOUT, and handlers that
// run on after their answer.
func (m *metrics) quick(action string, timeouts, abandoned int) {
	l := quickLine{Action: action, Timeouts: timeouts, Abandoned: abandoned}
	l.AWS.Timestamp = time.Now().UnixMilli()
	l.AWS.Metrics = []metricDirective{{
		Namespace: m.namespace, Dimensions: [][]string{{"Action"}, {}},
		Metrics: []metricName{{"QuickTimeouts", "Count"}, {"AbandonedHandlers", "Count"}},
	}}
	raw, err := json.Marshal(l)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = m.out.Write(append(raw, '\n')) // a log that cannot be written is no reason to fail
}
