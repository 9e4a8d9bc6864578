package deploy_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/scheduler"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// sdkTypes are the SDK's structs of each type: the resource and its arguments.
func sdkTypes() map[string][2]any {
	return map[string][2]any{
		"aws:dynamodb/table:Table":                                                                   {dynamodb.Table{}, dynamodb.TableArgs{}},
		"aws:sqs/queue:Queue":                                                                        {sqs.Queue{}, sqs.QueueArgs{}},
		"aws:sqs/redrivePolicy:RedrivePolicy":                                                        {sqs.RedrivePolicy{}, sqs.RedrivePolicyArgs{}},
		"aws:sqs/redriveAllowPolicy:RedriveAllowPolicy":                                              {sqs.RedriveAllowPolicy{}, sqs.RedriveAllowPolicyArgs{}},
		"aws:apigatewayv2/api:Api":                                                                   {apigatewayv2.Api{}, apigatewayv2.ApiArgs{}},
		"aws:apigatewayv2/route:Route":                                                               {apigatewayv2.Route{}, apigatewayv2.RouteArgs{}},
		"aws:apigatewayv2/routeResponse:RouteResponse":                                               {apigatewayv2.RouteResponse{}, apigatewayv2.RouteResponseArgs{}},
		"aws:apigatewayv2/integration:Integration":                                                   {apigatewayv2.Integration{}, apigatewayv2.IntegrationArgs{}},
		"aws:apigatewayv2/authorizer:Authorizer":                                                     {apigatewayv2.Authorizer{}, apigatewayv2.AuthorizerArgs{}},
		"aws:apigatewayv2/deployment:Deployment":                                                     {apigatewayv2.Deployment{}, apigatewayv2.DeploymentArgs{}},
		"aws:apigatewayv2/stage:Stage":                                                               {apigatewayv2.Stage{}, apigatewayv2.StageArgs{}},
		"aws:lambda/function:Function":                                                               {lambda.Function{}, lambda.FunctionArgs{}},
		"aws:lambda/permission:Permission":                                                           {lambda.Permission{}, lambda.PermissionArgs{}},
		"aws:lambda/eventSourceMapping:EventSourceMapping":                                           {lambda.EventSourceMapping{}, lambda.EventSourceMappingArgs{}},
		"aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig":                             {lambda.FunctionEventInvokeConfig{}, lambda.FunctionEventInvokeConfigArgs{}},
		"aws:lambda/functionRecursionConfig:FunctionRecursionConfig":                                 {lambda.FunctionRecursionConfig{}, lambda.FunctionRecursionConfigArgs{}},
		"aws:iam/role:Role":                                                                          {iam.Role{}, iam.RoleArgs{}},
		"aws:iam/rolePolicy:RolePolicy":                                                              {iam.RolePolicy{}, iam.RolePolicyArgs{}},
		"aws:iam/rolePolicyAttachment:RolePolicyAttachment":                                          {iam.RolePolicyAttachment{}, iam.RolePolicyAttachmentArgs{}},
		"aws:cloudwatch/logGroup:LogGroup":                                                           {cloudwatch.LogGroup{}, cloudwatch.LogGroupArgs{}},
		"aws:cloudwatch/metricAlarm:MetricAlarm":                                                     {cloudwatch.MetricAlarm{}, cloudwatch.MetricAlarmArgs{}},
		"aws:cloudwatch/dashboard:Dashboard":                                                         {cloudwatch.Dashboard{}, cloudwatch.DashboardArgs{}},
		"aws:scheduler/schedule:Schedule":                                                            {scheduler.Schedule{}, scheduler.ScheduleArgs{}},
		"aws:s3/bucketV2:BucketV2":                                                                   {s3.BucketV2{}, s3.BucketV2Args{}},
		"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":                                     {s3.BucketPublicAccessBlock{}, s3.BucketPublicAccessBlockArgs{}},
		"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2":                       {s3.BucketLifecycleConfigurationV2{}, s3.BucketLifecycleConfigurationV2Args{}},
		"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": {s3.BucketServerSideEncryptionConfigurationV2{}, s3.BucketServerSideEncryptionConfigurationV2Args{}},
		"aws:s3/bucketCorsConfigurationV2:BucketCorsConfigurationV2":                                 {s3.BucketCorsConfigurationV2{}, s3.BucketCorsConfigurationV2Args{}},
		"aws:s3/bucketOwnershipControls:BucketOwnershipControls":                                     {s3.BucketOwnershipControls{}, s3.BucketOwnershipControlsArgs{}},
	}
}

