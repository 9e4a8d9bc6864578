package gateway

import "time"

// What the tests of the package's own parsers need.

// AppendString is appendString.
func AppendString(b []byte, s string) []byte { return appendString(b, s) }

// FirstOversized feeds the chunks to a frame counter and returns the number
// of the first message with an oversized frame.
func FirstOversized(chunks ...[]byte) int64 {
	var f frameCounter
	for _, p := range chunks {
		f.feed(p)
	}
	return f.tooBig.Load()
}

// MatchWildcard is matchWildcard.
func MatchWildcard(pattern, s string) bool { return matchWildcard(pattern, s) }

// MessageWork returns what the gateway does for one message without reading
// and writing it, and without goroutines: route, event, invocation, answer.
func MessageWork(invoker Invoker, body []byte) func() {
	s := New(Options{Invoker: invoker, Limits: Limits{Requests: -1}})
	a := &api{service: s, id: "abcdefghij"}
	st := &stage{name: "prod"}
	selection, _ := parseSelection("$default") // cannot fail
	r := &route{key: routeDefault, function: "f", timeout: maxIntegrationTimeout, twoWay: true}
	st.served.Store(&served{selection: selection, routes: map[string]*route{routeDefault: r}})
	c := &conn{api: a, stage: st, id: newID(), domain: "127.0.0.1:4566", sourceIP: "127.0.0.1", userAgent: "Mozilla/5.0", connectedAt: time.Now()}
	c.fixContext()
	c.authorize(map[string]string{"principalId": "user-1", "tenant": "acme", "permissions": "a b c", "exp": "1900000000"})
	t := new(task)
	return func() {
		v := c.stage.served.Load()
		r := v.route(body)
		id := newID()
		t.answer(job{c, r, c.messageEvent(v, r.key, id, time.Now(), body), id})
		c.queue, c.queued = nil, 0
	}
}

// PlainBody is plainBody.
func PlainBody(payload []byte) ([]byte, bool) { return plainBody(payload) }

// GeneralBody is what an answer's body is whatever its form.
func GeneralBody(payload []byte) ([]byte, error) {
	_, p, err := parseProxyAnswer(payload)
	if err != nil {
		return nil, err
	}
	return p.text()
}

// MaxIdle is maxIdle.
const MaxIdle = maxIdle

// IdleWorkers returns how many workers wait for a message.
func IdleWorkers(s *Service) int { return int(s.idle.Load()) }
