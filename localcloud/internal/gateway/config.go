package gateway

import (
	"fmt"
	"strings"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// maxIntegrationTimeout is API Gateway's hard limit for a WebSocket integration.
const maxIntegrationTimeout = 29 * time.Second

// API Gateway's quotas per API.
const (
	maxRoutes       = 300
	maxIntegrations = 300
	maxAuthorizers  = 10
	maxStages       = 10
)

// config is the configuration of an API as it was last put. Deployments are
// copies of it. Guarded by Service.mu; a copy is never changed.
type config struct {
	selection    *selection
	routes       map[string]RouteSpec
	integrations map[string]IntegrationSpec
	authorizers  map[string]AuthorizerSpec
	responses    map[string]RouteResponseSpec
}

func (c *config) clone() *config {
	return &config{
		selection:    c.selection,
		routes:       cloneMap(c.routes),
		integrations: cloneMap(c.integrations),
		authorizers:  cloneMap(c.authorizers),
		responses:    cloneMap(c.responses),
	}
}

func cloneMap[V any](m map[string]V) map[string]V {
	out := make(map[string]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// change runs f on the API's configuration and, when that went well, brings
// stages with AutoDeploy up to date.
func (s *Service) change(apiID string, f func(*api) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.apis[apiID]
	if !ok {
		return fmt.Errorf("api %s: %w", apiID, ErrNotFound)
	}
	if err := f(a); err != nil {
		return err
	}
	return a.autoDeploy()
}

// orNew returns id, or a new id of a part of an API for "".
func orNew(id string) string {
	if id == "" {
		return newResourceID(7)
	}
	return id
}

// PutRoute creates or changes a route and returns its id; id "" makes a new
// one. The integration and the authorizer must exist.
func (s *Service) PutRoute(apiID, id string, spec RouteSpec) (string, error) {
	id = orNew(id)
	return id, s.change(apiID, func(a *api) error {
		if err := a.checkRoute(id, spec); err != nil {
			return fmt.Errorf("put route %s: %w", spec.Key, err)
		}
		return put(a.config.routes, id, spec, maxRoutes, "route")
	})
}

func (a *api) checkRoute(id string, spec RouteSpec) error {
	if spec.Key == "" {
		return fmt.Errorf("no route key: %w", ErrInvalid)
	}
	for other, r := range a.config.routes {
		if other != id && r.Key == spec.Key {
			return fmt.Errorf("route %s has the same key: %w", other, ErrConflict)
		}
	}
	if spec.Target != "" {
		integration, ok := strings.CutPrefix(spec.Target, "integrations/")
		if !ok {
			return fmt.Errorf("target %q is not integrations/<id>: %w", spec.Target, ErrInvalid)
		}
		if _, ok := a.config.integrations[integration]; !ok {
			return fmt.Errorf("integration %s: %w", integration, ErrNotFound)
		}
	}
	if e := spec.RouteResponseSelectionExpression; e != "" && e != "$default" {
		return fmt.Errorf("route response selection expression %q, only $default exists: %w", e, ErrInvalid)
	}
	switch spec.AuthorizationType {
	case "", "NONE":
		return nil
	case "CUSTOM":
		if _, ok := a.config.authorizers[spec.AuthorizerID]; !ok {
			return fmt.Errorf("authorizer %q: %w", spec.AuthorizerID, ErrNotFound)
		}
	case "AWS_IAM":
	default:
		return fmt.Errorf("authorization type %q is not supported: %w", spec.AuthorizationType, ErrInvalid)
	}
	if spec.Key != routeConnect {
		return fmt.Errorf("authorization is possible on %s only: %w", routeConnect, ErrInvalid)
	}
	return nil
}

// PutIntegration creates or changes a Lambda proxy integration and returns
// its id; id "" makes a new one.
func (s *Service) PutIntegration(apiID, id string, spec IntegrationSpec) (string, error) {
	id = orNew(id)
	return id, s.change(apiID, func(a *api) error {
		if spec.Type != "AWS_PROXY" {
			return fmt.Errorf("put integration %s: type %q is not supported, only AWS_PROXY: %w", id, spec.Type, ErrInvalid)
		}
		if spec.Timeout == 0 {
			spec.Timeout = maxIntegrationTimeout
		}
		if spec.Timeout < 50*time.Millisecond || spec.Timeout > maxIntegrationTimeout {
			return fmt.Errorf("put integration %s: timeout %s is not within 50 ms and 29 s: %w", id, spec.Timeout, ErrInvalid)
		}
		if _, err := functionOf(spec.URI, nil); err != nil {
			return fmt.Errorf("put integration %s: %w", id, err)
		}
		return put(a.config.integrations, id, spec, maxIntegrations, "integration")
	})
}

// PutAuthorizer creates or changes a REQUEST authorizer and returns its id;
// id "" makes a new one.
func (s *Service) PutAuthorizer(apiID, id string, spec AuthorizerSpec) (string, error) {
	id = orNew(id)
	return id, s.change(apiID, func(a *api) error {
		if spec.Type != "REQUEST" {
			return fmt.Errorf("put authorizer %s: type %q, WebSocket APIs have REQUEST only: %w", spec.Name, spec.Type, ErrInvalid)
		}
		if _, err := functionOf(spec.URI, nil); err != nil {
			return fmt.Errorf("put authorizer %s: %w", spec.Name, err)
		}
		for _, source := range spec.IdentitySources {
			if !validIdentitySource(source) {
				return fmt.Errorf("put authorizer %s: identity source %q is not supported: %w", spec.Name, source, ErrInvalid)
			}
		}
		return put(a.config.authorizers, id, spec, maxAuthorizers, "authorizer")
	})
}

// PutRouteResponse creates or changes a route response and returns its id; id
// "" makes a new one. With it, a route whose response selection expression is
// $default sends what its function returns to the client.
func (s *Service) PutRouteResponse(apiID, id string, spec RouteResponseSpec) (string, error) {
	id = orNew(id)
	return id, s.change(apiID, func(a *api) error {
		if _, ok := a.config.routes[spec.RouteID]; !ok {
			return fmt.Errorf("put route response: route %q: %w", spec.RouteID, ErrNotFound)
		}
		if spec.Key != routeDefault {
			return fmt.Errorf("put route response: key %q, only $default exists: %w", spec.Key, ErrInvalid)
		}
		a.config.responses[id] = spec
		return nil
	})
}

// DeleteRoute removes a route and its responses.
func (s *Service) DeleteRoute(apiID, id string) error {
	return s.change(apiID, func(a *api) error {
		for response, r := range a.config.responses {
			if r.RouteID == id {
				delete(a.config.responses, response)
			}
		}
		return remove(a.config.routes, "route", id)
	})
}

// DeleteIntegration removes an integration; ErrConflict while a route targets it.
func (s *Service) DeleteIntegration(apiID, id string) error {
	return s.change(apiID, func(a *api) error {
		for _, r := range a.config.routes {
			if r.Target == "integrations/"+id {
				return fmt.Errorf("delete integration %s: route %s targets it: %w", id, r.Key, ErrConflict)
			}
		}
		return remove(a.config.integrations, "integration", id)
	})
}

// DeleteAuthorizer removes an authorizer; ErrConflict while a route uses it.
func (s *Service) DeleteAuthorizer(apiID, id string) error {
	return s.change(apiID, func(a *api) error {
		for _, r := range a.config.routes {
			if r.AuthorizationType == "CUSTOM" && r.AuthorizerID == id {
				return fmt.Errorf("delete authorizer %s: route %s uses it: %w", id, r.Key, ErrConflict)
			}
		}
		return remove(a.config.authorizers, "authorizer", id)
	})
}

// DeleteRouteResponse removes a route response. One that went with its route
// is not found.
func (s *Service) DeleteRouteResponse(apiID, id string) error {
	return s.change(apiID, func(a *api) error { return remove(a.config.responses, "route response", id) })
}

// put sets m[id], unless that would be one more than the API may have.
func put[V any](m map[string]V, id string, v V, most int, noun string) error {
	if _, ok := m[id]; !ok && len(m) >= most {
		return fmt.Errorf("put %s %s: an API may have %d: %w", noun, id, most, ErrQuota)
	}
	m[id] = v
	return nil
}

func remove[V any](m map[string]V, noun, id string) error {
	if _, ok := m[id]; !ok {
		return fmt.Errorf("delete %s %s: %w", noun, id, ErrNotFound)
	}
	delete(m, id)
	return nil
}

// functionOf returns the function's ARN within an invoke ARN, after the stage
// variables were put in. With nil variables it only checks the form.
func functionOf(uri string, variables map[string]string) (string, error) {
	for name, value := range variables {
		uri = strings.ReplaceAll(uri, "${stageVariables."+name+"}", value)
	}
	prefix := "arn:aws:apigateway:" + account.Region + ":lambda:path/2015-03-31/functions/"
	function, ok := strings.CutPrefix(uri, prefix)
	function, tail := strings.CutSuffix(function, "/invocations")
	if !ok || !tail || function == "" {
		return "", fmt.Errorf("uri %q is not %s<function ARN>/invocations: %w", uri, prefix, ErrInvalid)
	}
	return function, nil
}
