package s3

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// maxList is how many keys one page has at most.
const maxList = 1000

type listResult struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount, MaxKeys     int
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []listEntry
	CommonPrefixes        []listPrefix
}

type listEntry struct {
	Key, LastModified, ETag         string
	ChecksumAlgorithm, ChecksumType string
	Size                            int
	Owner                           *listOwner
	StorageClass                    string
}

type listOwner struct{ ID string }

type listPrefix struct{ Prefix string }

// OwnerID is the canonical user id of the account: AWS has 64 hexadecimal
// digits, this one the account's number among them.
const OwnerID = "0000000000000000000000000000000000000000000000000000" + account.ID

func (x *exchange) listObjects([]byte) error {
	if err := x.s.authorize(x.ctx, "ListBucket", x.bucket, ""); err != nil {
		return err
	}
	// A list is billed as a put is: https://aws.amazon.com/s3/pricing/
	x.s.bill(account.MeterObjectPuts)
	out := &listResult{
		Name: x.bucket, Prefix: x.query.Get("prefix"), Delimiter: x.query.Get("delimiter"), MaxKeys: maxList,
		StartAfter: x.query.Get("start-after"), ContinuationToken: x.query.Get("continuation-token"), EncodingType: x.query.Get("encoding-type"),
	}
	if out.EncodingType != "" && out.EncodingType != "url" {
		return invalidArgument("encoding-type", out.EncodingType, "Invalid Encoding Method specified in Request")
	}
	if text := x.query.Get("max-keys"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return invalidArgument("max-keys", text, "Provided max-keys not an integer or within integer range")
		}
		if n < 0 {
			return invalidArgument("maxKeys", text, "Argument maxKeys must be an integer between 0 and 2147483647")
		}
		out.MaxKeys = min(int(n), maxList)
	}
	after := out.StartAfter
	if x.query.Has("continuation-token") {
		token, err := base64.RawURLEncoding.DecodeString(out.ContinuationToken)
		if err != nil || len(token) == 0 {
			return invalidArgument("continuation-token", out.ContinuationToken, "The continuation token provided is incorrect")
		}
		after = string(token)
	}
	x.s.mu.Lock()
	b := x.s.buckets[x.bucket]
	if b == nil {
		x.s.mu.Unlock()
		return noSuchBucket(x.bucket)
	}
	b.page(out, after, x.query.Get("fetch-owner") == "true")
	x.s.mu.Unlock()
	out.encode()
	x.document(http.StatusOK, out)
	return nil
}

// page adds what comes after a key, or after a common prefix, to the result.
// The service's mutex is held.
func (b *bucket) page(out *listResult, after string, owner bool) {
	keys := b.keys()
	keys = keys[sort.SearchStrings(keys, max(after, out.Prefix)):]
	last := ""
	for _, key := range keys {
		if !strings.HasPrefix(key, out.Prefix) {
			break
		}
		entry := key
		if out.Delimiter != "" {
			if head, _, ok := strings.Cut(key[len(out.Prefix):], out.Delimiter); ok {
				entry = out.Prefix + head + out.Delimiter
			}
		}
		switch {
		case key == after, entry == last, entry != key && entry == after:
			continue
		case out.KeyCount == out.MaxKeys:
			// Of no keys there is no more.
			if out.IsTruncated = out.MaxKeys > 0; out.IsTruncated {
				out.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(last))
			}
			return
		}
		out.KeyCount++
		last = entry
		if entry != key {
			out.CommonPrefixes = append(out.CommonPrefixes, listPrefix{entry})
			continue
		}
		out.Contents = append(out.Contents, b.entry(key, owner))
	}
}

func (b *bucket) entry(key string, owner bool) listEntry {
	o := b.objects[key]
	e := listEntry{
		Key: key, LastModified: o.modified.Format("2006-01-02T15:04:05.000Z"), ETag: o.etag, Size: len(o.data),
		ChecksumAlgorithm: o.sum.algorithm, ChecksumType: "FULL_OBJECT", StorageClass: "STANDARD",
	}
	if owner {
		e.Owner = &listOwner{OwnerID}
	}
	return e
}

// encode escapes all keys for clients whose XML does not take every character.
func (out *listResult) encode() {
	if out.EncodingType == "" {
		return
	}
	escape := func(s *string) { *s = strings.ReplaceAll(url.QueryEscape(*s), "%2F", "/") }
	for _, s := range []*string{&out.Prefix, &out.Delimiter, &out.StartAfter} {
		escape(s)
	}
	for i := range out.Contents {
		escape(&out.Contents[i].Key)
	}
	for i := range out.CommonPrefixes {
		escape(&out.CommonPrefixes[i].Prefix)
	}
}
