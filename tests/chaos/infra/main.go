// Command infra is the Pulumi program of the chaos test: the component with the
// shortest times that it and AWS allow, so that what a fault costs is over soon.
package main

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/streamer-go/streamer/component"
)

// seconds is the least that dispatcher and processor may have.
const seconds = 10

func main() { pulumi.Run(program) }

func program(ctx *pulumi.Context) error {
	key, err := config.New(ctx, "").Try("publicKey")
	if err != nil {
		return err
	}
	protect := false
	s, err := component.NewStreamer(ctx, "chaos", &component.StreamerArgs{
		Handlers:     &component.Handlers{Package: "../app/cmd/handlers"},
		Auth:         &component.Auth{Keys: []component.Key{{PEM: pulumi.String(key)}}},
		Lease:        pulumi.String("2s"),
		QuickTimeout: pulumi.String("2s"),
		Dispatcher:   &component.Function{Timeout: pulumi.Int(seconds)},
		Processor:    &component.Function{Timeout: pulumi.Int(seconds)},
		Router:       &component.Function{Timeout: pulumi.Int(seconds)},
		Protect:      &protect,
	}, pulumi.Transformations([]pulumi.ResourceTransformation{hasty}))
	if err != nil {
		return err
	}
	ctx.Export("url", s.URL)
	return nil
}

// hasty lets a message be seen again as soon as AWS allows it after a function
// that died with it: the function's timeout, not six times that.
func hasty(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	queue, ok := args.Props.(*sqs.QueueArgs)
	if !ok || queue.VisibilityTimeoutSeconds == nil {
		return nil
	}
	changed := *queue
	changed.VisibilityTimeoutSeconds = pulumi.Int(seconds)
	return &pulumi.ResourceTransformationResult{Props: &changed, Opts: args.Opts}
}
