package overload_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/wire"
)

const secret = "a secret of at least thirty-two bytes"

// system is a deployed system and what its handlers have done.
type system struct {
	t        *testing.T
	cloud    *localcloud.Cloud
	deployer *deploy.Deployer
	url      string
	closing  atomic.Bool // what is still at work is killed

	mu      sync.Mutex // guards what follows
	atWork  map[string]int
	most    map[string]int // at work at once, by tenant
	began   []string       // tenant/id, in order
	started map[string]time.Time
	ended   map[string]int
}

// job is the payload of the long action.
type job struct {
	Minutes int `json:"minutes"`
}

// stand stands a system up; the bubble's time is that of the cloud.
func stand(t *testing.T, config localcloud.Config, args component.StreamerArgs) *system {
	t.Helper()
	s := &system{
		t: t, atWork: map[string]int{}, most: map[string]int{}, started: map[string]time.Time{}, ended: map[string]int{},
	}
	config.InMemory, config.Funcs = true, s.function
	var err error
	if s.cloud, err = localcloud.Start(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.closing.Store(true)
		if err := s.cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	s.deployer = deploy.New(s.cloud)
	s.up(args)
	return s
}

// up deploys the system, or changes what is deployed.
func (s *system) up(args component.StreamerArgs) {
	s.t.Helper()
	protect := false
	// Functions run in this process: nothing is read from the archive.
	args.Handlers = &component.Handlers{Archive: pulumi.NewAssetArchive(map[string]any{"bootstrap": pulumi.NewStringAsset("in process")})}
	args.Auth = &component.Auth{Keys: []component.Key{{Secret: pulumi.String(base64.StdEncoding.EncodeToString([]byte(secret)))}}}
	args.Protect = &protect
	result, err := s.deployer.Up(context.Background(), deploy.Program{Project: "overload", Stack: "test", Body: func(ctx *pulumi.Context) error {
		made, err := component.NewStreamer(ctx, "over", &args)
		if err == nil {
			ctx.Export("url", made.URL)
		}
		return err
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.url, _ = result.Outputs["url"].(string)
}

// function is a new instance of one of the functions.
func (s *system) function(in localcloud.Instance) (func(context.Context, []byte) ([]byte, error), error) {
	host := streamer.Host{
		Getenv: func(name string) string { return in.Env[name] }, Transport: in.HTTP.Transport, Log: journal{s, in.Function},
	}
	var h lambda.Handler
	var err error
	switch contract.Role(in.Env[contract.EnvRole]) {
	case contract.RoleConnect:
		h, err = streamer.ConnectHandler(host)
	case contract.RoleDispatcher:
		h, err = streamer.DispatcherHandler(host)
	default:
		h, err = s.app().Handler(host)
	}
	if err != nil {
		return nil, err
	}
	return h.Invoke, nil
}

// journal fails the test for what a function logs as an error.
type journal struct {
	*system
	function string
}

func (j journal) Write(p []byte) (int, error) {
	var l struct {
		Level string `json:"level"`
	}
	if json.Unmarshal(p, &l) == nil && l.Level == "ERROR" && !j.closing.Load() {
		j.t.Errorf("%s logs %s", j.function, p)
	}
	return len(p), nil
}

func (s *system) app() *streamer.App {
	app := streamer.New()
	streamer.Handle(app, "echo", func(_ context.Context, in map[string]any) (map[string]any, error) { return in, nil })
	streamer.HandleTask(app, "job", s.job)
	return app
}

// job takes its time and notes who is at work.
func (s *system) job(ctx context.Context, task *streamer.Task, in job) (string, error) {
	tenant := streamer.CallerFrom(ctx).Tenant
	name := tenant + "/" + task.ID()
	s.mu.Lock()
	s.atWork[tenant]++
	s.most[tenant] = max(s.most[tenant], s.atWork[tenant])
	s.began = append(s.began, name)
	s.started[name] = time.Now()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.atWork[tenant]--
		s.ended[tenant]++
		s.mu.Unlock()
	}()
	select {
	case <-time.After(time.Duration(in.Minutes) * time.Minute):
		return "done", nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// counts says how many of a tenant's jobs have ended, and how many were at work
// at once at most.
func (s *system) counts(tenant string) (ended, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[tenant], s.most[tenant]
}

// startedAt is when a job began; zero when it has not.
func (s *system) startedAt(name string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.started)[name]
}

// conn is a client's connection; its answers are read one at a time.
type conn struct {
	t  *testing.T
	ws *websocket.Conn
}

func (s *system) connect(tenant, user string) *conn {
	s.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "tenant_id": tenant, "exp": time.Now().Add(48 * time.Hour).Unix(),
	}).SignedString([]byte(secret))
	if err != nil {
		s.t.Fatal(err)
	}
	ws, _, err := websocket.Dial(context.Background(), s.url, &websocket.DialOptions{
		HTTPClient: s.cloud.HTTPClient(), HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}, Subprotocols: []string{wire.Protocol},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ws.SetReadLimit(wire.MaxMessage)
	s.t.Cleanup(func() { _ = ws.CloseNow() }) // may be closed already
	return &conn{s.t, ws}
}

// says sends a message and returns the frame that answers it; frames of what
// runs in the background are passed over.
func (c *conn) says(id, action string, payload any) wire.Frame {
	c.t.Helper()
	raw, err := json.Marshal(map[string]any{"id": id, "action": action, "payload": payload})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, raw); err != nil {
		c.t.Fatalf("send %s: %v", id, err)
	}
	for {
		_, raw, err := c.ws.Read(ctx)
		if err != nil {
			c.t.Fatalf("no answer to %s: %v", id, err)
		}
		var f wire.Frame
		if err := f.Decode(raw); err != nil {
			c.t.Fatalf("frame %s: %v", raw, err)
		}
		if f.RequestID == id && f.Type != wire.TypeProgress && f.Type != wire.TypeComplete || f.Gateway() {
			return f
		}
	}
}

// queue has so many jobs accepted.
func (c *conn) queue(prefix string, n, minutes int) {
	c.t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s%05d", prefix, i)
		if f := c.says(id, "job", job{minutes}); f.Type != wire.TypeAcknowledgment {
			c.t.Fatalf("%s is answered %+v", id, f)
		}
		time.Sleep(time.Millisecond) // API Gateway's rate
	}
}
