package localcloud_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/streamer-go/streamer/localcloud"
	objects "github.com/streamer-go/streamer/localcloud/internal/s3"
)

func bucketClient(endpoint string, client *http.Client, keys localcloud.Credentials) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: client, Credentials: provider(keys), RetryMaxAttempts: 1,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	})
}

// fetch makes a request as a browser does, and returns its status and content.
func fetch(t *testing.T, client *http.Client, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	check(t, err)
	r.Header.Set("Origin", "https://app.example")
	res, err := client.Do(r)
	check(t, err)
	data, err := io.ReadAll(res.Body)
	check(t, err)
	check(t, res.Body.Close())
	if res.Header.Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("%s: header %v", method, res.Header)
	}
	return res.StatusCode, string(data)
}

// A function presigns, a page uploads and downloads, with the rights of the
// function's role and long after its instance is gone; then the object ends.
func uploads(t *testing.T, cloud *localcloud.Cloud, client *http.Client) {
	_, err := cloud.Services().Objects.PutBucket(objects.BucketSpec{
		Name:      "payloads",
		Lifecycle: []objects.LifecycleRule{{ID: "end", Days: 1}},
		CORS:      []objects.CORSRule{{Origins: []string{"https://app.example"}, Methods: []string{"PUT", "GET"}}},
	})
	check(t, err)
	fn := function(t, cloud, "signer", "arn:aws:s3:::payloads/up/*", "s3:PutObject", "s3:GetObject")
	out, err := functions(cloud, cloud.Credentials()).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(fn.Name), Payload: []byte(`{}`)})
	check(t, err)
	urls := strings.Fields(strings.Trim(string(out.Payload), `"`))
	if len(urls) != 3 {
		t.Fatalf("payload %s", out.Payload)
	}
	put, get, other := urls[0], urls[1], urls[2]
	if status, text := fetch(t, client, "PUT", put, "hello"); status != 200 {
		t.Fatalf("put: %d %s", status, text)
	}
	if status, text := fetch(t, client, "GET", get, ""); status != 200 || text != "hello" {
		t.Errorf("get: %d %s", status, text)
	}
	if status, text := fetch(t, client, "PUT", other, "hello"); status != 403 || !strings.Contains(text, "assumed-role/signer/") || !strings.Contains(text, "s3:PutObject on resource: arn:aws:s3:::payloads/other") {
		t.Errorf("put elsewhere: %d %s", status, text)
	}
	if bill := cloud.Bill(); bill["s3.put-requests"] != 1 || bill["s3.get-requests"] != 1 {
		t.Errorf("bill %v", bill)
	}
	if bucket, _ := cloud.Services().Objects.Bucket("payloads"); bucket.Objects != 1 {
		t.Errorf("bucket %+v", bucket)
	}
}

// signer presigns three URLs with what an instance's environment has.
func signer(ctx context.Context, in localcloud.Instance, _ []byte) ([]byte, error) {
	signs := s3.NewPresignClient(bucketClient(in.Env["AWS_ENDPOINT_URL"], in.HTTP, keysOf(in)), s3.WithPresignExpires(time.Hour))
	var urls []string
	for _, key := range []string{"up/1", "other/1"} {
		put, err := signs.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("payloads"), Key: aws.String(key), ContentLength: aws.Int64(5)})
		if err != nil {
			return nil, err
		}
		get, err := signs.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("payloads"), Key: aws.String(key)})
		if err != nil {
			return nil, err
		}
		urls = append(urls, put.URL, get.URL)
	}
	return []byte(`"` + strings.Join(urls[:3], " ") + `"`), nil
}

func TestUploadsOverTCP(t *testing.T) {
	t.Parallel()
	cloud := start(t, localcloud.Config{Funcs: handlers{"signer": signer}.start})
	uploads(t, cloud, http.DefaultClient)
	http.DefaultClient.CloseIdleConnections()
	client := bucketClient(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials())
	list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("payloads")})
	check(t, err)
	if len(list.Contents) != 1 || aws.ToString(list.Contents[0].Key) != "up/1" {
		t.Errorf("list %+v", list.Contents)
	}
}

func TestUploadsInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"signer": signer}.start})
		uploads(t, cloud, cloud.HTTPClient())
		client := bucketClient(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials())
		head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("payloads"), Key: aws.String("up/1")})
		check(t, err)
		if !strings.Contains(aws.ToString(head.Expiration), `expiry-date="Mon, 03 Jan 2000 00:00:00 GMT"`) {
			t.Errorf("expiration %s", aws.ToString(head.Expiration))
		}
		time.Sleep(47 * time.Hour)
		if bucket, _ := cloud.Services().Objects.Bucket("payloads"); bucket.Objects != 1 {
			t.Errorf("before the end: %+v", bucket)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if bucket, _ := cloud.Services().Objects.Bucket("payloads"); bucket.Objects != 0 {
			t.Errorf("after the end: %+v", bucket)
		}
	})
}

// A URL goes on when the instance that signed it has ended, as credentials do
// on AWS.
func TestURLOutlivesTheInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := start(t, localcloud.Config{InMemory: true, Funcs: handlers{"signer": signer}.start})
		_, err := cloud.Services().Objects.PutBucket(objects.BucketSpec{Name: "payloads", CORS: []objects.CORSRule{{Origins: []string{"https://app.example"}, Methods: []string{"PUT"}}}})
		check(t, err)
		fn := function(t, cloud, "signer", "arn:aws:s3:::payloads/*", "s3:PutObject")
		out, err := functions(cloud, cloud.Credentials()).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(fn.Name), Payload: []byte(`{}`)})
		check(t, err)
		put := strings.Fields(strings.Trim(string(out.Payload), `"`))[0]
		time.Sleep(59 * time.Minute) // the instance ends after five
		if status, text := fetch(t, cloud.HTTPClient(), "PUT", put, "hello"); status != 200 {
			t.Errorf("put: %d %s", status, text)
		}
		time.Sleep(2 * time.Minute)
		if status, text := fetch(t, cloud.HTTPClient(), "PUT", put, "hello"); status != 403 || !strings.Contains(text, "Request has expired") {
			t.Errorf("put: %d %s", status, text)
		}
	})
}
