package s3_test

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/streamer-go/streamer/localcloud/internal/s3"
)

// What is put comes back as it was: content, type, metadata, checksum.
func TestObjectKeepsWhatItWasPutWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		made := time.Now()
		for _, key := range []string{"a", "dir/b c+d=ü&'(*)!.txt", "//x/../y/./z/", "%41%2F"} {
			put, err := c.sdk.PutObject(t.Context(), &sdk.PutObjectInput{
				Bucket: aws.String("box"), Key: aws.String(key), Body: strings.NewReader("hello"), ContentType: aws.String("text/plain; charset=utf-8"),
				CacheControl: aws.String("no-store"), ContentDisposition: aws.String("inline"), Metadata: map[string]string{"Request-Id": "r 1", "n": "2"},
				ServerSideEncryption: types.ServerSideEncryptionAes256, ACL: types.ObjectCannedACLPrivate,
			})
			check(t, err)
			if aws.ToString(put.ETag) != `"5d41402abc4b2a76b9719d911017c592"` || aws.ToString(put.ChecksumCRC32) != "NhCmhg==" {
				t.Errorf("put %+v", put)
			}
			time.Sleep(time.Hour)
			got, err := c.sdk.GetObject(t.Context(), get("box", key))
			check(t, err)
			if body := read(t, got.Body); body != "hello" {
				t.Errorf("content %q of %s", body, key)
			}
			if aws.ToString(got.ContentType) != "text/plain; charset=utf-8" || aws.ToString(got.CacheControl) != "no-store" || aws.ToString(got.ContentDisposition) != "inline" ||
				got.Metadata["request-id"] != "r 1" || got.Metadata["n"] != "2" || aws.ToInt64(got.ContentLength) != 5 || !got.LastModified.Equal(made) {
				t.Errorf("got %+v", got)
			}
			if aws.ToString(got.ChecksumCRC32) != "NhCmhg==" || got.ChecksumType != types.ChecksumTypeFullObject {
				t.Errorf("checksum %v %v", got.ChecksumCRC32, got.ChecksumType)
			}
			head, err := c.sdk.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String(key)})
			check(t, err)
			if aws.ToInt64(head.ContentLength) != 5 || aws.ToString(head.ETag) != aws.ToString(put.ETag) || head.Metadata["n"] != "2" {
				t.Errorf("head %+v", head)
			}
			made = time.Now()
		}
		info, _ := c.Bucket("box")
		if info.Objects != 4 || info.Bytes != 20 {
			t.Errorf("%d objects of %d bytes", info.Objects, info.Bytes)
		}
	})
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.store(t, "empty", "")
	got, err := c.sdk.GetObject(t.Context(), get("box", "empty"))
	check(t, err)
	if read(t, got.Body) != "" || aws.ToString(got.ContentType) != "binary/octet-stream" && aws.ToString(got.ContentType) != "application/octet-stream" {
		t.Errorf("got %+v", got)
	}
	// Overwriting is one object, and deleting is twice the same.
	c.store(t, "empty", "no more")
	for range 2 {
		_, err = c.sdk.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: aws.String("box"), Key: aws.String("empty")})
		check(t, err)
	}
	if info, _ := c.Bucket("box"); info.Objects != 0 || info.Bytes != 0 {
		t.Errorf("%d objects of %d bytes", info.Objects, info.Bytes)
	}
}

// Names below the endpoint's are buckets, as on AWS.
func TestVirtualHostedStyle(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	client := c.as(c.roles.RootCredentials(), func(o *sdk.Options) { o.UsePathStyle = false })
	_, err := client.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("a/b"), Body: strings.NewReader("x")})
	check(t, err)
	if got := c.content(t, "a/b"); got != "x" {
		t.Errorf("content %q", got)
	}
}

