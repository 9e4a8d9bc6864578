package s3_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/s3"
)

// secure serves the cloud's objects over TLS too, for there the SDK sends its
// content in chunks with the checksum after it. The last request's headers come
// with it.
func secure(t *testing.T, c *cloud) (client *sdk.Client, last *http.Header) {
	t.Helper()
	last = new(http.Header)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last = r.Header.Clone()
		c.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return c.as(c.roles.RootCredentials(), func(o *sdk.Options) {
		o.BaseEndpoint, o.HTTPClient = aws.String(server.URL), &http.Client{Transport: transport}
	}), last
}

// What the SDK sends in chunks arrives whole, and is checked.
func TestChunks(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	client, last := secure(t, c)
	for _, size := range []int{1, 64<<10 - 1, 64 << 10, 300_000} {
		body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		put, err := client.PutObject(t.Context(), &sdk.PutObjectInput{
			Bucket: aws.String("box"), Key: aws.String("k"), Body: strings.NewReader(body), ContentEncoding: aws.String("gzip"),
		})
		check(t, err)
		if last.Get("X-Amz-Content-Sha256") != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" || !strings.Contains(strings.Join(last.Values("Content-Encoding"), ","), "aws-chunked") {
			t.Fatalf("the SDK sent no chunks: %v", *last)
		}
		got, err := client.GetObject(t.Context(), get("box", "k"))
		check(t, err)
		if aws.ToString(put.ChecksumCRC32) == "" || aws.ToString(got.ChecksumCRC32) != aws.ToString(put.ChecksumCRC32) {
			t.Errorf("checksums %v, %v", put.ChecksumCRC32, got.ChecksumCRC32)
		}
		if read(t, got.Body) != body || aws.ToString(got.ContentEncoding) != "gzip" {
			t.Errorf("other content of %d bytes, encoding %s", size, aws.ToString(got.ContentEncoding))
		}
	}
	// A stream of unknown content, and one that is larger than allowed.
	_, err := client.PutObject(t.Context(), &sdk.PutObjectInput{
		Bucket: aws.String("box"), Key: aws.String("k"), Body: io.LimitReader(strings.NewReader("streamed"), 8), ContentLength: aws.Int64(8),
	})
	check(t, err)
	if got := c.content(t, "k"); got != "streamed" {
		t.Errorf("content %q", got)
	}
	_, err = client.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("k"), Body: strings.NewReader(strings.Repeat("x", 1<<20+1))})
	wantCode(t, err, "EntityTooLarge")
}

func TestChecksums(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	// The values are of the text 123456789, which the definitions of CRC give too.
	for algorithm, value := range map[types.ChecksumAlgorithm]string{
		types.ChecksumAlgorithmCrc32:     "y/Q5Jg==",
		types.ChecksumAlgorithmCrc32c:    "4waSgw==",
		types.ChecksumAlgorithmCrc64nvme: "rosUhgp5mIg=",
		types.ChecksumAlgorithmSha1:      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		types.ChecksumAlgorithmSha256:    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	} {
		_, err := c.sdk.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("k"), Body: strings.NewReader("123456789"), ChecksumAlgorithm: algorithm})
		check(t, err)
		head, err := c.sdk.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled})
		check(t, err)
		got := map[types.ChecksumAlgorithm]*string{
			types.ChecksumAlgorithmCrc32: head.ChecksumCRC32, types.ChecksumAlgorithmCrc32c: head.ChecksumCRC32C, types.ChecksumAlgorithmCrc64nvme: head.ChecksumCRC64NVME,
			types.ChecksumAlgorithmSha1: head.ChecksumSHA1, types.ChecksumAlgorithmSha256: head.ChecksumSHA256,
		}
		if aws.ToString(got[algorithm]) != value {
			t.Errorf("%s: %s, want %s", algorithm, aws.ToString(got[algorithm]), value)
		}
		// The SDK checks what it reads against it.
		if c.content(t, "k") != "123456789" {
			t.Errorf("%s: other content", algorithm)
		}
	}
	up := func(in sdk.PutObjectInput) error {
		in.Bucket, in.Key, in.Body = aws.String("box"), aws.String("k"), strings.NewReader("987654321")
		_, err := c.sdk.PutObject(t.Context(), &in)
		return err
	}
	wantCode(t, up(sdk.PutObjectInput{ChecksumCRC32: aws.String("y/Q5Jg==")}), "BadDigest", "The CRC32 you specified did not match the calculated checksum.")
	wantCode(t, up(sdk.PutObjectInput{ChecksumSHA256: aws.String("y/Q5Jg==")}), "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid.")
	wantCode(t, up(sdk.PutObjectInput{ChecksumCRC32: aws.String("y/Q5Jg=="), ChecksumSHA1: aws.String("98O8HYCOBHMq32eZZczDTKeuNEE=")}), "InvalidRequest", "Expecting a single x-amz-checksum- header.")
	wantCode(t, up(sdk.PutObjectInput{ChecksumXXHASH64: aws.String("y/Q5JgAAAAA=")}), "NotImplemented", "x-amz-checksum-xxhash64")
	if c.content(t, "k") != "123456789" {
		t.Error("what was refused was stored")
	}
}

