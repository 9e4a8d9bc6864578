package localcloud

import (
	"context"
	"maps"
	"net"
	"net/http"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
	"github.com/streamer-go/streamer/localcloud/internal/edge"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
	"github.com/streamer-go/streamer/localcloud/internal/s3"
	"github.com/streamer-go/streamer/localcloud/internal/scheduler"
	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

// wire makes the services; each gets the others as interfaces of its own.
func (c *Cloud) wire(config Config) {
	limits, log := config.Limits, config.Log
	if log == nil {
		log = func(Line) {}
	}
	c.tables = dynamodb.New(dynamodb.Options{Authorizer: c.roles, Meter: c.meter, TTLDelay: limits.TTLDelay})
	c.queues = sqs.New(sqs.Options{Authorizer: c.roles, Meter: c.meter, BaseURL: c.endpoint})
	c.objects = s3.New(s3.Options{
		Verify: func(r *http.Request, body []byte) (account.Caller, error) {
			return c.roles.Verify(r, body, "s3")
		},
		Authorizer: c.roles, Meter: c.meter, BaseURL: c.endpoint,
	})
	c.functions = lambda.New(lambda.Options{
		Launcher:    c.launcher,
		Authorizer:  c.roles,
		Meter:       c.meter,
		Dir:         config.Dir,
		Credentials: c.instanceCredentials,
		Revoke:      c.roles.Revoke,
		Environ:     c.environ(config),
		Assumable: func(role, functionARN string) error {
			return c.roles.Assumable(role, "lambda.amazonaws.com", functionARN)
		},
		Changes:      c.roles.Changes,
		Log:          functionLog(config.Log),
		Problem:      func(function, line string) { log(Line{Source: "platform", Name: function, Text: line}) },
		Concurrency:  config.Concurrency,
		IdleAfter:    limits.InstanceIdle,
		AsyncRetries: limits.AsyncRetries,
		Send: func(ctx context.Context, queueARN, body string) error {
			_, err := c.queues.Send(ctx, queueARN, body, -1, nil)
			return err
		},
		Streams:        streams{c.tables},
		Queues:         queues{c.queues},
		StreamRetryMin: limits.StreamRetryMin,
		StreamRetryMax: limits.StreamRetryMax,
	})
	c.gateway = gateway.New(gateway.Options{
		Invoker: routes{c.functions},
		Verify: func(r *http.Request, body []byte) (account.Caller, error) {
			return c.roles.Verify(r, body, "execute-api")
		},
		Authorizer: c.roles,
		Meter:      c.meter,
		Listen:     config.Listen,
		Log:        func(api, line string) { log(Line{Source: "gateway", Name: api, Text: line}) },
		Limits: gateway.Limits{
			Idle: limits.Idle, MaxAge: limits.MaxAge,
			Requests: limits.Requests, Burst: limits.Burst, Connections: limits.Connections,
		},
	})
	c.schedules = scheduler.New(scheduler.Options{
		Invoker:   events{c.functions},
		Meter:     c.meter,
		Assumable: c.roles.Assumable,
		Interval:  limits.ScheduleInterval,
		Log:       func(name, line string) { log(Line{Source: "scheduler", Name: name, Text: line}) },
	})
}

// functionLog is nil where nobody reads: then the lines of Lambda's own need not
// be made.
func functionLog(log func(Line)) func(function, instance, line string) {
	if log == nil {
		return nil
	}
	return func(function, instance, line string) {
		log(Line{Source: "lambda", Name: function, Instance: instance, Text: line})
	}
}

// serve answers the services' protocols until Close.
func (c *Cloud) serve(listener net.Listener) {
	base, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.server = &http.Server{
		Handler: edge.New(edge.Options{
			Verify: c.roles.Verify, DynamoDB: c.tables, SQS: c.queues, Lambda: c.functions, S3: c.objects,
		}),
		BaseContext: func(net.Listener) context.Context { return base },
	}
	go func() {
		defer close(c.serving)
		// It ends by Shutdown alone: the listener is ours.
		_ = c.server.Serve(listener)
	}()
}

// environ is what every instance has besides what Lambda itself sets.
func (c *Cloud) environ(config Config) map[string]string {
	env := map[string]string{"AWS_ENDPOINT_URL": c.endpoint}
	maps.Copy(env, config.Environ)
	return env
}

// instanceCredentials starts a session for an instance. Without the role it has
// none, and its calls are refused.
func (c *Cloud) instanceCredentials(role, session string) map[string]string {
	keys, err := c.roles.NewCredentials(role, session)
	if err != nil {
		return nil
	}
	return map[string]string{
		"AWS_ACCESS_KEY_ID":     keys.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY": keys.SecretAccessKey,
		"AWS_SESSION_TOKEN":     keys.SessionToken,
	}
}
