package s3

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const day = 24 * time.Hour

// bucket is guarded by the service's mutex.
type bucket struct {
	service *Service
	spec    BucketSpec
	created time.Time
	objects map[string]*object
	bytes   int64
	sorted  []string // the keys in order; nil when it is to be made anew

	timer *time.Timer // runs until next; nil when nothing expires
	next  time.Time
}

// object never changes: a put makes another one.
type object struct {
	data     []byte
	etag     string // with quotes
	modified time.Time
	// headers are those that are kept and sent again, such as Content-Type.
	headers http.Header
	meta    map[string]string // x-amz-meta-…, by name in lower case
	sum     checksum
}

func (b *bucket) info() BucketInfo {
	return BucketInfo{
		ARN: BucketARN(b.spec.Name), Name: b.spec.Name, Created: b.created, Spec: b.spec, Objects: len(b.objects), Bytes: b.bytes,
	}
}

func (b *bucket) put(key string, o *object) {
	b.remove(key)
	b.objects[key] = o
	b.bytes += int64(len(o.data))
	b.sorted = nil
	if at, _ := b.expiry(key, o); !at.IsZero() && (b.timer == nil || at.Before(b.next)) {
		b.wake(at)
	}
}

func (b *bucket) remove(key string) {
	if old := b.objects[key]; old != nil {
		b.bytes -= int64(len(old.data))
		delete(b.objects, key)
		b.sorted = nil
	}
}

// keys returns all keys in the order of their bytes.
func (b *bucket) keys() []string {
	if b.sorted == nil {
		b.sorted = make([]string, 0, len(b.objects))
		for key := range b.objects {
			b.sorted = append(b.sorted, key)
		}
		slices.Sort(b.sorted)
	}
	return b.sorted
}

// expiry tells when an object ends and by which rule; the zero time when it
// does not. S3 adds the days to the time of creation and goes on to the next
// midnight:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
func (b *bucket) expiry(key string, o *object) (at time.Time, rule string) {
	for i := range b.spec.Lifecycle {
		r := &b.spec.Lifecycle[i]
		if !r.covers(key, int64(len(o.data))) {
			continue
		}
		end := r.Date
		if r.Days > 0 {
			end = o.modified.UTC().AddDate(0, 0, r.Days).Truncate(day).Add(day)
		}
		if !end.IsZero() && (at.IsZero() || end.Before(at)) {
			at, rule = end, r.ID
		}
	}
	return at, rule
}

func (rule *LifecycleRule) covers(key string, size int64) bool {
	return !rule.Disabled && strings.HasPrefix(key, rule.Prefix) &&
		(rule.LargerThan == 0 || size > rule.LargerThan) && (rule.SmallerThan == 0 || size < rule.SmallerThan)
}

// schedule sets the timer to the first object that ends.
func (b *bucket) schedule() {
	var first time.Time
	for key, o := range b.objects {
		if at, _ := b.expiry(key, o); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	b.stop()
	if !first.IsZero() {
		b.wake(first)
	}
}

func (b *bucket) wake(at time.Time) {
	b.stop()
	if !b.service.closed {
		b.next = at
		b.timer = time.AfterFunc(time.Until(at), b.expire)
	}
}

func (b *bucket) stop() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// expire removes what has ended. A timer that was stopped too late finds
// nothing to do.
func (b *bucket) expire() {
	b.service.mu.Lock()
	defer b.service.mu.Unlock()
	if b.service.closed || b.service.buckets[b.spec.Name] != b {
		return
	}
	now := time.Now()
	for key, o := range b.objects {
		if at, _ := b.expiry(key, o); !at.IsZero() && !at.After(now) {
			b.remove(key)
		}
	}
	b.schedule()
}
