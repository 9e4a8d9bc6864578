package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
	"github.com/streamer-go/streamer/localcloud/internal/memnet"
	"github.com/streamer-go/streamer/localcloud/internal/s3"
)

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}`

// cloud is a Service that verifies signatures, and the account's own client of
// it. It has a bucket named "box".
type cloud struct {
	*s3.Service
	roles  *iam.Store
	base   string
	client *http.Client
	sdk    *sdk.Client

	mu   sync.Mutex
	bill map[string]float64
}

func (c *cloud) Count(item string, n float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bill[item] += n
}

func (c *cloud) counts() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.bill)
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	network := memnet.New()
	listener, err := network.Listen("aws")
	check(t, err)
	c := &cloud{roles: iam.New(), base: "http://" + listener.Addr().String(), bill: map[string]float64{}}
	c.Service = s3.New(s3.Options{
		Verify:     func(r *http.Request, body []byte) (account.Caller, error) { return c.roles.Verify(r, body, "s3") },
		Authorizer: c.roles, Meter: c, BaseURL: c.base, MaxObject: 1 << 20,
	})
	server := &http.Server{Handler: c.Service}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	c.client = &http.Client{Transport: &http.Transport{DialContext: network.Dial}}
	c.sdk = c.as(c.roles.RootCredentials())
	t.Cleanup(func() {
		c.Close()
		c.client.CloseIdleConnections()
		_ = server.Close()
		<-done
	})
	c.put(t, s3.BucketSpec{Name: "box"})
	return c
}

func (c *cloud) put(t *testing.T, spec s3.BucketSpec) {
	t.Helper()
	_, err := c.PutBucket(spec)
	check(t, err)
}

// as is a client with these keys.
func (c *cloud) as(keys iam.Credentials, options ...func(*sdk.Options)) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: account.Region, BaseEndpoint: aws.String(c.base), HTTPClient: c.client, RetryMaxAttempts: 1, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
		// As config.LoadDefaultConfig has them.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, options...)
}

// role starts a session of a role with one policy; "" is a role that may nothing.
func (c *cloud) role(t *testing.T, name, policy string) iam.Credentials {
	t.Helper()
	check(t, c.roles.PutRole(name, trust))
	if policy != "" {
		check(t, c.roles.PutPolicy(name, "p", policy))
	}
	keys, err := c.roles.NewCredentials(name, "i-1")
	check(t, err)
	return keys
}

func allow(actions, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.ReplaceAll(actions, " ", `","`) + `"],"Resource":"` + resource + `"}]}`
}

// store puts an object with the account's keys.
func (c *cloud) store(t *testing.T, key, body string) *sdk.PutObjectOutput {
	t.Helper()
	out, err := c.sdk.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("box"), Key: aws.String(key), Body: strings.NewReader(body)})
	check(t, err)
	return out
}

func get(bucket, key string) *sdk.GetObjectInput {
	return &sdk.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}
}

func read(t *testing.T, body io.ReadCloser) string {
	t.Helper()
	data, err := io.ReadAll(body)
	check(t, err)
	check(t, body.Close())
	return string(data)
}

// content reads an object with the account's keys.
func (c *cloud) content(t *testing.T, key string) string {
	t.Helper()
	out, err := c.sdk.GetObject(t.Context(), get("box", key))
	check(t, err)
	return read(t, out.Body)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode checks the code that the SDK reports, and what the text says.
func wantCode(t *testing.T, err error, code string, says ...string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("error %v, want code %s", err, code)
		return
	}
	for _, text := range says {
		if !strings.Contains(api.ErrorMessage(), text) {
			t.Errorf("message %q does not say %q", api.ErrorMessage(), text)
		}
	}
}

// answer is what a plain HTTP client gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// call makes a request without an SDK, as browsers and curl do.
func (c *cloud) call(t *testing.T, method, url, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url, bytes.NewReader([]byte(body)))
	check(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := c.client.Do(r)
	check(t, err)
	return answer{res.StatusCode, res.Header, read(t, res.Body)}
}

// wantRefusal checks the document of an error.
func (a answer) wantRefusal(t *testing.T, status int, code string, says ...string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, "<Code>"+code+"</Code>") {
		t.Errorf("answer %d %s, want %d %s", a.status, a.body, status, code)
	}
	for _, text := range says {
		if !strings.Contains(a.body, text) {
			t.Errorf("answer %s does not say %q", a.body, text)
		}
	}
}
