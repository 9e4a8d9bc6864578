package s3

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

const (
	metaPrefix = "X-Amz-Meta-"
	maxMeta    = 2 << 10 // bytes of all names and values
	maxKey     = 1024    // bytes
)

// keptHeaders are kept with an object and sent with it.
var keptHeaders = [...]string{"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"}

func (x *exchange) putObject(body []byte) error {
	if err := x.authorize("PutObject"); err != nil {
		return err
	}
	x.s.bill(account.MeterObjectPuts)
	o, err := x.newObject(body)
	if err != nil {
		return err
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	b := x.s.buckets[x.bucket]
	if b == nil {
		return noSuchBucket(x.bucket)
	}
	if err := x.mayPut(b.objects[x.key]); err != nil {
		return err
	}
	b.put(x.key, o)
	h := x.w.Header()
	h.Set("Etag", o.etag)
	h.Set("X-Amz-Server-Side-Encryption", "AES256")
	h.Set(o.sum.header(), o.sum.value)
	h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	b.setExpiration(h, x.key, o)
	h.Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusOK)
	return nil
}

// newObject makes the object of a request, and checks all that it says of it.
func (x *exchange) newObject(body []byte) (*object, error) {
	if !utf8.ValidString(x.key) {
		return nil, refuse(http.StatusBadRequest, "InvalidURI", "Couldn't parse the specified URI.")
	}
	if len(x.key) > maxKey {
		return nil, refuse(http.StatusBadRequest, "KeyTooLongError", "Your key is too long").
			with("Size", strconv.Itoa(len(x.key))).with("MaxSizeAllowed", strconv.Itoa(maxKey))
	}
	meta, err := x.metadata()
	if err != nil {
		return nil, err
	}
	data, trailer, err := x.content(body)
	if err != nil {
		return nil, err
	}
	if limit := x.s.opts.MaxObject; int64(len(data)) > limit {
		return nil, tooLarge(int64(len(data)), limit)
	}
	sum, err := verify(x.r.Header, trailer, data)
	if err != nil {
		return nil, err
	}
	digest := md5.Sum(data)
	o := &object{
		data: data, etag: `"` + hex.EncodeToString(digest[:]) + `"`, modified: time.Now().UTC(),
		headers: http.Header{"Content-Type": {"binary/octet-stream"}}, meta: meta, sum: sum,
	}
	for _, name := range keptHeaders {
		v := strings.Join(x.r.Header.Values(name), ",")
		if name == "Content-Encoding" {
			v = withoutToken(v, awsChunked)
		}
		if v != "" {
			o.headers.Set(name, v)
		}
	}
	return o, nil
}

// metadata is the object's own, of the headers that S3 knows. A header that
// would make another object of it is refused, for nothing here heeds it.
func (x *exchange) metadata() (map[string]string, error) {
	meta, size := map[string]string{}, 0
	for name, values := range x.params() {
		value := strings.Join(values, ",")
		if own, ok := strings.CutPrefix(name, metaPrefix); ok {
			own = strings.ToLower(own)
			meta[own] = value
			size += len(own) + len(value)
			continue
		}
		switch name {
		case "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Signedheaders", "X-Amz-Expires",
			"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-User-Agent",
			"X-Amz-Decoded-Content-Length", "X-Amz-Trailer", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Checksum-Type",
			"X-Amz-Expected-Bucket-Owner", "X-Amz-Request-Payer":
		case "X-Amz-Acl":
			if value != "private" && value != "bucket-owner-full-control" {
				return nil, refuse(http.StatusBadRequest, "AccessControlListNotSupported", "The bucket does not allow ACLs")
			}
		case "X-Amz-Server-Side-Encryption":
			if value != "AES256" {
				return nil, unsupportedHeader("x-amz-server-side-encryption", value)
			}
		case "X-Amz-Storage-Class":
			if value != "STANDARD" {
				return nil, unsupportedHeader("x-amz-storage-class", value)
			}
		default:
			if !strings.HasPrefix(name, checksumPrefix) {
				return nil, unsupportedHeader(strings.ToLower(name), value)
			}
		}
	}
	if size > maxMeta {
		return nil, refuse(http.StatusBadRequest, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size").
			with("Size", strconv.Itoa(size)).with("MaxSizeAllowed", strconv.Itoa(maxMeta))
	}
	return meta, nil
}

// mayPut checks the conditions of a put against the object that is there:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (x *exchange) mayPut(old *object) error {
	if want := x.r.Header.Get("If-None-Match"); want != "" {
		if want != "*" {
			return unsupportedHeader("If-None-Match", want)
		}
		if old != nil {
			return preconditionFailed("If-None-Match")
		}
	}
	if want := x.r.Header.Get("If-Match"); want != "" {
		if old == nil {
			return noSuchKey(x.key)
		}
		if !sameETag(want, old.etag) {
			return preconditionFailed("If-Match")
		}
	}
	return nil
}

// sameETag compares an entity tag, which may come without its quotes.
func sameETag(given, etag string) bool { return strings.Trim(given, `"`) == strings.Trim(etag, `"`) }

func (x *exchange) deleteObject([]byte) error {
	if err := x.authorize("DeleteObject"); err != nil {
		return err
	}
	if want := x.r.Header.Get("If-Match"); want != "" {
		return unsupportedHeader("If-Match", want)
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	b := x.s.buckets[x.bucket]
	if b == nil {
		return noSuchBucket(x.bucket)
	}
	b.remove(x.key)
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}
