package lambda

import (
	"fmt"
	"strings"
)

// PermissionSpec is a statement of a function's resource policy.
type PermissionSpec struct {
	Action    string // lambda:InvokeFunction or lambda:*
	Principal string // a service: apigateway.amazonaws.com
	SourceARN string // ArnLike pattern, "" for any source
}

// PutPermission adds or replaces a statement of a function's resource policy.
func (s *Service) PutPermission(function, statementID string, spec PermissionSpec) error {
	if spec.Action != "lambda:InvokeFunction" && spec.Action != "lambda:*" {
		return invalid("permission %s of function %s: action %q is not supported locally: want lambda:InvokeFunction", statementID, function, spec.Action)
	}
	if !strings.HasSuffix(spec.Principal, ".amazonaws.com") {
		return invalid("permission %s of function %s: principal %q is not supported locally: want a service such as apigateway.amazonaws.com", statementID, function, spec.Principal)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(function)
	if err != nil {
		return fmt.Errorf("put permission %s: %w", statementID, err)
	}
	f.permissions[statementID] = spec
	return nil
}

// DeletePermission removes a statement.
func (s *Service) DeletePermission(function, statementID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(function)
	if err != nil {
		return fmt.Errorf("delete permission %s: %w", statementID, err)
	}
	if _, ok := f.permissions[statementID]; !ok {
		return fmt.Errorf("delete permission %s: %w", statementID, &NotFound{Resource: f.info.ARN + " statement " + statementID})
	}
	delete(f.permissions, statementID)
	return nil
}

func (o InvokeOptions) principal() string {
	if o.Principal == "" && strings.HasPrefix(o.Source, "arn:aws:execute-api:") {
		return "apigateway.amazonaws.com"
	}
	return o.Principal
}

// permitted asks the resource policy of a function.
func (s *Service) permitted(function, principal, source string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.find(function)
	if err != nil {
		return err
	}
	for _, p := range f.permissions {
		if p.Principal == principal && (p.SourceARN == "" || arnLike(p.SourceARN, source)) {
			return nil
		}
	}
	return &NotPermitted{Function: f.info.ARN, Principal: principal, SourceARN: source}
}

// arnLike matches an ARN against a pattern segment by segment: wildcards do
// not cross the first five colons.
func arnLike(pattern, arn string) bool {
	for range 5 {
		p, restP, ok := strings.Cut(pattern, ":")
		a, restA, ok2 := strings.Cut(arn, ":")
		if !ok || !ok2 || !wildcard(p, a) {
			return false
		}
		pattern, arn = restP, restA
	}
	return wildcard(pattern, arn)
}

// wildcard matches * and ? against any text, / included.
func wildcard(pattern, text string) bool {
	star, mark, p, t := -1, 0, 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
