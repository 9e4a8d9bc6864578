package gateway

import (
	"errors"
	"sync/atomic"
	"time"
)

// Texts of error frames, as clients see them on AWS.
const (
	textForbidden = "Forbidden"
	textInternal  = "Internal server error"
	textTimeout   = "Endpoint request timed out"
)

// receive routes one message and invokes its function in a goroutine: the
// next message of the connection is not held up. body is only read here.
func (c *conn) receive(body []byte) {
	s := c.api.service
	now := time.Now()
	c.lastActive.Store(now.UnixNano())
	s.countMessage(len(body))
	requestID := newID()
	v := c.stage.served.Load()
	route := v.route(body)
	switch {
	case route == nil || route.function == "":
		c.sendError(textForbidden, requestID)
		return
	case !s.requests.take() || !route.throttle.take():
		c.sendError(textThrottled, requestID)
		return
	}
	event := c.messageEvent(v, route.key, requestID, now, body)
	s.spawn(func() { c.answer(route, event, requestID) })
}

// route returns the route of a message: the selected custom one, else
// $default, else nil. A message cannot select $connect or $disconnect.
func (v *served) route(body []byte) *route {
	key := v.selection.key(body)
	if key != routeConnect && key != routeDisconnect {
		if r := v.routes[key]; r != nil {
			return r
		}
	}
	return v.routes[routeDefault]
}

// answer invokes the route's function and sends what comes of it: an error
// frame, or on a two-way route the returned body. After the integration's
// timeout the client is told so and the late answer is dropped.
func (c *conn) answer(r *route, event []byte, requestID string) {
	s := c.api.service
	var settled atomic.Bool
	timeout := time.AfterFunc(r.timeout, func() {
		if settled.CompareAndSwap(false, true) {
			c.sendError(textTimeout, requestID)
		}
	})
	defer timeout.Stop()
	answer, err := s.opt.Invoker.Invoke(s.ctx, Invocation{Function: r.function, Payload: event, SourceARN: r.sourceARN})
	if !settled.CompareAndSwap(false, true) || s.ctx.Err() != nil {
		return
	}
	body, err := answer.message(err)
	if err != nil {
		s.logf(c.api, "route %s, connection %s, request %s: %v", r.key, c.id, requestID, err)
		c.sendError(textInternal, requestID)
		return
	}
	if r.twoWay && body != nil {
		c.report(c.sendHere(body))
	}
}

// message returns the body that a function's answer holds, or why there is none.
func (a Answer) message(err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if a.FunctionError != "" {
		return nil, errors.New(a.FunctionError + ": " + string(a.Payload))
	}
	if body, ok := plainBody(a.Payload); ok {
		return body, nil
	}
	_, p, err := parseProxyAnswer(a.Payload)
	if err != nil {
		return nil, err
	}
	return p.text()
}

// sendError sends an error frame.
func (c *conn) sendError(text, requestID string) {
	c.report(c.send(errorBody(text, c.id, requestID)))
}

// report logs that a client does not read: there is nobody else to tell.
func (c *conn) report(err error) {
	if errors.Is(err, errBufferFull) {
		c.api.service.logf(c.api, "send to connection %s: %v", c.id, err)
	}
}