// The SDK reads an output that is not sent as the zero value, without an error,
// so that one forgotten is an empty text in somebody's policy.
func TestEveryOutputOfTheSDKIsSet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	program := f.program(barely(pulumi.NewFileArchive(f.dir)))
	if _, err := f.deployer.Up(context.Background(), program); err != nil {
		t.Fatal(err)
	}
	made, sdk := f.deployer.Outputs(program), sdkTypes()
	for _, token := range f.deployer.Types() {
		if len(made[token]) == 0 || sdk[token][0] == nil {
			t.Errorf("%s is in the table, but not in this test", token)
			continue
		}
		absent := f.deployer.Absent(token)
		for name, outputs := range made[token] {
			for _, key := range missing(sdk[token], outputs) {
				if absent[key] == "" {
					t.Errorf("%s %s: the output %s is neither set nor an optional input", token, name, key)
				}
			}
			for key := range absent {
				if _, set := outputs[resource.PropertyKey(key)]; set {
					t.Errorf("%s %s: the output %s is set, but listed as absent", token, name, key)
				}
			}
		}
	}
}

// missing are the outputs of the SDK's struct that are not there, but for
// optional inputs: those are nil in the SDK when they were not given.
func missing(sdk [2]any, outputs resource.PropertyMap) []string {
	inputs := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(sdk[1])) {
		inputs[field.Name] = true
	}
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeOf(sdk[0])) {
		key := field.Tag.Get("pulumi")
		if key == "" || len(field.Index) > 1 {
			continue
		}
		kind := field.Type.Name()
		optional := strings.HasSuffix(kind, "PtrOutput") || strings.HasSuffix(kind, "ArrayOutput") || strings.HasSuffix(kind, "MapOutput") || kind == "ArchiveOutput"
		if _, set := outputs[resource.PropertyKey(key)]; !set && (!optional || !inputs[field.Name]) {
			names = append(names, key)
		}
	}
	return names
}