// Without a checksum there is the one that S3 makes.
func TestChecksumOfItsOwn(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	plain := c.as(c.roles.RootCredentials(), func(o *sdk.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
	put, err := plain.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("k"), Body: strings.NewReader("123456789")})
	check(t, err)
	if aws.ToString(put.ChecksumCRC64NVME) != "rosUhgp5mIg=" {
		t.Errorf("put %+v", put)
	}
	// A part of an object has no checksum of the whole.
	in := get("box", "k")
	in.Range, in.ChecksumMode = aws.String("bytes=1-2"), types.ChecksumModeEnabled
	got, err := c.sdk.GetObject(t.Context(), in)
	check(t, err)
	if read(t, got.Body) != "23" || got.ChecksumCRC64NVME != nil {
		t.Errorf("got %+v", got)
	}
}

// open is a service that everybody may use, for what no SDK would send.
func open(t *testing.T) *s3.Service {
	t.Helper()
	s := s3.New(s3.Options{MaxObject: 100})
	t.Cleanup(s.Close)
	_, err := s.PutBucket(s3.BucketSpec{Name: "box"})
	check(t, err)
	return s
}

func handle(s *s3.Service, r *http.Request) answer {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r.WithContext(account.WithCaller(r.Context(), account.Root())))
	return answer{w.Code, w.Header(), w.Body.String()}
}

func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	s := open(t)
	chunked := map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length": "5", "X-Amz-Trailer": "x-amz-checksum-crc32", "Content-Encoding": "aws-chunked"}
	for name, tc := range map[string]struct {
		body   string
		header map[string]string
		length int64 // when another one
		status int
		code   string
	}{
		"whole":                {"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", chunked, 0, 200, ""},
		"two chunks":           {"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nx-amz-checksum-crc32: NhCmhg==\r\n\r\n", chunked, 0, 200, ""},
		"wrong sum":            {"5\r\nhallo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", chunked, 0, 400, "BadDigest"},
		"no sum":               {"5\r\nhello\r\n0\r\n\r\n", chunked, 0, 400, "MalformedTrailerError"},
		"sum twice":            {"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:NhCmhg==\r\n", chunked, 0, 400, "MalformedTrailerError"},
		"no line":              {"5\r\nhello\r\n0\r\nx-amz-checksum-crc32\r\n\r\n", chunked, 0, 400, "MalformedTrailerError"},
		"too short":            {"4\r\nhell\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", chunked, 0, 400, "IncompleteBody"},
		"no end":               {"5\r\nhello\r\n", chunked, 0, 400, "IncompleteBody"},
		"chunk too short":      {"9\r\nhello\r\n", chunked, 0, 400, "IncompleteBody"},
		"no size":              {"x\r\nhello\r\n", chunked, 0, 400, "IncompleteBody"},
		"huge size":            {"fffffffffffffffe\r\nhello\r\n", chunked, 0, 400, "IncompleteBody"},
		"size of all bits":     {"3fffffffffffffff\r\nhello\r\n", chunked, 0, 400, "IncompleteBody"},
		"signed chunks":        {"x", map[string]string{"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, 0, 501, "NotImplemented"},
		"chunks without hash":  {"x", map[string]string{"Content-Encoding": "gzip, aws-chunked"}, 0, 501, "NotImplemented"},
		"no length of content": {"x", map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, 0, 411, "MissingContentLength"},
		"too large in chunks":  {"x", map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length": "101"}, 0, 400, "EntityTooLarge"},
		"too large":            {strings.Repeat("x", 101), nil, 0, 400, "EntityTooLarge"},
		"said to be too large": {"x", nil, 1 << 40, 400, "EntityTooLarge"},
		"of unknown length":    {"x", nil, -1, 501, "NotImplemented"},
		"algorithm without":    {"x", map[string]string{"X-Amz-Sdk-Checksum-Algorithm": "CRC32"}, 0, 400, "InvalidRequest"},
		"other algorithm":      {"x", map[string]string{"X-Amz-Sdk-Checksum-Algorithm": "SHA1", "X-Amz-Checksum-Crc32": "NhCmhg=="}, 0, 400, "InvalidRequest"},
		"customer key":         {"x", map[string]string{"X-Amz-Server-Side-Encryption-Customer-Algorithm": "AES256"}, 0, 501, "NotImplemented"},
		"unknown header":       {"x", map[string]string{"X-Amz-Write-Offset-Bytes": "1"}, 0, 501, "NotImplemented"},
	} {
		r := httptest.NewRequest("PUT", "http://127.0.0.1/box/k", bytes.NewReader([]byte(tc.body)))
		for k, v := range tc.header {
			r.Header.Set(k, v)
		}
		if tc.length != 0 {
			r.ContentLength = tc.length
		}
		got := handle(s, r)
		if got.status != tc.status || tc.code != "" && !strings.Contains(got.body, "<Code>"+tc.code+"</Code>") {
			t.Errorf("%s: %d %s, want %d %s", name, got.status, got.body, tc.status, tc.code)
		}
	}
	if got := handle(s, httptest.NewRequest("GET", "http://127.0.0.1/box/k", nil)); got.body != "hello" {
		t.Errorf("content %q", got.body)
	}
	r := httptest.NewRequest("PUT", "http://127.0.0.1/box/%ff", strings.NewReader("x"))
	handle(s, r).wantRefusal(t, 400, "InvalidURI")
	handle(s, httptest.NewRequest("PATCH", "http://127.0.0.1/box/k", nil)).wantRefusal(t, 501, "NotImplemented", "PATCH of an object")
}
