package admin_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/admin"
	"github.com/streamer-go/streamer/runtime/internal/blobs"
	"github.com/streamer-go/streamer/runtime/internal/objects"
)

// bucket makes one; its description has a type that only the cloud can name.
func bucket[Spec, Info any](t *testing.T, put func(Spec) (Info, error), name string) {
	t.Helper()
	var spec Spec
	err := json.Unmarshal([]byte(`{"Name":"`+name+`"}`), &spec)
	if err == nil {
		_, err = put(spec)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An input that is an object is copied to one of the new request's own: the old
// one's may be deleted before the new request has ended.
func TestRedriveLargeInput(t *testing.T) {
	t.Parallel()
	s := newSystem(t, nil)
	bucket(t, s.cloud.Services().Objects.PutBucket, "large")
	k := s.cloud.Credentials()
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.cloud.Endpoint()), HTTPClient: s.cloud.HTTPClient(), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, ""),
	})
	store := objects.New(client, "large")
	key := admin.Key{Tenant: "t", User: "u", ID: "r"}
	input := []byte(`{"p":{"text":"` + strings.Repeat("x", 400<<10) + `"}}`)
	object, err := store.PutObject(t.Context(), key.String(), "B#input#old", input, time.Now().Add(time.Hour).Unix())
	if err != nil {
		t.Fatal(err)
	}
	item := deadItem(key, 1, "job")
	item[c.AttrInput] = &types.AttributeValueMemberB{Value: append([]byte{blobs.Object, 5}, object...)}
	now := time.Now()
	item[c.AttrCreatedAt], item[c.AttrDeadline], item[c.AttrRetained] = number(now.UnixMilli()), number(now.Add(time.Hour).UnixMilli()), number(now.Add(25*time.Hour).Unix())
	s.put(tables.Requests, item)

	next, err := admin.New(s.db, tables, admin.WithBucket(client, "large")).Redrive(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	size, copied, err := blobs.Parse(s.item(next).Input)
	if err != nil || size != int64(len(input)) || copied == object || !strings.Contains(copied, next.String()) {
		t.Fatalf("%d bytes in %s, %v", size, copied, err)
	}
	if got, err := store.GetObject(t.Context(), copied, 1<<20); err != nil || !bytes.Equal(got, input) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
