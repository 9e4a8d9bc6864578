// Package objects keeps in S3 what is too large for the tables: results and
// inputs of requests, and what clients upload. A Store is safe for concurrent
// use. Without a bucket it holds nothing, and says so.
package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

const (
	// linkLife is how long a URL is good for, at most: it ends with the function's
	// own credentials, too.
	linkLife = time.Hour
	day      = 24 * time.Hour
)

// Store is a bucket.
type Store struct {
	client *s3.Client
	links  *s3.PresignClient
	bucket string
}

// New makes a store; an empty name is one that holds nothing.
func New(client *s3.Client, bucket string) *Store {
	if bucket == "" {
		return &Store{}
	}
	return &Store{client: client, links: s3.NewPresignClient(client), bucket: bucket}
}

// PutObject stores what belongs to a request, until expires (seconds) at least,
// and returns its name. request.ErrTooLarge says that there is no bucket, or
// that nothing is kept for so long.
func (s *Store) PutObject(ctx context.Context, key, name string, data []byte, expires int64) (string, error) {
	prefix, ok := prefixFor(time.Until(time.Unix(expires, 0)))
	if s.client == nil || !ok {
		return "", fmt.Errorf("put object %s of %s: %w", name, key, request.ErrTooLarge)
	}
	object := keys.Object(prefix, key, name)
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &object, Body: bytes.NewReader(data), ContentType: aws.String("application/json"),
	})
	if err != nil {
		return "", fmt.Errorf("put object %s: %w", object, classify(err))
	}
	return object, nil
}

// prefixFor is the prefix whose objects are kept for that long.
func prefixFor(keep time.Duration) (string, bool) {
	for _, days := range c.ObjectDays() {
		if time.Duration(days)*day >= keep {
			return c.ObjectPrefix(days), true
		}
	}
	return "", false
}

// GetObject reads an object; request.ErrNoBlob when there is none, and
// request.ErrTooLarge for one of more than that many bytes.
func (s *Store) GetObject(ctx context.Context, object string, most int64) ([]byte, error) {
	if s.client == nil {
		return nil, fmt.Errorf("get object %s: %w", object, request.ErrNoBlob)
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &object})
	if err != nil {
		return nil, fmt.Errorf("get object %s: %w", object, classify(err))
	}
	defer func() { _ = out.Body.Close() }() // read to its end, or not wanted
	data, err := io.ReadAll(io.LimitReader(out.Body, most+1))
	if err == nil && int64(len(data)) > most {
		err = request.ErrTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("get object %s: %w", object, err)
	}
	return data, nil
}

// ObjectURL is where an object can be read with a GET, until that time.
func (s *Store) ObjectURL(ctx context.Context, object string) (url string, until time.Time, err error) {
	if s.client == nil {
		return "", until, fmt.Errorf("link to object %s: %w", object, request.ErrNoBlob)
	}
	until = time.Now().Add(linkLife)
	signed, err := s.links.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &object}, s3.WithPresignExpires(linkLife))
	if err != nil {
		return "", until, fmt.Errorf("link to object %s: %w", object, err)
	}
	return signed.URL, until, nil
}

// UploadURL is where a client may PUT exactly that many bytes as an object, with
// those headers, until that time. request.ErrTooLarge says that there is no bucket.
func (s *Store) UploadURL(ctx context.Context, object string, size int64) (url string, headers map[string]string, until time.Time, err error) {
	if s.client == nil {
		return "", nil, until, fmt.Errorf("link to upload %s: %w", object, request.ErrTooLarge)
	}
	until = time.Now().Add(linkLife)
	signed, err := s.links.PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &object, ContentLength: &size, ContentType: aws.String("application/json"),
	}, s3.WithPresignExpires(linkLife))
	if err != nil {
		return "", nil, until, fmt.Errorf("link to upload %s: %w", object, err)
	}
	headers = map[string]string{}
	for name, values := range signed.SignedHeader {
		if len(values) > 0 && http.CanonicalHeaderKey(name) != "Host" {
			headers[http.CanonicalHeaderKey(name)] = values[0]
		}
	}
	return signed.URL, headers, until, nil
}

// classify tells what is not there, and what will be refused again, from what
// may pass. The codes are those of
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func classify(err error) error {
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return fmt.Errorf("%w: %w", request.ErrNoBlob, err)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NoSuchKey":
			return fmt.Errorf("%w: %w", request.ErrNoBlob, err)
		case "RequestTimeout", "RequestTimeTooSkewed", "OperationAborted":
			return err // may pass, though their status says no
		}
	}
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		if status := answer.HTTPStatusCode(); status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout {
			return fmt.Errorf("%w: %w", request.ErrRefused, err)
		}
	}
	return err
}
