package gateway

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// The predefined routes.
const (
	routeConnect    = "$connect"
	routeDisconnect = "$disconnect"
	routeDefault    = "$default"
)

// api is one WebSocket API: its configuration, its server, its connections.
type api struct {
	service  *Service
	id       string
	name     string
	endpoint string
	server   *http.Server

	// Guarded by Service.mu.
	config      *config
	deployments map[string]*config
	specs       map[string]StageSpec // of the stages, by name

	stages sync.Map // name → *stage: read on every handshake and callback

	mu          sync.RWMutex // guards connections
	connections map[string]*conn
}

// stage is the name under which a deployment is served. What it serves is
// replaced as a whole, so that a running message sees one configuration.
type stage struct {
	name   string
	served atomic.Pointer[served]
}

// PutAPI creates an API and its listener, or changes the one that spec.ID
// names. Errors: ErrInvalid, ErrNotFound, or why the listener did not open.
func (s *Service) PutAPI(spec APISpec) (APIInfo, error) {
	selection, err := parseSelection(spec.RouteSelectionExpression)
	if err != nil {
		return APIInfo{}, fmt.Errorf("put api %s: %w", spec.Name, err)
	}
	if spec.ID != "" {
		var info APIInfo
		err := s.change(spec.ID, func(a *api) error {
			a.name, a.config.selection = spec.Name, selection
			info = a.info()
			return nil
		})
		return info, err
	}
	listener, err := s.opt.Listen(spec.Name)
	if err != nil {
		return APIInfo{}, fmt.Errorf("put api %s: listen: %w", spec.Name, err)
	}
	a := s.newAPI(spec.Name, selection, listener)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = listener.Close()
		return APIInfo{}, fmt.Errorf("put api %s: the gateway is closed", spec.Name)
	}
	s.apis[a.id] = a
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		if err := a.server.Serve(&wireListener{listener}); err != http.ErrServerClosed {
			s.logf(a, "serve api %s: %v", a.id, err)
		}
	}()
	return a.info(), nil
}

func (s *Service) newAPI(name string, selection *selection, listener net.Listener) *api {
	a := &api{
		service:  s,
		id:       newResourceID(10),
		name:     name,
		endpoint: "ws://" + listener.Addr().String(),
		config: &config{
			selection:    selection,
			routes:       map[string]RouteSpec{},
			integrations: map[string]IntegrationSpec{},
			authorizers:  map[string]AuthorizerSpec{},
			responses:    map[string]RouteResponseSpec{},
		},
		deployments: map[string]*config{},
		specs:       map[string]StageSpec{},
		connections: map[string]*conn{},
	}
	a.server = &http.Server{
		Handler:           a,
		ReadHeaderTimeout: s.limits.Handshake,
		IdleTimeout:       s.limits.Idle,
		ErrorLog:          log.New(logWriter{a}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, wireKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if w, ok := c.(*wire); ok && state == http.StateIdle {
				w.forgetHead()
			}
		},
	}
	return a
}

// logWriter sends what net/http reports to the service's log.
type logWriter struct{ api *api }

func (w logWriter) Write(p []byte) (int, error) {
	w.api.service.logf(w.api, "%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

func (a *api) info() APIInfo {
	return APIInfo{
		ID:           a.id,
		Endpoint:     a.endpoint,
		ExecutionARN: a.executionARN(),
		ARN:          "arn:aws:apigateway:" + account.Region + "::/apis/" + a.id,
	}
}

func (a *api) executionARN() string {
	return "arn:aws:execute-api:" + account.Region + ":" + account.ID + ":" + a.id
}

// API returns what the API with that id is known by; ok is false for none.
func (s *Service) API(id string) (info APIInfo, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, ok := s.apis[id]
	if !ok {
		return APIInfo{}, false
	}
	return a.info(), true
}

// Connections returns how many connections the API has open.
func (s *Service) Connections(id string) int {
	s.mu.RLock()
	a, ok := s.apis[id]
	s.mu.RUnlock()
	if !ok {
		return 0
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.connections)
}

// DeleteAPI removes an API with all that it has, closes its listener and its
// connections (clients see 1001).
func (s *Service) DeleteAPI(id string) error {
	s.mu.Lock()
	a, ok := s.apis[id]
	delete(s.apis, id)
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("delete api %s: %w", id, ErrNotFound)
	}
	for _, c := range a.close() {
		c.end(statusGoingAway, reasonGoingAway)
	}
	return nil
}

// close closes the listener and requests in the making, and returns the
// connections that were open.
func (a *api) close() []*conn {
	_ = a.server.Close()
	a.mu.RLock()
	defer a.mu.RUnlock()
	open := make([]*conn, 0, len(a.connections))
	for _, c := range a.connections {
		open = append(open, c)
	}
	return open
}

func (a *api) stage(name string) (*stage, bool) {
	v, ok := a.stages.Load(name)
	if !ok {
		return nil, false
	}
	return v.(*stage), true
}

func (a *api) connection(id string) (*conn, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	c, ok := a.connections[id]
	return c, ok
}

// ServeHTTP tells handshakes and callbacks apart by their path.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.service.enter() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer a.service.leave()
	stageName, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	stage, known := a.stage(stageName)
	callback, isCallback := strings.CutPrefix(rest, "@connections/")
	switch {
	case len(r.RequestURI) > maxURL:
		w.WriteHeader(http.StatusRequestURITooLong)
	case !known:
		refuse(w, statusNoStage, "ForbiddenException", "Forbidden")
	case isCallback:
		a.serveCallback(w, r, stage, callback)
	case rest != "":
		refuse(w, statusNoStage, "ForbiddenException", "Forbidden")
	default:
		a.serveHandshake(w, r, stage)
	}
}
