package s3_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/streamer-go/streamer/localcloud/internal/s3"
)

// pages lists by pages; common prefixes are in brackets.
func pages(t *testing.T, c *cloud, in sdk.ListObjectsV2Input) [][]string {
	t.Helper()
	in.Bucket = aws.String("box")
	var all [][]string
	p := sdk.NewListObjectsV2Paginator(c.sdk, &in)
	for p.HasMorePages() {
		got, err := p.NextPage(t.Context())
		check(t, err)
		var page []string
		for _, o := range got.Contents {
			page = append(page, aws.ToString(o.Key))
		}
		for _, prefix := range got.CommonPrefixes {
			page = append(page, "["+aws.ToString(prefix.Prefix)+"]")
		}
		if int(aws.ToInt32(got.KeyCount)) != len(page) {
			t.Errorf("count %d of %v", aws.ToInt32(got.KeyCount), page)
		}
		all = append(all, page)
	}
	return all
}

func TestList(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, key := range []string{"b", "a/2", "a/1", "a/x/1", "a/x/2", "a", "ab", "c/1", "ü"} {
		c.store(t, key, key)
	}
	for name, tc := range map[string]struct {
		in   sdk.ListObjectsV2Input
		want string
	}{
		"all":                 {sdk.ListObjectsV2Input{}, "a a/1 a/2 a/x/1 a/x/2 ab b c/1 ü"},
		"prefix":              {sdk.ListObjectsV2Input{Prefix: aws.String("a/")}, "a/1 a/2 a/x/1 a/x/2"},
		"nothing":             {sdk.ListObjectsV2Input{Prefix: aws.String("x")}, ""},
		"after":               {sdk.ListObjectsV2Input{StartAfter: aws.String("ab")}, "b c/1 ü"},
		"pages":               {sdk.ListObjectsV2Input{MaxKeys: aws.Int32(4)}, "a a/1 a/2 a/x/1; a/x/2 ab b c/1; ü"},
		"prefix and pages":    {sdk.ListObjectsV2Input{Prefix: aws.String("a/"), MaxKeys: aws.Int32(2)}, "a/1 a/2; a/x/1 a/x/2"},
		"delimiter":           {sdk.ListObjectsV2Input{Delimiter: aws.String("/")}, "a ab b ü [a/] [c/]"},
		"delimiter and pages": {sdk.ListObjectsV2Input{Delimiter: aws.String("/"), MaxKeys: aws.Int32(2)}, "a [a/]; ab b; ü [c/]"},
		"delimiter in prefix": {sdk.ListObjectsV2Input{Delimiter: aws.String("/"), Prefix: aws.String("a/")}, "a/1 a/2 [a/x/]"},
	} {
		var got []string
		for _, page := range pages(t, c, tc.in) {
			got = append(got, strings.Join(page, " "))
		}
		if s := strings.Join(got, "; "); s != tc.want {
			t.Errorf("%s: %s, want %s", name, s, tc.want)
		}
	}
}

func TestListEntries(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.store(t, "a b&<c>", "hello")
	got, err := c.sdk.ListObjectsV2(t.Context(), &sdk.ListObjectsV2Input{Bucket: aws.String("box"), FetchOwner: aws.Bool(true)})
	check(t, err)
	o := got.Contents[0]
	if aws.ToString(o.Key) != "a b&<c>" || aws.ToInt64(o.Size) != 5 || aws.ToString(o.ETag) != `"5d41402abc4b2a76b9719d911017c592"` || o.StorageClass != types.ObjectStorageClassStandard ||
		!slices.Equal(o.ChecksumAlgorithm, []types.ChecksumAlgorithm{"CRC32"}) || time.Since(*o.LastModified) > time.Minute || len(aws.ToString(o.Owner.ID)) != 64 || aws.ToString(o.Owner.ID) != s3.OwnerID {
		t.Errorf("entry %+v", o)
	}
	got, err = c.sdk.ListObjectsV2(t.Context(), &sdk.ListObjectsV2Input{Bucket: aws.String("box"), MaxKeys: aws.Int32(0)})
	check(t, err)
	if aws.ToInt32(got.KeyCount) != 0 || aws.ToInt32(got.MaxKeys) != 0 || aws.ToBool(got.IsTruncated) {
		t.Errorf("no keys: %+v", got)
	}
	got, err = c.sdk.ListObjectsV2(t.Context(), &sdk.ListObjectsV2Input{Bucket: aws.String("box"), EncodingType: types.EncodingTypeUrl})
	check(t, err)
	if key := aws.ToString(got.Contents[0].Key); key != "a+b%26%3Cc%3E" || got.Contents[0].Owner != nil {
		t.Errorf("key %s", key)
	}
}

func TestListRefusals(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	list := func(in sdk.ListObjectsV2Input) error {
		in.Bucket = aws.String("box")
		_, err := c.sdk.ListObjectsV2(t.Context(), &in)
		return err
	}
	wantCode(t, list(sdk.ListObjectsV2Input{ContinuationToken: aws.String("?")}), "InvalidArgument", "The continuation token provided is incorrect")
	wantCode(t, list(sdk.ListObjectsV2Input{MaxKeys: aws.Int32(-1)}), "InvalidArgument", "maxKeys")
	wantCode(t, list(sdk.ListObjectsV2Input{EncodingType: "xml"}), "InvalidArgument")
}

// A page has at most a thousand keys, whatever is asked for.
func TestListIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i := range 1001 {
		r := httptest.NewRequest("PUT", fmt.Sprintf("http://127.0.0.1/box/%04d", i), nil)
		r.Header.Set("Content-Length", "0")
		if got := handle(s, r); got.status != 200 {
			t.Fatalf("put: %+v", got)
		}
	}
	got := handle(s, httptest.NewRequest("GET", "http://127.0.0.1/box?list-type=2&max-keys=5000", nil))
	if n := strings.Count(got.body, "<Key>"); n != 1000 || !strings.Contains(got.body, "<IsTruncated>true</IsTruncated>") || !strings.Contains(got.body, "<MaxKeys>1000</MaxKeys>") {
		t.Errorf("%d keys", n)
	}
}
