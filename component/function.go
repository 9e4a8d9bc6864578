package component

import (
	"maps"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

type function struct {
	*lambda.Function
	role   *iam.Role
	policy *iam.RolePolicy
}

// blueprint is what tells one function from another.
type blueprint struct {
	role   contract.Role
	rights []rights
	env    pulumi.StringMap // beside the role, the log level and the namespace
	after  *function        // is updated before this one; nil: none
}

// Calls as IAM names them.
var (
	queueSend    = []string{"SendMessage"}
	queueConsume = []string{"ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "SendMessage"}
	streamRead   = []string{"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
)

func (p *parts) makeProcessor() (err error) {
	p.processor, err = p.makeFunction(p.withBucket(blueprint{
		role: contract.RoleProcessor,
		rights: []rights{
			// The check is what fences the result of a step in history.
			allow("dynamodb", []string{"ConditionCheckItem", "GetItem", "UpdateItem"}, p.requests.Arn),
			allow("dynamodb", []string{"GetItem", "PutItem", "Query"}, p.history.Arn),
			allow("sqs", queueSend, p.wake.Arn),
			allow("execute-api", []string{"ManageConnections"}, p.callback("POST")),
		},
		env: p.withHandlerEnv(pulumi.StringMap{
			contract.EnvRequestsTable:    p.requests.Name,
			contract.EnvHistoryTable:     p.history.Name,
			contract.EnvWakeQueueURL:     p.wake.Url,
			contract.EnvCallbackEndpoint: p.endpoint,
			contract.EnvLease:            p.settings.lease,
		}),
	}))
	return err
}

func (p *parts) makeDispatcher() (err error) {
	p.dispatcher, err = p.makeFunction(blueprint{
		role: contract.RoleDispatcher,
		rights: []rights{
			allow("dynamodb", streamRead, p.requests.streams()),
			allow("dynamodb", []string{"GetItem", "UpdateItem"}, p.requests.Arn),
			allow("dynamodb", []string{"Query"}, p.requests.index(contract.IndexDue)),
			allow("sqs", queueConsume, p.wake.Arn),
			allow("sqs", queueSend, p.dead.Arn),
			allow("lambda", []string{"InvokeFunction"}, p.processor.Arn),
		},
		env: pulumi.StringMap{
			contract.EnvRequestsTable:     p.requests.Name,
			contract.EnvWakeQueueURL:      p.wake.Url,
			contract.EnvProcessorFunction: p.processor.Name,
		},
		after: p.processor,
	})
	return err
}

func (p *parts) makeRouter() (err error) {
	p.router, err = p.makeFunction(p.withBucket(blueprint{
		role: contract.RoleRouter,
		rights: []rights{
			allow("dynamodb", []string{"BatchGetItem", "GetItem", "PutItem", "UpdateItem"}, p.requests.Arn),
			allow("dynamodb", []string{"Query"}, p.requests.index(contract.IndexOwner)),
			allow("dynamodb", []string{"GetItem", "PutItem", "Query"}, p.history.Arn),
			// DELETE is for a connection whose token has run out, POST for the end of
			// a request that the router itself has ended.
			allow("execute-api", []string{"ManageConnections"}, p.callback("DELETE"), p.callback("POST")),
		},
		env: p.withHandlerEnv(pulumi.StringMap{
			contract.EnvRequestsTable:    p.requests.Name,
			contract.EnvHistoryTable:     p.history.Name,
			contract.EnvCallbackEndpoint: p.endpoint,
			contract.EnvQuickThreshold:   p.settings.quickThreshold,
			contract.EnvQuickTimeout:     p.settings.quickTimeout,
		}),
		after: p.dispatcher,
	}))
	return err
}

// callback is what @connections is called with that method on.
func (p *parts) callback(method string) pulumi.StringOutput {
	return pulumi.Sprintf("%s/%s/%s/@connections/*", p.api.ExecutionArn, p.settings.stage, method)
}

func (p *parts) makeConnect() (err error) {
	p.connect, err = p.makeFunction(blueprint{
		role:   contract.RoleConnect,
		rights: []rights{allow("dynamodb", []string{"DeleteItem", "PutItem"}, p.connections.Arn)},
		env: pulumi.StringMap{
			contract.EnvConnectionsTable: p.connections.Name,
			contract.EnvAuth:             p.settings.auth,
		},
	})
	return err
}

func (p *parts) withHandlerEnv(own pulumi.StringMap) pulumi.StringMap {
	all := maps.Clone(p.settings.handlerEnv)
	maps.Copy(all, own)
	return all
}

func (p *parts) makeFunction(b blueprint) (*function, error) {
	part := string(b.role)
	p.limit(&b)
	group, err := p.makeLogGroup(part)
	if err != nil {
		return nil, err
	}
	// Not CreateLogGroup: a function that still writes while the stack is destroyed
	// would make the group again, and the next deployment would find it there.
	all := append(b.rights,
		allow("logs", []string{"CreateLogStream", "PutLogEvents"}, pulumi.Sprintf("%s:*", group.Arn)),
		allow("xray", []string{"PutTelemetryRecords", "PutTraceSegments"}, pulumi.String("*")),
	)
	role, attached, err := p.makeRole(part, "lambda.amazonaws.com", all)
	if err != nil {
		return nil, err
	}
	b.env[contract.EnvLogLevel] = p.settings.logLevel
	b.env[contract.EnvMetricsNamespace] = p.settings.namespace
	b.env[contract.EnvRole] = sized(b.role, b.env)
	after := []pulumi.Resource{group, attached}
	if b.after != nil {
		after = append(after, b.after.Function)
	}
	args := &lambda.FunctionArgs{
		Role:          role.Arn,
		Runtime:       pulumi.String("provided.al2023"),
		Handler:       pulumi.String("bootstrap"),
		Architectures: pulumi.StringArray{pulumi.String(p.settings.architecture)},
		Code:          p.code[b.role],
		MemorySize:    p.settings.sizes[b.role].memory,
		Timeout:       p.settings.sizes[b.role].timeout,
		Environment:   lambda.FunctionEnvironmentArgs{Variables: b.env},
		LoggingConfig: lambda.FunctionLoggingConfigArgs{LogFormat: pulumi.String("Text"), LogGroup: group.Name},
		TracingConfig: lambda.FunctionTracingConfigArgs{Mode: pulumi.String("Active")},
		Tags:          p.settings.tags,
	}
	if b.role == contract.RoleProcessor && p.settings.maxJobs != nil {
		args.ReservedConcurrentExecutions = p.settings.maxJobs
	}
	made, err := lambda.NewFunction(p.ctx, p.child(part), args, p.options(pulumi.DependsOn(after))...)
	return &function{Function: made, role: role, policy: attached}, err
}
