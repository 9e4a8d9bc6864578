package deploy_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/scheduler"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/sqs"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func TestRefusalsNamePropertyAndLine(t *testing.T) {
	t.Parallel()
	queue := func(args *sqs.QueueArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			_, err := sqs.NewQueue(ctx, "q", args, opts...)
			return err
		}
	}
	// By a function of its own, as packages have one for each of their types.
	register := func(ctx *pulumi.Context, token string, inputs pulumi.Map) error {
		return ctx.RegisterResource(token, "x", inputs, &struct{ pulumi.CustomResourceState }{})
	}
	untyped := func(token string, inputs pulumi.Map) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error { return register(ctx, token, inputs) }
	}
	stageWith := func(inputs pulumi.Map) pulumi.RunFunc {
		inputs["apiId"] = pulumi.String("a")
		return untyped("aws:apigatewayv2/stage:Stage", inputs)
	}
	for name, tt := range map[string]struct {
		body pulumi.RunFunc
		want string // property: reason
	}{
		"type":        {untyped("aws:s3/bucket:Bucket", nil), ": the type aws:s3/bucket:Bucket is not supported by the local cloud"},
		"property":    {queue(&sqs.QueueArgs{NamePrefix: pulumi.String("p")}), "namePrefix: is not supported by the local cloud"},
		"range":       {queue(&sqs.QueueArgs{DelaySeconds: pulumi.Int(901)}), "delaySeconds: must be from 0 to 900, is 901"},
		"value":       {queue(&sqs.QueueArgs{FifoQueue: pulumi.Bool(true)}), "fifoQueue: is not supported by the local cloud: it has standard queues only"},
		"document":    {queue(&sqs.QueueArgs{RedrivePolicy: pulumi.String("{")}), "redrivePolicy: must be a JSON document"},
		"required":    {untyped("aws:iam/role:Role", pulumi.Map{"name": pulumi.Int(1)}), "assumeRolePolicy: is required"},
		"wrong type":  {untyped("aws:sqs/queue:Queue", pulumi.Map{"delaySeconds": pulumi.String("soon")}), "delaySeconds: must be a number, is string"},
		"fraction":    {untyped("aws:sqs/queue:Queue", pulumi.Map{"delaySeconds": pulumi.Float64(1.5)}), "delaySeconds: must be a whole number, is 1.5"},
		"lookup":      {func(ctx *pulumi.Context) error { _, err := sqs.GetQueue(ctx, "q", pulumi.ID("u"), nil); return err }, ": the lookup of existing resources is not supported by the local cloud"},
		"import":      {queue(nil, pulumi.Import(pulumi.ID("u"))), ": the import of existing resources is not supported by the local cloud"},
		"nested key":  {tableWith(dynamodb.TableGlobalSecondaryIndexArgs{Name: pulumi.String("i"), HashKey: pulumi.String("nope"), ProjectionType: pulumi.String("ALL")}), `globalSecondaryIndexes[0].hashKey: names the attribute "nope", which is not declared in attributes`},
		"nested enum": {tableWith(dynamodb.TableGlobalSecondaryIndexArgs{Name: pulumi.String("i"), HashKey: pulumi.String("pk"), ProjectionType: pulumi.String("SOME")}), `globalSecondaryIndexes[0].projectionType: must be one of ALL, KEYS_ONLY, INCLUDE, is "SOME"`},
		"network": {untyped("aws:lambda/function:Function", pulumi.Map{
			"role": pulumi.String("r"), "handler": pulumi.String("bootstrap"), "runtime": pulumi.String("provided.al2023"), "code": pulumi.NewFileArchive("."),
			"vpcConfig": pulumi.Map{"subnetIds": pulumi.ToStringArray([]string{"subnet-1"})},
		}), "vpcConfig: is not supported by the local cloud: it has no networks, so nothing would show what a function cannot reach from one"},
		"access log":    {stageWith(pulumi.Map{"accessLogSettings": pulumi.Map{"destinationArn": pulumi.String("a"), "format": pulumi.String("f")}}), "accessLogSettings: is not supported by the local cloud: it writes no access logs"},
		"execution log": {stageWith(pulumi.Map{"defaultRouteSettings": pulumi.Map{"loggingLevel": pulumi.String("INFO")}}), "defaultRouteSettings.loggingLevel: INFO is not supported by the local cloud: it writes no execution logs"},
		"route's log":   {stageWith(pulumi.Map{"routeSettings": pulumi.Array{pulumi.Map{"routeKey": pulumi.String("$default"), "loggingLevel": pulumi.String("ERROR")}}}), "routeSettings[0].loggingLevel: ERROR is not supported by the local cloud: it writes no execution logs"},
		"data trace":    {stageWith(pulumi.Map{"defaultRouteSettings": pulumi.Map{"dataTraceEnabled": pulumi.Bool(true)}}), "defaultRouteSettings.dataTraceEnabled: is not supported by the local cloud: it writes no execution logs"},
		"binary":        {untyped("aws:apigatewayv2/integration:Integration", pulumi.Map{"apiId": pulumi.String("a"), "integrationType": pulumi.String("AWS_PROXY"), "integrationUri": pulumi.String("u"), "contentHandlingStrategy": pulumi.String("CONVERT_TO_BINARY")}), `contentHandlingStrategy: "CONVERT_TO_BINARY" is not supported by the local cloud, only "CONVERT_TO_TEXT" is`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			err := f.refused(tt.body)
			var got []string
			for _, p := range err.Problems {
				got = append(got, p.Property+": "+p.Reason)
				if !strings.HasSuffix(p.File, "localcloud/deploy/refusal_test.go") || p.Line == 0 {
					t.Errorf("position = %s:%d, want a line of this file", p.File, p.Line)
				}
			}
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("problems = %q, want %q", got, tt.want)
			}
			if err.Program != "" {
				t.Errorf("program's own error = %q, want none besides the problem", err.Program)
			}
			if _, perr := f.deployer.Preview(context.Background(), f.program(tt.body)); perr == nil || !strings.Contains(perr.Error(), got[0][strings.Index(got[0], ": ")+2:]) {
				t.Errorf("preview error = %v, want the same refusal", perr)
			}
		})
	}
}

