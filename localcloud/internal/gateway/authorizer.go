package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
)

// authorizerLimit is the largest result of an authorizer.
const authorizerLimit = 8 << 10

// validIdentitySource reports whether an identity source has a form that
// identity reads.
func validIdentitySource(source string) bool {
	for _, prefix := range []string{"route.request.header.", "route.request.querystring.", "stageVariables.", "context."} {
		if name, ok := strings.CutPrefix(source, prefix); ok && name != "" {
			return prefix != "context." || slices.Contains(contextNames, name)
		}
	}
	return false
}

// contextNames are the context variables an identity source may name.
var contextNames = []string{"connectionId", "domainName", "stage", "apiId", "routeKey", "eventType", "identity.sourceIp", "identity.userAgent"}

// identity returns the value of an identity source, "" when it is missing.
func (c *conn) identity(source string, h *handshake, v *served) string {
	kind, name, _ := strings.Cut(source, ".")
	switch kind {
	case "stageVariables":
		return v.variables[name]
	case "context":
		return map[string]string{
			"connectionId": c.id, "domainName": c.domain, "stage": c.stage.name, "apiId": c.api.id,
			"routeKey": routeConnect, "eventType": "CONNECT",
			"identity.sourceIp": c.sourceIP, "identity.userAgent": c.userAgent,
		}[name]
	}
	if query, ok := strings.CutPrefix(source, "route.request.querystring."); ok {
		return h.query.Get(query)
	}
	header := textproto.CanonicalMIMEHeaderKey(strings.TrimPrefix(source, "route.request.header."))
	for k, values := range h.headers {
		if textproto.CanonicalMIMEHeaderKey(k) == header {
			return strings.Join(values, ",")
		}
	}
	return ""
}

// authorize asks the route's authorizer and, when it allows, keeps its
// context for all events of the connection.
func (a *api) authorize(c *conn, h *handshake, v *served, r *route, requestID string) *refusal {
	for _, source := range r.authorizer.sources {
		if c.identity(source, h, v) == "" {
			a.service.logf(a, "authorize $connect, request %s: identity source %s is missing", requestID, source)
			return unauthorized
		}
	}
	answer, err := a.service.call(Invocation{
		Function:    r.authorizer.function,
		Payload:     c.authorizerEvent(v, h, requestID, r.sourceARN),
		SourceARN:   r.authorizer.sourceARN,
		TraceHeader: h.trace,
	}, maxIntegrationTimeout)
	if err == nil && answer.FunctionError != "" {
		if errorMessage(answer.Payload) == "Unauthorized" {
			return unauthorized
		}
		err = errors.New(answer.FunctionError + ": " + string(answer.Payload))
	}
	var result *verdict
	if err == nil {
		result, err = parseVerdict(answer.Payload)
	}
	if err != nil {
		a.service.logf(a, "authorize $connect, request %s: %v", requestID, err)
		return broken
	}
	if !result.policy.allows("execute-api:Invoke", r.sourceARN) {
		return forbidden
	}
	c.authorize(result.context)
	return nil
}

// verdict is what an authorizer returned: the policy, and principalId with
// the context entries, as text.
type verdict struct {
	policy  policy
	context map[string]string
}

// parseVerdict checks an authorizer's output; see "Output from an API Gateway
// Lambda authorizer" in the guide.
func parseVerdict(payload []byte) (*verdict, error) {
	if len(payload) > authorizerLimit {
		return nil, fmt.Errorf("authorizer result of %d bytes exceeds %d", len(payload), authorizerLimit)
	}
	var out struct {
		PrincipalID *string                    `json:"principalId"`
		Policy      json.RawMessage            `json:"policyDocument"`
		Context     map[string]json.RawMessage `json:"context"`
	}
	if err := json.Unmarshal(payload, &out); err != nil {
		return nil, fmt.Errorf("authorizer result: %w", err)
	}
	if out.PrincipalID == nil {
		return nil, errors.New("authorizer result: principalId is missing")
	}
	p, err := parsePolicy(out.Policy)
	if err != nil {
		return nil, fmt.Errorf("authorizer result: policyDocument: %w", err)
	}
	v := &verdict{policy: p, context: map[string]string{"principalId": *out.PrincipalID}}
	for name, raw := range out.Context {
		text, keep, err := scalar(raw)
		if err != nil {
			return nil, fmt.Errorf("authorizer result: context.%s: %w", name, err)
		}
		if keep {
			v.context[name] = text
		}
	}
	return v, nil
}

// scalar returns a context value as text; keep is false for null.
func scalar(raw json.RawMessage) (text string, keep bool, err error) {
	switch raw[0] {
	case '{', '[':
		return "", false, errors.New("an object or array is not allowed")
	case 'n':
		return "", false, nil
	case '"':
		err := json.Unmarshal(raw, &text)
		return text, true, err
	}
	return string(raw), true, nil
}
