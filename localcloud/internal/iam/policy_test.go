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
		"variable": {policy(allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:UserAgent}-*"`, "")), "dynamodb:GetItem",
			"arn:aws:dynamodb:us-east-1:000000000000:table/red-1", map[string][]string{"aws:UserAgent": {"red"}}, "allow"},
		"variable's star is none": {policy(allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:UserAgent}"`, "")), "dynamodb:GetItem",
			table, map[string][]string{"aws:UserAgent": {"*"}}, "deny"},
		"variable missing": {policy(allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:UserAgent}"`, "")), "dynamodb:GetItem", table, nil, "deny"},
		"variable default": {policy(allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:UserAgent, 'requests'}"`, "")), "dynamodb:GetItem", table, nil, "allow"},
		"old version": {`{"Version":"2008-10-17","Statement":` + allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${aws:UserAgent, 'requests'}"`, "") + `}`,
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
		{`"StringEquals":{"aws:UserAgent":"a"}`, one("a"), true},
		{`"StringEquals":{"aws:UserAgent":["a","b"]}`, one("b"), true},
		{`"StringEquals":{"aws:UserAgent":"a*"}`, one("ab"), false},
		{`"StringEquals":{"aws:UserAgent":"A"}`, one("a"), false},
		{`"StringEquals":{"AWS:USERAGENT":"a"}`, one("a"), true},
		{`"StringEquals":{"aws:UserAgent":"a"}`, nil, false},
		{`"StringNotEquals":{"aws:UserAgent":["a","b"]}`, one("b"), false},
		{`"StringNotEquals":{"aws:UserAgent":["a","b"]}`, one("c"), true},
		{`"StringNotEquals":{"aws:UserAgent":"a"}`, nil, true},
		{`"StringEqualsIfExists":{"aws:UserAgent":"a"}`, nil, true},
		{`"StringEqualsIfExists":{"aws:UserAgent":"a"}`, one("b"), false},
		{`"StringEqualsIgnoreCase":{"aws:UserAgent":"A"}`, one("a"), true},
		{`"StringNotEqualsIgnoreCase":{"aws:UserAgent":"A"}`, one("a"), false},
		{`"StringLike":{"aws:UserAgent":"a*z"}`, one("a/b/z"), true},
		{`"StringNotLike":{"aws:UserAgent":"a*z"}`, one("a/b/z"), false},
		{`"StringLike":{"aws:UserAgent":"${aws:SourceIp}*"}`, map[string][]string{"aws:UserAgent": {"ab"}, "aws:SourceIp": {"a"}}, true},
		{`"StringLike":{"aws:UserAgent":"${*}"}`, one("b"), false},
		{`"StringLike":{"aws:UserAgent":"${*}"}`, one("*"), true},
		{`"StringEquals":{"aws:UserAgent":"a","aws:SourceIp":"b"}`, map[string][]string{"aws:UserAgent": {"a"}, "aws:SourceIp": {"c"}}, false},
		{`"StringEquals":{"aws:UserAgent":"a"},"Bool":{"aws:SourceIp":"true"}`, map[string][]string{"aws:UserAgent": {"a"}, "aws:SourceIp": {"true"}}, true},
		{`"NumericLessThan":{"aws:UserAgent":"10"}`, one("9.5"), true},
		{`"NumericLessThan":{"aws:UserAgent":10}`, one("10"), false},
		{`"NumericLessThanEquals":{"aws:UserAgent":10}`, one("10"), true},
		{`"NumericGreaterThan":{"aws:UserAgent":10}`, one("11"), true},
		{`"NumericGreaterThanEquals":{"aws:UserAgent":10}`, one("9"), false},
		{`"NumericEquals":{"aws:UserAgent":"1e1"}`, one("10"), true},
		{`"NumericNotEquals":{"aws:UserAgent":"10"}`, one("10"), false},
		{`"NumericEquals":{"aws:UserAgent":"10"}`, one("ten"), false},
		{`"DateLessThan":{"aws:UserAgent":"2024-01-02T00:00:00Z"}`, one("2024-01-01T23:59:59Z"), true},
		{`"DateGreaterThan":{"aws:UserAgent":"2024-01-02"}`, one("1704067200"), false},
		{`"DateGreaterThan":{"aws:CurrentTime":"1999-01-01T00:00:00Z"}`, nil, true},
		{`"Bool":{"aws:SecureTransport":false}`, nil, false},
		{`"Bool":{"aws:UserAgent":true}`, one("true"), true},
		{`"IpAddress":{"aws:UserAgent":"10.0.0.0/8"}`, one("10.2.3.4"), true},
		{`"IpAddress":{"aws:UserAgent":"10.1.1.1"}`, one("10.1.1.2"), false},
		{`"NotIpAddress":{"aws:UserAgent":"10.0.0.0/8"}`, one("10.2.3.4"), false},
		{`"IpAddress":{"aws:UserAgent":"2001:db8::/32"}`, one("2001:db8::1"), true},
		{`"ArnLike":{"aws:UserAgent":"arn:aws:execute-api:*:*:abc/*"}`, one(post), true},
		{`"ArnEquals":{"aws:UserAgent":"arn:aws:execute-api:*:abc/*"}`, one(post), false},
		{`"ArnNotLike":{"aws:UserAgent":"arn:aws:sqs:*:*:*"}`, one(queue), false},
		{`"ArnLike":{"aws:UserAgent":"*"}`, one(queue), true},
		{`"BinaryEquals":{"aws:UserAgent":"QUJD"}`, one("QUJD"), true},
		{`"Null":{"aws:UserAgent":"true"}`, nil, true},
		{`"Null":{"aws:UserAgent":"false"}`, nil, false},
		{`"Null":{"aws:UserAgent":false}`, one("a"), true},
	} {
		tc.check(t)
	}
}

func TestSetConditions(t *testing.T) {
	t.Parallel()
	for _, tc := range []conditionCase{
		{`"ForAnyValue:StringEquals":{"aws:UserAgent":["a","b"]}`, many("z", "b"), true},
		{`"ForAnyValue:StringEquals":{"aws:UserAgent":["a","b"]}`, nil, false},
		{`"ForAnyValue:StringNotEquals":{"aws:UserAgent":["a"]}`, many("a", "b"), true},
		{`"ForAllValues:StringEquals":{"aws:UserAgent":["a","b"]}`, many("a", "b"), true},
		{`"ForAllValues:StringEquals":{"aws:UserAgent":["a","b"]}`, many("a", "z"), false},
		{`"ForAllValues:StringEquals":{"aws:UserAgent":["a","b"]}`, nil, true},
		{`"ForAllValues:StringLike":{"aws:UserAgent":["tenant/*"]}`, many("tenant/1", "tenant/2"), true},
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

func one(v string) map[string][]string     { return map[string][]string{"aws:UserAgent": {v}} }
func many(v ...string) map[string][]string { return map[string][]string{"aws:UserAgent": v} }

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
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"StringIs":{"aws:UserAgent":"a"}}`)), "Statement[0].Condition.StringIs.aws:UserAgent"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"StringEquals":{"x":"a"}}`)), "Statement[0].Condition.StringEquals.x"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"NumericEquals":{"aws:UserAgent":"a"}}`)), "Statement[0].Condition.NumericEquals.aws:UserAgent"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"IpAddress":{"aws:UserAgent":"10.0.0"}}`)), "Statement[0].Condition.IpAddress.aws:UserAgent"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"DateLessThan":{"aws:UserAgent":"soon"}}`)), "Statement[0].Condition.DateLessThan.aws:UserAgent"},
		{policy(allow(`"sqs:*"`, `"*"`, `,"Condition":{"Null":{"aws:UserAgent":"maybe"}}`)), "Statement[0].Condition.Null.aws:UserAgent"},
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
	const fn = "arn:aws:lambda:us-east-1:000000000000:function:f"
	s, _ := newStore(t)
	if err := s.Assumable("worker", "lambda.amazonaws.com", fn); err != nil {
		t.Error(err)
	}
	err := s.Assumable("worker", "scheduler.amazonaws.com", "arn:group")
	for _, part := range []string{"worker", "scheduler.amazonaws.com", "arn:group"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %s", err, part)
		}
	}
	var missing *iam.NotFound
	if err := s.Assumable("nobody", "lambda.amazonaws.com", fn); !errors.As(err, &missing) {
		t.Errorf("error %v", err)
	}
	for _, bad := range []string{
		policy(allow(`"sts:AssumeRole"`, `"*"`, "")),
		policy(`{"Effect":"Allow","Action":"sts:AssumeRole"}`),
		policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Robot":"x"}}`),
		policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"x"}`),
		trustIf(`"StringEquals":{"aws:PrincipalOrgID":"o-1"}`),
	} {
		var m *iam.MalformedPolicy
		if err := s.PutRole("x", bad); !errors.As(err, &m) {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

func trustIf(condition string) string {
	return policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"},"Condition":{` + condition + `}}`)
}

