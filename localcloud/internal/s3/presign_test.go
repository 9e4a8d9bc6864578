package s3_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

// presign makes a URL for a put with the SDK.
func presign(t *testing.T, client *sdk.Client, in sdk.PutObjectInput, life time.Duration) *v4.PresignedHTTPRequest {
	t.Helper()
	in.Bucket, in.Key = aws.String("box"), aws.String("dir/a b.txt")
	signed, err := sdk.NewPresignClient(client, sdk.WithPresignExpires(life)).PresignPutObject(t.Context(), &in)
	check(t, err)
	return signed
}

func presignGet(t *testing.T, client *sdk.Client, in *sdk.GetObjectInput, life time.Duration) string {
	t.Helper()
	signed, err := sdk.NewPresignClient(client, sdk.WithPresignExpires(life)).PresignGetObject(t.Context(), in)
	check(t, err)
	return signed.URL
}

// A URL that the SDK presigns is good for whoever holds it, until it expires.
func TestPresigned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		client := c.as(c.role(t, "worker", allow("s3:PutObject s3:GetObject", "arn:aws:s3:::box/dir/*")))
		up := presign(t, client, sdk.PutObjectInput{ContentType: aws.String("text/plain"), Metadata: map[string]string{"n": "1"}}, 10*time.Minute)
		down := presignGet(t, client, get("box", "dir/a b.txt"), time.Hour)
		c.call(t, "GET", down, "").wantRefusal(t, 403, "AccessDenied", "s3:ListBucket")

		send := func() answer {
			return c.call(t, up.Method, up.URL, "hello", "Content-Type", "text/plain", "X-Amz-Meta-N", "1")
		}
		if got := send(); got.status != 200 || got.header.Get("Etag") == "" {
			t.Fatalf("put: %+v", got)
		}
		time.Sleep(10 * time.Minute)
		if got := send(); got.status != 200 {
			t.Errorf("put at the end of the life: %+v", got)
		}
		if got := c.call(t, "GET", down, ""); got.status != 200 || got.body != "hello" || got.header.Get("Content-Type") != "text/plain" || got.header.Get("X-Amz-Meta-N") != "1" {
			t.Errorf("get: %+v", got)
		}
		time.Sleep(time.Second)
		send().wantRefusal(t, 403, "AccessDenied", "<Message>Request has expired</Message>", "<X-Amz-Expires>600</X-Amz-Expires>", "<Expires>2000-01-01T00:10:00Z</Expires>", "<ServerTime>2000-01-01T00:10:01Z</ServerTime>")
		time.Sleep(49*time.Minute + 59*time.Second)
		if got := c.call(t, "GET", down, ""); got.status != 200 {
			t.Errorf("get at the end of the life: %+v", got)
		}
		time.Sleep(time.Second)
		c.call(t, "GET", down, "").wantRefusal(t, 403, "AccessDenied", "Request has expired")
	})
}

// What a presigned URL fixes, its holder cannot change.
func TestPresignedIsForOneRequest(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	up := presign(t, c.sdk, sdk.PutObjectInput{ContentLength: aws.Int64(5), ContentType: aws.String("text/plain"), IfNoneMatch: aws.String("*")}, time.Minute)
	if !strings.Contains(up.URL, "content-length") {
		t.Fatalf("the length is not signed: %s", up.URL)
	}
	call := func(method, to, body string, header ...string) answer {
		return c.call(t, method, to, body, append([]string{"Content-Type", "text/plain", "If-None-Match", "*"}, header...)...)
	}
	other := strings.Replace(up.URL, "a%20b", "a%20c", 1)
	for name, tc := range map[string]struct {
		got  answer
		code string
		says []string
	}{
		"longer":      {call("PUT", up.URL, "hello!"), "SignatureDoesNotMatch", []string{"<SignatureProvided>", "content-length:6", "<StringToSign>AWS4-HMAC-SHA256"}},
		"shorter":     {call("PUT", up.URL, "hell"), "SignatureDoesNotMatch", nil},
		"other type":  {call("PUT", up.URL, "hello", "Content-Type", "text/html"), "SignatureDoesNotMatch", nil},
		"overwriting": {call("PUT", up.URL, "hello", "If-None-Match", ""), "SignatureDoesNotMatch", nil},
		"other key":   {call("PUT", other, "hello"), "SignatureDoesNotMatch", nil},
		"other verb":  {call("DELETE", up.URL, "hello"), "SignatureDoesNotMatch", nil},
		"more":        {call("PUT", up.URL, "hello", "X-Amz-Meta-N", "1", "X-Amz-Acl", "private"), "AccessDenied", []string{"not signed", "<HeadersNotSigned>x-amz-acl, x-amz-meta-n</HeadersNotSigned>"}},
	} {
		t.Log(name)
		tc.got.wantRefusal(t, 403, tc.code, tc.says...)
	}
	if got := call("PUT", up.URL, "hello"); got.status != 200 {
		t.Errorf("put: %+v", got)
	}
	call("PUT", up.URL, "hello").wantRefusal(t, 412, "PreconditionFailed", "<Condition>If-None-Match</Condition>")
}

