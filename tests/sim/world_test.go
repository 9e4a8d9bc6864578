package sim_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/golang-jwt/jwt/v5"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
)

const (
	region           = "us-east-1"
	processorTimeout = time.Minute
	secret           = "a secret of at least thirty-two bytes"
)

// world is one run: the cloud, who lives in it, and what is known of it.
type world struct {
	t     *testing.T
	plan  *plan
	dice  dice
	story *story
	ctx   context.Context // ends with the run
	stop  context.CancelFunc

	cloud                          *localcloud.Cloud
	db                             *dynamodb.Client
	streams                        *dynamodbstreams.Client
	lambda                         *lambda.Client
	url                            string
	requests, history, connections string // tables
	clients                        []*client
	past                           *past
	mutated                        atomic.Int64
	running                        sync.WaitGroup
	ready                          chan struct{} // closed when all of the above is known

	mu          sync.Mutex        // guards what follows
	names       map[string]string // of functions by role
	conns       map[string]string // names of connections by id
	sockets     map[string]*socket
	seen        map[string]int // how often what was called
	fired       []string       // faults
	invocations []*invocation
	runs        map[string][]*run
	owners      map[string]map[string]bool // users by id of request
	nonces      map[string]*invocation
	beats       map[string]*invocation // by request, epoch and beat
	pushes      []pushed
	watching    []watched
	offers      []offered
	cancelled   map[string]bool // requests that somebody asked to cancel
	steps       map[string]int  // values of steps that a handler got, by request and name
	ticks       int
	restored    map[string]int // checkpoints that were stored, by request
	logs        map[place][]string
	broken      []violation
	pending     map[*pending]struct{}
}

// violation is a promise that was not kept.
type violation struct{ request, text string }

// pending is something that is still to happen.
type pending struct {
	timer *time.Timer
	do    func()
}

func newWorld(t *testing.T, p *plan) *world {
	w := &world{
		t: t, plan: p, dice: dice(p.seed), story: &story{},
		names: map[string]string{}, conns: map[string]string{}, sockets: map[string]*socket{},
		seen: map[string]int{}, runs: map[string][]*run{}, owners: map[string]map[string]bool{},
		nonces: map[string]*invocation{}, beats: map[string]*invocation{}, pending: map[*pending]struct{}{}, cancelled: map[string]bool{},
		steps: map[string]int{}, restored: map[string]int{}, logs: map[place][]string{}, ready: make(chan struct{}),
	}
	// The first sweep comes as soon as there is a schedule: before the run.
	w.story.began = time.Now().Add(30 * time.Second)
	w.ctx, w.stop = context.WithCancel(context.Background())
	var err error
	if w.cloud, err = localcloud.Start(localcloud.Config{InMemory: true, Funcs: w.start}); err != nil {
		t.Fatal(err)
	}
	result, err := deploy.New(w.cloud).Up(w.ctx, deploy.Program{Body: program, Project: "sim", Stack: "run"})
	if err != nil {
		close(w.ready)
		w.end()
		t.Fatal(err)
	}
	out := func(name string) string { s, _ := result.Outputs[name].(string); return s }
	w.url, w.requests, w.history, w.connections = out("url"), out("requests"), out("history"), out("connections")
	keys := w.cloud.Credentials()
	cfg := aws.Config{
		Region: region, BaseEndpoint: aws.String(w.cloud.Endpoint()), HTTPClient: w.cloud.HTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, ""),
	}
	w.db, w.streams, w.lambda = dynamodb.NewFromConfig(cfg), dynamodbstreams.NewFromConfig(cfg), lambda.NewFromConfig(cfg)
	w.past = newPast(w)
	close(w.ready)
	time.Sleep(time.Until(w.story.began))
	return w
}

// program is what a user's is.
func program(ctx *pulumi.Context) error {
	protect := false
	s, err := component.NewStreamer(ctx, "sim", &component.StreamerArgs{
		// Functions run in this process: nothing is read from it.
		Handlers:  &component.Handlers{Archive: pulumi.NewAssetArchive(map[string]any{"bootstrap": pulumi.NewStringAsset("in process")})},
		Auth:      &component.Auth{Keys: []component.Key{{Secret: pulumi.String(base64.StdEncoding.EncodeToString([]byte(secret)))}}},
		Processor: &component.Function{Timeout: pulumi.Int(int(processorTimeout / time.Second))},
		Protect:   &protect,
	})
	if err != nil {
		return err
	}
	ctx.Export("url", s.URL)
	ctx.Export("requests", s.RequestsTableName)
	ctx.Export("history", s.HistoryTableName)
	ctx.Export("connections", s.ConnectionsTableName)
	return nil
}

// since is the time of the run.
func (w *world) since() time.Duration { return time.Since(w.story.began) }

// violate notes that a promise was not kept.
func (w *world) violate(request, format string, args ...any) {
	v := violation{request, fmt.Sprintf(format, args...)}
	w.story.tell("CHECK", request, "VIOLATION: %s", v.text)
	w.mu.Lock()
	w.broken = append(w.broken, v)
	w.mu.Unlock()
}

// ordinal makes names of what happens several times.
func (w *world) ordinal(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen["n-th "+name]++
	return fmt.Sprintf("%s ~%d", name, w.seen["n-th "+name])
}

// count numbers a call among those of its name.
func (w *world) count(c *call) {
	name := c.name()
	w.mu.Lock()
	w.seen[name]++
	c.number = w.seen[name]
	w.mu.Unlock()
}

// later does something after a time, or when the run's end does not wait any more.
func (w *world) later(d time.Duration, do func()) {
	p := &pending{do: do}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[p] = struct{}{}
	p.timer = time.AfterFunc(d, func() { w.happen(p) })
}

func (w *world) happen(p *pending) {
	w.mu.Lock()
	_, still := w.pending[p]
	delete(w.pending, p)
	w.mu.Unlock()
	if still {
		p.do()
	}
}

// catchUp lets all that is late happen now.
func (w *world) catchUp() {
	w.mu.Lock()
	var all []*pending
	for p := range w.pending {
		all = append(all, p)
	}
	w.mu.Unlock()
	for _, p := range all {
		p.timer.Stop()
		w.happen(p)
	}
}

// asked notes who has which id.
func (w *world) asked(c *client, a *asked) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.owners[a.id] == nil {
		w.owners[a.id] = map[string]bool{}
	}
	w.owners[a.id][c.plan.user] = true
}

// inNames is a text with connections called as in stories.
func (w *world) inNames(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, name := range w.conns {
		text = strings.ReplaceAll(text, id, name)
	}
	return text
}

// named notes a connection's socket.
func (w *world) named(s *socket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sockets[s.name] = s
}

// labelFor is the request that a frame to that connection is about.
func (w *world) labelFor(connection, id string) string {
	w.mu.Lock()
	s := w.sockets[connection]
	owns := s != nil && w.owners[id][s.client.plan.user]
	w.mu.Unlock()
	if !owns {
		if id != "" {
			w.violate("", "a frame of request %s is posted to %s, whose user has none of that id", id, connection)
		}
		return id
	}
	return s.client.plan.user + "/" + id
}

// token of a user, good for the whole run.
func (w *world) token(user string) string {
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "tenant_id": "sim", "exp": w.story.began.Add(48 * time.Hour).Unix(),
	})
	signed, err := t.SignedString([]byte(secret))
	if err != nil {
		w.violate("", "sign token: %v", err)
	}
	return signed
}
