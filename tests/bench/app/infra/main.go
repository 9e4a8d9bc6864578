// Command infra is the Pulumi program of the system that the benchmarks measure.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/streamer-go/streamer/component"
)

func main() { pulumi.Run(program) }

func program(ctx *pulumi.Context) error {
	key, err := config.New(ctx, "").Try("publicKey")
	if err != nil {
		return err
	}
	protect := false // it lives as long as the benchmark
	s, err := component.NewStreamer(ctx, "bench", &component.StreamerArgs{
		Handlers: &component.Handlers{Package: "../handlers"},
		Auth:     &component.Auth{Keys: []component.Key{{PEM: pulumi.String(key)}}},
		MaxJobs:  pulumi.Int(10),
		// As good as none: it is not the throttle that is measured.
		Throttle: &component.Throttle{Rate: pulumi.Float64(1e6), Burst: pulumi.Int(1_000_000)},
		Protect:  &protect,
	})
	if err != nil {
		return err
	}
	ctx.Export("url", s.URL)
	return nil
}
