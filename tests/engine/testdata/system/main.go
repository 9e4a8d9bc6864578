// Command system is a Pulumi program of a small WebSocket system: one function
// behind a two-way route with an authorizer, and a table whose stream feeds it.
package main

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/dynamodb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		table, err := dynamodb.NewTable(ctx, "requests", &dynamodb.TableArgs{
			BillingMode: pulumi.String("PAY_PER_REQUEST"), HashKey: pulumi.String("pk"),
			Attributes:    dynamodb.TableAttributeArray{dynamodb.TableAttributeArgs{Name: pulumi.String("pk"), Type: pulumi.String("S")}},
			StreamEnabled: pulumi.Bool(true), StreamViewType: pulumi.String("NEW_IMAGE"),
		})
		if err != nil {
			return err
		}
		api, err := apigatewayv2.NewApi(ctx, "api", &apigatewayv2.ApiArgs{
			ProtocolType: pulumi.String("WEBSOCKET"), RouteSelectionExpression: pulumi.String("$default"),
		})
		if err != nil {
			return err
		}
		fn, err := function(ctx, table, api)
		if err != nil {
			return err
		}
		return routes(ctx, api, fn)
	})
}

func function(ctx *pulumi.Context, table *dynamodb.Table, api *apigatewayv2.Api) (*lambda.Function, error) {
	role, err := iam.NewRole(ctx, "router", &iam.RoleArgs{AssumeRolePolicy: pulumi.String(trust)})
	if err != nil {
		return nil, err
	}
	policy, err := iam.NewRolePolicy(ctx, "router", &iam.RolePolicyArgs{
		Role: role.ID(),
		Policy: pulumi.JSONMarshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect":   "Allow",
			"Action":   []any{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"},
			"Resource": table.StreamArn,
		}}}),
	})
	if err != nil {
		return nil, err
	}
	fn, err := lambda.NewFunction(ctx, "router", &lambda.FunctionArgs{
		Code: pulumi.NewAssetArchive(map[string]any{"bootstrap": pulumi.NewStringAsset("#!/bin/sh\n")}),
		Role: role.Arn, Handler: pulumi.String("bootstrap"), Runtime: pulumi.String("provided.al2023"),
		Environment: lambda.FunctionEnvironmentArgs{Variables: pulumi.StringMap{
			"TABLE": table.Name, "ENDPOINT": api.ApiEndpoint, "KEY": config.RequireSecret(ctx, "key"),
		}},
	}, pulumi.DependsOn([]pulumi.Resource{policy}))
	if err != nil {
		return nil, err
	}
	_, err = lambda.NewEventSourceMapping(ctx, "stream", &lambda.EventSourceMappingArgs{
		EventSourceArn: table.StreamArn, FunctionName: fn.Name, StartingPosition: pulumi.String("TRIM_HORIZON"),
	})
	return fn, err
}

func routes(ctx *pulumi.Context, api *apigatewayv2.Api, fn *lambda.Function) error {
	integration, err := apigatewayv2.NewIntegration(ctx, "router", &apigatewayv2.IntegrationArgs{
		ApiId: api.ID(), IntegrationType: pulumi.String("AWS_PROXY"), IntegrationUri: fn.InvokeArn,
	})
	if err != nil {
		return err
	}
	messages, err := apigatewayv2.NewRoute(ctx, "default", &apigatewayv2.RouteArgs{
		ApiId: api.ID(), RouteKey: pulumi.String("$default"), Target: pulumi.Sprintf("integrations/%s", integration.ID()),
		RouteResponseSelectionExpression: pulumi.String("$default"),
	})
	if err != nil {
		return err
	}
	answer, err := apigatewayv2.NewRouteResponse(ctx, "default", &apigatewayv2.RouteResponseArgs{
		ApiId: api.ID(), RouteId: messages.ID(), RouteResponseKey: pulumi.String("$default"),
	})
	if err != nil {
		return err
	}
	_, err = lambda.NewPermission(ctx, "api", &lambda.PermissionArgs{
		Action: pulumi.String("lambda:InvokeFunction"), Function: fn.Name, Principal: pulumi.String("apigateway.amazonaws.com"),
		SourceArn: pulumi.Sprintf("%s/*/*", api.ExecutionArn),
	})
	if err != nil {
		return err
	}
	deployment, err := apigatewayv2.NewDeployment(ctx, "api", &apigatewayv2.DeploymentArgs{
		ApiId: api.ID(), Triggers: pulumi.StringMap{"route": messages.ID(), "function": fn.InvokeArn},
	}, pulumi.DependsOn([]pulumi.Resource{messages, answer}))
	if err != nil {
		return err
	}
	stage, err := apigatewayv2.NewStage(ctx, "stage", &apigatewayv2.StageArgs{
		ApiId: api.ID(), Name: pulumi.String("v1"), DeploymentId: deployment.ID(),
	})
	if err != nil {
		return err
	}
	ctx.Export("url", stage.InvokeUrl)
	return nil
}
