package iam_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

const (
	table = "arn:aws:dynamodb:us-east-1:000000000000:table/requests"
	queue = "arn:aws:sqs:us-east-1:000000000000:wake"
	post  = "arn:aws:execute-api:us-east-1:000000000000:abc/live/POST/@connections/xyz="
)

func policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(action, resource, more string) string {
	return `{"Effect":"Allow","Action":` + action + `,"Resource":` + resource + more + `}`
}

func TestEvaluation(t *testing.T) {
	t.Parallel()
	all := `"*"`
	for name, tc := range map[string]struct {
		policy           string
		action, resource string
		values           map[string][]string
		want             string // allow, deny (none matches), explicit
	}{
		"allowed":                {policy(allow(`"dynamodb:PutItem"`, `"`+table+`"`, "")), "dynamodb:PutItem", table, nil, "allow"},
		"other action":           {policy(allow(`"dynamodb:PutItem"`, all, "")), "dynamodb:GetItem", table, nil, "deny"},
		"other resource":         {policy(allow(`"dynamodb:*"`, `"`+table+`2"`, "")), "dynamodb:GetItem", table, nil, "deny"},
		"index is not the table": {policy(allow(`"dynamodb:Query"`, `"`+table+`"`, "")), "dynamodb:Query", table + "/index/due", nil, "deny"},
		"index":                  {policy(allow(`"dynamodb:Query"`, `"`+table+`/index/due"`, "")), "dynamodb:Query", table + "/index/due", nil, "allow"},
		"action any case":        {policy(allow(`"DynamoDB:putitem"`, all, "")), "dynamodb:PutItem", table, nil, "allow"},
		"resource one case":      {policy(allow(`"dynamodb:PutItem"`, `"`+strings.Replace(table, "requests", "Requests", 1)+`"`, "")), "dynamodb:PutItem", table, nil, "deny"},
		"action wildcard":        {policy(allow(`["sqs:SendMessage","dynamodb:Put?tem"]`, all, "")), "dynamodb:PutItem", table, nil, "allow"},
		"all actions":            {policy(allow(`"*"`, all, "")), "sqs:SendMessage", queue, nil, "allow"},
		"deny wins":              {policy(allow(`"*"`, all, ""), `{"Effect":"Deny","Action":"sqs:*","Resource":"`+queue+`"}`), "sqs:SendMessage", queue, nil, "explicit"},
		"deny of another":        {policy(allow(`"*"`, all, ""), `{"Effect":"Deny","Action":"sqs:*","Resource":"`+queue+`2"}`), "sqs:SendMessage", queue, nil, "allow"},
		"not action":             {policy(`{"Effect":"Allow","NotAction":"sqs:*","Resource":"*"}`), "sqs:SendMessage", queue, nil, "deny"},
		"not action, another":    {policy(`{"Effect":"Allow","NotAction":"sqs:*","Resource":"*"}`), "dynamodb:PutItem", table, nil, "allow"},
		"not resource":           {policy(`{"Effect":"Deny","Action":"*","NotResource":"` + table + `"},` + allow(`"*"`, all, "")), "sqs:SendMessage", queue, nil, "explicit"},
		"not resource, it":       {policy(`{"Effect":"Deny","Action":"*","NotResource":"` + table + `"},` + allow(`"*"`, all, "")), "dynamodb:PutItem", table, nil, "allow"},
		"connections":            {policy(allow(`"execute-api:ManageConnections"`, `"arn:aws:execute-api:us-east-1:000000000000:abc/live/POST/@connections/*"`, "")), "execute-api:ManageConnections", post, nil, "allow"},
		"connections by DELETE":  {policy(allow(`"execute-api:ManageConnections"`, `"arn:aws:execute-api:us-east-1:000000000000:abc/live/POST/@connections/*"`, "")), "execute-api:ManageConnections", strings.Replace(post, "POST", "DELETE", 1), nil, "deny"},
		"wildcard crosses slash": {policy(allow(`"execute-api:*"`, `"arn:aws:execute-api:*:*:abc/*"`, "")), "execute-api:ManageConnections", post, nil, "allow"},
		"wildcard not a colon":   {policy(allow(`"sqs:*"`, `"arn:aws:sqs:*:wake"`, "")), "sqs:SendMessage", queue, nil, "deny"},
		"colons in the tail":     {policy(allow(`"logs:*"`, `"arn:aws:logs:*:*:log-group:/aws/lambda/f:*"`, "")), "logs:PutLogEvents", "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:log-stream:s", nil, "allow"},
		"short arn":              {policy(allow(`"sqs:*"`, `"arn:aws:sqs"`, "")), "sqs:SendMessage", queue, nil, "allow"},
		"single statement":       {`{"Statement":` + allow(`"sqs:*"`, all, "") + `}`, "sqs:SendMessage", queue, nil, "allow"},
		"variable": {policy(allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}-*"`, "")), "dynamodb:GetItem",
			"arn:aws:dynamodb:us-east-1:000000000000:table/red-1", map[string][]string{"aws:PrincipalTag/team": {"red"}}, "allow"},
		"variable's star is none": {policy(allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}"`, "")), "dynamodb:GetItem",
			table, map[string][]string{"aws:PrincipalTag/team": {"*"}}, "deny"},
		"variable missing": {policy(allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}"`, "")), "dynamodb:GetItem", table, nil, "deny"},
		"variable default": {policy(allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team, 'requests'}"`, "")), "dynamodb:GetItem", table, nil, "allow"},
		"old version": {`{"Version":"2008-10-17","Statement":` + allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team, 'requests'}"`, "") + `}`,
			"dynamodb:GetItem", table, nil, "deny"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decide(t, tc.policy, tc.action, tc.resource, tc.values); got != tc.want {
				t.Errorf("%s on %s: %s, want %s", tc.action, tc.resource, got, tc.want)
			}
		})
	}
}