// spoil replaces parameters of a URL; "" takes one away.
func spoil(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	u, err := url.Parse(text)
	check(t, err)
	q := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func TestPresignedRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.store(t, "k", "x")
		keys := c.role(t, "worker", allow("s3:*", "*"))
		down := presignGet(t, c.as(keys), get("box", "k"), time.Hour)
		scope := func(date, region, service, end string) string {
			return keys.AccessKeyID + "/" + date + "/" + region + "/" + service + "/" + end
		}
		const query = "AuthorizationQueryParametersError"
		for name, tc := range map[string]struct {
			pairs  []string
			status int
			code   string
			says   string
		}{
			"no algorithm":  {[]string{"X-Amz-Algorithm", ""}, 400, query, "requires the X-Amz-Algorithm"},
			"no credential": {[]string{"X-Amz-Credential", ""}, 400, query, "requires the X-Amz-Algorithm"},
			"no expiry":     {[]string{"X-Amz-Expires", ""}, 400, query, "and X-Amz-Expires parameters."},
			"algorithm":     {[]string{"X-Amz-Algorithm", "AWS4-HMAC-SHA1"}, 400, query, "X-Amz-Algorithm only supports"},
			"no number":     {[]string{"X-Amz-Expires", "soon"}, 400, query, "X-Amz-Expires should be a number"},
			"negative":      {[]string{"X-Amz-Expires", "-1"}, 400, query, "X-Amz-Expires must be non-negative"},
			"too long":      {[]string{"X-Amz-Expires", "604801"}, 400, query, "must be less than a week"},
			"date":          {[]string{"X-Amz-Date", "2000-01-01"}, 400, query, "X-Amz-Date must be in the ISO8601 Long Format"},
			"credential":    {[]string{"X-Amz-Credential", "me"}, 400, query, "the Credential is mal-formed"},
			"region":        {[]string{"X-Amz-Credential", scope("20000101", "eu-west-1", "s3", "aws4_request")}, 400, query, "<Region>us-east-1</Region>"},
			"service":       {[]string{"X-Amz-Credential", scope("20000101", "us-east-1", "sqs", "aws4_request")}, 400, query, "incorrect service &#34;sqs&#34;"},
			"other day":     {[]string{"X-Amz-Credential", scope("20000102", "us-east-1", "s3", "aws4_request")}, 400, query, "Invalid credential date"},
			"no host":       {[]string{"X-Amz-SignedHeaders", "date"}, 403, "AccessDenied", "<HeadersNotSigned>host</HeadersNotSigned>"},
			"other key":     {[]string{"X-Amz-Credential", "AKIAOTHER/20000101/us-east-1/s3/aws4_request"}, 403, "InvalidAccessKeyId", "<AWSAccessKeyId>AKIAOTHER</AWSAccessKeyId>"},
			"other token":   {[]string{"X-Amz-Security-Token", "abc"}, 400, "InvalidToken", ""},
			"no token":      {[]string{"X-Amz-Security-Token", ""}, 400, "InvalidToken", ""},
			"longer life":   {[]string{"X-Amz-Expires", "604800"}, 403, "SignatureDoesNotMatch", ""},
			"too early":     {[]string{"X-Amz-Date", "20000101T002000Z"}, 403, "AccessDenied", "Request is not yet valid"},
			"other":         {[]string{"X-Amz-Signature", strings.Repeat("0", 64)}, 403, "SignatureDoesNotMatch", "Check your key and signing method."},
		} {
			t.Log(name)
			c.call(t, "GET", spoil(t, down, tc.pairs...), "").wantRefusal(t, tc.status, tc.code, tc.says)
		}
		if got := c.call(t, "GET", down, ""); got.status != 200 {
			t.Errorf("unspoiled: %+v", got)
		}
		c.call(t, "GET", down, "", "Authorization", "Bearer abc").wantRefusal(t, 400, "InvalidArgument", "Only one auth mechanism allowed")
		c.call(t, "GET", c.base+"/box/k", "").wantRefusal(t, 403, "AccessDenied", "<Message>Access Denied</Message>")
		c.call(t, "GET", c.base+"/box/k", "", "Authorization", "Basic abc").wantRefusal(t, 400, "InvalidArgument", "Unsupported Authorization Type")
		c.call(t, "GET", c.base+"/box/k", "", "Authorization", "AWS AKIA:sig").wantRefusal(t, 400, "InvalidRequest", "Please use AWS4-HMAC-SHA256.")
		c.call(t, "GET", c.base+"/box/k", "", "Authorization", "AWS4-HMAC-SHA256 Signature=x").wantRefusal(t, 400, "AuthorizationHeaderMalformed", "requires three components")
	})
}

