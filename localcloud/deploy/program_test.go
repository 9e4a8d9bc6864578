package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/scheduler"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
)

// echo answers every event with itself.
func echo(localcloud.Instance) (func(context.Context, []byte) ([]byte, error), error) {
	return func(_ context.Context, payload []byte) ([]byte, error) { return payload, nil }, nil
}

func newCloud(t *testing.T) *localcloud.Cloud {
	t.Helper()
	cloud, err := localcloud.Start(localcloud.Config{Funcs: echo})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	return cloud
}

// fixture is a cloud with a deployer and one program of it.
type fixture struct {
	*testing.T
	cloud    *localcloud.Cloud
	deployer *deploy.Deployer
	dir      string // of the function's code
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, cloud: newCloud(t), dir: t.TempDir()}
	f.deployer = deploy.New(f.cloud)
	f.code("one")
	return f
}

func (f *fixture) code(text string) {
	f.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "bootstrap"), []byte(text), 0o600); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) program(body pulumi.RunFunc) deploy.Program {
	return deploy.Program{
		Body: body, Project: "proj", Stack: "dev",
		Config: map[string]string{"proj:key": "hush"}, SecretKeys: []string{"proj:key"},
		Log: func(severity, line string) { f.Logf("%s: %s", severity, line) },
	}
}

func (f *fixture) up(body pulumi.RunFunc) deploy.Result {
	f.Helper()
	result, err := f.deployer.Up(context.Background(), f.program(body))
	if err != nil {
		f.Fatal(err)
	}
	return result
}

func (f *fixture) refused(body pulumi.RunFunc) *deploy.Error {
	f.Helper()
	_, err := f.deployer.Up(context.Background(), f.program(body))
	var e *deploy.Error
	if !errors.As(err, &e) {
		f.Fatalf("error = %v, want a *deploy.Error", err)
	}
	return e
}

