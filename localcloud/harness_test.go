package localcloud_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
	queue "github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// handlers are the functions of a test, by name.
type handlers map[string]func(ctx context.Context, in localcloud.Instance, payload []byte) ([]byte, error)

func (h handlers) start(in localcloud.Instance) (func(context.Context, []byte) ([]byte, error), error) {
	f := h[in.Function]
	return func(ctx context.Context, payload []byte) ([]byte, error) { return f(ctx, in, payload) }, nil
}

func start(t *testing.T, config localcloud.Config) *localcloud.Cloud {
	t.Helper()
	cloud, err := localcloud.Start(config)
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

func provider(c localcloud.Credentials) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

func tables(endpoint string, client *http.Client, keys localcloud.Credentials) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: client, Credentials: provider(keys),
	})
}

func queues(endpoint string, client *http.Client, keys localcloud.Credentials) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: client, Credentials: provider(keys),
	})
}

// keysOf are the credentials in an instance's environment.
func keysOf(in localcloud.Instance) localcloud.Credentials {
	return localcloud.Credentials{
		AccessKeyID: in.Env["AWS_ACCESS_KEY_ID"], SecretAccessKey: in.Env["AWS_SECRET_ACCESS_KEY"], SessionToken: in.Env["AWS_SESSION_TOKEN"],
	}
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":["lambda.amazonaws.com","scheduler.amazonaws.com"]}}]}`

const mayLog = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

// function makes a function with a role of the same name, which may log, and
// whose policy allows the actions on the resource.
func function(t *testing.T, cloud *localcloud.Cloud, name, resource string, actions ...string) lambda.FunctionInfo {
	t.Helper()
	s := cloud.Services()
	check(t, s.Roles.PutRole(name, trust))
	check(t, s.Roles.AttachManaged(name, mayLog))
	if len(actions) > 0 {
		doc, err := json.Marshal(map[string]any{
			"Version": "2012-10-17",
			"Statement": []any{
				map[string]any{"Effect": "Allow", "Action": actions, "Resource": resource},
			},
		})
		check(t, err)
		check(t, s.Roles.PutPolicy(name, "calls", string(doc)))
	}
	info, err := s.Functions.PutFunction(lambda.FunctionSpec{Name: name, RoleName: name, Handler: "bootstrap", Runtime: "provided.al2023", Timeout: 30 * time.Second})
	check(t, err)
	return info
}

// api makes a WebSocket API whose $default route is two-way and answered by the
// function, in the stage "live"; it returns the URL to dial.
func api(t *testing.T, cloud *localcloud.Cloud, fn lambda.FunctionInfo) (gateway.APIInfo, string) {
	t.Helper()
	s := cloud.Services()
	info, err := s.Gateway.PutAPI(gateway.APISpec{Name: "chat", RouteSelectionExpression: "$default"})
	check(t, err)
	check(t, s.Functions.PutPermission(fn.Name, "gateway", lambda.PermissionSpec{
		Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com", SourceARN: info.ExecutionARN + "/*",
	}))
	integration, err := s.Gateway.PutIntegration(info.ID, "", gateway.IntegrationSpec{Type: "AWS_PROXY", URI: fn.InvokeARN})
	check(t, err)
	route, err := s.Gateway.PutRoute(info.ID, "", gateway.RouteSpec{
		Key: "$default", Target: "integrations/" + integration, RouteResponseSelectionExpression: "$default",
	})
	check(t, err)
	_, err = s.Gateway.PutRouteResponse(info.ID, "", gateway.RouteResponseSpec{RouteID: route, Key: "$default"})
	check(t, err)
	deployment, err := s.Gateway.PutDeployment(info.ID, "")
	check(t, err)
	check(t, s.Gateway.PutStage(info.ID, gateway.StageSpec{Name: "live", DeploymentID: deployment}))
	return info, info.Endpoint + "/live"
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// createTable makes the table "items" (hash key pk, TTL attribute ttl) with a
// stream, whose ARN it returns.
func createTable(t *testing.T, db *dynamodb.Client) string {
	t.Helper()
	made, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("items"), BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	})
	check(t, err)
	_, err = db.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName: aws.String("items"), TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)},
	})
	check(t, err)
	return aws.ToString(made.TableDescription.LatestStreamArn)
}

func mapStream(t *testing.T, cloud *localcloud.Cloud, fn, stream, filter string) {
	t.Helper()
	_, err := cloud.Services().Functions.PutMapping(lambda.MappingSpec{
		SourceARN: stream, Function: fn, StartingPosition: "TRIM_HORIZON", Filters: []string{filter}, Enabled: true,
	})
	check(t, err)
}

func mapQueue(t *testing.T, cloud *localcloud.Cloud, fn, queue string) {
	t.Helper()
	_, err := cloud.Services().Functions.PutMapping(lambda.MappingSpec{SourceARN: queue, Function: fn, BatchSize: 1, Enabled: true})
	check(t, err)
}

// makeQueues makes a queue and its dead-letter queue.
func makeQueues(t *testing.T, cloud *localcloud.Cloud, receives int, visibility time.Duration) (main, dead queue.QueueInfo) {
	t.Helper()
	service := cloud.Services().Queues
	dead, err := service.PutQueue(queue.QueueSpec{Name: "dead"})
	check(t, err)
	main, err = service.PutQueue(queue.QueueSpec{Name: "main", VisibilityTimeout: visibility, MaxReceive: receives, DeadLetterARN: dead.ARN})
	check(t, err)
	return main, dead
}

func send(t *testing.T, client *sqs.Client, url, body string, delaySeconds int32) {
	t.Helper()
	_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(url), MessageBody: aws.String(body), DelaySeconds: delaySeconds})
	check(t, err)
}

// receive waits for a message and returns its body.
func receive(t *testing.T, client *sqs.Client, url string, patience time.Duration) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		got, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(url), WaitTimeSeconds: 20})
		check(t, err)
		if len(got.Messages) > 0 {
			return aws.ToString(got.Messages[0].Body)
		}
	}
	t.Fatalf("no message in %s", url)
	return ""
}

// assertDenied checks that err is a refusal that says who did what on what.
func assertDenied(t *testing.T, err error, parts ...string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" {
		t.Fatalf("error %v, want AccessDeniedException", err)
	}
	for _, part := range parts {
		if !strings.Contains(api.ErrorMessage(), part) {
			t.Errorf("message %q does not name %s", api.ErrorMessage(), part)
		}
	}
}