// A URL acts with the rights that the role has when it is used, and lives as
// long as temporary credentials do: longer than the instance that had them.
func TestPresignedBelongsToTheRole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.store(t, "k", "x")
		keys := c.role(t, "worker", allow("s3:GetObject", "arn:aws:s3:::box/*"))
		client := c.as(keys)
		down := presignGet(t, client, get("box", "k"), 7*24*time.Hour)
		ok := func() bool { return c.call(t, "GET", down, "").status == 200 }
		if !ok() {
			t.Error("not allowed to begin with")
		}
		check(t, c.roles.DeletePolicy("worker", "p"))
		c.call(t, "GET", down, "").wantRefusal(t, 403, "AccessDenied",
			"User: arn:aws:sts::000000000000:assumed-role/worker/i-1 is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::box/k")
		check(t, c.roles.PutPolicy("worker", "p", allow("s3:GetObject", "arn:aws:s3:::box/*")))

		time.Sleep(time.Hour)
		c.roles.Revoke(keys.AccessKeyID)
		time.Sleep(time.Second)
		if !ok() {
			t.Error("the end of the instance ended the URL")
		}
		// What is signed after that is not from the instance.
		_, err := client.GetObject(t.Context(), get("box", "k"))
		wantCode(t, err, "ExpiredToken")
		late := presignGet(t, client, get("box", "k"), time.Hour)
		c.call(t, "GET", late, "").wantRefusal(t, 400, "ExpiredToken")

		time.Sleep(11*time.Hour - time.Second)
		if !ok() {
			t.Error("the URL ended before the credentials")
		}
		time.Sleep(time.Second)
		c.call(t, "GET", down, "").wantRefusal(t, 400, "ExpiredToken", "<Message>The provided token has expired.</Message>")

		// The account's own keys have no such end.
		own := presignGet(t, c.sdk, get("box", "k"), 7*24*time.Hour)
		time.Sleep(7 * 24 * time.Hour)
		if got := c.call(t, "GET", own, ""); got.status != 200 {
			t.Errorf("own key: %+v", got)
		}
	})
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		key := c.roles.RootCredentials()
		at := func(off time.Duration) answer {
			r, err := http.NewRequest("GET", c.base+"/box?list-type=2", nil)
			check(t, err)
			const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
			r.Header.Set("X-Amz-Content-Sha256", empty)
			check(t, v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(t.Context(), aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}, r, empty, "s3", "us-east-1", time.Now().Add(off)))
			res, err := c.client.Do(r)
			check(t, err)
			return answer{res.StatusCode, res.Header, read(t, res.Body)}
		}
		for _, off := range []time.Duration{-15 * time.Minute, 0, 15 * time.Minute} {
			if got := at(off); got.status != 200 {
				t.Errorf("%s off: %+v", off, got)
			}
		}
		for _, off := range []time.Duration{-15*time.Minute - time.Second, 15*time.Minute + time.Second} {
			at(off).wantRefusal(t, 403, "RequestTimeTooSkewed", "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>")
		}
	})
}

// A browser's upload with the URLs of other SDKs: metadata in the query counts,
// the checksum of a content that did not exist yet does not.
func TestHoistedHeaders(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	sign := func(query string) string {
		r, err := http.NewRequest("PUT", c.base+"/box/k?X-Amz-Expires=60&"+query, nil)
		check(t, err)
		key := c.roles.RootCredentials()
		signed, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(t.Context(),
			aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now())
		check(t, err)
		return signed
	}
	if got := c.call(t, "PUT", sign("x-amz-meta-n=1&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"), "hello"); got.status != 200 {
		t.Fatalf("put: %+v", got)
	}
	head, err := c.sdk.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("k")})
	check(t, err)
	if head.Metadata["n"] != "1" {
		t.Errorf("metadata %v", head.Metadata)
	}
	c.call(t, "PUT", sign("x-amz-tagging=a%3Db"), "hello").wantRefusal(t, 501, "NotImplemented", "x-amz-tagging")
	c.call(t, "PUT", sign("uploadId=u&partNumber=1"), "hello").wantRefusal(t, 501, "NotImplemented", "UploadPart")
}

// A signed request may say how the object is to be sent.
func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.store(t, "k", "x")
	in := get("box", "k")
	in.ResponseContentType, in.ResponseContentDisposition = aws.String("text/csv"), aws.String(`attachment; filename="a.csv"`)
	got := c.call(t, "GET", presignGet(t, c.sdk, in, time.Minute), "")
	if got.header.Get("Content-Type") != "text/csv" || got.header.Get("Content-Disposition") != `attachment; filename="a.csv"` {
		t.Errorf("header %v", got.header)
	}
}

// Sessions that ended long ago are forgotten.
func TestEndedSessionsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.store(t, "k", "x")
		var old []iam.Credentials
		for range 3 {
			keys := c.role(t, "worker", "")
			c.roles.Revoke(keys.AccessKeyID)
			old = append(old, keys)
		}
		time.Sleep(12*time.Hour + time.Second)
		for i, code := range []string{"ExpiredToken", "InvalidAccessKeyId"} {
			for _, keys := range old {
				_, err := c.as(keys).GetObject(t.Context(), get("box", "k"))
				wantCode(t, err, code)
			}
			if i == 0 {
				c.role(t, fmt.Sprint("next", i), "")
			}
		}
	})
}