func tableWith(index dynamodb.TableGlobalSecondaryIndexArgs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := dynamodb.NewTable(ctx, "t", &dynamodb.TableArgs{
			HashKey:                pulumi.String("pk"),
			Attributes:             dynamodb.TableAttributeArray{dynamodb.TableAttributeArgs{Name: pulumi.String("pk"), Type: pulumi.String("S")}},
			GlobalSecondaryIndexes: dynamodb.TableGlobalSecondaryIndexArray{index},
		})
		return err
	}
}

func TestAllRefusalsAreReported(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	err := f.refused(func(ctx *pulumi.Context) error {
		for _, name := range []string{"a", "b", "c"} {
			if _, err := sqs.NewQueue(ctx, name, &sqs.QueueArgs{DelaySeconds: pulumi.Int(1000)}); err != nil {
				return err
			}
		}
		return nil
	})
	if len(err.Problems) != 3 {
		t.Errorf("error = %v, want three problems", err)
	}
}

func TestTheCloudsOwnRefusalNamesTheResource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	err := f.refused(func(ctx *pulumi.Context) error {
		role, err := iam.NewRole(ctx, "r", &iam.RoleArgs{AssumeRolePolicy: pulumi.String(strings.ReplaceAll(trust, "lambda.", "states."))})
		if err != nil {
			return err
		}
		_, err = lambda.NewFunction(ctx, "f", &lambda.FunctionArgs{
			Code: pulumi.NewFileArchive(f.dir), Role: role.Arn, Handler: pulumi.String("bootstrap"), Runtime: pulumi.String("provided.al2023"),
		})
		return err
	})
	if len(err.Problems) != 1 || err.Problems[0].Name != "f" || !strings.Contains(err.Problems[0].Reason, "cannot be assumed by Lambda") {
		t.Errorf("error = %v, want the function's role refused", err)
	}
}