func TestRange(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.store(t, "k", "0123456789")
	c.store(t, "none", "")
	for given, want := range map[string]struct{ body, length string }{
		"bytes=0-0": {"0", "bytes 0-0/10"}, "bytes=2-4": {"234", "bytes 2-4/10"}, "bytes=8-": {"89", "bytes 8-9/10"},
		"bytes=8-100": {"89", "bytes 8-9/10"}, "bytes=-3": {"789", "bytes 7-9/10"}, "bytes=-30": {"0123456789", "bytes 0-9/10"},
		// What is no range, or several, is the whole.
		"bytes=4-2": {"0123456789", ""}, "bytes=0-1,3-4": {"0123456789", ""}, "lines=0-1": {"0123456789", ""}, "bytes=x": {"0123456789", ""},
	} {
		in := get("box", "k")
		in.Range = aws.String(given)
		got, err := c.sdk.GetObject(t.Context(), in)
		check(t, err)
		if body := read(t, got.Body); body != want.body || aws.ToString(got.ContentRange) != want.length {
			t.Errorf("%s: %q, %s", given, body, aws.ToString(got.ContentRange))
		}
	}
	for _, beyond := range []struct{ key, given string }{{"k", "bytes=10-"}, {"k", "bytes=-0"}, {"none", "bytes=0-"}, {"none", "bytes=-5"}} {
		in := get("box", beyond.key)
		in.Range = aws.String(beyond.given)
		_, err := c.sdk.GetObject(t.Context(), in)
		wantCode(t, err, "InvalidRange")
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		put := func(body, match, noneMatch string) error {
			in := &sdk.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("k"), Body: strings.NewReader(body)}
			if match != "" {
				in.IfMatch = aws.String(match)
			}
			if noneMatch != "" {
				in.IfNoneMatch = aws.String(noneMatch)
			}
			_, err := c.sdk.PutObject(t.Context(), in)
			return err
		}
		wantCode(t, put("0", `"x"`, ""), "NoSuchKey")
		check(t, put("one", "", "*"))
		wantCode(t, put("two", "", "*"), "PreconditionFailed")
		wantCode(t, put("two", `"x"`, ""), "PreconditionFailed")
		wantCode(t, put("two", "", `"x"`), "NotImplemented", "If-None-Match")
		if got := c.content(t, "k"); got != "one" {
			t.Errorf("content %q", got)
		}
		const etag = `"f97c5d29941bfb1b2fdab0874906ab82"`
		check(t, put("one", etag, ""))

		made := time.Now()
		time.Sleep(time.Hour)
		for name, tc := range map[string]struct {
			in     sdk.GetObjectInput
			status int
		}{
			"match":             {sdk.GetObjectInput{IfMatch: aws.String(etag)}, 200},
			"any":               {sdk.GetObjectInput{IfMatch: aws.String("*")}, 200},
			"no match":          {sdk.GetObjectInput{IfMatch: aws.String(`"x"`)}, 412},
			"known":             {sdk.GetObjectInput{IfNoneMatch: aws.String(`"x", ` + etag)}, 304},
			"not known":         {sdk.GetObjectInput{IfNoneMatch: aws.String(`"x"`)}, 200},
			"not modified":      {sdk.GetObjectInput{IfModifiedSince: aws.Time(made)}, 304},
			"modified":          {sdk.GetObjectInput{IfModifiedSince: aws.Time(made.Add(-time.Second))}, 200},
			"unmodified":        {sdk.GetObjectInput{IfUnmodifiedSince: aws.Time(made)}, 200},
			"modified too late": {sdk.GetObjectInput{IfUnmodifiedSince: aws.Time(made.Add(-time.Second))}, 412},
			"tag before time":   {sdk.GetObjectInput{IfMatch: aws.String(etag), IfUnmodifiedSince: aws.Time(made.Add(-time.Second))}, 200},
		} {
			tc.in.Bucket, tc.in.Key = aws.String("box"), aws.String("k")
			got, err := c.sdk.GetObject(t.Context(), &tc.in)
			status := 200
			var response *awshttp.ResponseError
			if errors.As(err, &response) {
				status = response.HTTPStatusCode()
			} else {
				check(t, err)
				read(t, got.Body)
			}
			if status != tc.status {
				t.Errorf("%s: status %d, want %d", name, status, tc.status)
			}
		}
	})
}

