// Package connect is the core of the connect function: it is the authorizer of
// the WebSocket API's handshake and the integration of $connect and $disconnect.
//
// The token is verified once, here. What it says travels on in the authorizer's
// context, which API Gateway hands to every later event of the connection.
//
// A Handler is safe for concurrent use. The package imports the standard library,
// the event types of aws-lambda-go, runtime/wire, runtime/internal/jwt and
// internal/contract; where connections are kept is the caller's.
package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/jwt"
)

// errUnauthorized makes API Gateway answer the handshake with 401. It compares
// the text, see "Control access to WebSocket APIs with AWS Lambda REQUEST
// authorizers": any other error is a failure of the authorizer itself.
var errUnauthorized = errors.New("Unauthorized")

// Connection is an open connection.
type Connection struct {
	ID, Tenant, User string
	ConnectedAt      time.Time
	// ExpiresAt is when it is of no more use: when its token expires or API
	// Gateway ends it, whichever is first. A record may go then, seen or not.
	ExpiresAt time.Time
}

// Connections is where connections are kept.
type Connections interface {
	// Put stores a connection; once more for the same id does no harm.
	Put(ctx context.Context, c Connection) error
	// Delete removes it; one that is not there is no error.
	Delete(ctx context.Context, tenant, user, id string) error
}

// Verifier verifies a token. An error that is a *jwt.Error with Temporary set
// is no verdict on the token.
type Verifier interface {
	Verify(ctx context.Context, token string) (jwt.Identity, error)
}

// Options are what a Handler needs. All but the last two are required.
type Options struct {
	Verifier    Verifier
	Connections Connections
	Log         *slog.Logger
	// Origins are those that a browser may connect from, scheme, host and port as
	// in the header Origin; empty, or with an entry "*": all. A handshake without
	// the header does not come from a browser and is let through.
	Origins []string
	// QueryParameter, when set, is where a token is looked for last.
	QueryParameter string
}

// Handler answers the three events.
type Handler struct{ o Options }

// New returns the handler of the connect function: tokens are verified by auth,
// whose key set, if any, is fetched through transport.
func New(auth contract.Auth, store Connections, transport http.RoundTripper, log *slog.Logger) (*Handler, error) {
	verifier, err := jwt.New(auth, transport)
	if err != nil {
		return nil, fmt.Errorf("make connect handler: %w", err)
	}
	return NewHandler(Options{Verifier: verifier, Connections: store, Log: log, Origins: auth.Origins, QueryParameter: auth.QueryParameter})
}

// NewHandler returns a handler, or an error that names what is missing.
func NewHandler(o Options) (*Handler, error) {
	var errs []error
	for name, missing := range map[string]bool{"verifier": o.Verifier == nil, "connections": o.Connections == nil, "log": o.Log == nil} {
		if missing {
			errs = append(errs, fmt.Errorf("make connect handler: no %s", name))
		}
	}
	for _, origin := range o.Origins {
		if err := contract.CheckOrigin(origin); err != nil {
			errs = append(errs, fmt.Errorf("make connect handler: origin: %w", err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Handler{o: o}, nil
}

// Invoke answers one event of API Gateway: the authorizer's (type REQUEST), and
// those of $connect and $disconnect. It has the shape of aws-lambda-go's Handler.
func (h *Handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	var kind struct {
		Type           string `json:"type"`
		RequestContext struct {
			EventType string `json:"eventType"`
		} `json:"requestContext"`
	}
	if err := json.Unmarshal(event, &kind); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	switch {
	case kind.Type == "REQUEST":
		return h.authorize(ctx, event)
	case kind.Type != "":
		return nil, fmt.Errorf("answer event: an authorizer of type %q is not supported, only REQUEST", kind.Type)
	case kind.RequestContext.EventType == "CONNECT":
		return h.connected(ctx, event)
	case kind.RequestContext.EventType == "DISCONNECT":
		return h.disconnected(ctx, event)
	}
	return nil, fmt.Errorf("answer event: type %q is not for the connect function", kind.RequestContext.EventType)
}
