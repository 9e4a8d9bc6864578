package gateway

import (
	"errors"
	"time"
)

// Texts of error frames, as clients see them on AWS.
const (
	textForbidden = "Forbidden"
	textInternal  = "Internal server error"
	textTimeout   = "Endpoint request timed out"
)

// receive routes one message and leaves it to a worker: the next message of the
// connection is not held up. body is only read here.
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
	s.handOver(job{c, route, event, requestID})
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
