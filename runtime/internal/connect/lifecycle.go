package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/streamer-go/streamer/internal/contract"
)

// connected answers $connect: it stores the connection and chooses the
// subprotocol. The client is not told more here: nothing can be posted to a
// connection before this function has returned.
func (h *Handler) connected(ctx context.Context, event []byte) ([]byte, error) {
	var e events.APIGatewayWebsocketProxyRequest
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("read $connect event: %w", err)
	}
	hs := handshake{single: e.Headers, multi: e.MultiValueHeaders}
	protocol, ok := hs.subprotocol()
	if !ok {
		h.o.Log.WarnContext(ctx, "handshake refused", "status", http.StatusBadRequest, "reason", "no subprotocol that is spoken here is offered", "connection", e.RequestContext.ConnectionID)
		return status(http.StatusBadRequest, "")
	}
	c, err := connection(e.RequestContext)
	if err != nil {
		return nil, fmt.Errorf("store connection %s: %w", e.RequestContext.ConnectionID, err)
	}
	if err := h.o.Connections.Put(ctx, c); err != nil {
		h.o.Log.ErrorContext(ctx, "connection not stored", "connection", c.ID, "reason", err.Error())
		return nil, fmt.Errorf("store connection %s: %w", c.ID, err)
	}
	return status(http.StatusOK, protocol)
}

// disconnected answers $disconnect. Nobody waits for the answer and API Gateway
// does not try again, so a failure is a line in the log; the record expires.
func (h *Handler) disconnected(ctx context.Context, event []byte) ([]byte, error) {
	var e events.APIGatewayWebsocketProxyRequest
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("read $disconnect event: %w", err)
	}
	c, err := connection(e.RequestContext)
	if err == nil {
		err = h.o.Connections.Delete(ctx, c.Tenant, c.User, c.ID)
	}
	if err != nil {
		h.o.Log.WarnContext(ctx, "connection not deleted", "connection", e.RequestContext.ConnectionID, "reason", err.Error())
	}
	return status(http.StatusOK, "")
}

func status(code int, protocol string) ([]byte, error) {
	r := events.APIGatewayProxyResponse{StatusCode: code}
	if protocol != "" {
		r.Headers = map[string]string{"Sec-WebSocket-Protocol": protocol}
	}
	return json.Marshal(r)
}

// connection reads who is connected from what the authorizer said. Without that
// the route has no authorizer, and nobody may be let in.
func connection(rc events.APIGatewayWebsocketProxyRequestContext) (Connection, error) {
	said, _ := rc.Authorizer.(map[string]any)
	c := Connection{ID: rc.ConnectionID, Tenant: text(said[contract.CtxTenant]), User: text(said[contract.CtxUser])}
	if c.ID == "" {
		return Connection{}, errors.New("event has no connection id")
	}
	if c.User == "" {
		return Connection{}, errors.New("event has no identity: does $connect have its authorizer?")
	}
	exp, err := strconv.ParseInt(text(said[contract.CtxExpires]), 10, 64)
	if err != nil {
		return Connection{}, fmt.Errorf("read expiry of identity: %w", err)
	}
	c.ConnectedAt = time.UnixMilli(rc.ConnectedAt).UTC()
	if rc.ConnectedAt == 0 {
		c.ConnectedAt = time.Now().UTC()
	}
	c.ExpiresAt = c.ConnectedAt.Add(contract.ConnectionLife)
	if token := time.Unix(exp, 0).UTC(); token.Before(c.ExpiresAt) {
		c.ExpiresAt = token
	}
	return c, nil
}

// text reads an entry of the authorizer's context. API Gateway documents strings
// for its own variables and is silent about events, so numbers are read as well.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
