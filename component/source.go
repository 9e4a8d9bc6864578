package component

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/scheduler"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// Of the mappings.
const (
	streamBatch = 100
	// streamParallel batches of a shard are worked off at once: the order of
	// records means nothing to the dispatcher.
	streamParallel = 4
	// streamRetries and streamAge bound how long a record can hold up its shard.
	// The sweep finds what was given up.
	streamRetries = 3
	streamAge     = 600 // seconds
	wakeBatch     = 10
	// eventAge is the longest that Lambda keeps an invocation that waits for
	// concurrency, in seconds.
	eventAge = 6 * 3600
	// sweepAge is after how many seconds there is another sweep.
	sweepAge = 60
)

// makeSources connects the dispatcher with the stream and the wake queue, and
// the processor with the wake queue for what it could not be invoked for.
func (p *parts) makeSources() error {
	partial := pulumi.StringArray{pulumi.String("ReportBatchItemFailures")}
	ready := p.options(pulumi.DependsOn([]pulumi.Resource{p.dispatcher.policy}))
	_, err := lambda.NewEventSourceMapping(p.ctx, p.child("stream"), &lambda.EventSourceMappingArgs{
		FunctionName:   p.dispatcher.Arn,
		EventSourceArn: p.requests.StreamArn,
		// Not LATEST, which can miss what is written while the mapping is made.
		StartingPosition:               pulumi.String("TRIM_HORIZON"),
		BatchSize:                      pulumi.Int(streamBatch),
		MaximumBatchingWindowInSeconds: pulumi.Int(0),
		ParallelizationFactor:          pulumi.Int(streamParallel),
		MaximumRetryAttempts:           pulumi.Int(streamRetries),
		MaximumRecordAgeInSeconds:      pulumi.Int(streamAge),
		BisectBatchOnFunctionError:     pulumi.Bool(true),
		FunctionResponseTypes:          partial,
		FilterCriteria: lambda.EventSourceMappingFilterCriteriaArgs{Filters: lambda.EventSourceMappingFilterCriteriaFilterArray{
			lambda.EventSourceMappingFilterCriteriaFilterArgs{Pattern: pulumi.String(contract.StreamPattern)},
		}},
		DestinationConfig: lambda.EventSourceMappingDestinationConfigArgs{
			OnFailure: lambda.EventSourceMappingDestinationConfigOnFailureArgs{DestinationArn: p.dead.Arn},
		},
		Tags: p.settings.tags,
	}, ready...)
	if err != nil {
		return err
	}
	_, err = lambda.NewEventSourceMapping(p.ctx, p.child("wake"), &lambda.EventSourceMappingArgs{
		FunctionName:                   p.dispatcher.Arn,
		EventSourceArn:                 p.wake.Arn,
		BatchSize:                      pulumi.Int(wakeBatch),
		MaximumBatchingWindowInSeconds: pulumi.Int(0),
		FunctionResponseTypes:          partial,
		Tags:                           p.settings.tags,
	}, ready...)
	if err != nil {
		return err
	}
	if err := p.makeQueueing(); err != nil {
		return err
	}
	return p.allowRecursion()
}

// makeQueueing says what becomes of asynchronous invocations that wait or fail.
func (p *parts) makeQueueing() error {
	_, err := lambda.NewFunctionEventInvokeConfig(p.ctx, p.child("processor"), &lambda.FunctionEventInvokeConfigArgs{
		FunctionName: p.processor.Name,
		// The table decides what is tried again, not Lambda.
		MaximumRetryAttempts:     pulumi.Int(0),
		MaximumEventAgeInSeconds: pulumi.Int(eventAge),
		DestinationConfig: lambda.FunctionEventInvokeConfigDestinationConfigArgs{
			OnFailure: lambda.FunctionEventInvokeConfigDestinationConfigOnFailureArgs{Destination: p.wake.Arn},
		},
	}, p.options(pulumi.DependsOn([]pulumi.Resource{p.processor.policy}))...)
	if err != nil {
		return err
	}
	_, err = lambda.NewFunctionEventInvokeConfig(p.ctx, p.child("dispatcher"), &lambda.FunctionEventInvokeConfigArgs{
		FunctionName: p.dispatcher.Name,
		// The schedule's sweeps: the next one does what this one has not, and two
		// would do the same at once.
		MaximumRetryAttempts:     pulumi.Int(0),
		MaximumEventAgeInSeconds: pulumi.Int(sweepAge),
	}, p.options()...)
	return err
}

// allowRecursion keeps Lambda from breaking the circle of processor, wake queue and
// dispatcher, and that of the dispatcher, which puts back a message that came too
// early: after 16 turns it would take them for an accident (Lambda developer guide, "Use
// Lambda recursive loop detection"). Attempts and deadline of a request bound both.
func (p *parts) allowRecursion() error {
	for _, f := range []struct {
		part string
		fn   *function
	}{{"dispatcher", p.dispatcher}, {"processor", p.processor}} {
		_, err := lambda.NewFunctionRecursionConfig(p.ctx, p.child(f.part), &lambda.FunctionRecursionConfigArgs{
			FunctionName:  f.fn.Name,
			RecursiveLoop: pulumi.String("Allow"),
		}, p.options()...)
		if err != nil {
			return err
		}
	}
	return nil
}

// makeSchedule makes the dispatcher look for what is due once a minute.
func (p *parts) makeSchedule() error {
	role, attached, err := p.makeRole("sweep", "scheduler.amazonaws.com", []rights{
		allow("lambda", []string{"InvokeFunction"}, p.dispatcher.Arn),
	})
	if err != nil {
		return err
	}
	_, err = scheduler.NewSchedule(p.ctx, p.child("sweep"), &scheduler.ScheduleArgs{
		ScheduleExpression: pulumi.String("rate(1 minute)"),
		FlexibleTimeWindow: scheduler.ScheduleFlexibleTimeWindowArgs{Mode: pulumi.String("OFF")},
		Target: scheduler.ScheduleTargetArgs{
			Arn:     p.dispatcher.Arn,
			RoleArn: role.Arn,
			Input:   pulumi.String(contract.SweepEvent),
			// A sweep that is late is replaced by the next one.
			RetryPolicy: scheduler.ScheduleTargetRetryPolicyArgs{
				MaximumRetryAttempts:     pulumi.Int(0),
				MaximumEventAgeInSeconds: pulumi.Int(sweepAge),
			},
		},
	}, p.options(pulumi.DependsOn([]pulumi.Resource{attached}))...)
	return err
}
