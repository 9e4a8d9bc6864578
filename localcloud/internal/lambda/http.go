package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

// ServeHTTP speaks the Lambda API: Invoke, GetFunction,
// GetFunctionConfiguration, ListFunctions, GetEventSourceMapping and
// ListEventSourceMappings. The request's context carries the caller.
// https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-amzn-RequestId", newUUID())
	parts, err := pathSegments(r.URL)
	if err != nil {
		writeError(w, &httpError{http.StatusBadRequest, "InvalidParameterValueException", err.Error()})
		return
	}
	// Only ListFunctions is called with and without the last slash.
	if n := len(parts); n > 0 && parts[n-1] == "" {
		parts = parts[:n-1]
	}
	op := operation(r, parts)
	switch op {
	case "Invoke":
		s.serveInvoke(w, r, parts[2])
	case "GetFunction":
		s.serveFunction(w, r, parts[2], true)
	case "GetFunctionConfiguration":
		s.serveFunction(w, r, parts[2], false)
	case "ListFunctions":
		s.serveFunctions(w, r)
	case "ListEventSourceMappings":
		s.serveMappings(w, r)
	case "GetEventSourceMapping":
		s.serveMapping(w, r, parts[2])
	default:
		if op == "" {
			op = r.Method + " " + r.URL.Path
		}
		writeError(w, &httpError{http.StatusNotImplemented, "UnsupportedOperationException",
			"the local cloud does not support the Lambda operation " + op})
	}
}

// pathSegments splits the path before decoding: an ARN is one segment.
func pathSegments(u *url.URL) ([]string, error) {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, p := range parts {
		var err error
		if parts[i], err = url.PathUnescape(p); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func (s *Service) serveInvoke(w http.ResponseWriter, r *http.Request, function string) {
	opts := InvokeOptions{TraceHeader: r.Header.Get("X-Amzn-Trace-Id"), Tail: r.Header.Get("X-Amz-Log-Type") == "Tail"}
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
	case "Event":
		opts.Async, opts.Tail = true, false
	case "DryRun":
		opts.DryRun = true
	default:
		writeError(w, invalid("invocation type %q: want RequestResponse, Event or DryRun", kind))
		return
	}
	var err error
	if opts.ClientContext, err = clientContext(r.Header.Get("X-Amz-Client-Context")); err != nil {
		writeError(w, err)
		return
	}
	if q := r.URL.Query().Get("Qualifier"); q != "" {
		if _, have := splitReference(function); have == "" {
			function += ":" + q
		}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxSync+1))
	if err != nil {
		writeError(w, &httpError{http.StatusBadRequest, "InvalidRequestContentException", "read request body: " + err.Error()})
		return
	}
	res, err := s.Invoke(r.Context(), function, body, opts)
	if err != nil {
		writeError(w, err)
		return
	}
	h := w.Header()
	h.Set("x-amzn-RequestId", res.RequestID)
	if res.StatusCode == http.StatusOK {
		h.Set("X-Amz-Executed-Version", res.ExecutedVersion)
		h.Set("Content-Type", "application/json")
	}
	if res.FunctionError != "" {
		h.Set("X-Amz-Function-Error", res.FunctionError)
	}
	if res.Tail != nil {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(res.Tail))
	}
	h.Set("Content-Length", strconv.Itoa(len(res.Payload)))
	if res.StatusCode == http.StatusNoContent {
		h.Del("Content-Length")
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(res.Payload) // a client that is gone needs no answer
}

// maxClientContext is how long a client context may be, in base64.
const maxClientContext = 3583

// clientContext takes the JSON object out of the header, "" for none, and puts
// it into one line: a header has no more.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#lambda-Invoke-request-ClientContext
func clientContext(header string) ([]byte, error) {
	if header == "" {
		return nil, nil
	}
	refusal := &Invalid{Code: "InvalidRequestContentException", Message: "Client context must be a valid Base64-encoded JSON object."}
	if len(header) > maxClientContext {
		return nil, refusal
	}
	text, err := base64.StdEncoding.DecodeString(header)
	var object map[string]json.RawMessage
	if err != nil || json.Unmarshal(text, &object) != nil || object == nil {
		return nil, refusal
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return nil, refusal
	}
	return line.Bytes(), nil
}

// httpError is an error with its status and name on the wire.
type httpError struct {
	status  int
	code    string
	message string
}

func (e *httpError) Error() string { return e.message }

// toHTTP maps an error to the wire.
func toHTTP(err error) *httpError {
	var (
		ready       *httpError
		denied      *account.Denied
		unpermitted *NotPermitted
		missing     *NotFound
		noMapping   *eventsource.NotFound
		large       *TooLarge
		bad         *Invalid
		throttled   *Throttled
	)
	switch {
	case errors.As(err, &ready):
		return ready
	case errors.As(err, &denied), errors.As(err, &unpermitted):
		return &httpError{http.StatusForbidden, "AccessDeniedException", err.Error()}
	case errors.As(err, &missing), errors.As(err, &noMapping):
		return &httpError{http.StatusNotFound, "ResourceNotFoundException", err.Error()}
	case errors.As(err, &large):
		return &httpError{http.StatusRequestEntityTooLarge, "RequestTooLargeException", err.Error()}
	case errors.As(err, &bad):
		return &httpError{http.StatusBadRequest, bad.Code, bad.Message}
	case errors.As(err, &throttled):
		return &httpError{http.StatusTooManyRequests, "TooManyRequestsException", err.Error()}
	}
	return &httpError{http.StatusInternalServerError, "ServiceException", err.Error()}
}

// writeError renders an error as Lambda does: its name in a header, the rest
// in the body. Throttles spell message in lower case and name their reason.
func writeError(w http.ResponseWriter, err error) {
	e := toHTTP(err)
	body := map[string]string{"Message": e.message, "Type": "User"}
	var throttled *Throttled
	switch {
	case errors.As(err, &throttled):
		body = map[string]string{"message": e.message, "Type": "User", "Reason": throttled.Reason}
		w.Header().Set("Retry-After", "1")
	case e.status == http.StatusForbidden:
		delete(body, "Type")
	case e.status >= http.StatusInternalServerError:
		body["Type"] = "Service"
	}
	b, _ := json.Marshal(body) // strings always marshal
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("x-amzn-ErrorType", e.code)
	w.WriteHeader(e.status)
	_, _ = w.Write(b)
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}