// Two resources of one name are refused, whichever is registered first: the
// second would overwrite the first.
func TestTwoOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	name := pulumi.String("twice")
	for kind, tt := range map[string]struct {
		code string
		make func(ctx *pulumi.Context, resource string) error
	}{
		"queue": {"QueueAlreadyExists", func(ctx *pulumi.Context, resource string) error {
			_, err := sqs.NewQueue(ctx, resource, &sqs.QueueArgs{Name: name})
			return err
		}},
		"schedule": {"ConflictException", func(ctx *pulumi.Context, resource string) error {
			role, err := iam.NewRole(ctx, resource, &iam.RoleArgs{AssumeRolePolicy: pulumi.String(trust)})
			if err != nil {
				return err
			}
			_, err = scheduler.NewSchedule(ctx, resource, &scheduler.ScheduleArgs{
				Name: name, ScheduleExpression: pulumi.String("rate(1 hour)"), FlexibleTimeWindow: scheduler.ScheduleFlexibleTimeWindowArgs{Mode: pulumi.String("OFF")},
				Target: scheduler.ScheduleTargetArgs{Arn: pulumi.String("arn:aws:lambda:us-east-1:000000000000:function:f"), RoleArn: role.Arn},
			})
			return err
		}},
		"role": {"EntityAlreadyExists", func(ctx *pulumi.Context, resource string) error {
			_, err := iam.NewRole(ctx, resource, &iam.RoleArgs{Name: name, AssumeRolePolicy: pulumi.String(trust)})
			return err
		}},
		"table": {"Table already exists", func(ctx *pulumi.Context, resource string) error {
			_, err := dynamodb.NewTable(ctx, resource, &dynamodb.TableArgs{
				Name: name, HashKey: pulumi.String("pk"),
				Attributes: dynamodb.TableAttributeArray{dynamodb.TableAttributeArgs{Name: pulumi.String("pk"), Type: pulumi.String("S")}},
			})
			return err
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			err := f.refused(func(ctx *pulumi.Context) error {
				return errors.Join(tt.make(ctx, "one"), tt.make(ctx, "other"))
			})
			if len(err.Problems) != 1 || !strings.Contains(err.Problems[0].Reason, tt.code) {
				t.Errorf("error = %v, want one refusal with %s", err, tt.code)
			}
		})
	}
}

func TestMissingCodeIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	err := f.refused(websocketSystem(pulumi.NewFileArchive(f.dir+"/nowhere"), "sweep"))
	if len(err.Problems) != 1 || !strings.Contains(err.Problems[0].Reason, "code: couldn't read archive path") {
		t.Errorf("error = %v, want the archive refused", err)
	}
}

func TestTheSameURNTwiceIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	err := f.refused(func(ctx *pulumi.Context) error {
		if _, err := sqs.NewQueue(ctx, "q", nil); err != nil {
			return err
		}
		_, err := sqs.NewQueue(ctx, "q", nil)
		return err
	})
	if !strings.Contains(err.Error(), "registered twice: the URN urn:pulumi:dev::proj::aws:sqs/queue:Queue::q must be unique") {
		t.Errorf("error = %v, want the URN refused", err)
	}
}

func TestUnknownFunctionIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	err := f.refused(func(ctx *pulumi.Context) error {
		var out struct{}
		return ctx.Invoke("aws:ec2/getVpc:getVpc", &struct{}{}, &out)
	})
	if !strings.Contains(err.Program, "the function aws:ec2/getVpc:getVpc is not supported by the local cloud") {
		t.Errorf("error = %v, want the function refused", err)
	}
}

func TestASecretIsNotInTheRefusal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	err := f.refused(func(ctx *pulumi.Context) error {
		_, err := dynamodb.NewTable(ctx, "t", &dynamodb.TableArgs{
			HashKey: pulumi.String("pk"), BillingMode: pulumi.ToSecret(pulumi.String("hunter2")).(pulumi.StringOutput),
			Attributes: dynamodb.TableAttributeArray{dynamodb.TableAttributeArgs{Name: pulumi.String("pk"), Type: pulumi.String("S")}},
		})
		return err
	})
	if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), `billingMode: must be one of PROVISIONED, PAY_PER_REQUEST, is "[secret]"`) {
		t.Errorf("error = %v, want the value hidden", err)
	}
}
