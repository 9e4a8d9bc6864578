package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/strictjson"
)

const (
	target = "AmazonSQS."
	// maxRequest is more than the largest batch (1 MiB of text, each character
	// of which JSON may escape with six).
	maxRequest = 8 << 20
)

// operation answers one decoded call.
type operation func(ctx context.Context, s *Service, body []byte) (any, error)

// handle makes an operation of a method that takes a typed request.
func handle[In any](method func(s *Service, ctx context.Context, in *In) (any, error)) operation {
	return func(ctx context.Context, s *Service, body []byte) (any, error) {
		in := new(In)
		if err := strictjson.Unmarshal(body, in); err != nil {
			var own *Error
			var unknown *strictjson.UnknownMember
			switch {
			case errors.As(err, &own):
				return nil, own
			case errors.As(err, &unknown):
				return nil, invalidParameter("The member %s is not supported by the local cloud", unknown.Name)
			}
			return nil, refuse("SerializationException", "%s", err)
		}
		return method(s, ctx, in)
	}
}

func operationOf(name string) operation {
	switch name {
	case "SendMessage":
		return handle((*Service).sendMessage)
	case "SendMessageBatch":
		return handle((*Service).sendMessageBatch)
	case "ReceiveMessage":
		return handle((*Service).receiveMessage)
	case "DeleteMessage":
		return handle((*Service).deleteMessage)
	case "DeleteMessageBatch":
		return handle((*Service).deleteMessageBatch)
	case "ChangeMessageVisibility":
		return handle((*Service).changeMessageVisibility)
	case "ChangeMessageVisibilityBatch":
		return handle((*Service).changeMessageVisibilityBatch)
	case "CreateQueue":
		return handle((*Service).createQueue)
	case "DeleteQueue":
		return handle((*Service).deleteQueue)
	case "PurgeQueue":
		return handle((*Service).purgeQueue)
	case "GetQueueUrl":
		return handle((*Service).getQueueURL)
	case "ListQueues":
		return handle((*Service).listQueues)
	case "GetQueueAttributes":
		return handle((*Service).getQueueAttributes)
	case "SetQueueAttributes":
		return handle((*Service).setQueueAttributes)
	}
	return nil
}

// ServeHTTP answers one call of the JSON protocol. The caller is taken from the
// request's context.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if !ok {
		s.fail(w, refuse("UnknownOperationException", "The local SQS speaks the JSON protocol only: X-Amz-Target %q does not begin with %s", r.Header.Get("X-Amz-Target"), target))
		return
	}
	op := operationOf(name)
	if op == nil {
		s.fail(w, refuse("UnknownOperationException", "The operation %s is not supported by the local SQS", name))
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		s.fail(w, refuse("SerializationException", "read request: %s", err))
		return
	}
	if len(body) > maxRequest {
		s.fail(w, &Error{Code: "RequestEntityTooLarge", Message: "The request is too large", Status: http.StatusRequestEntityTooLarge})
		return
	}
	out, err := op(r.Context(), s, body)
	if err != nil {
		s.fail(w, err)
		return
	}
	reply(w, http.StatusOK, out)
}

// fail answers with an error. The header x-amzn-query-error carries the name
// that the error had in the older query protocol.
func (s *Service) fail(w http.ResponseWriter, err error) {
	var e *Error
	var d *account.Denied
	switch {
	case errors.As(err, &d):
		e = &Error{Code: "AccessDeniedException", QueryCode: "AccessDenied", Message: d.Error()}
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = &Error{Code: "RequestTimeout", Message: "The client went away.", Status: http.StatusRequestTimeout}
	default:
		e = &Error{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	query, fault, status := e.QueryCode, "Sender", e.Status
	if query == "" {
		query = e.Code
	}
	if status == 0 {
		status = http.StatusBadRequest
	}
	if status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	w.Header().Set("X-Amzn-Query-Error", query+";"+fault)
	reply(w, status, map[string]string{"__type": "com.amazonaws.sqs#" + e.Code, "message": e.Message})
}

func reply(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("X-Amzn-RequestId", newID())
	w.WriteHeader(status)
	// An error here is a client that went away.
	_, _ = w.Write(data)
}

// empty is the answer of operations without output.
type empty struct{}

// text is a JSON string that an attribute map may hold in place of a number.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("%s is neither a string nor a number", data)
	}
	*t = text(n.String())
	return nil
}