// decide asks the Store as a service does.
func decide(t *testing.T, policy, action, resource string, values map[string][]string) string {
	t.Helper()
	s := iam.New()
	if err := s.PutRole("r", trust("lambda.amazonaws.com")); err != nil {
		t.Fatal(err)
	}
	if err := s.PutPolicy("r", "p", policy); err != nil {
		t.Fatal(err)
	}
	ctx := iam.WithValues(account.WithCaller(context.Background(), account.AssumedRole("r", "s")), values)
	err := s.Authorize(ctx, action, resource)
	if err == nil {
		return "allow"
	}
	var d *account.Denied
	if !errors.As(err, &d) {
		t.Fatalf("error %v is no refusal", err)
	}
	for _, part := range []string{"assumed-role/r/s", action, resource} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
	if d.Explicit {
		return "explicit"
	}
	return "deny"
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for _, tc := range []conditionCase{
		{`"StringEquals":{"aws:x":"a"}`, one("a"), true},
		{`"StringEquals":{"aws:x":["a","b"]}`, one("b"), true},
		{`"StringEquals":{"aws:x":"a*"}`, one("ab"), false},
		{`"StringEquals":{"aws:x":"A"}`, one("a"), false},
		{`"StringEquals":{"AWS:X":"a"}`, one("a"), true},
		{`"StringEquals":{"aws:x":"a"}`, nil, false},
		{`"StringNotEquals":{"aws:x":["a","b"]}`, one("b"), false},
		{`"StringNotEquals":{"aws:x":["a","b"]}`, one("c"), true},
		{`"StringNotEquals":{"aws:x":"a"}`, nil, true},
		{`"StringEqualsIfExists":{"aws:x":"a"}`, nil, true},
		{`"StringEqualsIfExists":{"aws:x":"a"}`, one("b"), false},
		{`"StringEqualsIgnoreCase":{"aws:x":"A"}`, one("a"), true},
		{`"StringNotEqualsIgnoreCase":{"aws:x":"A"}`, one("a"), false},
		{`"StringLike":{"aws:x":"a*z"}`, one("a/b/z"), true},
		{`"StringNotLike":{"aws:x":"a*z"}`, one("a/b/z"), false},
		{`"StringLike":{"aws:x":"${aws:y}*"}`, map[string][]string{"aws:x": {"ab"}, "aws:y": {"a"}}, true},
		{`"StringLike":{"aws:x":"${*}"}`, one("b"), false},
		{`"StringLike":{"aws:x":"${*}"}`, one("*"), true},
		{`"StringEquals":{"aws:x":"a","aws:y":"b"}`, map[string][]string{"aws:x": {"a"}, "aws:y": {"c"}}, false},
		{`"StringEquals":{"aws:x":"a"},"Bool":{"aws:y":"true"}`, map[string][]string{"aws:x": {"a"}, "aws:y": {"true"}}, true},
		{`"NumericLessThan":{"aws:x":"10"}`, one("9.5"), true},
		{`"NumericLessThan":{"aws:x":10}`, one("10"), false},
		{`"NumericLessThanEquals":{"aws:x":10}`, one("10"), true},
		{`"NumericGreaterThan":{"aws:x":10}`, one("11"), true},
		{`"NumericGreaterThanEquals":{"aws:x":10}`, one("9"), false},
		{`"NumericEquals":{"aws:x":"1e1"}`, one("10"), true},
		{`"NumericNotEquals":{"aws:x":"10"}`, one("10"), false},
		{`"NumericEquals":{"aws:x":"10"}`, one("ten"), false},
		{`"DateLessThan":{"aws:x":"2024-01-02T00:00:00Z"}`, one("2024-01-01T23:59:59Z"), true},
		{`"DateGreaterThan":{"aws:x":"2024-01-02"}`, one("1704067200"), false},
		{`"DateGreaterThan":{"aws:CurrentTime":"1999-01-01T00:00:00Z"}`, nil, true},
		{`"Bool":{"aws:SecureTransport":false}`, nil, false},
		{`"Bool":{"aws:x":true}`, one("true"), true},
		{`"IpAddress":{"aws:x":"10.0.0.0/8"}`, one("10.2.3.4"), true},
		{`"IpAddress":{"aws:x":"10.1.1.1"}`, one("10.1.1.2"), false},
		{`"NotIpAddress":{"aws:x":"10.0.0.0/8"}`, one("10.2.3.4"), false},
		{`"IpAddress":{"aws:x":"2001:db8::/32"}`, one("2001:db8::1"), true},
		{`"ArnLike":{"aws:x":"arn:aws:execute-api:*:*:abc/*"}`, one(post), true},
		{`"ArnEquals":{"aws:x":"arn:aws:execute-api:*:abc/*"}`, one(post), false},
		{`"ArnNotLike":{"aws:x":"arn:aws:sqs:*:*:*"}`, one(queue), false},
		{`"ArnLike":{"aws:x":"*"}`, one(queue), true},
		{`"BinaryEquals":{"aws:x":"QUJD"}`, one("QUJD"), true},
		{`"Null":{"aws:x":"true"}`, nil, true},
		{`"Null":{"aws:x":"false"}`, nil, false},
		{`"Null":{"aws:x":false}`, one("a"), true},
	} {
		tc.check(t)
	}
}

