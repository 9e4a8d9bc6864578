// Package s3 is Amazon S3 of the local cloud: buckets, and the operations on
// single objects over the REST protocol, with presigned URLs and CORS.
//
// A Service is safe for concurrent use. Objects are kept in memory; what a
// lifecycle rule ends, ends by a timer, and nothing polls. The package imports
// account and iam alone.
package s3

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Options configures a Service.
type Options struct {
	// Verify says who signed a request; body is what was read of it. nil takes
	// the caller of the request's context.
	Verify func(r *http.Request, body []byte) (account.Caller, error)
	// Authorizer checks every call. nil allows everything.
	Authorizer account.Authorizer
	// Meter counts requests; nil counts nothing.
	Meter account.Meter
	// BaseURL is where the service is reached, such as http://127.0.0.1:4566: a
	// host below it names a bucket. Default: AWS's own.
	BaseURL string
	// MaxObject is the size in bytes of the largest object. Default 5 GiB, which
	// is what one PutObject takes on AWS.
	MaxObject int64
}

// Service is the S3 of one account and region.
type Service struct {
	opts Options
	host string // of BaseURL, without port

	mu      sync.Mutex // guards what follows and everything in the buckets
	buckets map[string]*bucket
	closed  bool
}

// New returns a Service without buckets. Close it to stop its timers.
func New(opts Options) *Service {
	if opts.MaxObject == 0 {
		opts.MaxObject = 5 << 30
	}
	s := &Service{opts: opts, host: "s3." + account.Region + ".amazonaws.com", buckets: map[string]*bucket{}}
	if base, err := url.Parse(opts.BaseURL); err == nil && base.Hostname() != "" {
		s.host = base.Hostname()
	}
	return s
}

// Close stops all timers; nothing expires any more.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, b := range s.buckets {
		b.stop()
	}
}

// BucketInfo describes a bucket.
type BucketInfo struct {
	ARN, Name string
	Created   time.Time
	Spec      BucketSpec
	Objects   int
	Bytes     int64 // of all objects together
}

// BucketARN is the ARN of the bucket of that name.
func BucketARN(name string) string { return "arn:aws:s3:::" + name }

// PutBucket creates a bucket, or changes the one of that name: its objects
// stay, and are subject to the new rules.
func (s *Service) PutBucket(spec BucketSpec) (BucketInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.put(spec)
	if err != nil {
		return BucketInfo{}, fmt.Errorf("put bucket %s: %w", spec.Name, err)
	}
	return info, nil
}

// ChangeBucket changes parts of what a bucket is made from, without undoing what
// others change at the same time. change must not call the Service, nor change
// the name or what the slices hold. A bucket that does not exist is an *Error of
// the code NoSuchBucket.
func (s *Service) ChangeBucket(name string, change func(*BucketSpec)) (BucketInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return BucketInfo{}, fmt.Errorf("change bucket %s: %w", name, noSuchBucket(name))
	}
	spec := b.spec
	change(&spec)
	info, err := s.put(spec)
	if err != nil {
		return BucketInfo{}, fmt.Errorf("change bucket %s: %w", name, err)
	}
	return info, nil
}

// put is called with s.mu held.
func (s *Service) put(spec BucketSpec) (BucketInfo, error) {
	if err := spec.validate(); err != nil {
		return BucketInfo{}, err
	}
	b := s.buckets[spec.Name]
	if b == nil {
		b = &bucket{service: s, created: time.Now(), objects: map[string]*object{}}
		s.buckets[spec.Name] = b
	}
	b.spec = spec
	b.schedule()
	return b.info(), nil
}

// DeleteBucket removes a bucket. One with objects is an *Error of the code
// BucketNotEmpty, unless force is true: then they go with it. A bucket that does
// not exist is an *Error of the code NoSuchBucket.
func (s *Service) DeleteBucket(name string, force bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return fmt.Errorf("delete bucket %s: %w", name, noSuchBucket(name))
	}
	if len(b.objects) > 0 && !force {
		return fmt.Errorf("delete bucket %s: %w", name, &Error{
			Code: "BucketNotEmpty", Message: "The bucket you tried to delete is not empty", Status: http.StatusConflict,
			Details: []Detail{{"BucketName", name}},
		})
	}
	b.stop()
	delete(s.buckets, name)
	return nil
}

// Bucket describes the bucket of that name; ok is false when there is none.
func (s *Service) Bucket(name string) (info BucketInfo, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	if b == nil {
		return BucketInfo{}, false
	}
	return b.info(), true
}

// Buckets returns the names of all buckets, sorted.
func (s *Service) Buckets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.buckets))
	for name := range s.buckets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// authorize checks an action on a bucket, or on an object in it.
func (s *Service) authorize(ctx context.Context, action, bucket, key string) error {
	if s.opts.Authorizer == nil {
		return nil
	}
	resource := BucketARN(bucket)
	if key != "" {
		resource += "/" + key
	}
	return s.opts.Authorizer.Authorize(ctx, "s3:"+action, resource)
}

func (s *Service) bill(item string) {
	if s.opts.Meter != nil {
		s.opts.Meter.Count(item, 1)
	}
}
