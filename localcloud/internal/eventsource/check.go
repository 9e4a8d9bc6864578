package eventsource

import (
	"context"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// What the function's role needs for a mapping. All of a stream's calls are
// checked on the stream: there are policies that name it alone, ListStreams
// included (https://github.com/serverless/serverless, compile/events/stream).
var (
	streamCalls = []string{"DescribeStream", "ListStreams", "GetShardIterator", "GetRecords"}
	queueCalls  = []string{"ReceiveMessage", "DeleteMessage", "GetQueueAttributes"}
)

// check refuses what Lambda refuses when a mapping is made or changed: a source
// or a failure destination that the function's role may not use or that is not
// there. That a stream is there, opening it shows.
func (m *Manager) check(spec Spec, fn Function) error {
	ctx := account.WithCaller(m.ctx, account.AssumedRole(fn.Role, fn.Name))
	check := m.checkQueue
	if spec.stream() {
		check = m.checkStream
	}
	if err := check(ctx, spec, fn); err != nil {
		return err
	}
	return m.checkDestination(ctx, spec.OnFailureARN)
}

func (m *Manager) checkStream(ctx context.Context, spec Spec, _ Function) error {
	for _, call := range streamCalls {
		if err := m.authorize(ctx, "dynamodb:"+call, spec.SourceARN); err != nil {
			return invalid("Cannot access stream %s. Please ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, and ListStreams Actions on your stream in IAM. (%s)", spec.SourceARN, err)
		}
	}
	return nil
}

func (m *Manager) checkQueue(ctx context.Context, spec Spec, fn Function) error {
	for _, call := range queueCalls {
		if err := m.authorize(ctx, "sqs:"+call, spec.SourceARN); err != nil {
			return unauthorized(call, err)
		}
	}
	visibility, ok := m.opts.Queues.VisibilityTimeout(spec.SourceARN)
	if !ok {
		return invalid("Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist. (%s)", spec.SourceARN)
	}
	if visibility < fn.Timeout {
		// Its messages would reappear while they are worked on:
		// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
		return invalid("Queue visibility timeout: %d seconds is less than Function timeout: %d seconds (%s)",
			int(visibility.Seconds()), int(fn.Timeout.Seconds()), spec.SourceARN)
	}
	return nil
}

// checkDestination checks a queue for records of what was given up; "" is none.
func (m *Manager) checkDestination(ctx context.Context, arn string) error {
	if arn == "" {
		return nil
	}
	if err := m.authorize(ctx, "sqs:SendMessage", arn); err != nil {
		return unauthorized("SendMessage", err)
	}
	if m.opts.Queues != nil {
		if _, ok := m.opts.Queues.VisibilityTimeout(arn); !ok {
			return invalid("failure destination %s: the specified queue does not exist", arn)
		}
	}
	return nil
}

func unauthorized(call string, err error) error {
	return invalid("The provided execution role does not have permissions to call %s on SQS (%s)", call, err)
}

func (m *Manager) authorize(ctx context.Context, action, resource string) error {
	if m.opts.Authorizer == nil {
		return nil
	}
	return m.opts.Authorizer.Authorize(ctx, action, resource)
}

// open opens the stream of a specification, unless mp reads it already.
func (m *Manager) open(mp *mapping, spec Spec, fn Function) (StreamReader, error) {
	if !spec.stream() || mp.reader != nil && mp.spec.SourceARN == spec.SourceARN {
		return nil, nil
	}
	ctx := account.WithCaller(m.ctx, account.AssumedRole(fn.Role, fn.Name))
	r, err := m.opts.Streams.OpenStream(ctx, spec.SourceARN, spec.StartingPosition)
	if err != nil {
		return nil, invalid("Stream not found: %s", spec.SourceARN)
	}
	return r, nil
}
