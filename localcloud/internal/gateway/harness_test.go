package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

// memory is a network without sockets: Dial and Accept meet over net.Pipe.
type memory struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory {
	return &memory{accept: make(chan net.Conn), closed: make(chan struct{})}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.accept:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error { m.once.Do(func() { close(m.closed) }); return nil }

func (m *memory) Addr() net.Addr { return address("127.0.0.1:4566") }

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case m.accept <- server:
		return client, nil
	case <-m.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// function is a Lambda function of a test.
type function func(ctx context.Context, event []byte) (string, error)

// failed is returned by a function to fail like a Lambda handler.
type failed string

func (f failed) Error() string { return string(f) }

// cloud is a gateway with the functions that a test gives it.
type cloud struct {
	t    *testing.T
	svc  *gateway.Service
	api  gateway.APIInfo
	net  *memory
	http *http.Client

	stage gateway.StageSpec // without its deployment

	mu        sync.Mutex
	functions map[string]function
	calls     map[string][]gateway.Invocation
	logs      []string
	metered   map[string]float64
}

func (c *cloud) Invoke(ctx context.Context, in gateway.Invocation) (gateway.Answer, error) {
	name := in.Function[strings.LastIndexByte(in.Function, ':')+1:]
	c.mu.Lock()
	f := c.functions[name]
	c.calls[name] = append(c.calls[name], in)
	c.mu.Unlock()
	if f == nil {
		return gateway.Answer{}, fmt.Errorf("invoke function %s: not permitted", name)
	}
	out, err := f(ctx, in.Payload)
	var failure failed
	if errors.As(err, &failure) {
		return gateway.Answer{Payload: []byte(`{"errorMessage":"` + string(failure) + `","errorType":"errorString"}`), FunctionError: "Unhandled"}, nil
	}
	return gateway.Answer{Payload: []byte(out)}, err
}

func (c *cloud) Count(item string, n float64) {
	c.mu.Lock()
	c.metered[item] += n
	c.mu.Unlock()
}

func (c *cloud) log(_, line string) {
	c.mu.Lock()
	c.logs = append(c.logs, line)
	c.mu.Unlock()
}

// on sets what a function does.
func (c *cloud) on(name string, f function) {
	c.mu.Lock()
	c.functions[name] = f
	c.mu.Unlock()
}

// invoked returns the function's invocations so far.
func (c *cloud) invoked(name string) []gateway.Invocation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]gateway.Invocation(nil), c.calls[name]...)
}

func (c *cloud) logged() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.logs, "\n")
}