// barely makes one of each type with no more than what is required.
func barely(code pulumi.Archive) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		r := &registrar{ctx: ctx}
		text := func(s string) pulumi.StringInput { return pulumi.String(s) }
		table, queue, fn := &dynamodb.Table{}, &sqs.Queue{}, &lambda.Function{}
		role, policy, api, route := &iam.Role{}, &iam.RolePolicy{}, &apigatewayv2.Api{}, &apigatewayv2.Route{}
		r.make("aws:dynamodb/table:Table", pulumi.Map{
			"hashKey": text("pk"), "attributes": pulumi.Array{pulumi.Map{"name": text("pk"), "type": text("S")}},
			"streamEnabled": pulumi.Bool(true), "streamViewType": text("NEW_IMAGE"),
		}, table)
		r.make("aws:dynamodb/table:Table", pulumi.Map{
			"hashKey": text("pk"), "attributes": pulumi.Array{pulumi.Map{"name": text("pk"), "type": text("S")}},
		}, &dynamodb.Table{})
		r.make("aws:sqs/queue:Queue", pulumi.Map{}, queue)
		r.make("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", pulumi.Map{"queueUrl": queue.Url, "redriveAllowPolicy": text(`{"redrivePermission":"allowAll"}`)}, &sqs.RedriveAllowPolicy{})
		other := &sqs.Queue{}
		r.make("aws:sqs/queue:Queue", pulumi.Map{}, other)
		r.make("aws:sqs/redrivePolicy:RedrivePolicy", pulumi.Map{
			"queueUrl": other.Url, "redrivePolicy": pulumi.Sprintf(`{"deadLetterTargetArn":"%s","maxReceiveCount":3}`, queue.Arn),
		}, &sqs.RedrivePolicy{})
		r.make("aws:iam/role:Role", pulumi.Map{"assumeRolePolicy": text(trust)}, role)
		r.make("aws:iam/rolePolicy:RolePolicy", pulumi.Map{"role": role.Name, "policy": pulumi.Sprintf(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["sqs:*","dynamodb:*"],"Resource":["%s","%s"]}}`, queue.Arn, table.StreamArn)}, policy)
		withRights := pulumi.DependsOn([]pulumi.Resource{policy})
		r.make("aws:iam/rolePolicyAttachment:RolePolicyAttachment", pulumi.Map{
			"role": role.Name, "policyArn": text("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"),
		}, &iam.RolePolicyAttachment{})
		r.make("aws:lambda/function:Function", pulumi.Map{
			"role": role.Arn, "code": code, "handler": text("bootstrap"), "runtime": text("provided.al2023"),
		}, fn)
		r.make("aws:lambda/permission:Permission", pulumi.Map{
			"function": fn.Name, "action": text("lambda:InvokeFunction"), "principal": text("apigateway.amazonaws.com"),
		}, &lambda.Permission{})
		r.make("aws:lambda/eventSourceMapping:EventSourceMapping", pulumi.Map{"eventSourceArn": queue.Arn, "functionName": fn.Name}, &lambda.EventSourceMapping{}, withRights)
		r.make("aws:lambda/eventSourceMapping:EventSourceMapping", pulumi.Map{
			"eventSourceArn": table.StreamArn, "functionName": fn.Name, "startingPosition": text("LATEST"),
		}, &lambda.EventSourceMapping{}, withRights)
		r.make("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", pulumi.Map{"functionName": fn.Name}, &lambda.FunctionEventInvokeConfig{})
		r.make("aws:lambda/functionRecursionConfig:FunctionRecursionConfig", pulumi.Map{"functionName": fn.Name, "recursiveLoop": text("Allow")}, &lambda.FunctionRecursionConfig{})
		r.make("aws:apigatewayv2/api:Api", pulumi.Map{"protocolType": text("WEBSOCKET"), "routeSelectionExpression": text("$default")}, api)
		r.make("aws:apigatewayv2/integration:Integration", pulumi.Map{"apiId": api.ID(), "integrationType": text("AWS_PROXY"), "integrationUri": fn.InvokeArn}, &apigatewayv2.Integration{})
		r.make("aws:apigatewayv2/authorizer:Authorizer", pulumi.Map{"apiId": api.ID(), "authorizerType": text("REQUEST"), "authorizerUri": fn.InvokeArn}, &apigatewayv2.Authorizer{})
		r.make("aws:apigatewayv2/route:Route", pulumi.Map{"apiId": api.ID(), "routeKey": text("$default")}, route)
		r.make("aws:apigatewayv2/routeResponse:RouteResponse", pulumi.Map{"apiId": api.ID(), "routeId": route.ID(), "routeResponseKey": text("$default")}, &apigatewayv2.RouteResponse{})
		r.make("aws:apigatewayv2/deployment:Deployment", pulumi.Map{"apiId": api.ID()}, &apigatewayv2.Deployment{}, pulumi.DependsOn([]pulumi.Resource{route}))
		r.make("aws:apigatewayv2/stage:Stage", pulumi.Map{"apiId": api.ID()}, &apigatewayv2.Stage{})
		r.make("aws:cloudwatch/logGroup:LogGroup", pulumi.Map{}, &cloudwatch.LogGroup{})
		r.make("aws:cloudwatch/metricAlarm:MetricAlarm", pulumi.Map{
			"comparisonOperator": text("GreaterThanThreshold"), "evaluationPeriods": pulumi.Int(1), "metricName": text("m"), "namespace": text("n"),
		}, &cloudwatch.MetricAlarm{})
		r.make("aws:cloudwatch/dashboard:Dashboard", pulumi.Map{"dashboardName": text("d"), "dashboardBody": text("{}")}, &cloudwatch.Dashboard{})
		r.make("aws:scheduler/schedule:Schedule", pulumi.Map{
			"scheduleExpression": text("rate(1 hour)"), "flexibleTimeWindow": pulumi.Map{"mode": text("OFF")},
			"target": pulumi.Map{"arn": fn.Arn, "roleArn": role.Arn},
		}, &scheduler.Schedule{})
		barelyBuckets(r)
		return r.err
	}
}

func barelyBuckets(r *registrar) {
	text := func(s string) pulumi.StringInput { return pulumi.String(s) }
	bucket := &s3.BucketV2{}
	r.make("aws:s3/bucketV2:BucketV2", pulumi.Map{}, bucket)
	r.make("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", pulumi.Map{"bucket": bucket.ID()}, &s3.BucketPublicAccessBlock{})
	r.make("aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", pulumi.Map{
		"bucket": bucket.ID(), "rules": pulumi.Array{pulumi.Map{"id": text("end"), "status": text("Enabled"), "expiration": pulumi.Map{"days": pulumi.Int(1)}}},
	}, &s3.BucketLifecycleConfigurationV2{})
	r.make("aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2", pulumi.Map{
		"bucket": bucket.ID(), "rules": pulumi.Array{pulumi.Map{"applyServerSideEncryptionByDefault": pulumi.Map{"sseAlgorithm": text("AES256")}}},
	}, &s3.BucketServerSideEncryptionConfigurationV2{})
	r.make("aws:s3/bucketCorsConfigurationV2:BucketCorsConfigurationV2", pulumi.Map{
		"bucket": bucket.ID(), "corsRules": pulumi.Array{pulumi.Map{"allowedMethods": pulumi.Array{text("GET")}, "allowedOrigins": pulumi.Array{text("*")}}},
	}, &s3.BucketCorsConfigurationV2{})
	r.make("aws:s3/bucketOwnershipControls:BucketOwnershipControls", pulumi.Map{
		"bucket": bucket.ID(), "rule": pulumi.Map{"objectOwnership": text("BucketOwnerEnforced")},
	}, &s3.BucketOwnershipControls{})
}

// registrar registers resources one after the other and keeps the first error.
type registrar struct {
	ctx *pulumi.Context
	n   int
	err error
}

func (r *registrar) make(token string, inputs pulumi.Map, into pulumi.CustomResource, opts ...pulumi.ResourceOption) {
	if r.err == nil {
		r.n++
		r.err = r.ctx.RegisterResource(token, fmt.Sprintf("r%d", r.n), inputs, into, opts...)
	}
}
