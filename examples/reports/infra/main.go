// Command infra is the Pulumi program of the reports example. Its config has the
// public key that tokens are verified with, and how many reports are made at once, 10
// by default:
//
//	pulumi config set publicKey -- "$(cat public.pem)"
//	pulumi config set maxJobs 100
package main

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/streamer-go/streamer/component"
)

func main() { pulumi.Run(program) }

func program(ctx *pulumi.Context) error {
	c := config.New(ctx, "")
	key, err := c.Try("publicKey")
	if err != nil {
		return err
	}
	jobs, err := c.TryInt("maxJobs")
	switch {
	case errors.Is(err, config.ErrMissingVar):
		jobs = 10
	case err != nil:
		return fmt.Errorf("read config value maxJobs: %w", err)
	}
	// An example is made to be taken down again: its tables may be deleted.
	protect := false
	s, err := component.NewStreamer(ctx, "reports", &component.StreamerArgs{
		Handlers: &component.Handlers{Package: "../cmd/handlers"},
		Auth:     &component.Auth{Keys: []component.Key{{PEM: pulumi.String(key)}}},
		MaxJobs:  pulumi.Int(jobs),
		Protect:  &protect,
	})
	if err != nil {
		return err
	}
	ctx.Export("url", s.URL)
	ctx.Export("requestsTable", s.RequestsTableName)
	ctx.Export("historyTable", s.HistoryTableName)
	ctx.Export("processorFunction", s.ProcessorFunctionName)
	ctx.Export("deadQueueUrl", s.DeadQueueURL)
	return nil
}