// plan is the API that a test wants; its zero value has every predefined
// route, a two-way $default and no authorizer.
type plan struct {
	selection  string
	sources    []string // identity sources; with authorize
	authorize  bool
	auth       string // authorization type of $connect instead of CUSTOM
	oneWay     bool
	custom     []string // further two-way routes, served by a function of that name
	noDefault  bool
	stage      gateway.StageSpec
	limits     gateway.Limits
	verify     func(*http.Request, []byte) (account.Caller, error)
	authorizer account.Authorizer
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func invokeARN(name string) string {
	return "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:" + name + "/invocations"
}

// answers is a function that always returns text.
func answers(text string) function {
	return func(context.Context, []byte) (string, error) { return text, nil }
}

// echo answers a MESSAGE event with its body.
func echo(_ context.Context, event []byte) (string, error) {
	var e struct{ Body string }
	if err := json.Unmarshal(event, &e); err != nil {
		return "", err
	}
	out, err := json.Marshal(map[string]any{"statusCode": 200, "body": e.Body})
	return string(out), err
}

// start makes the planned API, deployed to its stage ("prod").
func start(t *testing.T, p plan) *cloud {
	t.Helper()
	c := &cloud{t: t, net: newMemory(), functions: map[string]function{}, calls: map[string][]gateway.Invocation{}, metered: map[string]float64{}}
	c.http = &http.Client{Transport: &http.Transport{DialContext: c.net.dial, DisableCompression: true}}
	c.svc = gateway.New(gateway.Options{
		Invoker: c, Verify: p.verify, Authorizer: p.authorizer, Meter: c, Log: c.log, Limits: p.limits,
		Listen: func(string) (net.Listener, error) { return c.net, nil },
	})
	t.Cleanup(func() {
		c.http.CloseIdleConnections()
		c.svc.Close()
	})
	c.on("connect", answers(`{"statusCode":200}`))
	c.on("disconnect", answers(`{"statusCode":200}`))
	c.on("default", echo)
	for _, name := range p.custom {
		c.on(name, echo)
	}
	c.configure(p)
	return c
}

func (c *cloud) configure(p plan) {
	c.t.Helper()
	if p.selection == "" {
		p.selection = "$default"
	}
	c.api = must[gateway.APIInfo](c.t)(c.svc.PutAPI(gateway.APISpec{Name: "test", RouteSelectionExpression: p.selection}))
	connect := gateway.RouteSpec{Key: "$connect", AuthorizationType: p.auth}
	if p.authorize {
		spec := gateway.AuthorizerSpec{Name: "jwt", Type: "REQUEST", URI: invokeARN("authorizer"), IdentitySources: p.sources}
		connect.AuthorizationType = "CUSTOM"
		connect.AuthorizerID = must[string](c.t)(c.svc.PutAuthorizer(c.api.ID, "", spec))
	}
	c.route(connect, "connect", true)
	c.route(gateway.RouteSpec{Key: "$disconnect"}, "disconnect", true)
	if !p.noDefault {
		c.route(gateway.RouteSpec{Key: "$default"}, "default", p.oneWay)
	}
	for _, key := range p.custom {
		c.route(gateway.RouteSpec{Key: key}, key, false)
	}
	c.stage = p.stage
	c.stage.Name = "prod"
	c.deploy()
}

// route adds a route to the function and returns its id.
func (c *cloud) route(spec gateway.RouteSpec, function string, oneWay bool) string {
	c.t.Helper()
	integration := must[string](c.t)(c.svc.PutIntegration(c.api.ID, "", gateway.IntegrationSpec{Type: "AWS_PROXY", URI: invokeARN(function)}))
	spec.Target = "integrations/" + integration
	if !oneWay {
		spec.RouteResponseSelectionExpression = "$default"
	}
	id := must[string](c.t)(c.svc.PutRoute(c.api.ID, "", spec))
	if !oneWay {
		must[string](c.t)(c.svc.PutRouteResponse(c.api.ID, "", gateway.RouteResponseSpec{RouteID: id, Key: "$default"}))
	}
	return id
}

// connect opens a connection, or fails the test.
func (c *cloud) connect() *websocket.Conn {
	c.t.Helper()
	ws, _, err := c.dial("/prod", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return ws
}

func (c *cloud) dial(path string, o *websocket.DialOptions) (*websocket.Conn, *http.Response, error) {
	if o == nil {
		o = &websocket.DialOptions{}
	}
	o.HTTPClient = c.http
	ws, resp, err := websocket.Dial(context.Background(), c.api.Endpoint+path, o)
	if ws != nil {
		ws.SetReadLimit(1 << 20)
		c.t.Cleanup(func() { _ = ws.CloseNow() })
	}
	return ws, resp, err
}

func say(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	kind, data, err := ws.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if kind != websocket.MessageText {
		t.Fatalf("frame of kind %v, want text", kind)
	}
	return string(data)
}

// hearClose reads until the connection ends and returns the close frame.
func hearClose(t *testing.T, ws *websocket.Conn) websocket.CloseError {
	t.Helper()
	for {
		_, _, err := ws.Read(context.Background())
		var closed websocket.CloseError
		if errors.As(err, &closed) {
			return closed
		}
		if err != nil {
			t.Fatalf("read until close: %v", err)
		}
	}
}

// event decodes an invocation's payload.
func event(t *testing.T, in gateway.Invocation) map[string]any {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(in.Payload, &e); err != nil {
		t.Fatalf("event %s: %v", in.Payload, err)
	}
	return e
}

func requestContext(t *testing.T, in gateway.Invocation) map[string]any {
	t.Helper()
	rc, _ := event(t, in)["requestContext"].(map[string]any)
	return rc
}

// connectionID returns the id of the n-th connection.
func (c *cloud) connectionID(n int) string {
	c.t.Helper()
	calls := c.invoked("connect")
	if len(calls) <= n {
		c.t.Fatalf("%d connections, want more than %d", len(calls), n)
	}
	return requestContext(c.t, calls[n])["connectionId"].(string)
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// deploy snapshots the API and moves the stage to it.
func (c *cloud) deploy() string {
	c.t.Helper()
	id := must[string](c.t)(c.svc.PutDeployment(c.api.ID, ""))
	spec := c.stage
	spec.DeploymentID = id
	if err := c.svc.PutStage(c.api.ID, spec); err != nil {
		c.t.Fatal(err)
	}
	return id
}
