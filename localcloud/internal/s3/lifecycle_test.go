package s3_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/streamer-go/streamer/localcloud/internal/s3"
)

// has reports which of the objects are there, from the service itself: asking
// must not be what ends them.
func (c *cloud) has(t *testing.T) string {
	t.Helper()
	got := pages(t, c, sdk.ListObjectsV2Input{})
	return strings.Join(got[0], " ")
}

// An object ends at the midnight after its days, by the rule of its prefix.
func TestExpiration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.put(t, s3.BucketSpec{Name: "box", Lifecycle: []s3.LifecycleRule{
			{ID: "short", Prefix: "short/", Days: 1}, {ID: "long", Days: 3, Prefix: "l"}, {ID: "off", Disabled: true, Days: 1}, {ID: "never", Prefix: "bigger", Days: 1<<31 - 1}, {ID: "large one", LargerThan: 10, SmallerThan: 20, Days: 2},
		}})
		time.Sleep(10 * time.Hour) // 2000-01-01T10:00:00Z
		put := c.store(t, "short/a", "x")
		if got := aws.ToString(put.Expiration); got != `expiry-date="Mon, 03 Jan 2000 00:00:00 GMT", rule-id="short"` {
			t.Errorf("expiration %s", got)
		}
		c.store(t, "long", "x")
		c.store(t, "stays", "x")
		c.store(t, "big", "x234567890x")
		c.store(t, "bigger", strings.Repeat("x", 20))
		head, err := c.sdk.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("big")})
		check(t, err)
		if got := aws.ToString(head.Expiration); got != `expiry-date="Tue, 04 Jan 2000 00:00:00 GMT", rule-id="large+one"` {
			t.Errorf("expiration %s", got)
		}
		at := func(day, hour, minute int) {
			time.Sleep(time.Until(time.Date(2000, 1, day, hour, minute, 0, 0, time.UTC)))
			synctest.Wait()
		}
		at(2, 23, 59)
		if got := c.has(t); got != "big bigger long short/a stays" {
			t.Errorf("before the first midnight: %s", got)
		}
		c.store(t, "short/b", "x")
		at(3, 0, 0)
		if got := c.has(t); got != "big bigger long short/b stays" {
			t.Errorf("after it: %s", got)
		}
		at(4, 0, 0)
		if got := c.has(t); got != "bigger long stays" {
			t.Errorf("after the second: %s", got)
		}
		at(5, 0, 0)
		if got := c.has(t); got != "bigger stays" {
			t.Errorf("after the third: %s", got)
		}
		at(31, 0, 0)
		if got := c.has(t); got != "bigger stays" {
			t.Errorf("in the end: %s", got)
		}
		if info, _ := c.Bucket("box"); info.Objects != 2 || info.Bytes != 21 {
			t.Errorf("%d objects of %d bytes", info.Objects, info.Bytes)
		}
	})
}

// Rules hold for the objects that are there already, and no longer than they are
// there themselves.
func TestRulesChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.store(t, "k", "x")
		time.Sleep(10 * 24 * time.Hour)
		c.put(t, s3.BucketSpec{Name: "box", Lifecycle: []s3.LifecycleRule{{Days: 30}}})
		time.Sleep(20 * 24 * time.Hour)
		c.put(t, s3.BucketSpec{Name: "box"})
		time.Sleep(20 * 24 * time.Hour)
		if got := c.has(t); got != "k" {
			t.Errorf("without rules: %q", got)
		}
		end := time.Now().UTC().Truncate(24 * time.Hour).Add(48 * time.Hour)
		c.put(t, s3.BucketSpec{Name: "box", Lifecycle: []s3.LifecycleRule{{Date: end}}})
		time.Sleep(time.Until(end) - time.Second)
		if got := c.has(t); got != "k" {
			t.Errorf("before the date: %q", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := c.has(t); got != "" {
			t.Errorf("at the date: %q", got)
		}
		// A rule of the past ends things at once.
		c.store(t, "k", "x")
		synctest.Wait()
		if got := c.has(t); got != "" {
			t.Errorf("after the date: %q", got)
		}
	})
}

// Nothing wakes up where nothing ends, and nothing after Close or the deletion
// of the bucket.
func TestTimersStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		c.put(t, s3.BucketSpec{Name: "box", Lifecycle: []s3.LifecycleRule{{Days: 1}}})
		c.store(t, "k", "x")
		check(t, c.DeleteBucket("box", true))
		c.put(t, s3.BucketSpec{Name: "box"})
		c.store(t, "k", "x")
		time.Sleep(10 * 24 * time.Hour)
		if got := c.has(t); got != "k" {
			t.Errorf("a bucket of the same name lost %q", got)
		}
		c.put(t, s3.BucketSpec{Name: "box", Lifecycle: []s3.LifecycleRule{{Days: 100}}})
		c.Close()
		c.put(t, s3.BucketSpec{Name: "box", Lifecycle: []s3.LifecycleRule{{Days: 99}}})
		time.Sleep(200 * 24 * time.Hour)
		if got := c.has(t); got != "k" {
			t.Errorf("after Close: %q", got)
		}
	})
}