// A trust policy may ask on whose behalf the service acts.
func TestTrustOnBehalf(t *testing.T) {
	t.Parallel()
	const fn = "arn:aws:lambda:us-east-1:000000000000:function:f"
	for condition, want := range map[string]bool{
		`"StringEquals":{"aws:SourceAccount":"000000000000"}`:                                                 true,
		`"StringEquals":{"aws:SourceAccount":"111111111111"}`:                                                 false,
		`"ArnLike":{"aws:SourceArn":"arn:aws:lambda:*:000000000000:function:f"}`:                              true,
		`"ArnLike":{"aws:SourceArn":"arn:aws:lambda:*:000000000000:function:g"}`:                              false,
		`"StringEquals":{"aws:SourceAccount":"000000000000"},"DateLessThan":{"aws:CurrentTime":"2001-01-01"}`: false,
	} {
		s := iam.New()
		if err := s.PutRole("r", trustIf(condition)); err != nil {
			t.Fatal(err)
		}
		if err := s.Assumable("r", "lambda.amazonaws.com", fn); (err == nil) != want {
			t.Errorf("%s: %v", condition, err)
		}
	}
	// Who is no service is not in the local cloud: nothing is known of their keys.
	s := iam.New()
	if err := s.PutRole("r", policy(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"},"Condition":{"StringEquals":{"sts:ExternalId":"x"}}}`)); err != nil {
		t.Error(err)
	}
}

// A key that no call has here would be missing in each: what that means on AWS
// is not what it means here.
func TestUnknownConditionKeys(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{
		allow(`"dynamodb:*"`, `"*"`, `,"Condition":{"ForAllValues:StringEquals":{"dynamodb:Attributes":["a"]}}`),
		allow(`"dynamodb:*"`, `"*"`, `,"Condition":{"Null":{"dynamodb:Attributes":"true"}}`),
		allow(`"dynamodb:*"`, `"*"`, `,"Condition":{"StringLike":{"aws:UserAgent":"${dynamodb:Attributes}"}}`),
		allow(`"dynamodb:*"`, `"arn:aws:dynamodb:*:*:table/${dynamodb:Attributes}"`, ""),
	} {
		s, _ := newStore(t)
		err := s.PutPolicy("worker", "p", policy(statement))
		var m *iam.MalformedPolicy
		if !errors.As(err, &m) || !strings.Contains(strings.ToLower(m.Message), "dynamodb:attributes is not known") {
			t.Errorf("%s: error %v", statement, err)
		}
	}
}

// Policies come and go, and every call sees those of its time.
func TestPoliciesChange(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	ctx := account.WithCaller(context.Background(), account.AssumedRole("worker", "s"))
	logs := "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f:*"
	changes := s.Changes()
	may := func(want bool, step string) {
		t.Helper()
		if now := s.Changes(); step != "without policy" && now == changes {
			t.Errorf("%s: no change is counted", step)
		} else {
			changes = now
		}
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
