// Command program is a Pulumi program that the tests run as a process.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() {
	if os.Getenv("PROGRAM") == "silent" {
		os.Exit(3)
	}
	pulumi.Run(func(ctx *pulumi.Context) error {
		fmt.Println("printed")
		queue, err := sqs.NewQueue(ctx, "jobs", &sqs.QueueArgs{DelaySeconds: pulumi.Int(config.GetInt(ctx, "delay"))})
		if err != nil {
			return err
		}
		ctx.Export("arn", queue.Arn)
		if os.Getenv("PROGRAM") == "fails" {
			return errors.New("the body says no")
		}
		return nil
	})
}