// What does not exist is told in S3's way.
func TestMissing(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	_, err := c.sdk.GetObject(t.Context(), get("box", "nothing"))
	var noKey *types.NoSuchKey
	if !errors.As(err, &noKey) {
		t.Errorf("error %v", err)
	}
	_, err = c.sdk.GetObject(t.Context(), get("no-box", "nothing"))
	wantCode(t, err, "NoSuchBucket")
	_, err = c.sdk.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("nothing")})
	var notFound *types.NotFound
	if !errors.As(err, &notFound) {
		t.Errorf("error %v", err)
	}
	_, err = c.sdk.HeadBucket(t.Context(), &sdk.HeadBucketInput{Bucket: aws.String("no-box")})
	if !errors.As(err, &notFound) {
		t.Errorf("error %v", err)
	}
	head, err := c.sdk.HeadBucket(t.Context(), &sdk.HeadBucketInput{Bucket: aws.String("box")})
	check(t, err)
	if aws.ToString(head.BucketRegion) != "us-east-1" {
		t.Errorf("head %+v", head)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	put := func(in sdk.PutObjectInput) error {
		in.Bucket = aws.String("box")
		if in.Key == nil {
			in.Key = aws.String("k")
		}
		if in.Body == nil {
			in.Body = strings.NewReader("x")
		}
		_, err := c.sdk.PutObject(t.Context(), &in)
		return err
	}
	check(t, put(sdk.PutObjectInput{Body: strings.NewReader(strings.Repeat("x", 1<<20))}))
	wantCode(t, put(sdk.PutObjectInput{Body: strings.NewReader(strings.Repeat("x", 1<<20+1))}), "EntityTooLarge")
	check(t, put(sdk.PutObjectInput{Key: aws.String(strings.Repeat("ü", 512))}))
	wantCode(t, put(sdk.PutObjectInput{Key: aws.String(strings.Repeat("ü", 512) + "x")}), "KeyTooLongError")
	check(t, put(sdk.PutObjectInput{Metadata: map[string]string{"k": strings.Repeat("x", 2047)}}))
	wantCode(t, put(sdk.PutObjectInput{Metadata: map[string]string{"k": strings.Repeat("x", 2048)}}), "MetadataTooLarge")
	wantCode(t, put(sdk.PutObjectInput{ContentMD5: aws.String("XUFAKrxLKna5cZ2REBfFkg==")}), "BadDigest")
	wantCode(t, put(sdk.PutObjectInput{ContentMD5: aws.String("short")}), "InvalidDigest")
	// What would make another object of it is refused by its name.
	wantCode(t, put(sdk.PutObjectInput{Tagging: aws.String("a=b")}), "NotImplemented", "x-amz-tagging")
	wantCode(t, put(sdk.PutObjectInput{StorageClass: types.StorageClassGlacier}), "NotImplemented", "x-amz-storage-class")
	wantCode(t, put(sdk.PutObjectInput{ServerSideEncryption: types.ServerSideEncryptionAwsKms}), "NotImplemented", "aws:kms")
	wantCode(t, put(sdk.PutObjectInput{ACL: types.ObjectCannedACLPublicRead}), "AccessControlListNotSupported")
	wantCode(t, put(sdk.PutObjectInput{ExpectedBucketOwner: aws.String("111111111111")}), "AccessDenied")
	check(t, put(sdk.PutObjectInput{ExpectedBucketOwner: aws.String("000000000000")}))
}

// wantNotImplemented checks that calls are refused, and named.
func wantNotImplemented(t *testing.T, calls map[string]func() error) {
	t.Helper()
	for name, call := range calls {
		err := call()
		wantCode(t, err, "NotImplemented", "the operation "+name+":")
		var response *awshttp.ResponseError
		if !errors.As(err, &response) || response.HTTPStatusCode() != http.StatusNotImplemented || response.ServiceRequestID() == "" {
			t.Errorf("%s: response %v", name, response)
		}
	}
}

func TestOtherOperationsOnObjects(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	box, key := aws.String("box"), aws.String("k")
	wantNotImplemented(t, map[string]func() error{
		"CopyObject": func() error {
			_, err := c.sdk.CopyObject(t.Context(), &sdk.CopyObjectInput{Bucket: box, Key: key, CopySource: aws.String("box/a")})
			return err
		},
		"CreateMultipartUpload": func() error {
			_, err := c.sdk.CreateMultipartUpload(t.Context(), &sdk.CreateMultipartUploadInput{Bucket: box, Key: key})
			return err
		},
		"UploadPart": func() error {
			_, err := c.sdk.UploadPart(t.Context(), &sdk.UploadPartInput{Bucket: box, Key: key, UploadId: aws.String("u"), PartNumber: aws.Int32(1)})
			return err
		},
		"DeleteObjects": func() error {
			_, err := c.sdk.DeleteObjects(t.Context(), &sdk.DeleteObjectsInput{Bucket: box, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key}}}})
			return err
		},
		"GetObjectTagging": func() error {
			_, err := c.sdk.GetObjectTagging(t.Context(), &sdk.GetObjectTaggingInput{Bucket: box, Key: key})
			return err
		},
		"GetObjectAttributes": func() error {
			_, err := c.sdk.GetObjectAttributes(t.Context(), &sdk.GetObjectAttributesInput{Bucket: box, Key: key, ObjectAttributes: []types.ObjectAttributes{"ETag"}})
			return err
		},
		"GetObject with versionId": func() error {
			_, err := c.sdk.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: box, Key: key, VersionId: aws.String("v")})
			return err
		},
	})
}

