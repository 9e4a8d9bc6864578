package component

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/apigatewayv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// maxName leaves room for what follows it: "-dispatcher" and the eight
// characters of Pulumi's own, in the 64 that Lambda and IAM allow.
const maxName = 64 - len("-dispatcher") - 8

var instanceName = regexp.MustCompile(fmt.Sprintf("^[A-Za-z0-9_-]{1,%d}$", maxName))

// Type is the token of the component.
const Type = "streamer:index:Streamer"

// Streamer is a deployed Streamer. All names are physical ones.
type Streamer struct {
	pulumi.ResourceState

	// URL is what clients dial: wss://…/stage.
	URL pulumi.StringOutput `pulumi:"url"`
	// CallbackEndpoint is where messages to clients are posted: https://…/stage.
	CallbackEndpoint pulumi.StringOutput `pulumi:"callbackEndpoint"`
	// APIID and StageName identify the WebSocket API.
	APIID     pulumi.StringOutput `pulumi:"apiId"`
	StageName pulumi.StringOutput `pulumi:"stageName"`

	RequestsTableName    pulumi.StringOutput `pulumi:"requestsTableName"`
	HistoryTableName     pulumi.StringOutput `pulumi:"historyTableName"`
	ConnectionsTableName pulumi.StringOutput `pulumi:"connectionsTableName"`

	// BucketName is the bucket of large payloads, "" without LargePayloads.
	BucketName pulumi.StringOutput `pulumi:"bucketName"`

	ConnectFunctionName    pulumi.StringOutput `pulumi:"connectFunctionName"`
	RouterFunctionName     pulumi.StringOutput `pulumi:"routerFunctionName"`
	DispatcherFunctionName pulumi.StringOutput `pulumi:"dispatcherFunctionName"`
	ProcessorFunctionName  pulumi.StringOutput `pulumi:"processorFunctionName"`

	ConnectRoleARN    pulumi.StringOutput `pulumi:"connectRoleArn"`
	RouterRoleARN     pulumi.StringOutput `pulumi:"routerRoleArn"`
	DispatcherRoleARN pulumi.StringOutput `pulumi:"dispatcherRoleArn"`
	ProcessorRoleARN  pulumi.StringOutput `pulumi:"processorRoleArn"`
	// RouterRoleName and ProcessorRoleName are where the program attaches what its
	// handlers may do beyond Streamer's own calls.
	RouterRoleName    pulumi.StringOutput `pulumi:"routerRoleName"`
	ProcessorRoleName pulumi.StringOutput `pulumi:"processorRoleName"`

	// WakeQueueURL is the queue of hints that a request is due. DeadQueueURL holds
	// those that nobody could work off.
	WakeQueueURL pulumi.StringOutput `pulumi:"wakeQueueUrl"`
	DeadQueueURL pulumi.StringOutput `pulumi:"deadQueueUrl"`
}

// NewStreamer stands a Streamer up. Wrong arguments and source that does not
// compile are one error that names every property; nothing is registered then.
func NewStreamer(ctx *pulumi.Context, name string, args *StreamerArgs, opts ...pulumi.ResourceOption) (*Streamer, error) {
	s, err := newStreamer(ctx, name, args, builder{getenv: os.Getenv, build: goBuild}, opts...)
	var faults *argsError
	if errors.As(err, &faults) {
		if _, file, line, ok := runtime.Caller(1); ok {
			faults.where = fmt.Sprintf("%s:%d", file, line)
		}
	}
	return s, err
}

func newStreamer(ctx *pulumi.Context, name string, args *StreamerArgs, b builder, opts ...pulumi.ResourceOption) (*Streamer, error) {
	if !instanceName.MatchString(name) {
		return nil, fmt.Errorf("streamer: the name %q of the component may have 1 to %d letters, digits, _ and -: functions and roles are named after it", name, maxName)
	}
	set, err := args.settle(b.getenv)
	if err != nil {
		return nil, err
	}
	if set.largePayloads && !bucketName(name) {
		return nil, fmt.Errorf("streamer: with largePayloads the name %q of the component may have small letters, digits and - only, and begin with a letter or digit: a bucket is named after it", name)
	}
	code, err := b.archives(ctx.Context(), args.Handlers, set)
	if err != nil {
		return nil, err
	}
	s := &Streamer{}
	if err := ctx.RegisterComponentResource(Type, name, s, opts...); err != nil {
		return nil, err
	}
	p := &parts{ctx: ctx, name: name, component: s, settings: set, code: code}
	p.tell(args)
	if err := p.register(); err != nil {
		return nil, err
	}
	p.export()
	return s, ctx.RegisterResourceOutputs(s, s.outputs())
}

