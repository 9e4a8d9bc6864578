// Package edge is the one HTTP endpoint of the local cloud: it establishes who
// signed a request, finds the service that it is for by target, path and
// signing scope, and hands it over.
//
// A Handler is safe for concurrent use. The package imports account and iam
// alone; the services reach it as http.Handlers.
package edge

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

// maxBody is the largest request that any service takes: DynamoDB's 16 MiB.
const maxBody = 16 << 20

// Options are the services behind the endpoint. A nil one is answered as
// unknown.
type Options struct {
	// Verify says who signed a request for a service.
	Verify                func(r *http.Request, body []byte, service string) (account.Caller, error)
	DynamoDB, SQS, Lambda http.Handler
	// S3 verifies signatures itself: what it refuses, it refuses in a way of its own.
	S3 ObjectStore
}

// ObjectStore is S3.
type ObjectStore interface {
	http.Handler
	// Addresses reports whether a request without signature is to it all the same.
	Addresses(r *http.Request) bool
}

// Handler answers all requests to the endpoint.
type Handler struct{ opts Options }

// New returns a Handler.
func New(opts Options) *Handler { return &Handler{opts: opts} }

// route is where a request goes.
type route struct {
	handler http.Handler
	scope   string // what the request must be signed for
	rest    bool   // a REST protocol, not JSON 1.0 by target
}

// ServeHTTP verifies a request and hands it to its service, with the caller in
// the context and the body readable anew.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(iam.WithValues(r.Context(), map[string][]string{
		"aws:SourceIp": {sourceIP(r)}, "aws:UserAgent": {r.UserAgent()},
	}))
	if h.toS3(r) {
		h.opts.S3.ServeHTTP(w, r)
		return
	}
	to, ok := h.find(r)
	if !ok {
		h.unknown(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		refuse(w, to.rest, http.StatusBadRequest, "SerializationException", "read request: "+err.Error())
		return
	}
	if len(body) > maxBody {
		// DynamoDB says this without a body.
		w.Header().Set("X-Amzn-RequestId", newRequestID())
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	caller, err := h.opts.Verify(r, body, to.scope)
	if err != nil {
		unsigned(w, to.rest, err)
		return
	}
	r = r.WithContext(account.WithCaller(r.Context(), caller))
	r.Body = io.NopCloser(bytes.NewReader(body))
	to.handler.ServeHTTP(w, r)
}

// find tells the services apart: by the target of JSON 1.0, else by the path, or
// by what the request is signed for: Lambda names what it does not have.
func (h *Handler) find(r *http.Request) (to route, ok bool) {
	prefix, _, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	signedFor, _ := iam.ServiceOf(r)
	switch {
	case prefix == "DynamoDB_20120810" || prefix == "DynamoDBStreams_20120810":
		to = route{handler: h.opts.DynamoDB, scope: "dynamodb"}
	case prefix == "AmazonSQS":
		to = route{handler: h.opts.SQS, scope: "sqs"}
	case prefix == "" && (lambdaPath(r.URL.Path) || signedFor == "lambda"):
		to = route{handler: h.opts.Lambda, scope: "lambda", rest: true}
	}
	return to, to.handler != nil
}

// toS3 tells requests to S3 by what they are signed for. A preflight of CORS is
// never signed, and a query that is signed wrongly may not say for what.
func (h *Handler) toS3(r *http.Request) bool {
	if h.opts.S3 == nil || r.Header.Get("X-Amz-Target") != "" {
		return false
	}
	service, _ := iam.ServiceOf(r)
	switch {
	case service != "":
		return service == "s3"
	case lambdaPath(r.URL.Path):
		return false
	case r.Method == http.MethodOptions, iam.Presigned(r):
		return true
	}
	return h.opts.S3.Addresses(r)
}

// lambdaPath reports whether a path is one of Lambda's API: a date, then a
// collection.
func lambdaPath(path string) bool {
	version, rest, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || len(version) != len("2015-03-31") || version[4] != '-' || version[7] != '-' {
		return false
	}
	collection, _, _ := strings.Cut(rest, "/")
	return collection == "functions" || collection == "event-source-mappings"
}

// unknown names what nobody here answers, as far as the request says it.
func (h *Handler) unknown(w http.ResponseWriter, r *http.Request) {
	service, _ := iam.ServiceOf(r)
	target := r.Header.Get("X-Amz-Target")
	var what string
	switch {
	case target != "":
		what = "the operation " + target
	case service == "":
		what = r.Method + " " + r.URL.Path + " (not signed for any service)"
	default:
		what = r.Method + " " + r.URL.Path + action(r)
	}
	if service != "" {
		what += " of service " + service
	}
	refuse(w, target == "", http.StatusBadRequest, "UnknownOperationException",
		"The local cloud does not have "+what+": it answers DynamoDB, DynamoDB Streams, SQS (JSON protocol), Lambda and S3")
}

// action is the operation of the query protocol, which STS and IAM speak.
func action(r *http.Request) string {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return ""
	}
	// More of the form than this does not help to name the operation.
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r.Body, 64<<10), r.Body}
	if name := r.PostFormValue("Action"); name != "" {
		return fmt.Sprintf(" (Action %s)", name)
	}
	return ""
}

func unsigned(w http.ResponseWriter, rest bool, err error) {
	code, message := "InternalFailure", err.Error()
	var e *iam.SignatureError
	if errors.As(err, &e) {
		code, message = e.Code, e.Message
	}
	status := http.StatusBadRequest
	if rest {
		status = http.StatusForbidden
	}
	refuse(w, rest, status, code, message)
}

// refuse answers in the way of the protocol: SDKs take the code from __type, or
// from the header in REST.
func refuse(w http.ResponseWriter, rest bool, status int, code, message string) {
	contentType := "application/x-amz-json-1.0"
	body := map[string]string{"message": message}
	if rest {
		contentType = "application/json"
	} else {
		body["__type"] = "com.amazon.coral.service#" + code
	}
	data, err := json.Marshal(body)
	if err != nil { // a map of strings always marshals
		panic(err)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.Header().Set("X-Amzn-ErrorType", code)
	w.Header().Set("X-Amzn-RequestId", newRequestID())
	w.WriteHeader(status)
	// An error here is a client that went away.
	_, _ = w.Write(data)
}

// newRequestID returns a random UUID.
func newRequestID() string {
	var b [16]byte
	// Never fails.
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "127.0.0.1" // in-memory connections have no address
	}
	return host
}