func TestOtherOperationsOnBuckets(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	box := aws.String("box")
	wantNotImplemented(t, map[string]func() error{
		"PutBucketLifecycleConfiguration": func() error {
			_, err := c.sdk.PutBucketLifecycleConfiguration(t.Context(), &sdk.PutBucketLifecycleConfigurationInput{Bucket: box})
			return err
		},
		"GetBucketCors": func() error {
			_, err := c.sdk.GetBucketCors(t.Context(), &sdk.GetBucketCorsInput{Bucket: box})
			return err
		},
		"ListObjects": func() error {
			_, err := c.sdk.ListObjects(t.Context(), &sdk.ListObjectsInput{Bucket: box})
			return err
		},
		"ListBuckets": func() error {
			_, err := c.sdk.ListBuckets(t.Context(), &sdk.ListBucketsInput{})
			return err
		},
		"CreateBucket": func() error {
			_, err := c.sdk.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: aws.String("new")})
			return err
		},
		"DeleteBucket": func() error {
			_, err := c.sdk.DeleteBucket(t.Context(), &sdk.DeleteBucketInput{Bucket: box})
			return err
		},
	})
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, name := range []string{"", "ab", "Upper", "under_score", "-a-", "a..b", "192.168.5.4", "xn--abc", "abc-s3alias", strings.Repeat("a", 64)} {
		_, err := c.PutBucket(s3.BucketSpec{Name: name})
		var e *s3.Error
		if !errors.As(err, &e) || e.Code != "InvalidBucketName" {
			t.Errorf("bucket %q: %v", name, err)
		}
	}
	c.put(t, s3.BucketSpec{Name: "a.b-1"})
	if got := strings.Join(c.Buckets(), " "); got != "a.b-1 box" {
		t.Errorf("buckets %s", got)
	}
	c.store(t, "k", "x")
	c.put(t, s3.BucketSpec{Name: "box", Tags: map[string]string{"a": "b"}})
	if info, ok := c.Bucket("box"); !ok || info.Objects != 1 || info.Spec.Tags["a"] != "b" || info.ARN != "arn:aws:s3:::box" {
		t.Errorf("bucket %+v", info)
	}
	var e *s3.Error
	if err := c.DeleteBucket("box", false); !errors.As(err, &e) || e.Code != "BucketNotEmpty" {
		t.Errorf("error %v", err)
	}
	if _, err := c.ChangeBucket("no-box", func(*s3.BucketSpec) {}); !errors.As(err, &e) || e.Code != "NoSuchBucket" {
		t.Errorf("error %v", err)
	}
	if _, err := c.ChangeBucket("box", func(spec *s3.BucketSpec) { spec.CORS = make([]s3.CORSRule, 1) }); !errors.As(err, &e) || e.Code != "MalformedXML" {
		t.Errorf("error %v", err)
	}
	check(t, c.DeleteBucket("box", true))
	if err := c.DeleteBucket("box", true); !errors.As(err, &e) || e.Code != "NoSuchBucket" {
		t.Errorf("error %v", err)
	}
	check(t, c.DeleteBucket("a.b-1", false))
}

// Changes of different parts at the same time do not undo each other.
func TestChangesMeet(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if _, err := c.ChangeBucket("box", func(spec *s3.BucketSpec) {
				spec.Lifecycle = append(slices.Clone(spec.Lifecycle), s3.LifecycleRule{ID: strconv.Itoa(i), Days: 1})
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if info, _ := c.Bucket("box"); len(info.Spec.Lifecycle) != 50 {
		t.Errorf("%d rules", len(info.Spec.Lifecycle))
	}
}