// parts is what has been registered so far. It is filled in the order of
// register, and each step uses what the steps before it made.
type parts struct {
	ctx       *pulumi.Context
	name      string
	component *Streamer
	settings  *settings
	code      map[contract.Role]pulumi.ArchiveInput

	api         *apigatewayv2.Api
	endpoint    pulumi.StringOutput // of @connections
	requests    *table
	history     *table
	connections *table
	wake, dead  *queue
	bucket      *bucket

	processor, dispatcher, router, connect *function

	stage *apigatewayv2.Stage
}

// register makes everything, in an order without cycles: the API's address is
// known before the functions, and the routes come after them. Functions follow
// one another so that an action is known where it runs before it is accepted.
func (p *parts) register() error {
	steps := []func() error{
		p.makeAPI, p.makeTables, p.makeQueues, p.makeBucket,
		p.makeProcessor, p.makeDispatcher, p.makeRouter, p.makeConnect,
		p.makeSources, p.makeSchedule,
		p.makeRoutes,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// tell says what a preview should show beside the graph.
func (p *parts) tell(args *StreamerArgs) {
	about := &pulumi.LogArgs{Resource: p.component}
	if p.settings.maxJobs == nil {
		_ = p.ctx.Log.Warn("maxJobs is not set: jobs can use up the concurrency of the account, and router and dispatcher would wait for it", about)
	}
	if on, ok := known[bool](args.Paused); ok && on {
		_ = p.ctx.Log.Warn("paused is set: requests are accepted, and none is started", about)
	}
	if p.settings.override {
		_ = p.ctx.Log.Info("functions are for "+p.settings.architecture+", as "+contract.EnvBuildArch+" says", about)
	}
	if args.Handlers.Package == "" && p.settings.override {
		_ = p.ctx.Log.Info("handlers.archive is not built here: it must hold a binary for "+p.settings.architecture, about)
	}
}

func (p *parts) export() {
	s := p.component
	s.URL = pulumi.Sprintf("%s/%s", p.api.ApiEndpoint, p.stage.Name)
	s.CallbackEndpoint = p.endpoint
	s.APIID = p.api.ID().ToStringOutput()
	s.StageName = p.stage.Name
	s.RequestsTableName, s.HistoryTableName, s.ConnectionsTableName = p.requests.Name, p.history.Name, p.connections.Name
	s.BucketName = pulumi.String("").ToStringOutput()
	if p.bucket != nil {
		s.BucketName = p.bucket.BucketV2.Bucket
	}
	s.ConnectFunctionName, s.ConnectRoleARN = p.connect.Name, p.connect.role.Arn
	s.RouterFunctionName, s.RouterRoleARN, s.RouterRoleName = p.router.Name, p.router.role.Arn, p.router.role.Name
	s.DispatcherFunctionName, s.DispatcherRoleARN = p.dispatcher.Name, p.dispatcher.role.Arn
	s.ProcessorFunctionName, s.ProcessorRoleARN, s.ProcessorRoleName = p.processor.Name, p.processor.role.Arn, p.processor.role.Name
	s.WakeQueueURL, s.DeadQueueURL = p.wake.Url, p.dead.Url
}

func (s *Streamer) outputs() pulumi.Map {
	return pulumi.Map{
		"url": s.URL, "callbackEndpoint": s.CallbackEndpoint, "apiId": s.APIID, "stageName": s.StageName,
		"requestsTableName": s.RequestsTableName, "historyTableName": s.HistoryTableName, "connectionsTableName": s.ConnectionsTableName,
		"bucketName":          s.BucketName,
		"connectFunctionName": s.ConnectFunctionName, "routerFunctionName": s.RouterFunctionName,
		"dispatcherFunctionName": s.DispatcherFunctionName, "processorFunctionName": s.ProcessorFunctionName,
		"connectRoleArn": s.ConnectRoleARN, "routerRoleArn": s.RouterRoleARN,
		"dispatcherRoleArn": s.DispatcherRoleARN, "processorRoleArn": s.ProcessorRoleARN,
		"routerRoleName": s.RouterRoleName, "processorRoleName": s.ProcessorRoleName,
		"wakeQueueUrl": s.WakeQueueURL, "deadQueueUrl": s.DeadQueueURL,
	}
}

// child is the name of a child: part "" is the component's own name.
func (p *parts) child(part string) string {
	if part == "" {
		return p.name
	}
	return p.name + "-" + part
}

// options are those of every child, and more.
func (p *parts) options(more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(p.component)}, more...)
}

// guarded are the options of what holds state or an address.
func (p *parts) guarded() []pulumi.ResourceOption {
	return p.options(pulumi.Protect(p.settings.protect))
}
