package gateway

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// served is a deployment as one stage serves it: looked up by route key, with
// the stage's variables put in and its throttles attached. Never changed.
type served struct {
	selection     *selection
	routes        map[string]*route
	variables     map[string]string
	variablesJSON []byte // `"stageVariables":{…},` or nothing
	undeployed    bool   // there is no deployment: nobody gets in
}

// route is one served route.
type route struct {
	key        string
	function   string // "" without integration
	sourceARN  string
	timeout    time.Duration
	twoWay     bool
	iam        bool
	authorizer *authorizer // nil for none
	throttle   *bucket     // nil for none of its own
}

type authorizer struct {
	function  string
	sourceARN string
	sources   []string
}

// PutDeployment snapshots the API's configuration and returns the
// deployment's id; id "" makes a new one. An existing deployment is kept as it
// is, for deployments never change. ErrInvalid for an API without routes.
func (s *Service) PutDeployment(apiID, id string) (string, error) {
	id = orNew(id)
	return id, s.change(apiID, func(a *api) error {
		if _, ok := a.deployments[id]; ok {
			return nil
		}
		if len(a.config.routes) == 0 {
			return fmt.Errorf("put deployment %s: at least one route is required: %w", id, ErrInvalid)
		}
		a.deployments[id] = a.config.clone()
		return nil
	})
}

// DeleteDeployment removes a deployment; ErrConflict while a stage points to it.
func (s *Service) DeleteDeployment(apiID, id string) error {
	return s.change(apiID, func(a *api) error {
		for name, spec := range a.specs {
			if spec.DeploymentID == id {
				return fmt.Errorf("delete deployment %s: stage %s points to it: %w", id, name, ErrConflict)
			}
		}
		return remove(a.deployments, "deployment", id)
	})
}

// stageName is what a stage may be called:
// https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-stages-stagename.html
// $default, which it also has, is for HTTP APIs (https://github.com/aws/aws-cdk/pull/13031).
var stageName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// PutStage creates or changes a stage. Open connections get the new
// configuration with their next message. Without a deployment and AutoDeploy
// the stage refuses handshakes with 403.
func (s *Service) PutStage(apiID string, spec StageSpec) error {
	return s.change(apiID, func(a *api) error {
		if !stageName.MatchString(spec.Name) {
			return fmt.Errorf("put stage %q: the name of a WebSocket stage has 1 to 128 letters, digits, hyphens and underscores: %w", spec.Name, ErrInvalid)
		}
		deployment := &config{selection: a.config.selection}
		if spec.AutoDeploy {
			deployment = a.config.clone()
		} else if spec.DeploymentID != "" {
			var ok bool
			if deployment, ok = a.deployments[spec.DeploymentID]; !ok {
				return fmt.Errorf("put stage %s: deployment %s: %w", spec.Name, spec.DeploymentID, ErrNotFound)
			}
		}
		return a.serveStage(spec, deployment)
	})
}

// DeleteStage removes a stage and closes its connections with 1001.
func (s *Service) DeleteStage(apiID, name string) error {
	var open []*conn
	err := s.change(apiID, func(a *api) error {
		if err := remove(a.specs, "stage", name); err != nil {
			return err
		}
		a.stages.Delete(name)
		a.mu.RLock()
		defer a.mu.RUnlock()
		for _, c := range a.connections {
			if c.stage.name == name {
				open = append(open, c)
			}
		}
		return nil
	})
	for _, c := range open {
		c.end(statusGoingAway, reasonGoingAway)
	}
	return err
}

// autoDeploy brings the stages that want it up to date. Service.mu is held.
func (a *api) autoDeploy() error {
	for _, spec := range a.specs {
		if !spec.AutoDeploy {
			continue
		}
		if err := a.serveStage(spec, a.config.clone()); err != nil {
			return err
		}
	}
	return nil
}

// serveStage makes the stage serve the deployment. Service.mu is held.
func (a *api) serveStage(spec StageSpec, deployment *config) error {
	next, err := a.build(spec, deployment)
	if err != nil {
		return fmt.Errorf("put stage %s: %w", spec.Name, err)
	}
	if err := put(a.specs, spec.Name, spec, maxStages, "stage"); err != nil {
		return err
	}
	v, _ := a.stages.LoadOrStore(spec.Name, &stage{name: spec.Name})
	v.(*stage).served.Store(next)
	return nil
}

func (a *api) build(spec StageSpec, c *config) (*served, error) {
	out := &served{
		selection: c.selection, routes: map[string]*route{}, variables: spec.Variables,
		undeployed: spec.DeploymentID == "" && !spec.AutoDeploy,
	}
	if len(spec.Variables) > 0 {
		out.variablesJSON = append(appendStringMap([]byte(`"stageVariables":`), spec.Variables), ',')
	}
	if out.variables == nil {
		out.variables = map[string]string{}
	}
	twoWay := map[string]bool{}
	for _, response := range c.responses {
		twoWay[response.RouteID] = true
	}
	for id, r := range c.routes {
		built, err := a.buildRoute(spec, c, r)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Key, err)
		}
		built.twoWay = r.RouteResponseSelectionExpression == routeDefault && twoWay[id]
		out.routes[r.Key] = built
	}
	return out, nil
}

func (a *api) buildRoute(spec StageSpec, c *config, r RouteSpec) (*route, error) {
	out := &route{
		key:       r.Key,
		sourceARN: a.executionARN() + "/" + spec.Name + "/" + r.Key,
		timeout:   maxIntegrationTimeout,
		iam:       r.AuthorizationType == "AWS_IAM",
	}
	throttle, ok := spec.RouteThrottles[r.Key]
	if !ok {
		throttle = spec.Throttle
	}
	if throttle != (Throttle{}) {
		out.throttle = newBucket(throttle.Rate, throttle.Burst)
	}
	if r.Target != "" {
		integration := c.integrations[strings.TrimPrefix(r.Target, "integrations/")]
		function, err := functionOf(integration.URI, spec.Variables)
		if err != nil {
			return nil, err
		}
		out.function, out.timeout = function, integration.Timeout
	}
	if r.AuthorizationType == "CUSTOM" {
		authorizerSpec := c.authorizers[r.AuthorizerID]
		function, err := functionOf(authorizerSpec.URI, spec.Variables)
		if err != nil {
			return nil, err
		}
		out.authorizer = &authorizer{
			function:  function,
			sourceARN: a.executionARN() + "/authorizers/" + r.AuthorizerID,
			sources:   authorizerSpec.IdentitySources,
		}
	}
	return out, nil
}
