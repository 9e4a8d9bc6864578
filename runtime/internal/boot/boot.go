// Package boot is the only wiring of the runtime: it reads a function's
// environment once and makes the clients that its role uses. Nothing is called
// here, so that a cold start costs no round trip.
package boot

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/dynamo"
	"github.com/streamer-go/streamer/runtime/internal/objects"
	"github.com/streamer-go/streamer/runtime/internal/push"
	"github.com/streamer-go/streamer/runtime/internal/work"
)

// Host is where a function runs: its environment, how it reaches the network,
// and where its log goes. The zero value is the process itself.
type Host struct {
	Getenv    func(string) string
	Transport http.RoundTripper
	Log       io.Writer
}

// Function is what a function needs, wired.
type Function struct {
	Role         c.Role
	Store        Store
	Push         *push.Pusher // nil for a router without the endpoint
	Queue        *work.Queue
	Processor    *work.Processor
	Log          *slog.Logger
	Out          io.Writer
	Transport    http.RoundTripper
	Auth         c.Auth
	Threshold    time.Duration
	QuickTimeout time.Duration
	Lease        time.Duration
	Limits       Limits
	Namespace    string
	Name         string
	LogGroup     string
	LogStream    string
}

// Store is the tables, and the objects of what they cannot hold.
type Store struct {
	*dynamo.Store
	*Objects
}

// Objects is a name of its own, for the other half of Store is called Store.
type Objects = objects.Store

// New reads the environment. Every problem is an error that names the variable.
func New(h Host) (*Function, error) {
	if h.Getenv == nil {
		h.Getenv = os.Getenv
	}
	if h.Log == nil {
		h.Log = os.Stdout
	}
	e := env{get: h.Getenv}
	f := &Function{
		Role: c.Role(h.Getenv(c.EnvRole)), Out: h.Log, Transport: h.Transport,
		Threshold: e.duration(c.EnvQuickThreshold, 5*time.Second, 0), QuickTimeout: e.duration(c.EnvQuickTimeout, 10*time.Second, 1),
		Lease: e.duration(c.EnvLease, 30*time.Second, 1), Namespace: e.or(c.EnvMetricsNamespace, "Streamer"),
		Name: h.Getenv("AWS_LAMBDA_FUNCTION_NAME"), LogGroup: h.Getenv("AWS_LAMBDA_LOG_GROUP_NAME"), LogStream: h.Getenv("AWS_LAMBDA_LOG_STREAM_NAME"),
	}
	f.Log = slog.New(slog.NewJSONHandler(h.Log, &slog.HandlerOptions{Level: e.level()}))
	cfg := aws.Config{
		Region: e.required("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			h.Getenv("AWS_ACCESS_KEY_ID"), h.Getenv("AWS_SECRET_ACCESS_KEY"), h.Getenv("AWS_SESSION_TOKEN")),
	}
	// A connection that died while the function was frozen must not hang a call.
	cfg.HTTPClient = awshttp.NewBuildableClient().WithTimeout(callTimeout)
	if h.Transport != nil {
		cfg.HTTPClient = &http.Client{Transport: h.Transport, Timeout: callTimeout}
	}
	if ep := h.Getenv(c.EnvAWSEndpoint); ep != "" {
		cfg.BaseEndpoint = &ep
	}
	switch f.Role {
	case c.RoleConnect:
		f.store(cfg, dynamo.Tables{Connections: e.required(c.EnvConnectionsTable)})
		e.json(c.EnvAuth, &f.Auth)
	case c.RoleRouter:
		tables := dynamo.Tables{Requests: e.required(c.EnvRequestsTable), History: e.required(c.EnvHistoryTable)}
		f.Limits = e.limits(f.Role, &tables)
		f.store(cfg, tables)
		f.objects(cfg, h)
		if ep := h.Getenv(c.EnvCallbackEndpoint); ep != "" {
			f.pusher(cfg, ep)
		}
	case c.RoleDispatcher:
		tables := dynamo.Tables{Requests: e.required(c.EnvRequestsTable)}
		f.Limits = e.limits(f.Role, &tables)
		f.store(cfg, tables)
		f.queue(cfg, e.required(c.EnvWakeQueueURL))
		f.Processor = work.NewProcessor(lambda.NewFromConfig(cfg), e.required(c.EnvProcessorFunction))
	case c.RoleProcessor:
		f.store(cfg, dynamo.Tables{Requests: e.required(c.EnvRequestsTable), History: e.required(c.EnvHistoryTable)})
		f.objects(cfg, h)
		f.queue(cfg, e.required(c.EnvWakeQueueURL))
		f.pusher(cfg, e.required(c.EnvCallbackEndpoint))
	default:
		return nil, fmt.Errorf("read environment: %s is %q, want connect, router, dispatcher or processor", c.EnvRole, f.Role)
	}
	if len(e.faults) > 0 {
		return nil, fmt.Errorf("read environment: %s", strings.Join(e.faults, "; "))
	}
	return f, nil
}

func (f *Function) store(cfg aws.Config, t dynamo.Tables) {
	f.Store = Store{dynamo.New(dynamodb.NewFromConfig(cfg, dynamo.RetryConflicts), t), &objects.Store{}}
}

// objects reaches the bucket, where there is one. An endpoint of one's own has
// no host name for each bucket.
func (f *Function) objects(cfg aws.Config, h Host) {
	bucket := h.Getenv(c.EnvBucket)
	if bucket == "" {
		return
	}
	if h.Transport == nil {
		cfg.HTTPClient = awshttp.NewBuildableClient().WithTimeout(objectTimeout)
	} else {
		cfg.HTTPClient = &http.Client{Transport: h.Transport, Timeout: objectTimeout}
	}
	f.Store.Objects = objects.New(s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil }), bucket)
}