// changes prints what a run did: "create aws:sqs/queue:Queue wake".
func changes(r deploy.Result) string {
	var lines []string
	for _, c := range r.Changes {
		line := fmt.Sprintf("%s %s %s", c.Op, c.Type, c.Name)
		if len(c.Properties) > 0 {
			line += " " + strings.Join(c.Properties, ",")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["lambda.amazonaws.com","scheduler.amazonaws.com"]},"Action":"sts:AssumeRole"}]}`

// system is a typical WebSocket system; each step adds to it.
type system struct {
	ctx      *pulumi.Context
	code     pulumi.Archive
	role     *iam.Role
	table    *dynamodb.Table
	queue    *sqs.Queue
	api      *apigatewayv2.Api
	fn       *lambda.Function
	opts     []pulumi.ResourceOption
	schedule string // name of the schedule's resource
	aliases  []pulumi.ResourceOption
}

func websocketSystem(code pulumi.Archive, schedule string, scheduleOptions ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		s := &system{ctx: ctx, code: code, schedule: schedule, aliases: scheduleOptions}
		for _, step := range []func() error{s.component, s.stores, s.function, s.routes, s.sources, s.exports} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}
}

func (s *system) component() error {
	c := &struct{ pulumi.ResourceState }{}
	err := s.ctx.RegisterComponentResource("test:index:System", "system", c)
	s.opts = []pulumi.ResourceOption{pulumi.Parent(c)}
	return err
}

func (s *system) stores() (err error) {
	s.table, err = dynamodb.NewTable(s.ctx, "requests", &dynamodb.TableArgs{
		BillingMode: pulumi.String("PAY_PER_REQUEST"), HashKey: pulumi.String("pk"),
		Attributes: dynamodb.TableAttributeArray{
			dynamodb.TableAttributeArgs{Name: pulumi.String("pk"), Type: pulumi.String("S")},
			dynamodb.TableAttributeArgs{Name: pulumi.String("due"), Type: pulumi.String("N")},
		},
		GlobalSecondaryIndexes: dynamodb.TableGlobalSecondaryIndexArray{dynamodb.TableGlobalSecondaryIndexArgs{
			Name: pulumi.String("due"), HashKey: pulumi.String("pk"), RangeKey: pulumi.String("due"), ProjectionType: pulumi.String("KEYS_ONLY"),
		}},
		StreamEnabled: pulumi.Bool(true), StreamViewType: pulumi.String("NEW_IMAGE"),
		Ttl: dynamodb.TableTtlArgs{AttributeName: pulumi.String("expires"), Enabled: pulumi.Bool(true)},
	}, s.opts...)
	if err != nil {
		return err
	}
	dead, err := sqs.NewQueue(s.ctx, "dead", nil, s.opts...)
	if err != nil {
		return err
	}
	s.queue, err = sqs.NewQueue(s.ctx, "wake", &sqs.QueueArgs{
		VisibilityTimeoutSeconds: pulumi.Int(180),
		RedrivePolicy:            pulumi.JSONMarshal(map[string]any{"deadLetterTargetArn": dead.Arn, "maxReceiveCount": 3}),
	}, s.opts...)
	if err != nil {
		return err
	}
	_, err = sqs.NewRedriveAllowPolicy(s.ctx, "dead", &sqs.RedriveAllowPolicyArgs{
		QueueUrl:           dead.Url,
		RedriveAllowPolicy: pulumi.JSONMarshal(map[string]any{"redrivePermission": "byQueue", "sourceQueueArns": []any{s.queue.Arn}}),
	}, s.opts...)
	return err
}

func (s *system) function() (err error) {
	s.api, err = apigatewayv2.NewApi(s.ctx, "api", &apigatewayv2.ApiArgs{
		ProtocolType: pulumi.String("WEBSOCKET"), RouteSelectionExpression: pulumi.String("$default"),
	}, s.opts...)
	if err != nil {
		return err
	}
	s.role, err = iam.NewRole(s.ctx, "router", &iam.RoleArgs{AssumeRolePolicy: pulumi.String(trust)}, s.opts...)
	if err != nil {
		return err
	}
	policy, err := iam.NewRolePolicy(s.ctx, "router", &iam.RolePolicyArgs{
		Role: s.role.Name,
		Policy: pulumi.JSONMarshal(map[string]any{"Version": "2012-10-17", "Statement": []any{
			map[string]any{"Effect": "Allow", "Action": []any{"dynamodb:*"}, "Resource": []any{s.table.Arn, s.table.StreamArn}},
			map[string]any{"Effect": "Allow", "Action": []any{"sqs:*"}, "Resource": s.queue.Arn},
			map[string]any{"Effect": "Allow", "Action": []any{"lambda:InvokeFunction"}, "Resource": "*"},
		}}),
	}, s.opts...)
	if err != nil {
		return err
	}
	_, err = iam.NewRolePolicyAttachment(s.ctx, "logs", &iam.RolePolicyAttachmentArgs{
		Role: s.role.ID(), PolicyArn: pulumi.String("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"),
	}, s.opts...)
	if err != nil {
		return err
	}
	s.fn, err = lambda.NewFunction(s.ctx, "router", &lambda.FunctionArgs{
		Code: s.code, Role: s.role.Arn, Handler: pulumi.String("bootstrap"), Runtime: pulumi.String("provided.al2023"),
		Timeout: pulumi.Int(29), ReservedConcurrentExecutions: pulumi.Int(5),
		Environment: lambda.FunctionEnvironmentArgs{Variables: pulumi.StringMap{
			"TABLE": s.table.Name, "ENDPOINT": s.api.ApiEndpoint, "KEY": config.RequireSecret(s.ctx, "key"),
		}},
	}, append(s.opts, pulumi.DependsOn([]pulumi.Resource{policy}))...)
	return err
}

func (s *system) routes() error {
	integration, err := apigatewayv2.NewIntegration(s.ctx, "router", &apigatewayv2.IntegrationArgs{
		ApiId: s.api.ID(), IntegrationType: pulumi.String("AWS_PROXY"), IntegrationUri: s.fn.InvokeArn,
	}, s.opts...)
	if err != nil {
		return err
	}
	authorizer, err := apigatewayv2.NewAuthorizer(s.ctx, "connect", &apigatewayv2.AuthorizerArgs{
		ApiId: s.api.ID(), AuthorizerType: pulumi.String("REQUEST"), AuthorizerUri: s.fn.InvokeArn,
		IdentitySources: pulumi.ToStringArray([]string{"route.request.header.Host"}),
	}, s.opts...)
	if err != nil {
		return err
	}
	target := pulumi.Sprintf("integrations/%s", integration.ID())
	connect, err := apigatewayv2.NewRoute(s.ctx, "connect", &apigatewayv2.RouteArgs{
		ApiId: s.api.ID(), RouteKey: pulumi.String("$connect"), Target: target,
		AuthorizationType: pulumi.String("CUSTOM"), AuthorizerId: authorizer.ID(),
	}, s.opts...)
	if err != nil {
		return err
	}
	messages, err := apigatewayv2.NewRoute(s.ctx, "default", &apigatewayv2.RouteArgs{
		ApiId: s.api.ID(), RouteKey: pulumi.String("$default"), Target: target, RouteResponseSelectionExpression: pulumi.String("$default"),
	}, s.opts...)
	if err != nil {
		return err
	}
	answer, err := apigatewayv2.NewRouteResponse(s.ctx, "default", &apigatewayv2.RouteResponseArgs{
		ApiId: s.api.ID(), RouteId: messages.ID(), RouteResponseKey: pulumi.String("$default"),
	}, s.opts...)
	if err != nil {
		return err
	}
	_, err = lambda.NewPermission(s.ctx, "api", &lambda.PermissionArgs{
		Action: pulumi.String("lambda:InvokeFunction"), Function: s.fn.Name, Principal: pulumi.String("apigateway.amazonaws.com"),
		SourceArn: pulumi.Sprintf("%s/*/*", s.api.ExecutionArn),
	}, s.opts...)
	if err != nil {
		return err
	}
	deployment, err := apigatewayv2.NewDeployment(s.ctx, "api", &apigatewayv2.DeploymentArgs{
		ApiId: s.api.ID(), Triggers: pulumi.StringMap{"routes": target},
	}, append(s.opts, pulumi.DependsOn([]pulumi.Resource{connect, messages, answer}))...)
	if err != nil {
		return err
	}
	stage, err := apigatewayv2.NewStage(s.ctx, "stage", &apigatewayv2.StageArgs{
		ApiId: s.api.ID(), Name: pulumi.String("v1"), DeploymentId: deployment.ID(),
		DefaultRouteSettings: apigatewayv2.StageDefaultRouteSettingsArgs{ThrottlingBurstLimit: pulumi.Int(100), ThrottlingRateLimit: pulumi.Float64(50)},
	}, s.opts...)
	if err == nil {
		s.ctx.Export("url", stage.InvokeUrl)
	}
	return err
}

func (s *system) sources() error {
	for name, args := range map[string]*lambda.EventSourceMappingArgs{
		"stream": {
			EventSourceArn: s.table.StreamArn, StartingPosition: pulumi.String("TRIM_HORIZON"),
			FilterCriteria: lambda.EventSourceMappingFilterCriteriaArgs{Filters: lambda.EventSourceMappingFilterCriteriaFilterArray{
				lambda.EventSourceMappingFilterCriteriaFilterArgs{Pattern: pulumi.String(`{"eventName":["INSERT"]}`)},
			}},
			BisectBatchOnFunctionError: pulumi.Bool(true), MaximumRetryAttempts: pulumi.Int(3),
			FunctionResponseTypes: pulumi.ToStringArray([]string{"ReportBatchItemFailures"}),
			DestinationConfig: lambda.EventSourceMappingDestinationConfigArgs{
				OnFailure: lambda.EventSourceMappingDestinationConfigOnFailureArgs{DestinationArn: s.queue.Arn},
			},
		},
		"wake": {EventSourceArn: s.queue.Arn, BatchSize: pulumi.Int(5)},
	} {
		args.FunctionName = s.fn.Name
		if _, err := lambda.NewEventSourceMapping(s.ctx, name, args, s.opts...); err != nil {
			return err
		}
	}
	_, err := lambda.NewFunctionEventInvokeConfig(s.ctx, "router", &lambda.FunctionEventInvokeConfigArgs{
		FunctionName: s.fn.Name, MaximumRetryAttempts: pulumi.Int(0), MaximumEventAgeInSeconds: pulumi.Int(21600),
		DestinationConfig: lambda.FunctionEventInvokeConfigDestinationConfigArgs{
			OnFailure: lambda.FunctionEventInvokeConfigDestinationConfigOnFailureArgs{Destination: s.queue.Arn},
		},
	}, s.opts...)
	if err != nil {
		return err
	}
	_, err = lambda.NewFunctionRecursionConfig(s.ctx, "router", &lambda.FunctionRecursionConfigArgs{
		FunctionName: s.fn.Name, RecursiveLoop: pulumi.String("Allow"),
	}, s.opts...)
	if err != nil {
		return err
	}
	_, err = scheduler.NewSchedule(s.ctx, s.schedule, &scheduler.ScheduleArgs{
		ScheduleExpression: pulumi.String("rate(1 minute)"),
		FlexibleTimeWindow: scheduler.ScheduleFlexibleTimeWindowArgs{Mode: pulumi.String("OFF")},
		Target:             scheduler.ScheduleTargetArgs{Arn: s.fn.Arn, RoleArn: s.role.Arn, Input: pulumi.String(`{"sweep":true}`)},
	}, append(s.opts, s.aliases...)...)
	return err
}

func (s *system) exports() error {
	region, err := aws.GetRegion(s.ctx, nil)
	if err != nil {
		return err
	}
	document, err := iam.GetPolicyDocument(s.ctx, &iam.GetPolicyDocumentArgs{
		Statements: []iam.GetPolicyDocumentStatement{{Actions: []string{"s3:Get*"}, Resources: []string{"*"}}},
	})
	if err != nil {
		return err
	}
	s.ctx.Export("region", pulumi.String(region.Name))
	s.ctx.Export("document", pulumi.String(document.MinifiedJson))
	s.ctx.Export("streamArn", s.table.StreamArn)
	s.ctx.Export("queueURL", s.queue.Url)
	s.ctx.Export("function", s.fn.Name)
	s.ctx.Export("variables", s.fn.Environment.Variables())
	return nil
}
