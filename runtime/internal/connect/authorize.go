package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/aws/aws-lambda-go/events"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/jwt"
)

// maxResult bounds what an authorizer may return ("Amazon API Gateway quotas":
// WebSocket API authorizer result size).
const maxResult = 8 << 10

// authorize answers the REQUEST authorizer's event. A token that is missing or
// not valid is answered with 401, an origin that is not allowed with 403, and
// keys that cannot be fetched with an error that is neither: a client that was
// told 401 would throw a good token away.
func (h *Handler) authorize(ctx context.Context, event []byte) ([]byte, error) {
	var e events.APIGatewayCustomAuthorizerRequestTypeRequest
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, fmt.Errorf("read authorizer event: %w", err)
	}
	hs := handshake{single: e.Headers, multi: e.MultiValueHeaders, query: e.QueryStringParameters, queries: e.MultiValueQueryStringParameters}
	log := h.o.Log.With("api_request", e.RequestContext.RequestID, "source_ip", e.RequestContext.Identity.SourceIP)
	if origin, ok := h.allowed(hs); !ok {
		log.WarnContext(ctx, "handshake refused", "status", 403, "reason", "origin is not allowed", "origin", cut(origin))
		return json.Marshal(decision("anonymous", "Deny", e.MethodArn))
	}
	id, from, err := h.verify(ctx, hs)
	var own *jwt.Error
	switch {
	case errors.As(err, &own) && own.Temporary:
		log.ErrorContext(ctx, "token not verified", "reason", err.Error())
		return nil, fmt.Errorf("authorize connection: %w", err)
	case err != nil:
		return nil, refuse(ctx, log, err.Error())
	}
	result := decision(id.User, "Allow", e.MethodArn)
	if result.Context, err = claims(id); err != nil {
		return nil, fmt.Errorf("authorize connection: %w", err)
	}
	body, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("authorize connection: %w", err)
	}
	if len(body) > maxResult {
		return nil, refuse(ctx, log, fmt.Sprintf("claims make an authorizer result of %d bytes, at most %d are allowed: name fewer permissions", len(body), maxResult))
	}
	log.DebugContext(ctx, "handshake allowed", "token_from", from)
	return body, nil
}

func refuse(ctx context.Context, log *slog.Logger, reason string) error {
	log.WarnContext(ctx, "handshake refused", "status", 401, "reason", reason)
	return errUnauthorized
}

func (h *Handler) verify(ctx context.Context, hs handshake) (id jwt.Identity, from string, err error) {
	token, from, err := hs.token(h.o.QueryParameter)
	if err != nil {
		return jwt.Identity{}, "", err
	}
	id, err = h.o.Verifier.Verify(ctx, token)
	return id, from, err
}

// decision is a policy for the very method that was asked for: a wildcard would
// be cached and shared where caching is switched on.
func decision(principal, effect, methodARN string) events.APIGatewayCustomAuthorizerResponse {
	return events.APIGatewayCustomAuthorizerResponse{
		PrincipalID: principal,
		PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
			Version:   "2012-10-17",
			Statement: []events.IAMPolicyStatement{{Action: []string{"execute-api:Invoke"}, Effect: effect, Resource: []string{methodARN}}},
		},
	}
}

// claims is the context that rides along with every later event. API Gateway
// takes scalars only; strings arrive as they are.
func claims(id jwt.Identity) (map[string]any, error) {
	if id.Permissions == nil {
		id.Permissions = []string{}
	}
	permissions, err := json.Marshal(id.Permissions)
	if err != nil {
		return nil, err
	}
	c := map[string]any{
		contract.CtxUser:        id.User,
		contract.CtxPermissions: string(permissions),
		contract.CtxExpires:     strconv.FormatInt(id.Expires.Unix(), 10),
	}
	if id.Tenant != "" {
		c[contract.CtxTenant] = id.Tenant
	}
	return c, nil
}
