package streamer

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/streamer-go/streamer/runtime/internal/boot"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Parts are what the tests give the functions instead of AWS.
type Parts struct {
	Store interface {
		routerStore
		historyStore
		dueStore
		limitStore
		slotStore
	}
	Conns connections
	Wake  waker
	Start starter
	Log   *slog.Logger
	Out   io.Writer
	Nonce func() string
	Lease time.Duration
	// Limits of users and tenants.
	Limits boot.Limits
	// Alone is how Run runs a router.
	Alone bool
}

func NewRouter(app *App, p Parts) lambda.Handler {
	return &router{
		app: app, store: p.Store, conns: p.Conns, log: p.Log, metrics: &metrics{out: p.Out, namespace: "Streamer"}, nonce: p.Nonce, threshold: 5 * time.Second, timeout: 10 * time.Second,
		limits: newLimiter(p.Limits, p.Store, p.Log), alone: p.Alone,
	}
}

func NewProcessor(app *App, p Parts) lambda.Handler {
	return &processor{
		app: app, store: p.Store, history: p.Store, conns: p.Conns, wake: p.Wake, log: p.Log, nonce: p.Nonce, lease: p.Lease,
		metrics: &metrics{out: p.Out, namespace: "Streamer"}, where: request.Where{Function: "fn", LogGroup: "group", LogStream: "stream"},
	}
}

func NewDispatcher(p Parts) lambda.Handler {
	g := gate{store: p.Store, concurrency: p.Limits.TenantConcurrency, paused: p.Limits.Paused}
	return &dispatcher{gate: g, store: p.Store, start: p.Start, wake: p.Wake, log: p.Log, nonce: p.Nonce, metrics: &metrics{out: p.Out, namespace: "Streamer"}}
}

// Message is the router without the event around the message.
func Message(app *App, p Parts) func(ctx context.Context, body string) []byte {
	r := NewRouter(app, p).(*router)
	s := session{
		Caller:     Caller{User: "u", Tenant: "t", Permissions: []string{"read"}},
		connection: "c1", connected: time.Now(), expires: time.Now().Add(time.Hour),
	}
	return func(ctx context.Context, body string) []byte { return r.message(ctx, s, []byte(body)) }
}

// WithLimit is the context of a quick request.
func WithLimit(parent context.Context, d time.Duration) (ctx context.Context, end func()) {
	c := withLimit(parent, d)
	return c, c.end
}
