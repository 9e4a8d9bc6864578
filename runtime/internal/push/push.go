// Package push sends frames to connections through @connections. A Pusher is
// safe for concurrent use.
package push

import (
	"context"
	"errors"
	"fmt"
	"time"

	api "github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi/types"
)

// What a push may meet besides success.
var (
	// ErrGone: the connection does not exist (410).
	ErrGone = errors.New("connection is gone")
	// ErrBusy: the account's rate or the client's buffer is exhausted (429).
	ErrBusy = errors.New("connection is busy")
)

// timeout of one push. A client that reads slowly must not hold its request.
const timeout = 5 * time.Second

// Pusher posts to connections.
type Pusher struct{ client *api.Client }

// New makes a pusher.
func New(client *api.Client) *Pusher { return &Pusher{client: client} }

// Push sends one frame. It returns ErrGone, ErrBusy or what the call returned.
func (p *Pusher) Push(ctx context.Context, connection string, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := p.client.PostToConnection(ctx, &api.PostToConnectionInput{ConnectionId: &connection, Data: frame})
	return translate("post to", connection, err)
}

// Close ends a connection; one that is gone already is no error.
func (p *Pusher) Close(ctx context.Context, connection string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := p.client.DeleteConnection(ctx, &api.DeleteConnectionInput{ConnectionId: &connection})
	if err = translate("close", connection, err); errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

func translate(verb, connection string, err error) error {
	var gone *types.GoneException
	var busy *types.LimitExceededException
	switch {
	case err == nil:
		return nil
	case errors.As(err, &gone):
		return ErrGone
	case errors.As(err, &busy):
		return ErrBusy
	default:
		return fmt.Errorf("%s connection %s: %w", verb, connection, err)
	}
}
