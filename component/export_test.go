package component

import (
	"context"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/build"
)

// BuildFunc stands in for the go command.
type BuildFunc func(ctx context.Context, cache string, p build.Package, t build.Target) (string, error)

// NewStreamerWith is NewStreamer in other surroundings.
func NewStreamerWith(ctx *pulumi.Context, name string, args *StreamerArgs, getenv func(string) string, build BuildFunc, opts ...pulumi.ResourceOption) (*Streamer, error) {
	return newStreamer(ctx, name, args, builder{getenv: getenv, build: build}, opts...)
}

// CallbackEndpoint is the address of @connections for an API's own.
var CallbackEndpoint = callbackEndpoint

// GoBuild is the builder of NewStreamer.
var GoBuild BuildFunc = goBuild

// RouteHash registers a route and returns what a deployment of it is triggered by.
func RouteHash(ctx *pulumi.Context, args *apigatewayv2.RouteArgs) (pulumi.StringOutput, error) {
	s := &snapshot{}
	route, err := apigatewayv2.NewRoute(ctx, "route", args)
	if err == nil {
		s.add(route, *args)
	}
	return s.hash(), err
}
