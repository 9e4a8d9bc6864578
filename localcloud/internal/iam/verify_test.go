package iam_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

func sum(body string) string {
	h := sha256.Sum256([]byte(body))
	return hex.EncodeToString(h[:])
}

func awsKeys(c iam.Credentials) aws.Credentials {
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}
}

// received is the request as a server gets it over the wire.
func received(t *testing.T, r *http.Request) (*http.Request, []byte) {
	t.Helper()
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got := make(chan *http.Request, 1)
	body := make(chan []byte, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r
		body <- b
	})}
	l := &once{conn: newScript(wire.String())}
	_ = server.Serve(l)
	select {
	case r := <-got:
		return r, <-body
	case <-time.After(10 * time.Second):
		t.Fatal("the request did not arrive: " + wire.String())
		return nil, nil
	}
}

func newStore(t *testing.T) (*iam.Store, iam.Credentials) {
	t.Helper()
	s := iam.New()
	if err := s.PutRole("worker", trust("lambda.amazonaws.com")); err != nil {
		t.Fatal(err)
	}
	keys, err := s.NewCredentials("worker", "instance-1")
	if err != nil {
		t.Fatal(err)
	}
	return s, keys
}

func trust(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"` + service + `"}}]}`
}

// Requests that the SDK's signer signs are verified as they come over the wire.
func TestVerifyAcceptsTheSDKsSigner(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method, url, service, body string
		header                     map[string]string
		unsigned                   bool
		s3                         bool // escapes the path once
	}{
		"json":              {method: "POST", url: "http://127.0.0.1:4566/", service: "dynamodb", body: `{"TableName":"t"}`, header: map[string]string{"X-Amz-Target": "DynamoDB_20120810.GetItem"}},
		"empty body":        {method: "GET", url: "http://127.0.0.1:4566/", service: "lambda"},
		"default port":      {method: "POST", url: "http://cloud.local:80/", service: "sqs", body: "{}"},
		"connection id":     {method: "POST", url: "http://127.0.0.1:4510/prod/@connections/abc%3D", service: "execute-api", body: "hello"},
		"escaped at":        {method: "GET", url: "http://127.0.0.1:4510/prod/%40connections/abc%3D", service: "execute-api"},
		"id not escaped":    {method: "DELETE", url: "http://127.0.0.1:4510/prod/@connections/abc=", service: "execute-api"},
		"arn in path":       {method: "POST", url: "http://127.0.0.1:4566/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations?Qualifier=%24LATEST", service: "lambda", body: "{}"},
		"query":             {method: "GET", url: "http://127.0.0.1:4566/2015-03-31/functions?MaxItems=5&Marker=a%20b%2Fc&Marker=a-c&empty", service: "lambda"},
		"spaces in header":  {method: "POST", url: "http://127.0.0.1:4566/", service: "sqs", body: "{}", header: map[string]string{"X-Amz-Meta": "a   b  c"}},
		"s3 path":           {method: "PUT", url: "http://127.0.0.1:4566/bucket/a%20b/c%3Dd", service: "s3", body: "x", s3: true},
		"unsigned payload":  {method: "PUT", url: "http://127.0.0.1:4566/", service: "s3", body: "x", unsigned: true, s3: true},
		"hash in header":    {method: "POST", url: "http://127.0.0.1:4566/", service: "dynamodb", body: "{}", header: map[string]string{"X-Amz-Content-Sha256": sum("{}")}},
		"unicode in header": {method: "POST", url: "http://127.0.0.1:4566/", service: "sqs", body: "{}", header: map[string]string{"X-Amz-Meta": "grün"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, keys := newStore(t)
			for _, presigned := range []bool{false, true} {
				r := httptest.NewRequest(tc.method, tc.url, strings.NewReader(tc.body))
				for k, v := range tc.header {
					r.Header.Set(k, v)
				}
				hash := sum(tc.body)
				if tc.unsigned {
					hash = "UNSIGNED-PAYLOAD"
				}
				if (tc.unsigned || tc.s3) && !presigned {
					r.Header.Set("X-Amz-Content-Sha256", hash)
				}
				if tc.s3 && presigned {
					hash = "UNSIGNED-PAYLOAD"
					r.URL.RawQuery = "X-Amz-Expires=60"
				}
				r = sign(t, r, keys, hash, tc.service, presigned, tc.s3)
				got, body := received(t, r)
				caller, err := s.Verify(got, body, tc.service)
				if err != nil {
					t.Fatalf("presigned=%t: %v", presigned, err)
				}
				if caller != account.AssumedRole("worker", "instance-1") {
					t.Errorf("caller %+v", caller)
				}
			}
		})
	}
}

// sign signs as the SDK does, by header or by query.
func sign(t *testing.T, r *http.Request, keys iam.Credentials, hash, service string, presigned, once bool) *http.Request {
	t.Helper()
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = once })
	if !presigned {
		if err := signer.SignHTTP(context.Background(), awsKeys(keys), r, hash, service, account.Region, time.Now()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	url, header, err := signer.PresignHTTP(context.Background(), awsKeys(keys), r, hash, service, account.Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	out := httptest.NewRequest(r.Method, url, bytes.NewReader(body))
	out.Host = header.Get("Host") // without a default port
	for k, v := range header {
		if k != "Host" && k != "Content-Length" {
			out.Header[k] = v
		}
	}
	return out
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil   func(s *iam.Store, r *http.Request, keys iam.Credentials)
		body    string // that arrives, when another one
		service string // asked for, when another one
		code    string
		says    string
	}{
		"no signature":      {spoil: func(_ *iam.Store, r *http.Request, _ iam.Credentials) { r.Header.Del("Authorization") }, code: "MissingAuthenticationTokenException"},
		"other algorithm":   {spoil: func(_ *iam.Store, r *http.Request, _ iam.Credentials) { r.Header.Set("Authorization", "Basic abc") }, code: "IncompleteSignatureException", says: "AWS4-HMAC-SHA256"},
		"no signed headers": {spoil: replace("SignedHeaders=", "Signed="), code: "IncompleteSignatureException", says: "'SignedHeaders'"},
		"host not signed":   {spoil: replace(";host", ""), code: "InvalidSignatureException", says: "'Host'"},
		"other header": {spoil: func(_ *iam.Store, r *http.Request, _ iam.Credentials) {
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810.DeleteItem")
		}, code: "InvalidSignatureException", says: "does not match"},
		// Who may add it may choose the operation.
		"target not signed": {spoil: func(_ *iam.Store, r *http.Request, k iam.Credentials) {
			target := r.Header.Get("X-Amz-Target")
			r.Header.Del("X-Amz-Target")
			signAnew(r, k, sum("{}"))
			r.Header.Set("X-Amz-Target", target)
		}, code: "InvalidSignatureException", says: "'X-Amz-Target' must be a 'SignedHeader'"},
		"payload not signed": {spoil: func(_ *iam.Store, r *http.Request, k iam.Credentials) {
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			signAnew(r, k, "UNSIGNED-PAYLOAD")
		}, code: "InvalidSignatureException", says: "UNSIGNED-PAYLOAD"},
		"other path":    {spoil: func(_ *iam.Store, r *http.Request, _ iam.Credentials) { r.URL.Path, r.RequestURI = "/other", "/other" }, code: "InvalidSignatureException", says: "does not match"},
		"other body":    {body: `{"x":1}`, code: "InvalidSignatureException", says: "does not match"},
		"other service": {service: "sqs", code: "InvalidSignatureException", says: "'sqs', not 'dynamodb'"},
		"other key":     {spoil: replace("Credential=", "Credential=X"), code: "UnrecognizedClientException"},
		"revoked":       {spoil: func(s *iam.Store, _ *http.Request, k iam.Credentials) { s.Revoke(k.AccessKeyID) }, code: "UnrecognizedClientException"},
		"role deleted":  {spoil: func(s *iam.Store, _ *http.Request, _ iam.Credentials) { _ = s.DeleteRole("worker") }, code: "UnrecognizedClientException"},
		"no token":      {spoil: func(_ *iam.Store, r *http.Request, _ iam.Credentials) { r.Header.Del("X-Amz-Security-Token") }, code: "UnrecognizedClientException"},
		"other hash": {spoil: func(_ *iam.Store, r *http.Request, k iam.Credentials) {
			r.Header.Set("X-Amz-Content-Sha256", sum("y"))
			signAnew(r, k, sum("y"))
		}, code: "InvalidSignatureException", says: "x-amz-content-sha256"},
		"date of no form": {spoil: func(_ *iam.Store, r *http.Request, _ iam.Credentials) { r.Header.Set("X-Amz-Date", "yesterday") }, code: "IncompleteSignatureException", says: "'yesterday'"},
		"date of another": {spoil: func(_ *iam.Store, r *http.Request, _ iam.Credentials) {
			r.Header.Set("X-Amz-Date", "20000102T000000Z")
		}, code: "InvalidSignatureException", says: "Credential scope"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, keys := newStore(t)
			r := httptest.NewRequest("POST", "http://127.0.0.1:4566/", strings.NewReader("{}"))
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810.GetItem")
			r = sign(t, r, keys, sum("{}"), "dynamodb", false, false)
			r.RequestURI = "/"
			if tc.spoil != nil {
				tc.spoil(s, r, keys)
			}
			body, service := "{}", "dynamodb"
			if tc.body != "" {
				body = tc.body
			}
			if tc.service != "" {
				service = tc.service
			}
			_, err := s.Verify(r, []byte(body), service)
			var e *iam.SignatureError
			if !errors.As(err, &e) || e.Code != tc.code || !strings.Contains(e.Message, tc.says) {
				t.Errorf("error %v, want %s that says %q", err, tc.code, tc.says)
			}
		})
	}
}

func signAnew(r *http.Request, keys iam.Credentials, hash string) {
	r.Header.Del("Authorization")
	// An error here shows as a signature that is missing.
	_ = v4.NewSigner().SignHTTP(context.Background(), awsKeys(keys), r, hash, "dynamodb", account.Region, time.Now())
}

func replace(from, to string) func(*iam.Store, *http.Request, iam.Credentials) {
	return func(_ *iam.Store, r *http.Request, _ iam.Credentials) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
	}
}

// A signature is good for five minutes, a presigned request for as long as it says.
func TestSignatureAges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, keys := newStore(t)
		plain := func(at time.Time) *http.Request {
			r := httptest.NewRequest("POST", "http://127.0.0.1/", strings.NewReader("{}"))
			if err := v4.NewSigner().SignHTTP(context.Background(), awsKeys(keys), r, sum("{}"), "sqs", account.Region, at); err != nil {
				t.Fatal(err)
			}
			return r
		}
		now := time.Now()
		for _, tc := range []struct {
			off time.Duration
			ok  bool
		}{{-6 * time.Minute, false}, {-5 * time.Minute, true}, {0, true}, {5 * time.Minute, true}, {6 * time.Minute, false}} {
			if _, err := s.Verify(plain(now.Add(tc.off)), []byte("{}"), "sqs"); (err == nil) != tc.ok {
				t.Errorf("signed %s from now: %v", tc.off, err)
			}
		}
		r := httptest.NewRequest("GET", "http://127.0.0.1/?X-Amz-Expires=60", nil)
		url, _, err := v4.NewSigner().PresignHTTP(context.Background(), awsKeys(keys), r, sum(""), "sqs", account.Region, now)
		if err != nil {
			t.Fatal(err)
		}
		r = httptest.NewRequest("GET", url, nil)
		time.Sleep(time.Minute)
		if _, err := s.Verify(r, nil, "sqs"); err != nil {
			t.Errorf("after a minute: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := s.Verify(r, nil, "sqs"); err == nil || !strings.Contains(err.Error(), "Signature expired") {
			t.Errorf("after more than a minute: %v", err)
		}
	})
}

// What a session presigned outlives it, up to the end that credentials have on
// AWS; what it signs after its end is nothing.
func TestPresignedOutlivesTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, keys := newStore(t)
		presigned := func() *http.Request {
			r := httptest.NewRequest("GET", "http://127.0.0.1/?X-Amz-Expires=604800", nil)
			return sign(t, r, keys, sum(""), "execute-api", true, false)
		}
		code := func(r *http.Request) string {
			_, err := s.Verify(r, nil, "execute-api")
			var e *iam.SignatureError
			if errors.As(err, &e) {
				return e.Code
			}
			return ""
		}
		before := presigned()
		plain := sign(t, httptest.NewRequest("GET", "http://127.0.0.1/", nil), keys, sum(""), "execute-api", false, false)
		if got := code(plain); got != "" {
			t.Errorf("before the end: %s", got)
		}
		s.Revoke(keys.AccessKeyID)
		s.Revoke(keys.AccessKeyID)
		time.Sleep(time.Second)
		for name, tc := range map[string]struct{ got, want string }{
			"presigned before": {code(before), ""}, "signed before": {code(plain), "UnrecognizedClientException"}, "presigned after": {code(presigned()), "UnrecognizedClientException"},
		} {
			if tc.got != tc.want {
				t.Errorf("%s: %s, want %s", name, tc.got, tc.want)
			}
		}
		time.Sleep(12*time.Hour - time.Second)
		if got := code(before); got != "" {
			t.Errorf("after twelve hours: %s", got)
		}
		time.Sleep(time.Second)
		if got := code(before); got != "ExpiredTokenException" {
			t.Errorf("after more than twelve hours: %q", got)
		}
		if err := s.DeleteRole("worker"); err != nil {
			t.Fatal(err)
		}
		if got := code(before); got != "UnrecognizedClientException" {
			t.Errorf("without the role: %q", got)
		}
	})
}

func TestServiceOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ url, header, service, region string }{
		"nothing":    {"/", "", "", ""},
		"header":     {"/", "AWS4-HMAC-SHA256 Credential=A/20000101/us-east-1/s3/aws4_request, SignedHeaders=host", "s3", "us-east-1"},
		"query":      {"/?X-Amz-Credential=A%2F20000101%2Feu-west-1%2Fsqs%2Faws4_request", "", "sqs", "eu-west-1"},
		"incomplete": {"/?X-Amz-Credential=A%2F20000101", "", "", ""},
		"basic":      {"/", "Basic abc", "", ""},
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1"+tc.url, nil)
		if tc.header != "" {
			r.Header.Set("Authorization", tc.header)
		}
		if service, region := iam.ServiceOf(r); service != tc.service || region != tc.region {
			t.Errorf("%s: %s in %s", name, service, region)
		}
	}
}

func TestRootNeedsNoPolicy(t *testing.T) {
	t.Parallel()
	s := iam.New()
	r := httptest.NewRequest("POST", "http://127.0.0.1/", strings.NewReader("{}"))
	r = sign(t, r, s.RootCredentials(), sum("{}"), "sqs", false, false)
	caller, err := s.Verify(r, []byte("{}"), "sqs")
	if err != nil || !caller.Root {
		t.Fatalf("caller %+v, %v", caller, err)
	}
	s.Revoke(s.RootCredentials().AccessKeyID) // has no effect
	if _, err := s.Verify(r, []byte("{}"), "sqs"); err != nil {
		t.Error(err)
	}
	if err := s.Authorize(account.WithCaller(context.Background(), caller), "sqs:SendMessage", "arn:aws:sqs:us-east-1:000000000000:q"); err != nil {
		t.Error(err)
	}
}