func TestSetConditions(t *testing.T) {
	t.Parallel()
	for _, tc := range []conditionCase{
		{`"ForAnyValue:StringEquals":{"aws:x":["a","b"]}`, many("z", "b"), true},
		{`"ForAnyValue:StringEquals":{"aws:x":["a","b"]}`, nil, false},
		{`"ForAnyValue:StringNotEquals":{"aws:x":["a"]}`, many("a", "b"), true},
		{`"ForAllValues:StringEquals":{"aws:x":["a","b"]}`, many("a", "b"), true},
		{`"ForAllValues:StringEquals":{"aws:x":["a","b"]}`, many("a", "z"), false},
		{`"ForAllValues:StringEquals":{"aws:x":["a","b"]}`, nil, true},
		{`"ForAllValues:StringLike":{"aws:x":["tenant/*"]}`, many("tenant/1", "tenant/2"), true},
	} {
		tc.check(t)
	}
}

// conditionCase is a condition, what the call has, and whether it holds.
type conditionCase struct {
	condition string
	values    map[string][]string
	holds     bool
}

func (c conditionCase) check(t *testing.T) {
	t.Helper()
	want := "deny"
	if c.holds {
		want = "allow"
	}
	p := policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{`+c.condition+`}`))
	if got := decide(t, p, "sqs:SendMessage", queue, c.values); got != want {
		t.Errorf("%s with %v: %s, want %s", c.condition, c.values, got, want)
	}
}

func one(v string) map[string][]string     { return map[string][]string{"aws:x": {v}} }
func many(v ...string) map[string][]string { return map[string][]string{"aws:x": v} }

func TestMalformedPolicies(t *testing.T) {
	t.Parallel()
	good := allow(`"sqs:*"`, `"*"`, "")
	for _, tc := range []struct{ policy, where string }{
		{``, ""}, {`[]`, ""}, {`{"Statement":[]}`, "Statement"}, {`{}`, "Statement"}, {`{"Statement":7}`, "Statement"},
		{policy(good) + "x", ""},
		{`{"Version":"2020-01-01","Statement":` + good + `}`, "Version"},
		{`{"Statement":` + good + `,"Statements":1}`, ""},
		{policy(good, `{"Effect":"allow","Action":"sqs:*","Resource":"*"}`), "Statement[1].Effect"},
		{policy(`{"Effect":"Allow","Resource":"*"}`), "Statement[0].Action"},
		{policy(`{"Effect":"Allow","Action":"sqs:*"}`), "Statement[0].Resource"},
		{policy(`{"Effect":"Allow","Action":"sqs:*","NotAction":"sqs:*","Resource":"*"}`), "Statement[0].Action"},
		{policy(`{"Effect":"Allow","Action":"sqs:*","NotResource":"*","Resource":"*"}`), "Statement[0].Resource"},
		{policy(allow(`["sqs:*","SendMessage"]`, `"*"`, "")), "Statement[0].Action[1]"},
		{policy(allow(`"s*:SendMessage"`, `"*"`, "")), "Statement[0].Action[0]"},
		{policy(allow(`7`, `"*"`, "")), "Statement[0]"},
		{policy(allow(`"sqs:*"`, `"my-queue"`, "")), "Statement[0].Resource[0]"},
		{policy(allow(`"sqs:*"`, `"arn:aws:s*:us-east-1:0:q"`, "")), "Statement[0].Resource[0]"},
		{policy(allow(`"sqs:*"`, `"arn:aws:sqs:${aws:Region}:0:q"`, "")), "Statement[0].Resource[0]"},
		{policy(allow(`"sqs:*"`, `"arn:aws:sqs:*:*:${aws:x"`, "")), "Statement[0].Resource[0]"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Principal":"*"`)), "Statement[0]"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"StringIs":{"aws:x":"a"}}`)), "Statement[0].Condition.StringIs.aws:x"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"StringEquals":{"x":"a"}}`)), "Statement[0].Condition.StringEquals.x"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"NumericEquals":{"aws:x":"a"}}`)), "Statement[0].Condition.NumericEquals.aws:x"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"IpAddress":{"aws:x":"10.0.0"}}`)), "Statement[0].Condition.IpAddress.aws:x"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"DateLessThan":{"aws:x":"soon"}}`)), "Statement[0].Condition.DateLessThan.aws:x"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"Null":{"aws:x":"maybe"}}`)), "Statement[0].Condition.Null.aws:x"},
	} {
		s, _ := newStore(t)
		err := s.PutPolicy("worker", "p", tc.policy)
		var m *iam.MalformedPolicy
		if !errors.As(err, &m) || m.Where != tc.where {
			t.Errorf("%s: error %v, want one at %q", tc.policy, err, tc.where)
		}
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	if err := s.Assumable("worker", "lambda.amazonaws.com"); err != nil {
		t.Error(err)
	}
	err := s.Assumable("worker", "scheduler.amazonaws.com")
	if err == nil || !strings.Contains(err.Error(), "worker") || !strings.Contains(err.Error(), "scheduler.amazonaws.com") {
		t.Errorf("error %v", err)
	}
	var missing *iam.NotFound
	if err := s.Assumable("nobody", "lambda.amazonaws.com"); !errors.As(err, &missing) {
		t.Errorf("error %v", err)
	}
	for _, bad := range []string{
		policy(allow(`"sts:AssumeRole"`, `"*"`, "")),
		policy(`{"Effect":"Allow","Action":"sts:AssumeRole"}`),
		policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Robot":"x"}}`),
		policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"x"}`),
	} {
		var m *iam.MalformedPolicy
		if err := s.PutRole("x", bad); !errors.As(err, &m) {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

// Policies come and go, and every call sees those of its time.
func TestPoliciesChange(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	ctx := account.WithCaller(context.Background(), account.AssumedRole("worker", "s"))
	logs := "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:*"
	may := func(want bool, step string) {
		t.Helper()
		if got := s.Authorize(ctx, "logs:PutLogEvents", logs) == nil; got != want {
			t.Errorf("%s: allowed %t", step, got)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
	may(false, "without policy")
	must(s.AttachManaged("worker", basic))
	may(true, "managed")
	must(s.PutPolicy("worker", "no", policy(`{"Effect":"Deny","Action":"logs:*","Resource":"*"}`)))
	may(false, "denied")
	must(s.PutRole("worker", trust("scheduler.amazonaws.com")))
	may(false, "role put again keeps its policies")
	must(s.DeletePolicy("worker", "no"))
	may(true, "deny removed")
	must(s.DetachManaged("worker", basic))
	may(false, "detached")
	var missing *iam.NotFound
	for _, err := range []error{
		s.DeletePolicy("worker", "no"), s.DetachManaged("worker", basic), s.AttachManaged("worker", "arn:aws:iam::aws:policy/AdministratorAccess"),
		s.PutPolicy("nobody", "p", policy(allow(`"*"`, `"*"`, ""))), s.DeleteRole("nobody"),
	} {
		if !errors.As(err, &missing) {
			t.Errorf("error %v is no NotFound", err)
		}
	}
	var denied *account.Denied
	if err := s.Authorize(context.Background(), "logs:PutLogEvents", logs); !errors.As(err, &denied) {
		t.Errorf("without caller: %v", err)
	}
}
