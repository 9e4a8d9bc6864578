package gateway

import (
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// refusal is why a handshake is not answered with 101.
type refusal struct {
	status  int
	kind    string // x-amzn-ErrorType
	message string
}

var (
	unauthorized   = &refusal{http.StatusUnauthorized, "UnauthorizedException", "Unauthorized"}
	forbidden      = &refusal{http.StatusForbidden, "ForbiddenException", "Forbidden"}
	throttled      = &refusal{http.StatusTooManyRequests, "LimitExceededException", textThrottled}
	broken         = &refusal{http.StatusInternalServerError, "InternalServerErrorException", textInternal}
	cannotInvoke   = &refusal{statusCannotInvoke, "InternalServerErrorException", textInternal}
	badIntegration = &refusal{http.StatusBadGateway, "InternalServerErrorException", textInternal}
)

// serveHandshake runs the authorizer and the $connect integration, in this
// order, and only then answers 101.
func (a *api) serveHandshake(w http.ResponseWriter, r *http.Request, st *stage) {
	if status := checkUpgrade(r); status != 0 {
		w.Header().Set("Sec-WebSocket-Version", "13")
		refuse(w, status, "BadRequestException", http.StatusText(status))
		return
	}
	c, h := a.newConn(r, st)
	requestID := newID()
	v := st.served.Load()
	protocol, no := a.admit(r, c, h, v, requestID)
	if no != nil {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("x-amzn-ErrorType", no.kind)
		w.WriteHeader(no.status)
		_, _ = w.Write(errorBody(no.message, c.id, requestID))
		return
	}
	if protocol != "" {
		w.Header().Set("Sec-WebSocket-Protocol", protocol)
	}
	c.register()
	ws, err := websocket.Accept(&upgrade{w, c.wire}, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // API Gateway does not look at Origin
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     c.pinged(),
	})
	if err != nil {
		c.mark(statusAbnormal, reasonAbnormal)
		c.finish()
		return
	}
	c.serve(ws)
}

// checkUpgrade returns the status for a request that is no WebSocket
// handshake (RFC 6455, section 4.2.1), 0 for one that is. It runs before
// $connect: otherwise the function would hear of connections that cannot be.
func checkUpgrade(r *http.Request) int {
	has := func(name, token string) bool {
		for _, line := range r.Header.Values(name) {
			for t := range strings.SplitSeq(line, ",") {
				if strings.EqualFold(strings.TrimSpace(t), token) {
					return true
				}
			}
		}
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key")))
	switch {
	case !r.ProtoAtLeast(1, 1), !has("Connection", "upgrade"), !has("Upgrade", "websocket"):
		return http.StatusUpgradeRequired
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed
	case r.Header.Get("Sec-WebSocket-Version") != "13", err != nil, len(key) != 16,
		len(r.Header.Values("Sec-WebSocket-Key")) != 1:
		return http.StatusBadRequest
	}
	return 0
}

// newConn makes the connection that the request asks for, and what events
// show of the request.
func (a *api) newConn(r *http.Request, st *stage) (*conn, *handshake) {
	now := time.Now()
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = "127.0.0.1" // an in-memory network has no addresses
	}
	wire := r.Context().Value(wireKey{}).(*wire)
	c := &conn{
		api: a, stage: st, id: newID(), domain: r.Host, userAgent: r.UserAgent(),
		sourceIP: source, connectedAt: now, wire: wire,
	}
	c.fixContext()
	h := &handshake{headers: map[string][]string{}, query: r.URL.Query(), trace: r.Header.Get("X-Amzn-Trace-Id")}
	names := wire.headerNames()
	for k, v := range r.Header {
		if name, ok := names[k]; ok {
			k = name
		}
		h.headers[k] = v
	}
	if h.trace == "" {
		h.trace = newTrace(now)
		h.headers["X-Amzn-Trace-Id"] = []string{h.trace}
	}
	forwarded := source
	for k, v := range h.headers {
		if strings.EqualFold(k, "X-Forwarded-For") {
			forwarded = strings.Join(v, ", ") + ", " + source
			delete(h.headers, k)
		}
	}
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = "80"
	}
	h.headers["Host"] = []string{r.Host}
	h.headers["X-Forwarded-For"] = []string{forwarded}
	h.headers["X-Forwarded-Port"] = []string{port}
	h.headers["X-Forwarded-Proto"] = []string{"http"}
	return c, h
}

// admit decides about the handshake and returns the subprotocol that the
// $connect function chose.
func (a *api) admit(r *http.Request, c *conn, h *handshake, v *served, requestID string) (string, *refusal) {
	s := a.service
	if v.undeployed {
		s.logf(a, "handshake, request %s: stage %s has no deployment", requestID, c.stage.name)
		return "", forbidden
	}
	route := v.routes[routeConnect]
	if !s.connections.take() || !s.requests.take() || route != nil && !route.throttle.take() {
		return "", throttled
	}
	if route == nil {
		return "", nil
	}
	if route.iam {
		if err := s.authorizeIAM(r, nil, "execute-api:Invoke", route.sourceARN); err != nil {
			s.logf(a, "authorize $connect, request %s: %v", requestID, err)
			return "", forbidden
		}
	}
	if route.authorizer != nil {
		if no := a.authorize(c, h, v, route, requestID); no != nil {
			return "", no
		}
	}
	if route.function == "" {
		return "", nil
	}
	answer, err := s.call(Invocation{
		Function:    route.function,
		Payload:     c.connectEvent(v, h, requestID),
		SourceARN:   route.sourceARN,
		TraceHeader: h.trace,
	}, route.timeout)
	return a.connectAnswer(answer, err, requestID)
}

// connectAnswer reads what the $connect function answered: a failure is 502,
// a status outside 2xx is passed on.
func (a *api) connectAnswer(answer Answer, err error, requestID string) (string, *refusal) {
	no := badIntegration
	if err != nil && !errors.Is(err, errTimeout) {
		no = cannotInvoke
	}
	if err == nil && answer.FunctionError != "" {
		err = errors.New(answer.FunctionError + ": " + string(answer.Payload))
	}
	if err == nil {
		var status int
		var p proxyAnswer
		status, p, err = parseProxyAnswer(answer.Payload)
		switch {
		case err != nil:
		case status < 200 || status > 299:
			return "", &refusal{status, "", http.StatusText(status)}
		default:
			return p.header("Sec-WebSocket-Protocol"), nil
		}
	}
	a.service.logf(a, "route $connect, request %s: %v", requestID, err)
	return "", no
}

// authorizeIAM checks signature and policy.
func (s *Service) authorizeIAM(r *http.Request, body []byte, action, resource string) error {
	caller := account.Root()
	if s.opt.Verify != nil {
		var err error
		if caller, err = s.opt.Verify(r, body); err != nil {
			return err
		}
	}
	if s.opt.Authorizer == nil {
		return nil
	}
	return s.opt.Authorizer.Authorize(account.WithCaller(r.Context(), caller), action, resource)
}
