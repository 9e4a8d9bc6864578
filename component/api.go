package component

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// handshakeSource is the identity source of the authorizer. API Gateway answers 401 without
// asking when a listed source is absent, and the token may come in one of several places: so
// the one listed is a header that every handshake has, and the function
// looks for the token.
const handshakeSource = "route.request.header.Host"

// integrationTimeout is the longest that API Gateway waits, in milliseconds.
const integrationTimeout = 29000

// makeAPI makes the API alone: its address goes into the functions, and its
// routes need them.
func (p *parts) makeAPI() error {
	api, err := apigatewayv2.NewApi(p.ctx, p.child(""), &apigatewayv2.ApiArgs{
		ProtocolType: pulumi.String("WEBSOCKET"),
		// Constant, so that a client cannot name a route. An unescaped dollar sign would
		// begin a variable (API Gateway developer guide, "WebSocket selection expressions").
		RouteSelectionExpression: pulumi.String(`\$default`),
		Tags:                     p.settings.tags,
	}, p.guarded()...)
	if err != nil {
		return err
	}
	p.api = api
	p.endpoint = api.ApiEndpoint.ApplyT(func(address string) (string, error) {
		return callbackEndpoint(address, p.settings.stage)
	}).(pulumi.StringOutput)
	return nil
}

// callbackEndpoint is where messages to the clients of an API are posted. It comes from
// the API's own address, never from a custom domain, whose path differs.
func callbackEndpoint(address, stage string) (string, error) {
	for from, to := range map[string]string{"wss://": "https://", "ws://": "http://"} {
		if host, ok := strings.CutPrefix(address, from); ok {
			return to + strings.TrimSuffix(host, "/") + "/" + stage, nil
		}
	}
	return "", fmt.Errorf("read endpoint of API: %q is no WebSocket address", address)
}

// makeRoutes makes what connects the API with the functions, then a deployment of all of
// it, then the stage, which is what clients reach.
func (p *parts) makeRoutes() error {
	shipped := &snapshot{}
	connect, err := p.makeIntegration(shipped, "connect", p.connect)
	if err != nil {
		return err
	}
	router, err := p.makeIntegration(shipped, "router", p.router)
	if err != nil {
		return err
	}
	authorizer, err := p.makeAuthorizer(shipped)
	if err != nil {
		return err
	}
	_, err = p.makeRoute(shipped, "connect", connect, &apigatewayv2.RouteArgs{
		RouteKey:          pulumi.String("$connect"),
		AuthorizationType: pulumi.String("CUSTOM"),
		AuthorizerId:      authorizer.ID(),
	})
	if err != nil {
		return err
	}
	messages, err := p.makeRoute(shipped, "default", router, &apigatewayv2.RouteArgs{
		RouteKey: pulumi.String("$default"),
		// With the response below, what the function returns is sent to the client.
		RouteResponseSelectionExpression: pulumi.String("$default"),
	})
	if err != nil {
		return err
	}
	answer := &apigatewayv2.RouteResponseArgs{
		ApiId: p.api.ID(), RouteId: messages.ID(), RouteResponseKey: pulumi.String("$default"),
	}
	response, err := apigatewayv2.NewRouteResponse(p.ctx, p.child("default"), answer, p.options()...)
	if err != nil {
		return err
	}
	shipped.add(response, *answer)
	_, err = p.makeRoute(shipped, "disconnect", connect, &apigatewayv2.RouteArgs{RouteKey: pulumi.String("$disconnect")})
	if err != nil {
		return err
	}
	permissions, err := p.makePermissions(authorizer)
	if err != nil {
		return err
	}
	return p.makeStage(shipped, permissions)
}

