package deploy

import (
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
	"github.com/streamer-go/streamer/localcloud/internal/s3"
	"github.com/streamer-go/streamer/localcloud/internal/scheduler"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// services are what resources are made in.
type services struct {
	Tables    tables
	Queues    queues
	Buckets   buckets
	Functions functions
	Gateway   webSockets
	Roles     roles
	Schedules schedules
}

// tables are the DynamoDB tables.
type tables interface {
	CreateTable(spec dynamodb.TableSpec) (dynamodb.TableInfo, error)
	UpdateTable(spec dynamodb.TableSpec) (dynamodb.TableInfo, error)
	DeleteTable(name string) error
	Table(name string) (dynamodb.TableInfo, bool)
}

// queues are the SQS queues.
type queues interface {
	PutQueue(spec sqs.QueueSpec) (sqs.QueueInfo, error)
	DeleteQueue(urlOrARN string) error
	Queue(urlOrARN string) (sqs.QueueInfo, bool)
}

// buckets are the S3 buckets.
type buckets interface {
	PutBucket(spec s3.BucketSpec) (s3.BucketInfo, error)
	// ChangeBucket changes one thing while others may change another.
	ChangeBucket(name string, change func(*s3.BucketSpec)) (s3.BucketInfo, error)
	DeleteBucket(name string, force bool) error
	Bucket(name string) (s3.BucketInfo, bool)
}

// functions are the Lambda functions and what belongs to them.
type functions interface {
	PutFunction(spec lambda.FunctionSpec) (lambda.FunctionInfo, error)
	DeleteFunction(name string) error
	Function(name string) (lambda.FunctionInfo, bool)
	PutPermission(function, statementID string, spec lambda.PermissionSpec) error
	DeletePermission(function, statementID string) error
	PutAsyncConfig(function string, spec lambda.AsyncSpec) error
	DeleteAsyncConfig(function string) error
	PutMapping(spec lambda.MappingSpec) (lambda.MappingInfo, error)
	DeleteMapping(id string) error
	Mapping(id string) (lambda.MappingInfo, bool)
}

// webSockets are the WebSocket APIs.
type webSockets interface {
	PutAPI(spec gateway.APISpec) (gateway.APIInfo, error)
	DeleteAPI(id string) error
	API(id string) (gateway.APIInfo, bool)
	PutRoute(api, id string, spec gateway.RouteSpec) (string, error)
	DeleteRoute(api, id string) error
	PutRouteResponse(api, id string, spec gateway.RouteResponseSpec) (string, error)
	DeleteRouteResponse(api, id string) error
	PutIntegration(api, id string, spec gateway.IntegrationSpec) (string, error)
	DeleteIntegration(api, id string) error
	PutAuthorizer(api, id string, spec gateway.AuthorizerSpec) (string, error)
	DeleteAuthorizer(api, id string) error
	PutDeployment(api, id string) (string, error)
	DeleteDeployment(api, id string) error
	PutStage(api string, spec gateway.StageSpec) error
	DeleteStage(api, name string) error
}

// roles are the IAM roles with their policies.
type roles interface {
	PutRole(name, trust string) error
	DeleteRole(name string) error
	Roles() []string
	PutPolicy(role, name, document string) error
	DeletePolicy(role, name string) error
	AttachManaged(role, arn string) error
	DetachManaged(role, arn string) error
}

// schedules are the EventBridge schedules.
type schedules interface {
	Put(spec scheduler.ScheduleSpec) (scheduler.ScheduleInfo, error)
	Delete(name string) error
	Schedule(name string) (scheduler.ScheduleInfo, bool)
}

func servicesOf(cloud *localcloud.Cloud) services {
	s := cloud.Services()
	return services{
		Tables: s.Tables, Queues: s.Queues, Buckets: s.Objects, Functions: s.Functions,
		Gateway: s.Gateway, Roles: s.Roles, Schedules: s.Schedules,
	}
}
