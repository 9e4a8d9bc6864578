package iam

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

var _ account.Authorizer = (*Store)(nil)

type decision int

const (
	undecided decision = iota
	allowed
	denied
)

// request is what a policy is asked about.
type request struct {
	action, resource string
	service          string // the AWS service that assumes a role, "" otherwise
	// values are the context's condition keys, in lower case.
	values map[string][]string
}

type valuesKey struct{}

// WithValues returns a context whose calls are authorized with these condition
// keys (such as aws:SourceIp, dynamodb:LeadingKeys) beside those that every
// call has and those already in ctx.
func WithValues(ctx context.Context, values map[string][]string) context.Context {
	merged := maps.Clone(valuesFrom(ctx))
	if merged == nil {
		merged = map[string][]string{}
	}
	for k, v := range values {
		merged[strings.ToLower(k)] = v
	}
	return context.WithValue(ctx, valuesKey{}, merged)
}

func valuesFrom(ctx context.Context) map[string][]string {
	v, _ := ctx.Value(valuesKey{}).(map[string][]string)
	return v
}

// Authorize implements account.Authorizer: an explicit Deny of any policy of
// the caller's role wins, then any Allow; what is not allowed is denied. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func (s *Store) Authorize(ctx context.Context, action, resource string) error {
	caller, ok := account.CallerFrom(ctx)
	if !ok {
		caller.ARN = "anonymous"
		return &account.Denied{Caller: caller, Action: action, Resource: resource}
	}
	if caller.Root {
		return nil
	}
	in := request{action: action, resource: resource, values: callValues(ctx, caller, time.Now())}
	verdict := s.decide(caller.Role, &in)
	if verdict == allowed {
		return nil
	}
	return &account.Denied{Caller: caller, Action: action, Resource: resource, Explicit: verdict == denied}
}

func (s *Store) decide(roleName string, in *request) decision {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.roles[roleName]
	if r == nil {
		return undecided
	}
	verdict := undecided
	for _, policies := range []map[string]*document{r.inline, r.managed} {
		for _, doc := range policies {
			verdict = max(verdict, doc.decide(in))
		}
	}
	return verdict
}

// callValues are the condition keys of every call.
func callValues(ctx context.Context, caller account.Caller, now time.Time) map[string][]string {
	values := commonValues(now)
	values["aws:principalarn"] = []string{RoleARN(caller.Role)}
	values["aws:principalaccount"] = []string{account.ID}
	values["aws:principaltype"] = []string{"AssumedRole"}
	maps.Copy(values, valuesFrom(ctx))
	return values
}

// assumeValues are the condition keys of a service that assumes a role, see
// https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
func assumeValues(source string, now time.Time) map[string][]string {
	values := commonValues(now)
	values["aws:sourceaccount"] = []string{account.ID}
	values["aws:sourcearn"] = []string{source}
	return values
}

func commonValues(now time.Time) map[string][]string {
	return map[string][]string{
		"aws:requestedregion": {account.Region},
		"aws:resourceaccount": {account.ID},
		"aws:currenttime":     {now.UTC().Format(time.RFC3339)},
		"aws:epochtime":       {strconv.FormatInt(now.Unix(), 10)},
		// The endpoint is plain HTTP, but what runs against it would use TLS: a
		// policy that demands it must not fail here.
		"aws:securetransport": {"true"},
	}
}

func (d *document) decide(in *request) decision {
	verdict := undecided
	for i := range d.statements {
		st := &d.statements[i]
		if !st.applies(in) {
			continue
		}
		if st.deny {
			return denied
		}
		verdict = allowed
	}
	return verdict
}

func (st *statement) applies(in *request) bool {
	if anyMatches(st.actions, strings.ToLower(in.action)) == st.notActions {
		return false
	}
	if in.service != "" {
		if !anyMatches(st.services, in.service) {
			return false
		}
	} else if st.matchesResource(in) == st.notResources {
		return false
	}
	for i := range st.conditions {
		if !st.conditions[i].holds(in.values) {
			return false
		}
	}
	return true
}

func (st *statement) matchesResource(in *request) bool {
	for i := range st.resources {
		if st.resources[i].matches(in.resource, in.values) {
			return true
		}
	}
	return false
}

func anyMatches(patterns []glob, s string) bool {
	for _, p := range patterns {
		if p.matches(s) {
			return true
		}
	}
	return false
}
