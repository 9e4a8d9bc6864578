package edge_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/edge"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
	"github.com/streamer-go/streamer/localcloud/internal/memnet"
)

// seen is what a service got.
type seen struct {
	service, target, path, body string
	caller                      account.Caller
}

// bench is an edge with services that note what they get.
type bench struct {
	store  *iam.Store
	base   string
	client *http.Client
	got    chan seen
}

func (b *bench) service(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		caller, _ := account.CallerFrom(r.Context())
		b.got <- seen{name, r.Header.Get("X-Amz-Target"), r.URL.Path, string(body), caller}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, "{}")
	})
}

// objects is an S3 with the bucket named "box".
type objects struct{ http.Handler }

func (objects) Addresses(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/box/") }

func newBench(t *testing.T) *bench { return newBenchWith(t, nil) }

func newBenchWith(t *testing.T, store func(*bench) edge.ObjectStore) *bench {
	t.Helper()
	network := memnet.New()
	listener, err := network.Listen("aws")
	check(t, err)
	b := &bench{store: iam.New(), base: "http://" + listener.Addr().String(), got: make(chan seen, 1)}
	opts := edge.Options{Verify: b.store.Verify, DynamoDB: b.service("dynamodb"), SQS: b.service("sqs"), Lambda: b.service("lambda")}
	if store != nil {
		opts.S3 = store(b)
	}
	server := &http.Server{Handler: edge.New(opts)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	b.client = &http.Client{Transport: &http.Transport{DialContext: network.Dial}}
	t.Cleanup(func() {
		b.client.CloseIdleConnections()
		_ = server.Close()
		<-done
	})
	return b
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) config(keys iam.Credentials) aws.Config {
	return aws.Config{
		Region: account.Region, BaseEndpoint: aws.String(b.base), HTTPClient: b.client, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
	}
}

// Every client of the SDK reaches its service, as who it is.
func TestRoutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		check(t, b.store.PutRole("worker", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}`))
		keys, err := b.store.NewCredentials("worker", "i-1")
		check(t, err)
		config := b.config(keys)
		for name, tc := range map[string]struct {
			call                  func(context.Context) error
			service, target, path string
		}{
			"tables": {func(ctx context.Context) error {
				_, err := dynamodb.NewFromConfig(config).ListTables(ctx, &dynamodb.ListTablesInput{})
				return err
			}, "dynamodb", "DynamoDB_20120810.ListTables", "/"},
			"streams": {func(ctx context.Context) error {
				_, err := dynamodbstreams.NewFromConfig(config).ListStreams(ctx, &dynamodbstreams.ListStreamsInput{})
				return err
			}, "dynamodb", "DynamoDBStreams_20120810.ListStreams", "/"},
			"queues": {func(ctx context.Context) error {
				_, err := sqs.NewFromConfig(config).ListQueues(ctx, &sqs.ListQueuesInput{})
				return err
			}, "sqs", "AmazonSQS.ListQueues", "/"},
			"functions": {func(ctx context.Context) error {
				_, err := lambda.NewFromConfig(config).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("arn:aws:lambda:us-east-1:000000000000:function:f"), Payload: []byte(`{"a":1}`)})
				return err
			}, "lambda", "", "/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:f/invocations"},
			"what Lambda has besides": {func(ctx context.Context) error {
				_, err := lambda.NewFromConfig(config).PublishLayerVersion(ctx, &lambda.PublishLayerVersionInput{LayerName: aws.String("l"), Content: &lambdatypes.LayerVersionContentInput{}})
				return err
			}, "lambda", "", "/2018-10-31/layers/l/versions"},
		} {
			check(t, tc.call(t.Context()))
			got := <-b.got
			if got.service != tc.service || got.target != tc.target || got.path != tc.path || got.caller != account.AssumedRole("worker", "i-1") {
				t.Errorf("%s: %+v", name, got)
			}
			if name == "functions" && got.body != `{"a":1}` {
				t.Errorf("body %q", got.body)
			}
		}
	})
}

// S3 gets what is signed for it or means to be, as it is: it verifies itself.
func TestRoutesToS3(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBenchWith(t, func(b *bench) edge.ObjectStore { return objects{b.service("s3")} })
		call := func(method, path string, header ...string) string {
			r, err := http.NewRequestWithContext(t.Context(), method, b.base+path, strings.NewReader("x"))
			check(t, err)
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			res, err := b.client.Do(r)
			check(t, err)
			_ = res.Body.Close()
			select {
			case got := <-b.got:
				if got.body != "x" || got.path != strings.Split(path, "?")[0] || got.caller != (account.Caller{}) {
					t.Errorf("%s %s: %+v", method, path, got)
				}
				return got.service
			default:
				return res.Header.Get("X-Amzn-ErrorType")
			}
		}
		const scope = "AWS4-HMAC-SHA256 Credential=A/20000101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
		for name, tc := range map[string]struct{ got, want string }{
			"by header":       {call("PUT", "/a/b", "Authorization", scope), "s3"},
			"like a function": {call("PUT", "/2015-03-31/functions/f", "Authorization", scope), "s3"},
			"by query":        {call("GET", "/a/b?X-Amz-Credential=A%2F20000101%2Fus-east-1%2Fs3%2Faws4_request"), "s3"},
			"wrong query":     {call("GET", "/a/b?X-Amz-Algorithm=AWS4-HMAC-SHA256"), "s3"},
			"preflight":       {call("OPTIONS", "/a/b", "Origin", "https://a.example"), "s3"},
			"of a bucket":     {call("GET", "/box/k"), "s3"},
			"of no bucket":    {call("GET", "/other/k"), "UnknownOperationException"},
			"of a function":   {call("GET", "/2015-03-31/functions/f?X-Amz-Algorithm=AWS4-HMAC-SHA256"), "IncompleteSignatureException"},
			"other service":   {call("GET", "/a/b", "Authorization", strings.Replace(scope, "/s3/", "/sts/", 1)), "UnknownOperationException"},
		} {
			if tc.got != tc.want {
				t.Errorf("%s: %s, want %s", name, tc.got, tc.want)
			}
		}
		_, err := s3.NewFromConfig(b.config(b.store.RootCredentials()), func(o *s3.Options) { o.UsePathStyle = true }).
			PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("a"), Key: aws.String("b"), Body: strings.NewReader("x")})
		check(t, err)
		if got := <-b.got; got.service != "s3" || got.path != "/a/b" || got.body != "x" {
			t.Errorf("%+v", got)
		}
	})
}

// A wrong key is refused in each protocol so that the SDKs know the code.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		root := b.store.RootCredentials()
		for secret, code := range map[string]string{"": "InvalidSignatureException", "other": "UnrecognizedClientException"} {
			keys := iam.Credentials{AccessKeyID: root.AccessKeyID, SecretAccessKey: "wrong"}
			if secret != "" {
				keys.AccessKeyID = "AKIAOTHER"
			}
			config := b.config(keys)
			_, err := dynamodb.NewFromConfig(config).ListTables(t.Context(), &dynamodb.ListTablesInput{})
			wantCode(t, err, code)
			_, err = sqs.NewFromConfig(config).ListQueues(t.Context(), &sqs.ListQueuesInput{})
			wantCode(t, err, code)
			_, err = lambda.NewFromConfig(config).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("f")})
			wantCode(t, err, code)
		}
	})
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("error %v, want %s", err, code)
	}
	var response *awshttp.ResponseError
	if !errors.As(err, &response) || response.ServiceRequestID() == "" {
		t.Errorf("error %v is without a request id", err)
	}
}

// What nobody here answers is named.
func TestUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for _, tc := range []struct {
			method, path, body string
			header             map[string]string
			names              []string
		}{
			{"POST", "/", "{}", map[string]string{"X-Amz-Target": "AWSEvents.PutRule"}, []string{"AWSEvents.PutRule"}},
			{"GET", "/bucket/key", "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=A/20000101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x", "X-Amz-Date": "20000101T000000Z"}, []string{"GET /bucket/key", "service s3"}},
			{"POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Authorization": "AWS4-HMAC-SHA256 Credential=A/20000101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=x", "X-Amz-Date": "20000101T000000Z"}, []string{"GetCallerIdentity", "service sts"}},
			{"GET", "/", "", nil, []string{"not signed"}},
			{"GET", "/2015-03-31/layers", "", nil, []string{"/2015-03-31/layers"}},
		} {
			r, err := http.NewRequestWithContext(t.Context(), tc.method, b.base+tc.path, strings.NewReader(tc.body))
			check(t, err)
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			res, err := b.client.Do(r)
			check(t, err)
			body, err := io.ReadAll(res.Body)
			check(t, err)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusBadRequest || res.Header.Get("X-Amzn-ErrorType") != "UnknownOperationException" {
				t.Errorf("%s %s: %s", tc.method, tc.path, res.Status)
			}
			for _, name := range tc.names {
				if !strings.Contains(string(body), name) {
					t.Errorf("%s does not name %s", body, name)
				}
			}
		}
	})
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r, err := http.NewRequestWithContext(t.Context(), "POST", b.base+"/", io.LimitReader(zeros{}, 16<<20+1))
		check(t, err)
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810.PutItem")
		res, err := b.client.Do(r)
		check(t, err)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %s", res.Status)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
