package s3_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
)

// calls are the operations, each on the object box/dir/k.
func calls(t *testing.T, client *sdk.Client) map[string]func() error {
	box, key := aws.String("box"), aws.String("dir/k")
	return map[string]func() error{
		"PutObject": func() error {
			_, err := client.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: box, Key: key, Body: strings.NewReader("x")})
			return err
		},
		"GetObject": func() error {
			out, err := client.GetObject(t.Context(), get("box", "dir/k"))
			if err == nil {
				read(t, out.Body)
			}
			return err
		},
		"HeadObject": func() error {
			_, err := client.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: box, Key: key})
			return err
		},
		"DeleteObject": func() error {
			_, err := client.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: box, Key: key})
			return err
		},
		"ListObjectsV2": func() error {
			_, err := client.ListObjectsV2(t.Context(), &sdk.ListObjectsV2Input{Bucket: box, Prefix: aws.String("dir/")})
			return err
		},
		"HeadBucket": func() error {
			_, err := client.HeadBucket(t.Context(), &sdk.HeadBucketInput{Bucket: box})
			return err
		},
	}
}

// Each operation needs the action of its own, on the object or the bucket.
func TestActions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy  string
		allowed string
	}{
		"nothing":      {"", ""},
		"everything":   {allow("s3:*", "*"), "PutObject GetObject HeadObject DeleteObject ListObjectsV2 HeadBucket"},
		"put":          {allow("s3:PutObject", "arn:aws:s3:::box/dir/*"), "PutObject"},
		"get":          {allow("s3:GetObject", "arn:aws:s3:::box/*"), "GetObject HeadObject"},
		"delete":       {allow("s3:DeleteObject", "arn:aws:s3:::*/dir/k"), "DeleteObject"},
		"list":         {allow("s3:ListBucket", "arn:aws:s3:::box"), "ListObjectsV2 HeadBucket"},
		"other key":    {allow("s3:*", "arn:aws:s3:::box/other/*"), ""},
		"other bucket": {allow("s3:*", "arn:aws:s3:::boxes/*"), ""},
		"keys alone":   {allow("s3:*", "arn:aws:s3:::box/*"), "PutObject GetObject HeadObject DeleteObject"},
		"by prefix":    {`{"Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":"dir/*"}}}],"Version":"2012-10-17"}`, "ListObjectsV2"},
		"other prefix": {`{"Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":"x/*"}}}],"Version":"2012-10-17"}`, ""},
		"by query":     {`{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}}],"Version":"2012-10-17"}`, ""},
		"denied":       {`{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:Put*","Resource":"*"}],"Version":"2012-10-17"}`, "GetObject HeadObject DeleteObject ListObjectsV2 HeadBucket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t)
			c.store(t, "dir/k", "x")
			operations := calls(t, c.as(c.role(t, "worker", tc.policy)))
			for _, op := range []string{"PutObject", "GetObject", "HeadObject", "ListObjectsV2", "HeadBucket", "DeleteObject"} {
				err := operations[op]()
				if strings.Contains(" "+tc.allowed+" ", " "+op+" ") {
					if err != nil {
						t.Errorf("%s: %v", op, err)
					}
					continue
				}
				var response *awshttp.ResponseError
				if !errors.As(err, &response) || response.HTTPStatusCode() != http.StatusForbidden {
					t.Errorf("%s: error %v, want a denial", op, err)
				}
				if !strings.HasPrefix(op, "Head") { // without a document there is no code
					wantCode(t, err, "AccessDenied", "assumed-role/worker/i-1", "s3:")
				}
			}
		})
	}
}

// Who may not list does not get to know what is not there.
func TestMissingKeyIsHidden(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	blind := c.as(c.role(t, "blind", allow("s3:GetObject", "arn:aws:s3:::box/*")))
	_, err := blind.GetObject(t.Context(), get("box", "nothing"))
	wantCode(t, err, "AccessDenied", "s3:ListBucket on resource: arn:aws:s3:::box ")
	seeing := c.as(c.role(t, "seeing", allow("s3:GetObject s3:ListBucket", "*")))
	_, err = seeing.GetObject(t.Context(), get("box", "nothing"))
	wantCode(t, err, "NoSuchKey")
	_, err = blind.GetObject(t.Context(), get("no-box", "nothing"))
	wantCode(t, err, "NoSuchBucket")
}

// What is billed: puts and lists, gets and heads; not deletions, nor what is denied.
func TestBill(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for name, want := range map[string]map[string]float64{
		"PutObject": {"s3.put-requests": 1}, "ListObjectsV2": {"s3.put-requests": 1},
		"GetObject": {"s3.get-requests": 1}, "HeadObject": {"s3.get-requests": 1}, "HeadBucket": {"s3.get-requests": 1},
		"DeleteObject": {},
	} {
		c.store(t, "dir/k", "x")
		before := c.counts()
		check(t, calls(t, c.sdk)[name]())
		got := map[string]float64{}
		for item, n := range c.counts() {
			if n != before[item] {
				got[item] = n - before[item]
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: billed %v, want %v", name, got, want)
		}
	}
	before := c.counts()
	denied := c.as(c.role(t, "worker", ""))
	for _, call := range calls(t, denied) {
		if call() == nil {
			t.Error("a call was not denied")
		}
	}
	if got := c.counts(); !maps.Equal(got, before) {
		t.Errorf("billed %v, want %v", got, before)
	}
}
