package s3

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

func (x *exchange) headBucket([]byte) error {
	if err := x.s.authorize(x.ctx, "ListBucket", x.bucket, ""); err != nil {
		return err
	}
	x.s.bill(account.MeterObjectGets)
	x.w.Header().Set("X-Amz-Bucket-Region", account.Region)
	x.w.Header().Set("Content-Type", "application/xml")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

// find returns the object that the request names. Whoever may not list the
// bucket does not get to know that there is none:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (x *exchange) find() (*object, error) {
	x.s.mu.Lock()
	var o *object
	if b := x.s.buckets[x.bucket]; b != nil {
		if o = b.objects[x.key]; o != nil {
			b.setExpiration(x.w.Header(), x.key, o)
		}
	}
	x.s.mu.Unlock()
	if o != nil {
		return o, nil
	}
	if err := x.s.authorize(x.ctx, "ListBucket", x.bucket, ""); err != nil {
		return nil, err
	}
	return nil, noSuchKey(x.key)
}

// getObject answers GetObject and HeadObject.
func (x *exchange) getObject([]byte) error {
	if err := x.authorize("GetObject"); err != nil {
		return err
	}
	x.s.bill(account.MeterObjectGets)
	o, err := x.find()
	if err != nil {
		return err
	}
	if err := x.mayGet(o); err != nil {
		return err
	}
	first, last, part := byteRange(x.r.Header.Get("Range"), len(o.data))
	if part && first > last {
		return refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable").
			with("RangeRequested", x.r.Header.Get("Range")).with("ActualObjectSize", strconv.Itoa(len(o.data)))
	}
	x.describe(o)
	h, data, status := x.w.Header(), o.data, http.StatusOK
	if part {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(o.data)))
		data, status = o.data[first:last+1], http.StatusPartialContent
	}
	if strings.EqualFold(x.param("X-Amz-Checksum-Mode"), "ENABLED") && len(data) == len(o.data) {
		h.Set(o.sum.header(), o.sum.value)
		h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		// An error here is a client that went away.
		_, _ = x.w.Write(data)
	}
	return nil
}

// describe sets the headers of an object; a signed request may replace some.
func (x *exchange) describe(o *object) {
	h := x.w.Header()
	for name, values := range o.headers {
		h[name] = values
	}
	for name, value := range o.meta {
		// In lower case, as S3 keeps it.
		h["x-amz-meta-"+name] = []string{value}
	}
	for _, name := range keptHeaders {
		if v := x.query.Get("response-" + strings.ToLower(name)); v != "" {
			h.Set(name, v)
		}
	}
	o.identify(h)
	h.Set("Accept-Ranges", "bytes")
	h.Set("X-Amz-Server-Side-Encryption", "AES256")
}

// identify sets the headers that a cache compares.
func (o *object) identify(h http.Header) {
	h.Set("Etag", o.etag)
	h.Set("Last-Modified", o.modified.Format(http.TimeFormat))
}

// setExpiration says when an object ends. The service's mutex is held.
func (b *bucket) setExpiration(h http.Header, key string, o *object) {
	if at, rule := b.expiry(key, o); !at.IsZero() {
		h.Set("X-Amz-Expiration", fmt.Sprintf(`expiry-date="%s", rule-id="%s"`, at.Format(http.TimeFormat), url.QueryEscape(rule)))
	}
}

// mayGet checks the conditions of a read, in the order of RFC 9110, 13.2.2.
func (x *exchange) mayGet(o *object) error {
	h, modified := x.r.Header, o.modified.Truncate(time.Second)
	if want := h.Get("If-Match"); want != "" {
		if want != "*" && !anyETag(want, o.etag) {
			return preconditionFailed("If-Match")
		}
	} else if at, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(at) {
		return preconditionFailed("If-Unmodified-Since")
	}
	unchanged := false
	if known := h.Get("If-None-Match"); known != "" {
		unchanged = known == "*" || anyETag(known, o.etag)
	} else if at, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil {
		unchanged = !modified.After(at)
	}
	if unchanged {
		o.identify(x.w.Header())
		return &Error{Code: "NotModified", Message: "Not Modified", Status: http.StatusNotModified}
	}
	return nil
}

func anyETag(list, etag string) bool {
	for given := range strings.SplitSeq(list, ",") {
		if sameETag(strings.TrimPrefix(strings.TrimSpace(given), "W/"), etag) {
			return true
		}
	}
	return false
}

// byteRange reads the header Range. ok is false when the whole is to be sent:
// without a range, with one of no known form, or with several, which S3 does not
// serve. A range that has nothing of the object has first behind last.
func byteRange(header string, size int) (first, last int, ok bool) {
	spec, isBytes := strings.CutPrefix(header, "bytes=")
	from, to, isRange := strings.Cut(strings.TrimSpace(spec), "-")
	if !isBytes || !isRange || strings.Contains(spec, ",") {
		return 0, 0, false
	}
	if from == "" {
		n, err := strconv.Atoi(to)
		if err != nil || n < 0 {
			return 0, 0, false
		}
		if n == 0 || size == 0 {
			return 1, 0, true
		}
		return max(0, size-n), size - 1, true
	}
	first, err := strconv.Atoi(from)
	if err != nil || first < 0 {
		return 0, 0, false
	}
	last = size - 1
	if to != "" {
		n, err := strconv.Atoi(to)
		if err != nil || n < first {
			return 0, 0, false
		}
		last = min(last, n)
	}
	return first, last, true
}
