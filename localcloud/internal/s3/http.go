package s3

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

// exchange is one request and its answer.
type exchange struct {
	s           *Service
	w           http.ResponseWriter
	r           *http.Request
	ctx         context.Context
	query       url.Values
	presigned   bool
	bucket, key string // that the request names; "" for none
}

// ServeHTTP answers one call of the REST protocol, and preflights of CORS.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, w: w, r: r, ctx: r.Context(), query: r.URL.Query(), presigned: iam.Presigned(r)}
	x.bucket, x.key = s.address(r)
	h := w.Header()
	h.Set("Server", "AmazonS3")
	h.Set("X-Amz-Request-Id", strings.ToUpper(hex.EncodeToString(random(8))))
	h.Set("X-Amz-Id-2", base64.StdEncoding.EncodeToString(random(56)))
	var err error
	if r.Method == http.MethodOptions {
		err = x.preflight()
	} else {
		x.allowOrigin()
		err = x.serve()
	}
	if err != nil {
		x.fail(asError(err))
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	// Never fails.
	_, _ = rand.Read(b)
	return b
}

// address is the bucket and key that a request names: by a host below the
// service's own, else by path.
func (s *Service) address(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if name, ok := strings.CutSuffix(host, "."+s.host); ok {
		return name, path
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// Addresses reports whether a request without signature names an existing
// bucket by its path: then it is one to S3, and refused by it.
func (s *Service) Addresses(r *http.Request) bool {
	name, _ := s.address(r)
	_, ok := s.Bucket(name)
	return ok
}

func (x *exchange) serve() error {
	body, err := x.readBody()
	if err != nil {
		return err
	}
	if x.s.opts.Verify != nil {
		caller, err := x.s.opts.Verify(x.r, body)
		if err != nil {
			return err
		}
		x.ctx = account.WithCaller(x.ctx, caller)
	}
	x.ctx = iam.WithValues(x.ctx, x.conditions())
	name, run := x.operation()
	if run == nil {
		return notImplemented("the operation " + name)
	}
	for name, values := range x.r.Header {
		if strings.HasPrefix(name, "X-Amz-Server-Side-Encryption-Customer-") {
			return unsupportedHeader(strings.ToLower(name), values[0])
		}
	}
	if owner := x.param("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != account.ID {
		return refuse(http.StatusForbidden, "AccessDenied", "Access Denied")
	}
	if _, ok := x.s.Bucket(x.bucket); !ok {
		return noSuchBucket(x.bucket)
	}
	return run(x, body)
}

// conditions are the condition keys of S3 that every request has:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
func (x *exchange) conditions() map[string][]string {
	values := map[string][]string{"s3:authType": {"REST-HEADER"}, "s3:signatureversion": {"AWS4-HMAC-SHA256"}}
	if x.presigned {
		values["s3:authType"] = []string{"REST-QUERY-STRING"}
	}
	for key, header := range map[string]string{
		"s3:if-none-match": "If-None-Match", "s3:if-match": "If-Match", "s3:x-amz-content-sha256": "X-Amz-Content-Sha256",
		"s3:x-amz-server-side-encryption": "X-Amz-Server-Side-Encryption", "s3:x-amz-storage-class": "X-Amz-Storage-Class",
		"s3:x-amz-acl": "X-Amz-Acl",
	} {
		if v := x.param(header); v != "" {
			values[key] = []string{v}
		}
	}
	for key, name := range map[string]string{"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys"} {
		if x.key == "" && x.query.Has(name) {
			values[key] = []string{x.query.Get(name)}
		}
	}
	return values
}

// params are the headers of S3's own. Those that were hoisted into the query of
// a presigned URL count as if they were sent, but for checksums.
func (x *exchange) params() http.Header {
	all := http.Header{}
	for name, values := range x.r.Header {
		if strings.HasPrefix(name, "X-Amz-") {
			all[name] = values
		}
	}
	if !x.presigned {
		return all
	}
	for name, values := range x.query {
		name = http.CanonicalHeaderKey(name)
		if strings.HasPrefix(name, "X-Amz-") && !strings.HasPrefix(name, checksumPrefix) && name != "X-Amz-Sdk-Checksum-Algorithm" {
			all[name] = values
		}
	}
	return all
}

func (x *exchange) param(name string) string {
	if v := x.r.Header.Get(name); v != "" || !strings.HasPrefix(name, "X-Amz-") {
		return v
	}
	return x.params().Get(name)
}

// authorize checks an action on the key that the request names.
func (x *exchange) authorize(action string) error {
	return x.s.authorize(x.ctx, action, x.bucket, x.key)
}

// fail answers with an error. A HEAD has no document, so that its status is all
// that the client gets to know.
func (x *exchange) fail(e *Error) {
	h := x.w.Header()
	for _, d := range e.Details {
		if d.Name == "Region" {
			h.Set("X-Amz-Bucket-Region", d.Value)
		}
	}
	if x.r.Method == http.MethodHead || e.Status == http.StatusNotModified {
		x.w.WriteHeader(e.Status)
		return
	}
	out := *e
	out.Details = append(append([]Detail{}, e.Details...), Detail{"RequestId", h.Get("X-Amz-Request-Id")}, Detail{"HostId", h.Get("X-Amz-Id-2")})
	x.document(e.Status, &out)
}

// document answers with an XML document.
func (x *exchange) document(status int, v any) {
	data, err := xml.Marshal(v)
	if err != nil { // the documents hold texts and numbers alone
		http.Error(x.w, err.Error(), http.StatusInternalServerError)
		return
	}
	data = append([]byte(xml.Header), data...)
	h := x.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	x.w.WriteHeader(status)
	// An error here is a client that went away.
	_, _ = x.w.Write(data)
}