func (f *Function) queue(cfg aws.Config, url string) {
	f.Queue = work.NewQueue(sqs.NewFromConfig(cfg), url)
}

func (f *Function) pusher(cfg aws.Config, endpoint string) {
	cfg.BaseEndpoint = &endpoint
	f.Push = push.New(apigatewaymanagementapi.NewFromConfig(cfg, func(o *apigatewaymanagementapi.Options) {
		o.RetryMaxAttempts = 1 // the sender paces itself
	}))
}

// objectTimeout bounds one try of a call that carries an object.
const objectTimeout = 2 * time.Minute

// callTimeout bounds one try of a call; the SDK retries.
const callTimeout = 5 * time.Second

// Nonce is fresh for every write that moves an epoch.
func Nonce() string { return rand.Text()[:16] }

type env struct {
	get    func(string) string
	faults []string
}

func (e *env) required(name string) string {
	v := e.get(name)
	if v == "" {
		e.faults = append(e.faults, name+" is not set")
	}
	return v
}

func (e *env) or(name, fallback string) string {
	if v := e.get(name); v != "" {
		return v
	}
	return fallback
}

// duration reads a duration that is no less than least.
func (e *env) duration(name string, fallback, least time.Duration) time.Duration {
	v := e.get(name)
	if v == "" {
		return fallback
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least {
		want := "above zero"
		if least == 0 {
			want = "of zero or more"
		}
		e.faults = append(e.faults, fmt.Sprintf("%s is %q, want a duration %s such as 5s", name, v, want))
	}
	return d
}

func (e *env) json(name string, into any) {
	if v := e.required(name); v != "" {
		if err := json.Unmarshal([]byte(v), into); err != nil {
			e.faults = append(e.faults, fmt.Sprintf("%s: %v", name, err))
		}
	}
}

func (e *env) level() slog.Level {
	var l slog.Level
	if v := e.get(c.EnvLogLevel); v != "" {
		if err := l.UnmarshalText([]byte(v)); err != nil {
			e.faults = append(e.faults, fmt.Sprintf("%s is %q, want debug, info, warn or error", c.EnvLogLevel, v))
		}
	}
	return l
}