func (p *parts) makeIntegration(shipped *snapshot, part string, f *function) (*apigatewayv2.Integration, error) {
	args := &apigatewayv2.IntegrationArgs{
		ApiId:               p.api.ID(),
		IntegrationType:     pulumi.String("AWS_PROXY"),
		IntegrationUri:      f.InvokeArn,
		TimeoutMilliseconds: pulumi.Int(integrationTimeout),
	}
	made, err := apigatewayv2.NewIntegration(p.ctx, p.child(part), args, p.options()...)
	if err == nil {
		shipped.add(made, *args)
	}
	return made, err
}

func (p *parts) makeAuthorizer(shipped *snapshot) (*apigatewayv2.Authorizer, error) {
	args := &apigatewayv2.AuthorizerArgs{
		ApiId:           p.api.ID(),
		AuthorizerType:  pulumi.String("REQUEST"),
		AuthorizerUri:   p.connect.InvokeArn,
		IdentitySources: pulumi.StringArray{pulumi.String(handshakeSource)},
	}
	made, err := apigatewayv2.NewAuthorizer(p.ctx, p.child("connect"), args, p.options()...)
	if err == nil {
		shipped.add(made, *args)
	}
	return made, err
}

func (p *parts) makeRoute(shipped *snapshot, part string, to *apigatewayv2.Integration, args *apigatewayv2.RouteArgs) (*apigatewayv2.Route, error) {
	args.ApiId = p.api.ID()
	args.Target = pulumi.Sprintf("integrations/%s", to.ID())
	made, err := apigatewayv2.NewRoute(p.ctx, p.child(part), args, p.options()...)
	if err == nil {
		shipped.add(made, *args)
	}
	return made, err
}

// makePermissions lets this API alone call the functions, each route by itself.
func (p *parts) makePermissions(authorizer *apigatewayv2.Authorizer) ([]pulumi.Resource, error) {
	route := func(key string) pulumi.StringInput {
		return pulumi.Sprintf("%s/%s/%s", p.api.ExecutionArn, p.settings.stage, key)
	}
	var made []pulumi.Resource
	for _, it := range []struct {
		part   string
		fn     *function
		source pulumi.StringInput
	}{
		{"authorizer", p.connect, pulumi.Sprintf("%s/authorizers/%s", p.api.ExecutionArn, authorizer.ID())},
		{"connect", p.connect, route("$connect")},
		{"default", p.router, route("$default")},
		{"disconnect", p.connect, route("$disconnect")},
	} {
		permission, err := lambda.NewPermission(p.ctx, p.child(it.part), &lambda.PermissionArgs{
			Action:    pulumi.String("lambda:InvokeFunction"),
			Function:  it.fn.Name,
			Principal: pulumi.String("apigateway.amazonaws.com"),
			SourceArn: it.source,
		}, p.options()...)
		if err != nil {
			return nil, err
		}
		made = append(made, permission)
	}
	return made, nil
}

// makeStage deploys what was made and puts it on the stage. The stage never
// deploys by itself: that is for HTTP APIs.
func (p *parts) makeStage(shipped *snapshot, permissions []pulumi.Resource) error {
	deployment, err := apigatewayv2.NewDeployment(p.ctx, p.child(""), &apigatewayv2.DeploymentArgs{
		ApiId:    p.api.ID(),
		Triggers: pulumi.StringMap{"configuration": shipped.hash()},
	}, p.options(pulumi.DependsOn(shipped.resources))...)
	if err != nil {
		return err
	}
	p.stage, err = apigatewayv2.NewStage(p.ctx, p.child(""), &apigatewayv2.StageArgs{
		ApiId:        p.api.ID(),
		Name:         pulumi.String(p.settings.stage),
		DeploymentId: deployment.ID(),
		DefaultRouteSettings: apigatewayv2.StageDefaultRouteSettingsArgs{
			// Both, for one that is absent counts as 0, which lets nothing through.
			ThrottlingBurstLimit: p.settings.burst,
			ThrottlingRateLimit:  p.settings.rate,
		},
		Tags: p.settings.tags,
	}, p.options(pulumi.DependsOn(permissions))...)
	return err
}
