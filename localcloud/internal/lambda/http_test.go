package lambda_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// allow permits the listed "action resource" pairs to the role "caller".
type allow []string

func (a allow) Authorize(ctx context.Context, action, resource string) error {
	c, _ := account.CallerFrom(ctx)
	if c.Role == "caller" && slices.Contains(a, action+" "+resource) || c.Role != "caller" {
		return nil
	}
	return &account.Denied{Caller: c, Action: action, Resource: resource}
}

// idle is a stream and a queue without content.
type idle struct{}

func (idle) OpenStream(context.Context, string, string) (eventsource.StreamReader, error) {
	return idle{}, nil
}
func (idle) Close() {}
func (idle) Next(ctx context.Context, _ int) ([]eventsource.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (idle) ReceiveMessages(ctx context.Context, _ string, _ int, _ time.Duration) ([]eventsource.Message, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (idle) DeleteMessages(context.Context, string, []string) error { return nil }

func (idle) VisibilityTimeout(arn string) (time.Duration, bool) {
	return time.Minute, !strings.HasSuffix(arn, ":missing")
}

func newAPI(t *testing.T, opts lambda.Options) (*sim, *sdk.Client) {
	t.Helper()
	opts.Streams, opts.Queues = idle{}, idle{}
	s := newSim(opts, func(_ context.Context, b []byte) ([]byte, error) {
		if string(b) == `{"fail":true}` {
			return nil, errors.New("no")
		}
		return b, nil
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(account.WithCaller(r.Context(), account.AssumedRole("caller", "s"))))
	}))
	t.Cleanup(func() {
		srv.Close()
		s.close()
	})
	return s, sdk.New(sdk.Options{
		BaseEndpoint: aws.String(srv.URL), Region: account.Region, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
}

func TestAPIInvoke(t *testing.T) {
	t.Parallel()
	s, c := newAPI(t, lambda.Options{Log: func(string, string, string) {}})
	s.put(t, "f")
	for _, name := range []string{"f", "f:$LATEST", lambda.FunctionARN("f"), "000000000000:function:f"} {
		out, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: &name, Payload: []byte(`{"a":1}`), LogType: types.LogTypeTail})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		log, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
		if out.StatusCode != 200 || string(out.Payload) != `{"a":1}` || out.FunctionError != nil || aws.ToString(out.ExecutedVersion) != "$LATEST" ||
			err != nil || !strings.HasPrefix(string(log), "START RequestId: ") {
			t.Fatalf("%s: %+v, log %q %v", name, out, log, err)
		}
	}
	out, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), Payload: []byte(`{"fail":true}`)})
	if err != nil || aws.ToString(out.FunctionError) != "Unhandled" || string(out.Payload) != `{"errorMessage":"no","errorType":"errorString"}` || out.LogResult != nil {
		t.Fatalf("%+v %s %v", out, out.Payload, err)
	}
	out, err = c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{}`)})
	if err != nil || out.StatusCode != 202 || len(out.Payload) != 0 {
		t.Fatalf("%+v %v", out, err)
	}
	out, err = c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("f"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || out.StatusCode != 204 {
		t.Fatalf("%+v %v", out, err)
	}
}

func TestAPIInvokeErrors(t *testing.T) {
	t.Parallel()
	s, c := newAPI(t, lambda.Options{})
	zero := 0
	s.put(t, "f")
	s.put(t, "off", func(p *lambda.FunctionSpec) { p.Reserved = &zero })
	call := func(name string, kind types.InvocationType, payload string) error {
		_, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: &name, InvocationType: kind, Payload: []byte(payload)})
		return err
	}
	var missing *types.ResourceNotFoundException
	if err := call("nope", "", "{}"); !errors.As(err, &missing) || aws.ToString(missing.Message) != "Function not found: "+lambda.FunctionARN("nope") {
		t.Errorf("missing function: %v", err)
	}
	if err := call("f:7", "", "{}"); !errors.As(err, &missing) {
		t.Errorf("missing version: %v", err)
	}
	var throttled *types.TooManyRequestsException
	if err := call("off", "", "{}"); !errors.As(err, &throttled) || string(throttled.Reason) != lambda.ReasonReserved || aws.ToString(throttled.RetryAfterSeconds) == "" {
		t.Errorf("throttle: %v %+v", err, throttled)
	}
	var content *types.InvalidRequestContentException
	if err := call("f", "", "{"); !errors.As(err, &content) {
		t.Errorf("no JSON: %v", err)
	}
	var large *types.RequestTooLargeException
	if err := call("f", "", `"`+strings.Repeat("x", 6<<20)+`"`); !errors.As(err, &large) {
		t.Errorf("6 MB: %v", err)
	}
	if err := call("f", types.InvocationTypeEvent, `"`+strings.Repeat("x", 1<<20)+`"`); !errors.As(err, &large) {
		t.Errorf("1 MB async: %v", err)
	}
	if err := call("f", types.InvocationTypeEvent, `"`+strings.Repeat("x", 1<<20-2)+`"`); err != nil {
		t.Errorf("just 1 MB async: %v", err)
	}
}

func TestAPIAuthorizes(t *testing.T) {
	t.Parallel()
	mapping := "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:m"
	s, c := newAPI(t, lambda.Options{Authorizer: allow{
		"lambda:InvokeFunction " + lambda.FunctionARN("mine"), "lambda:GetFunction " + lambda.FunctionARN("mine"),
		"lambda:GetEventSourceMapping " + mapping,
	}})
	s.put(t, "mine")
	s.put(t, "theirs")
	mine, theirs := aws.String("mine"), aws.String("theirs")
	if _, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: mine}); err != nil {
		t.Error(err)
	}
	if _, err := c.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: mine}); err != nil {
		t.Error(err)
	}
	var missing *types.ResourceNotFoundException
	if _, err := c.GetEventSourceMapping(t.Context(), &sdk.GetEventSourceMappingInput{UUID: aws.String("m")}); !errors.As(err, &missing) {
		t.Error(err)
	}
	for name, call := range map[string]func() error{
		"lambda:InvokeFunction": func() error {
			_, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: theirs})
			return err
		},
		"lambda:GetFunctionConfiguration": func() error {
			_, err := c.GetFunctionConfiguration(t.Context(), &sdk.GetFunctionConfigurationInput{FunctionName: mine})
			return err
		},
		"lambda:ListFunctions": func() error {
			_, err := c.ListFunctions(t.Context(), &sdk.ListFunctionsInput{})
			return err
		},
		"lambda:ListEventSourceMappings": func() error {
			_, err := c.ListEventSourceMappings(t.Context(), &sdk.ListEventSourceMappingsInput{})
			return err
		},
	} {
		err := call()
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" || !strings.Contains(api.ErrorMessage(), "is not authorized to perform: "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPIReads(t *testing.T) {
	t.Parallel()
	s, c := newAPI(t, lambda.Options{})
	two := 2
	s.put(t, "a")
	s.put(t, "b", func(p *lambda.FunctionSpec) {
		p.Reserved, p.Env, p.MemoryMB, p.Tracing, p.Runtime, p.Handler = &two, map[string]string{"K": "V"}, 512, "Active", "provided.al2023", "bootstrap"
	})
	got, err := c.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("b")})
	if err != nil {
		t.Fatal(err)
	}
	f := got.Configuration
	if aws.ToString(f.FunctionArn) != lambda.FunctionARN("b") || aws.ToInt32(f.MemorySize) != 512 || aws.ToInt32(f.Timeout) != 30 ||
		f.Environment.Variables["K"] != "V" || f.TracingConfig.Mode != types.TracingModeActive || f.State != types.StateActive ||
		f.Architectures[0] != types.ArchitectureX8664 || f.Runtime != types.RuntimeProvidedal2023 || f.LoggingConfig.LogFormat != types.LogFormatText ||
		aws.ToString(f.Role) != "arn:aws:iam::000000000000:role/role-b" || aws.ToInt32(got.Concurrency.ReservedConcurrentExecutions) != 2 {
		t.Fatalf("%+v", f)
	}
	var names []string
	pages := sdk.NewListFunctionsPaginator(c, &sdk.ListFunctionsInput{MaxItems: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			names = append(names, *f.FunctionName)
		}
	}
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Fatalf("functions %v", names)
	}
	testMappings(t, s, c)
}

func testMappings(t *testing.T, s *sim, c *sdk.Client) {
	t.Helper()
	stream := "arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/x"
	for _, m := range []lambda.MappingSpec{
		{ID: "1", SourceARN: stream, Function: "a", StartingPosition: "LATEST", Window: 2 * time.Second, Filters: []string{`{"a":[1]}`}, Bisect: true, Enabled: true,
			MaxAge: time.Hour, OnFailureARN: "arn:aws:sqs:us-east-1:000000000000:q", ReportItemFailures: true},
		{ID: "2", SourceARN: "arn:aws:sqs:us-east-1:000000000000:q", Function: lambda.FunctionARN("b"), MaxConcurrency: 5},
	} {
		if _, err := s.PutMapping(m); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.ListEventSourceMappings(t.Context(), &sdk.ListEventSourceMappingsInput{EventSourceArn: &stream, FunctionName: aws.String("a")})
	if err != nil || len(list.EventSourceMappings) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	m := list.EventSourceMappings[0]
	if aws.ToString(m.UUID) != "1" || aws.ToInt32(m.BatchSize) != 100 || aws.ToInt32(m.MaximumBatchingWindowInSeconds) != 2 ||
		*m.FilterCriteria.Filters[0].Pattern != `{"a":[1]}` || !aws.ToBool(m.BisectBatchOnFunctionError) || aws.ToInt32(m.MaximumRetryAttempts) != -1 ||
		aws.ToInt32(m.MaximumRecordAgeInSeconds) != 3600 || *m.DestinationConfig.OnFailure.Destination != "arn:aws:sqs:us-east-1:000000000000:q" ||
		m.FunctionResponseTypes[0] != types.FunctionResponseTypeReportBatchItemFailures || aws.ToString(m.State) != "Enabled" || m.StartingPosition != types.EventSourcePositionLatest {
		t.Fatalf("%+v", m)
	}
	q, err := c.GetEventSourceMapping(t.Context(), &sdk.GetEventSourceMappingInput{UUID: aws.String("2")})
	if err != nil || aws.ToInt32(q.ScalingConfig.MaximumConcurrency) != 5 || aws.ToString(q.State) != "Disabled" || aws.ToString(q.FunctionArn) != lambda.FunctionARN("b") {
		t.Fatalf("%+v %v", q, err)
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	s, _ := newAPI(t, lambda.Options{Authorizer: allow{}})
	s.put(t, "f")
	const source = "arn:aws:execute-api:us-east-1:000000000000:api1/dev/$connect"
	invoke := func(source string) error {
		_, err := s.Invoke(t.Context(), "f", nil, lambda.InvokeOptions{Source: source})
		return err
	}
	var refused *lambda.NotPermitted
	if err := invoke(source); !errors.As(err, &refused) {
		t.Fatalf("without a statement: %v", err)
	}
	for _, tc := range []struct {
		principal, pattern string
		want               bool
	}{
		{"apigateway.amazonaws.com", "arn:aws:execute-api:us-east-1:000000000000:api1/*$connect", true},
		{"apigateway.amazonaws.com", "arn:aws:execute-api:us-east-1:000000000000:api1/*", true},
		{"apigateway.amazonaws.com", "arn:aws:execute-api:*:*:api?/dev/*", true},
		{"apigateway.amazonaws.com", "", true},
		{"apigateway.amazonaws.com", "arn:aws:execute-api:us-east-1:000000000000:api2/*", false},
		{"apigateway.amazonaws.com", "arn:aws:execute-api:us-east-1:000000000000:api1/*$default", false},
		{"apigateway.amazonaws.com", "arn:aws:execute-api:*:api1/dev/$connect", false},
		{"apigateway.amazonaws.com", "*", false},
		{"scheduler.amazonaws.com", "arn:aws:execute-api:us-east-1:000000000000:api1/*", false},
	} {
		if err := s.PutPermission("f", "one", lambda.PermissionSpec{Action: "lambda:InvokeFunction", Principal: tc.principal, SourceARN: tc.pattern}); err != nil {
			t.Fatal(err)
		}
		if err := invoke(source); (err == nil) != tc.want {
			t.Errorf("%s %s: %v", tc.principal, tc.pattern, err)
		}
	}
	if err := s.DeletePermission("f", "one"); err != nil {
		t.Fatal(err)
	}
	if err := invoke(source); !errors.As(err, &refused) {
		t.Fatalf("after the statement was deleted: %v", err)
	}
}

func TestPutFunctionRefuses(t *testing.T) {
	t.Parallel()
	s := newSim(lambda.Options{Authorizer: allow{}, Assumable: func(role, function string) error {
		if role == "foreign" {
			return errors.New("trust policy does not name " + function)
		}
		return nil
	}}, nil)
	defer s.close()
	for name, tc := range map[string]struct {
		change func(*lambda.FunctionSpec)
		want   string
	}{
		"name":         {func(p *lambda.FunctionSpec) { p.Name = "a b" }, "function name"},
		"role":         {func(p *lambda.FunctionSpec) { p.RoleName = "" }, "no role"},
		"trust":        {func(p *lambda.FunctionSpec) { p.RoleName = "arn:aws:iam::000000000000:role/path/foreign" }, "cannot be assumed by Lambda. (function f: trust policy does not name arn:aws:lambda:us-east-1:000000000000:function:f)"},
		"tracing":      {func(p *lambda.FunctionSpec) { p.RoleName, p.Tracing = "caller", "Active" }, "The provided execution role does not have permissions to call PutTraceSegments on XRAY"},
		"architecture": {func(p *lambda.FunctionSpec) { p.Architecture = "amd64" }, "x86_64 or arm64"},
		"memory":       {func(p *lambda.FunctionSpec) { p.MemoryMB = 64 }, "memory 64 MB"},
		"timeout":      {func(p *lambda.FunctionSpec) { p.Timeout = 901 * time.Second }, "timeout"},
		"fraction":     {func(p *lambda.FunctionSpec) { p.Timeout = 1500 * time.Millisecond }, "timeout"},
		"runtime":      {func(p *lambda.FunctionSpec) { p.Runtime = "python3.12" }, "python3.12 is not supported locally"},
		"reserved key": {func(p *lambda.FunctionSpec) { p.Env = map[string]string{"AWS_REGION": "x"} }, "Reserved keys used in this request: AWS_REGION"},
		"key":          {func(p *lambda.FunctionSpec) { p.Env = map[string]string{"1a": "x"} }, "environment variable name"},
		"4 KB":         {func(p *lambda.FunctionSpec) { p.Env = map[string]string{"A": strings.Repeat(`"`, 2045)} }, "exceeded the 4KB limit"},
		"50 MB":        {func(p *lambda.FunctionSpec) { p.Zip = make([]byte, 50<<20+1) }, "Request must be smaller than 69905067 bytes"},
		"zip":          {func(p *lambda.FunctionSpec) { p.Zip = []byte("x") }, "Could not unzip"},
	} {
		spec := lambda.FunctionSpec{Name: "f", RoleName: "r"}
		tc.change(&spec)
		_, err := s.PutFunction(spec)
		var bad *lambda.Invalid
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	if _, err := s.PutFunction(lambda.FunctionSpec{Name: "f", RoleName: "r", Tracing: "Active", Env: map[string]string{"A": strings.Repeat("x", 4088)}}); err != nil {
		t.Errorf("exactly 4 KB: %v", err)
	}
}
