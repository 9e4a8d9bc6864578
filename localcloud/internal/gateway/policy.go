package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// resourceLimit is the longest Resource of an authorizer's policy.
const resourceLimit = 512

// policy is an authorizer's policy document.
type policy []statement

type statement struct {
	Effect      string
	Action      list
	NotAction   list
	Resource    list
	NotResource list
	Condition   json.RawMessage
}

// list is a JSON string or array of strings.
type list []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*l = list{""}
		return json.Unmarshal(b, &(*l)[0])
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// parsePolicy reads and checks a policy document.
func parsePolicy(raw json.RawMessage) (policy, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, errors.New("missing")
	}
	var doc struct{ Statement json.RawMessage }
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	var p policy
	switch {
	case len(doc.Statement) == 0:
		return nil, errors.New("Statement is missing")
	case doc.Statement[0] == '{':
		p = make(policy, 1)
		if err := json.Unmarshal(doc.Statement, &p[0]); err != nil {
			return nil, err
		}
	default:
		if err := json.Unmarshal(doc.Statement, &p); err != nil {
			return nil, err
		}
	}
	for i, s := range p {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("Statement[%d]: %w", i, err)
		}
	}
	return p, nil
}

func (s *statement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("Effect %q", s.Effect)
	case (len(s.Action) == 0) == (len(s.NotAction) == 0):
		return errors.New("one of Action and NotAction is required")
	case (len(s.Resource) == 0) == (len(s.NotResource) == 0):
		return errors.New("one of Resource and NotResource is required")
	case len(s.Condition) > 0 && string(s.Condition) != "{}" && string(s.Condition) != "null":
		return errors.New("Condition is not supported by the local cloud")
	}
	for _, resource := range append(s.Resource[:len(s.Resource):len(s.Resource)], s.NotResource...) {
		if len(resource) > resourceLimit {
			return fmt.Errorf("a Resource of %d characters exceeds %d", len(resource), resourceLimit)
		}
	}
	return nil
}

// allows evaluates the policy: a matching Deny wins over a matching Allow.
func (p policy) allows(action, resource string) bool {
	allowed := false
	for _, s := range p {
		if !s.matches(action, resource) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s *statement) matches(action, resource string) bool {
	actionMatches := func(pattern string) bool {
		return matchWildcard(strings.ToLower(pattern), strings.ToLower(action))
	}
	resourceMatches := func(pattern string) bool { return matchARN(pattern, resource) }
	return anyOf(s.Action, s.NotAction, actionMatches) && anyOf(s.Resource, s.NotResource, resourceMatches)
}

// anyOf reports whether one of is matches, or, without is, none of isNot.
func anyOf(is, isNot list, match func(string) bool) bool {
	patterns, want := is, true
	if len(is) == 0 {
		patterns, want = isNot, false
	}
	for _, p := range patterns {
		if match(p) {
			return want
		}
	}
	return !want
}

// matchARN matches an ARN segment by segment, so that a wildcard does not
// reach over a colon; the sixth segment keeps further colons.
func matchARN(pattern, arn string) bool {
	if pattern == "*" {
		return true
	}
	patterns, segments := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(patterns) != len(segments) {
		return false
	}
	for i := range patterns {
		if !matchWildcard(patterns[i], segments[i]) {
			return false
		}
	}
	return true
}

// matchWildcard matches * (any run, also of slashes) and ? (one character).
func matchWildcard(pattern, s string) bool {
	star, resume := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, resume = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0:
			resume++
			i, j = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}
