package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The events' shapes follow recordings on AWS: the API Gateway guide's
// examples and aws-lambda-go's testdata (apigw-websocket-request*.json).

// clfTime is requestTime's layout: the Common Log Format.
const clfTime = "02/Jan/2006:15:04:05 +0000"

// appendContext appends the requestContext members that every event has, up
// to and without the closing brace.
func (c *conn) appendContext(b []byte, routeKey, eventType, requestID string, now time.Time) []byte {
	b = append(b, `"requestContext":{"routeKey":`...)
	b = appendString(b, routeKey)
	b = append(b, `,"eventType":"`...)
	b = append(b, eventType...)
	b = append(b, `","extendedRequestId":"`...)
	b = append(b, requestID...)
	b = append(b, `","requestTime":"`...)
	b = c.api.service.appendTime(b, now)
	b = append(b, `","requestTimeEpoch":`...)
	b = strconv.AppendInt(b, now.UnixMilli(), 10)
	b = append(b, `,"requestId":"`...)
	b = append(b, requestID...)
	b = append(b, `",`...)
	return append(b, c.context...)
}

// secondText is a second as requestTime shows it.
type secondText struct {
	unix int64
	text string
}

// appendTime appends requestTime, which is formatted once a second.
func (s *Service) appendTime(b []byte, now time.Time) []byte {
	t := s.second.Load()
	if unix := now.Unix(); t == nil || t.unix != unix {
		t = &secondText{unix, now.UTC().Format(clfTime)}
		s.second.Store(t)
	}
	return append(b, t.text...)
}

// fixContext renders the members of requestContext that stay the same for a
// connection's life.
func (c *conn) fixContext() {
	b := make([]byte, 0, 320)
	b = append(b, `"messageDirection":"IN","stage":`...)
	b = appendString(b, c.stage.name)
	b = append(b, `,"connectedAt":`...)
	b = strconv.AppendInt(b, c.connectedAt.UnixMilli(), 10)
	b = append(b, `,"identity":{`...)
	if c.userAgent != "" {
		b = append(b, `"userAgent":`...)
		b = append(appendString(b, c.userAgent), ',')
	}
	b = append(b, `"sourceIp":`...)
	b = appendString(b, c.sourceIP)
	b = append(b, `},"domainName":`...)
	b = appendString(b, c.domain)
	b = append(b, `,"connectionId":"`...)
	b = append(b, c.id...)
	b = append(b, `","apiId":"`...)
	b = append(b, c.api.id...)
	c.context = append(b, '"')
}

// authorize adds the authorizer's result to the context of all later events.
func (c *conn) authorize(result map[string]string) {
	c.context = append(c.context, `,"authorizer":`...)
	c.context = appendStringMap(c.context, result)
}

// messageEvent renders a MESSAGE event: no headers, no query.
func (c *conn) messageEvent(v *served, routeKey, requestID string, now time.Time, body []byte) []byte {
	b := make([]byte, 0, 320+len(c.context)+len(v.variablesJSON)+len(body)+len(body)/8)
	b = append(b, '{')
	b = append(b, v.variablesJSON...)
	b = c.appendContext(b, routeKey, "MESSAGE", requestID, now)
	b = append(b, `,"messageId":"`...)
	b = append(b, newID()...)
	b = append(b, `"},"body":`...)
	b = appendString(b, body)
	return append(b, `,"isBase64Encoded":false}`...)
}

// disconnectEvent renders a DISCONNECT event; its headers are the stub of
// four that AWS sends.
func (c *conn) disconnectEvent(v *served, requestID string, now time.Time, code int, reason string) []byte {
	b := append([]byte(nil), `{"headers":{"Host":`...)
	b = appendString(b, c.domain)
	b = append(b, `,"x-api-key":"","X-Forwarded-For":"","x-restapi":""},"multiValueHeaders":{"Host":[`...)
	b = appendString(b, c.domain)
	b = append(b, `],"x-api-key":[""],"X-Forwarded-For":[""],"x-restapi":[""]},`...)
	b = append(b, v.variablesJSON...)
	b = c.appendContext(b, routeDisconnect, "DISCONNECT", requestID, now)
	b = append(b, `,"disconnectStatusCode":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, `,"disconnectReason":`...)
	b = appendString(b, reason)
	return append(b, `},"isBase64Encoded":false}`...)
}

// handshake is a client's request to connect, as events show it.
type handshake struct {
	headers map[string][]string // named as the client named them
	query   url.Values
	trace   string
}

// connectEvent renders a CONNECT event: no Connection and Upgrade headers, a
// query only if there is one, no body.
func (c *conn) connectEvent(v *served, h *handshake, requestID string) []byte {
	headers := make(map[string][]string, len(h.headers))
	for name, values := range h.headers {
		switch http.CanonicalHeaderKey(name) {
		case "Connection", "Upgrade":
		default:
			headers[name] = values
		}
	}
	b := appendHeaders([]byte{'{'}, headers)
	if len(h.query) > 0 {
		b = appendQuery(b, h.query)
	}
	b = append(b, v.variablesJSON...)
	b = c.appendContext(b, routeConnect, "CONNECT", requestID, c.connectedAt)
	return append(b, `},"isBase64Encoded":false}`...)
}

// authorizerEvent renders the input of a REQUEST authorizer: it has no path,
// method or path parameters, and its maps are never absent.
func (c *conn) authorizerEvent(v *served, h *handshake, requestID, methodARN string) []byte {
	b := append([]byte(nil), `{"type":"REQUEST","methodArn":`...)
	b = append(appendString(b, methodARN), ',')
	b = appendHeaders(b, h.headers)
	b = appendQuery(b, h.query)
	b = append(b, `"stageVariables":`...)
	b = append(appendStringMap(b, v.variables), ',')
	b = c.appendContext(b, routeConnect, "CONNECT", requestID, c.connectedAt)
	return append(b, '}', '}')
}

func appendHeaders(b []byte, h map[string][]string) []byte {
	b = append(b, `"headers":`...)
	b = appendStringMap(b, last(h))
	b = append(b, `,"multiValueHeaders":`...)
	return append(appendListMap(b, h), ',')
}

func appendQuery(b []byte, q url.Values) []byte {
	b = append(b, `"queryStringParameters":`...)
	b = appendStringMap(b, last(q))
	b = append(b, `,"multiValueQueryStringParameters":`...)
	return append(appendListMap(b, q), ',')
}

// last keeps the last value of each name, as API Gateway's single-value maps do.
func last(m map[string][]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		if len(v) > 0 {
			out[k] = v[len(v)-1]
		}
	}
	return out
}
