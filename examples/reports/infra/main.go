// Command infra is the Pulumi program of the reports example. Its config has one
// value, the public key that tokens are verified with:
//
//	pulumi config set publicKey -- "$(cat public.pem)"
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
	// An example is made to be taken down again: its tables may be deleted.
	protect := false
	s, err := component.NewStreamer(ctx, "reports", &component.StreamerArgs{
		Handlers: &component.Handlers{Package: "../cmd/handlers"},
		Auth:     &component.Auth{Keys: []component.Key{{PEM: pulumi.String(key)}}},
		MaxJobs:  pulumi.Int(10),
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
