package s3_test

import (
	"errors"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/streamer-go/streamer/localcloud/internal/s3"
)

func crossOrigin(t *testing.T) *cloud {
	c := newCloud(t)
	age := 600
	c.put(t, s3.BucketSpec{Name: "box", CORS: []s3.CORSRule{
		{Origins: []string{"https://app.example", "https://*.app.example"}, Methods: []string{"PUT", "GET"}, Headers: []string{"content-type", "x-amz-*"}, Expose: []string{"ETag", "x-amz-request-id"}, MaxAge: &age},
		{Origins: []string{"*"}, Methods: []string{"GET"}},
	}})
	c.put(t, s3.BucketSpec{Name: "closed"})
	return c
}

// A preflight is answered by the first rule that allows all of it.
func TestPreflight(t *testing.T) {
	t.Parallel()
	c := crossOrigin(t)
	const vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
	for name, tc := range map[string]struct {
		origin, method, headers string
		want                    map[string]string
	}{
		"named origin": {"https://app.example", "PUT", "Content-Type, X-Amz-Meta-N", map[string]string{
			"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Methods": "PUT, GET", "Access-Control-Allow-Headers": "content-type, x-amz-meta-n",
			"Access-Control-Expose-Headers": "ETag, x-amz-request-id", "Access-Control-Max-Age": "600", "Access-Control-Allow-Credentials": "true", "Vary": vary,
		}},
		"origin with wildcard": {"https://a.b.app.example", "GET", "", map[string]string{
			"Access-Control-Allow-Origin": "https://a.b.app.example", "Access-Control-Allow-Methods": "PUT, GET", "Access-Control-Allow-Headers": "", "Vary": vary,
		}},
		"any origin": {"https://other.example", "GET", "", map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET", "Access-Control-Allow-Credentials": "", "Access-Control-Max-Age": "", "Vary": vary,
		}},
	} {
		got := c.call(t, "OPTIONS", c.base+"/box/dir/k?X-Amz-Signature=abc", "", "Origin", tc.origin, "Access-Control-Request-Method", tc.method, "Access-Control-Request-Headers", tc.headers)
		if got.status != 200 || got.body != "" {
			t.Errorf("%s: %+v", name, got)
		}
		for key, want := range tc.want {
			if got.header.Get(key) != want {
				t.Errorf("%s: %s is %q, want %q", name, key, got.header.Get(key), want)
			}
		}
	}
}

func TestPreflightRefusals(t *testing.T) {
	t.Parallel()
	c := crossOrigin(t)
	const notAllowed = "CORSResponse: This CORS request is not allowed."
	for name, tc := range map[string]struct {
		path   string
		header []string
		status int
		code   string
		says   []string
	}{
		"no origin":    {"/box/k", []string{"Access-Control-Request-Method", "GET"}, 400, "BadRequest", []string{"Origin request header needed"}},
		"no method":    {"/box/k", []string{"Origin", "https://app.example"}, 400, "BadRequest", []string{"Invalid Access-Control-Request-Method: null"}},
		"other method": {"/box/k", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "PATCH"}, 400, "BadRequest", []string{"Invalid Access-Control-Request-Method: PATCH"}},
		"no rules":     {"/closed/k", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "GET"}, 403, "AccessForbidden", []string{"CORS is not enabled for this bucket.", "<Method>GET</Method>", "<ResourceType>OBJECT</ResourceType>"}},
		"no bucket":    {"/missing/k", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "GET"}, 403, "AccessForbidden", []string{"Bucket not found"}},
		"wrong method": {"/box/k", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "DELETE"}, 403, "AccessForbidden", []string{notAllowed}},
		"wrong origin": {"/box", []string{"Origin", "https://other.example", "Access-Control-Request-Method", "PUT"}, 403, "AccessForbidden", []string{notAllowed, "<ResourceType>BUCKET</ResourceType>"}},
		"wrong header": {"/box/k", []string{"Origin", "https://app.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "content-type, if-match"}, 403, "AccessForbidden", []string{notAllowed}},
		"no headers":   {"/box/k", []string{"Origin", "https://other.example", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "content-type"}, 403, "AccessForbidden", []string{notAllowed}},
	} {
		t.Log(name)
		c.call(t, "OPTIONS", c.base+tc.path, "", tc.header...).wantRefusal(t, tc.status, tc.code, tc.says...)
	}
}

// Answers have the headers too, those of errors included: else a page would not
// get to see why.
func TestCrossOriginAnswers(t *testing.T) {
	t.Parallel()
	c := crossOrigin(t)
	c.store(t, "k", "x")
	up := presign(t, c.sdk, sdk.PutObjectInput{}, time.Minute)
	down := presignGet(t, c.sdk, get("box", "k"), time.Minute)
	got := c.call(t, "PUT", up.URL, "hello", "Origin", "https://app.example")
	if got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "https://app.example" || got.header.Get("Access-Control-Expose-Headers") != "ETag, x-amz-request-id" {
		t.Errorf("put %+v", got)
	}
	got = c.call(t, "GET", down+"x", "", "Origin", "https://other.example")
	got.wantRefusal(t, 403, "SignatureDoesNotMatch")
	if got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("header %v", got.header)
	}
	// What no rule allows is done all the same: it is the browser that minds.
	got = c.call(t, "PUT", up.URL, "hello", "Origin", "https://other.example")
	if got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("put %+v", got)
	}
	if got = c.call(t, "GET", down, ""); got.status != 200 || got.header.Get("Vary") != "" {
		t.Errorf("get %+v", got)
	}
}

func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	origins, methods := []string{"*"}, []string{"GET"}
	for name, spec := range map[string]s3.BucketSpec{
		"no origin":      {CORS: []s3.CORSRule{{Methods: methods}}},
		"no method":      {CORS: []s3.CORSRule{{Origins: origins}}},
		"other method":   {CORS: []s3.CORSRule{{Origins: origins, Methods: []string{"OPTIONS"}}}},
		"two wildcards":  {CORS: []s3.CORSRule{{Origins: []string{"*.a.*"}, Methods: methods}}},
		"header":         {CORS: []s3.CORSRule{{Origins: origins, Methods: methods, Headers: []string{"*-*"}}}},
		"exposed":        {CORS: []s3.CORSRule{{Origins: origins, Methods: methods, Expose: []string{"*"}}}},
		"too many":       {CORS: make([]s3.CORSRule, 101)},
		"same id":        {Lifecycle: []s3.LifecycleRule{{ID: "a", Days: 1}, {ID: "a", Days: 2}}},
		"negative days":  {Lifecycle: []s3.LifecycleRule{{Days: -1}}},
		"days and date":  {Lifecycle: []s3.LifecycleRule{{Days: 1, Date: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}}},
		"not midnight":   {Lifecycle: []s3.LifecycleRule{{Date: time.Date(2030, 1, 1, 1, 0, 0, 0, time.UTC)}}},
		"nothing within": {Lifecycle: []s3.LifecycleRule{{Days: 1, LargerThan: 10, SmallerThan: 10}}},
		"too many rules": {Lifecycle: make([]s3.LifecycleRule, 1001)},
	} {
		spec.Name = "box"
		_, err := c.PutBucket(spec)
		var e *s3.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
