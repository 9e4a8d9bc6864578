package component

import (
	"encoding/json"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// Of the queues, in seconds and messages.
const (
	wakeRetention = 4 * 24 * 3600
	deadRetention = 14 * 24 * 3600 // the most that SQS keeps
	// maxReceive is how often a wake message is tried. The dispatcher puts back what
	// comes too early as a new message, so only its own failures count here.
	maxReceive = 5
	// visibilityFactor is AWS's advice for a queue that feeds a function: six times
	// the function's timeout (Lambda developer guide, "Creating and configuring an
	// Amazon SQS event source mapping").
	visibilityFactor = 6
)

type queue struct{ *sqs.Queue }

// makeQueues makes the wake queue and the queue for what neither it nor the
// stream could deliver. Nothing is lost there: the sweep finds every open request in the table.
func (p *parts) makeQueues() error {
	dead, err := sqs.NewQueue(p.ctx, p.child("dead"), &sqs.QueueArgs{
		MessageRetentionSeconds: pulumi.Int(deadRetention),
		Tags:                    p.settings.tags,
	}, p.options()...)
	if err != nil {
		return err
	}
	visibility := p.settings.sizes[contract.RoleDispatcher].timeout.ApplyT(func(s int) int { return visibilityFactor * s }).(pulumi.IntOutput)
	wake, err := sqs.NewQueue(p.ctx, p.child("wake"), &sqs.QueueArgs{
		MessageRetentionSeconds:  pulumi.Int(wakeRetention),
		VisibilityTimeoutSeconds: visibility,
		RedrivePolicy: document(func(arn ...string) any {
			return map[string]any{"deadLetterTargetArn": arn[0], "maxReceiveCount": maxReceive}
		}, dead.Arn),
		Tags: p.settings.tags,
	}, p.options()...)
	if err != nil {
		return err
	}
	p.wake, p.dead = &queue{wake}, &queue{dead}
	// As a resource of its own, for the two queues name each other.
	_, err = sqs.NewRedriveAllowPolicy(p.ctx, p.child("dead"), &sqs.RedriveAllowPolicyArgs{
		QueueUrl: dead.Url,
		RedriveAllowPolicy: document(func(arn ...string) any {
			return map[string]any{"redrivePermission": "byQueue", "sourceQueueArns": arn}
		}, wake.Arn),
	}, p.options()...)
	return err
}

// document is JSON that is made of texts which may not be known yet. They are
// the top level of the wait, for an unknown deeper down is not seen by the SDK.
func document(from func(texts ...string) any, parts ...pulumi.StringInput) pulumi.StringOutput {
	inputs := make([]any, len(parts))
	for i, part := range parts {
		inputs[i] = part
	}
	return pulumi.All(inputs...).ApplyT(func(values []any) (string, error) {
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = v.(string)
		}
		out, err := json.Marshal(from(texts...))
		return string(out), err
	}).(pulumi.StringOutput)
}
