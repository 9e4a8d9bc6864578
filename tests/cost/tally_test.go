package cost_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
)

// tally is what was used.
type tally struct {
	bill           map[string]float64 // by what is metered
	invocations    map[contract.Role]float64
	calls          map[contract.Role]float64
	ownSeconds     float64 // GB-seconds of the functions as assumed
	handlerSeconds float64 // GB-seconds that passed in virtual time
}

func newTally() tally {
	return tally{bill: map[string]float64{}, invocations: map[contract.Role]float64{}, calls: map[contract.Role]float64{}}
}

// now is what has been used so far.
func (s *system) now() tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.used
	u.bill, u.invocations, u.calls = s.cloud.Bill(), maps.Clone(u.invocations), maps.Clone(u.calls)
	u.bill[itemTransfer] = s.used.bill[itemTransfer]
	u.bill["sqs.requests"] -= u.bill["sqs.empty-receives"] // these do not depend on what there is to do
	u.bill[itemTraces] = u.invocations[contract.RoleConnect] + u.invocations[contract.RoleRouter] + u.invocations[contract.RoleDispatcher]
	return u
}

// plus adds f times another one.
func (u tally) plus(f float64, o tally) tally {
	sum := tally{maps.Clone(u.bill), maps.Clone(u.invocations), maps.Clone(u.calls), u.ownSeconds + f*o.ownSeconds, u.handlerSeconds + f*o.handlerSeconds}
	for k, v := range o.bill {
		sum.bill[k] += f * v
	}
	for k, v := range o.invocations {
		sum.invocations[k] += f * v
	}
	for k, v := range o.calls {
		sum.calls[k] += f * v
	}
	return sum
}

// over is a part of it.
func (u tally) over(n float64) tally { return newTally().plus(1/n, u) }

// settle is how long what follows from the last request may take.
const settle = 10 * time.Second

// measure returns what is used by what do does, and by what follows from it.
func (s *system) measure(do func()) tally {
	s.t.Helper()
	synctest.Wait()
	before := s.now()
	do()
	time.Sleep(settle)
	synctest.Wait()
	return s.now().plus(-1, before)
}

// call is one of a function's calls of AWS.
type call struct {
	at     time.Time
	role   contract.Role
	what   string
	writes float64 // units
	reads  float64
}

// forget begins the list of calls anew, calls returns it.
func (s *system) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trace = nil
}

func (s *system) calls() []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trace
}

// tap writes a function's calls down.
type tap struct {
	*system
	role contract.Role
	next http.RoundTripper
}

func (p tap) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	// One at a time: what is metered meanwhile is this call's.
	p.calling <- struct{}{}
	defer func() { <-p.calling }()
	c := &call{at: time.Now(), role: p.role, what: describe(r, body)}
	p.mu.Lock()
	p.used.calls[p.role]++
	p.trace = append(p.trace, c) // before it causes another one
	p.mu.Unlock()
	before := p.cloud.Bill()
	res, err := p.next.RoundTrip(r)
	after := p.cloud.Bill()
	p.mu.Lock()
	defer p.mu.Unlock()
	c.writes = after["dynamodb.write-units"] - before["dynamodb.write-units"]
	c.reads = after["dynamodb.read-units"] - before["dynamodb.read-units"]
	return res, err
}

// describe names a call: the operation and the table.
func describe(r *http.Request, body []byte) string {
	service, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case strings.Contains(r.URL.Path, "/@connections/"):
		return r.Method + " @connections"
	case strings.Contains(r.URL.Path, "/functions/"):
		return "Invoke processor"
	case !ok:
		return r.Method + " " + r.URL.Path
	case service == "AmazonSQS":
		return op
	}
	var in struct{ TableName, IndexName string }
	_ = json.Unmarshal(body, &in) // of a transaction it has neither
	for _, table := range []string{"requests", "history", "connections"} {
		if strings.Contains(in.TableName, table) {
			op += " " + table
		}
	}
	if in.IndexName != "" {
		op += "/" + in.IndexName
	}
	return op
}
