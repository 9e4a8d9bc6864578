package gateway

import (
	"errors"
	"time"
)

// What the configuration methods answer besides success; test with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("conflict")
	ErrInvalid  = errors.New("invalid")
	ErrQuota    = errors.New("quota exceeded") // 300 routes, 300 integrations, 10 authorizers, 10 stages per API
)

// APISpec describes a WebSocket API.
type APISpec struct {
	// ID of an API to change; "" makes a new one.
	ID   string
	Name string
	// RouteSelectionExpression is $request.body.<path>, ${request.body.<path>}
	// within text, or static text ("$default" and "\$default" are the text
	// $default).
	RouteSelectionExpression string
}

// APIInfo is what a created API is known by.
type APIInfo struct {
	ID           string
	Endpoint     string // ws://host:port, without the stage
	ExecutionARN string // arn:aws:execute-api:region:account:id
	ARN          string // arn:aws:apigateway:region::/apis/id
}

// RouteSpec describes a route.
type RouteSpec struct {
	Key    string // $connect, $disconnect, $default or a custom key
	Target string // integrations/<id>; "" for a route without integration
	// AuthorizationType is NONE (or ""), CUSTOM or AWS_IAM; other than NONE is
	// possible on $connect only.
	AuthorizationType string
	AuthorizerID      string
	// RouteResponseSelectionExpression "$default" makes the route two-way,
	// once it also has a route response.
	RouteResponseSelectionExpression string
}

// IntegrationSpec describes a Lambda proxy integration.
type IntegrationSpec struct {
	Type    string        // AWS_PROXY; nothing else is supported
	URI     string        // the function's invoke ARN
	Timeout time.Duration // 50 ms to 29 s, 0 is 29 s
}

// AuthorizerSpec describes a Lambda REQUEST authorizer.
type AuthorizerSpec struct {
	Name string
	Type string // REQUEST; nothing else exists for WebSocket APIs
	URI  string // the function's invoke ARN
	// IdentitySources are route.request.header.<name>,
	// route.request.querystring.<name>, stageVariables.<name> or
	// context.<name>. A handshake that lacks one of them is answered 401
	// without asking the authorizer.
	IdentitySources []string
}

// RouteResponseSpec describes a route response; the only key is $default.
type RouteResponseSpec struct {
	RouteID string
	Key     string
}

// Throttle limits the messages of a route. Zero means no limit of its own
// (the account's still holds).
type Throttle struct {
	Rate  float64 // messages per second
	Burst int
}

// StageSpec describes a stage.
type StageSpec struct {
	Name         string
	DeploymentID string // what the stage serves; "" for nothing, or with AutoDeploy
	// AutoDeploy makes every change of the API be served at once.
	AutoDeploy bool
	// Throttle is for each route that has none in RouteThrottles.
	Throttle       Throttle
	RouteThrottles map[string]Throttle // by route key
	Variables      map[string]string
}
