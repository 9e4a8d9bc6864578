package streamer

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/boot"
	"github.com/streamer-go/streamer/runtime/internal/connect"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Host is where a function runs: its environment (default the process's), how
// it reaches AWS (default the network), and where its log goes (default stdout).
// Programs leave it alone; a simulation that runs all functions in one process
// gives each its own.
type Host = boot.Host

// Run serves the role that the environment names, router or processor, until
// Lambda ends the process.
func (app *App) Run() { serve(app.Handler(Host{})) }

// Handler is what Run serves: the function that the host's environment
// describes. It returns an error that names what is missing there.
func (app *App) Handler(h Host) (lambda.Handler, error) {
	f, err := boot.New(h)
	if err != nil {
		return nil, err
	}
	switch f.Role {
	case contract.RoleRouter:
		r := &router{
			app: app, store: f.Store, log: f.Log, nonce: boot.Nonce,
			metrics: &metrics{out: f.Out, namespace: f.Namespace}, threshold: f.Threshold, timeout: f.QuickTimeout, limits: newLimiter(f.Limits, f.Store, f.Log),
			alone: h.Transport == nil,
		}
		if f.Push != nil {
			r.conns = f.Push
		}
		return r, nil
	case contract.RoleProcessor:
		return &processor{
			app: app, store: f.Store, history: f.Store, conns: f.Push, wake: f.Queue, log: f.Log, nonce: boot.Nonce, lease: f.Lease,
			metrics: &metrics{out: f.Out, namespace: f.Namespace}, where: request.Where{Function: f.Name, LogGroup: f.LogGroup, LogStream: f.LogStream},
		}, nil
	default:
		return nil, fmt.Errorf("serve role %s: an app serves router and processor", f.Role)
	}
}

// RunConnect serves the connect function: authorizer, $connect and $disconnect.
func RunConnect() { serve(ConnectHandler(Host{})) }

// ConnectHandler is what RunConnect serves.
func ConnectHandler(h Host) (lambda.Handler, error) {
	f, err := boot.New(h)
	if err != nil {
		return nil, err
	}
	if f.Role != contract.RoleConnect {
		return nil, fmt.Errorf("serve role %s: want connect", f.Role)
	}
	transport := f.Transport
	if transport == nil {
		transport = http.DefaultTransport // of the key set
	}
	return connect.New(f.Auth, f.Store, transport, f.Log)
}

// RunDispatcher serves the dispatcher: stream, wake queue and sweep.
func RunDispatcher() { serve(DispatcherHandler(Host{})) }

// DispatcherHandler is what RunDispatcher serves.
func DispatcherHandler(h Host) (lambda.Handler, error) {
	f, err := boot.New(h)
	if err != nil {
		return nil, err
	}
	if f.Role != contract.RoleDispatcher {
		return nil, fmt.Errorf("serve role %s: want dispatcher", f.Role)
	}
	g := gate{store: f.Store, concurrency: f.Limits.TenantConcurrency, paused: f.Limits.Paused}
	return &dispatcher{gate: g, store: f.Store, start: f.Processor, wake: f.Queue, log: f.Log, nonce: boot.Nonce, metrics: &metrics{out: f.Out, namespace: f.Namespace}}, nil
}

// serve hands the function to Lambda. One that cannot be set up answers every
// invocation with the reason, which is where people look for it.
func serve(h lambda.Handler, err error) {
	if err != nil {
		slog.New(slog.NewJSONHandler(os.Stdout, nil)).Error("function is not set up", "error", err.Error())
		h = brokenFunction{err}
	}
	lambda.Start(h)
}

type brokenFunction struct{ err error }

func (b brokenFunction) Invoke(context.Context, []byte) ([]byte, error) { return nil, b.err }

// reference ties what a client was told to the log.
func reference() string { return rand.Text()[:12] }
