// Package localcloud is a stand-in for AWS inside a Go program: API Gateway
// WebSocket APIs, Lambda, DynamoDB with streams, SQS, S3, IAM and EventBridge
// Scheduler, reached over their real wire protocols by the real SDKs.
//
//	cloud, err := localcloud.Start(localcloud.Config{})
//	…
//	defer cloud.Close()
//	keys := cloud.Credentials()
//	db := dynamodb.New(dynamodb.Options{
//		Region:       "us-east-1",
//		BaseEndpoint: aws.String(cloud.Endpoint()),
//		Credentials:  credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, ""),
//	})
//
// Permissions are enforced: a function's instance signs with credentials of its
// role, and a call that the role's policies do not allow is refused.
//
// Functions run as processes of their built binaries, or as Go functions in
// this process (Config.Funcs). With those and Config.InMemory a whole system
// runs in the virtual time of testing/synctest.
//
// Everything is safe for concurrent use. Nothing outlives Cloud.Close. The
// package knows nothing of what runs on it: it imports neither the runtime nor
// the component.
package localcloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
	"github.com/streamer-go/streamer/localcloud/internal/memnet"
	"github.com/streamer-go/streamer/localcloud/internal/s3"
	"github.com/streamer-go/streamer/localcloud/internal/scheduler"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// Cloud is a running local cloud. Close it.
type Cloud struct {
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	client   *http.Client
	endpoint string
	meter    *meter

	roles     *iam.Store
	tables    *dynamodb.Service
	queues    *sqs.Service
	objects   *s3.Service
	functions *lambda.Service
	gateway   *gateway.Service
	schedules *scheduler.Service
	launcher  launcher

	stop    context.CancelFunc // ends the requests under way
	server  *http.Server
	serving chan struct{} // closed when the server has ended
	once    sync.Once
}

// Start starts a cloud without any resource.
func Start(config Config) (*Cloud, error) {
	config = config.withDefaults()
	c := &Cloud{meter: newMeter(), roles: iam.New(), serving: make(chan struct{})}
	c.dial = (&net.Dialer{}).DialContext
	if config.InMemory {
		network := memnet.New()
		config.Listen, c.dial = network.Listen, network.Dial
	}
	c.client = &http.Client{Transport: &http.Transport{DialContext: c.dial, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}}
	listener, err := config.Listen("aws")
	if err != nil {
		return nil, fmt.Errorf("start local cloud: listen: %w", err)
	}
	c.endpoint = "http://" + listener.Addr().String()
	if c.launcher, err = config.launcher(c); err != nil {
		return nil, errors.Join(fmt.Errorf("start local cloud: %w", err), listener.Close())
	}
	c.wire(config)
	c.serve(listener)
	return c, nil
}

// Close ends the cloud with everything that runs in it: clients see their
// connections closed, instances of functions are ended. It returns when nothing
// is left; a second call does nothing.
func (c *Cloud) Close() error {
	c.once.Do(func() {
		// Who causes work goes before who does it; the endpoint stays for those
		// that are still about to end.
		c.schedules.Close()
		c.gateway.Close()
		c.functions.Close()
		c.launcher.close()
		c.stop()
		c.queues.Close()
		c.objects.Close()
		// Never fails.
		_ = c.tables.Close()
		c.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if c.server.Shutdown(ctx) != nil {
			_ = c.server.Close() // of connections that nobody uses
		}
		<-c.serving
	})
	return nil
}

// Endpoint is the URL of all AWS services but the data plane of API Gateway,
// whose APIs each have an address of their own. Give it to an SDK client as its
// base endpoint, or to another program as AWS_ENDPOINT_URL.
func (c *Cloud) Endpoint() string { return c.endpoint }

// Credentials are the account's own keys: they are allowed everything.
func (c *Cloud) Credentials() Credentials { return Credentials(c.roles.RootCredentials()) }

// RoleCredentials starts a session of a role, as a function's instance has one:
// what is signed with them is allowed what the role is.
func (c *Cloud) RoleCredentials(role, session string) (Credentials, error) {
	keys, err := c.roles.NewCredentials(role, session)
	return Credentials(keys), err
}

// HTTPClient reaches the cloud, in memory too. It is shared and ends with it.
func (c *Cloud) HTTPClient() *http.Client { return c.client }

// Dial connects to an address of the cloud, in memory too: it fits
// http.Transport.DialContext. In memory there is nothing else to connect to.
func (c *Cloud) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return c.dial(ctx, network, addr)
}

// Bill returns what AWS would have billed so far, by item: apigateway.messages,
// apigateway.connection-minutes, lambda.requests, lambda.gb-seconds,
// dynamodb.write-units, dynamodb.read-units, sqs.requests, s3.put-requests,
// s3.get-requests, scheduler.invocations, logs.bytes. Items that were not used are not in it.
// sqs.empty-receives are a part of sqs.requests. The minutes of a connection are
// in it once the connection has ended.
func (c *Cloud) Bill() map[string]float64 { return c.meter.bill() }

// Kill ends an instance of a function as kill -9 ends a process; false when
// there is none of that id. It is for functions of Config.Funcs.
func (c *Cloud) Kill(instanceID string) bool { return c.launcher.kill(instanceID) }

// Services are what resources are made in. Their types are internal: they are
// for localcloud/deploy, which makes them from a Pulumi program, and for tests.
type Services struct {
	Tables    *dynamodb.Service
	Queues    *sqs.Service
	Objects   *s3.Service
	Functions *lambda.Service
	Gateway   *gateway.Service
	Roles     *iam.Store
	Schedules *scheduler.Service
}

// Services returns the services of the cloud.
func (c *Cloud) Services() Services {
	return Services{
		Tables: c.tables, Queues: c.queues, Objects: c.objects, Functions: c.functions,
		Gateway: c.gateway, Roles: c.roles, Schedules: c.schedules,
	}
}
