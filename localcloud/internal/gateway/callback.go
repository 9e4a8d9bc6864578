package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// isoTime is the layout of the times in GetConnection's answer.
const isoTime = "2006-01-02T15:04:05.000Z"

// serveCallback answers @connections: POST sends, GET describes, DELETE
// closes. Who may do so is decided before the id is looked at.
func (a *api) serveCallback(w http.ResponseWriter, r *http.Request, st *stage, id string) {
	s := a.service
	body, err := io.ReadAll(io.LimitReader(r.Body, messageLimit+1))
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequestException", "read body: "+err.Error())
		return
	}
	tooBig := len(body) > messageLimit
	if tooBig {
		if body, err = appendRest(body, r.Body); err != nil { // the signature is over all of it
			refuse(w, http.StatusRequestEntityTooLarge, "PayloadTooLargeException", err.Error())
			return
		}
	}
	switch r.Method {
	case http.MethodPost, http.MethodGet, http.MethodDelete:
	default:
		refuse(w, http.StatusForbidden, "ForbiddenException", "Forbidden")
		return
	}
	// AWS checks, and prints in its denials, the placeholder instead of the id.
	resource := a.executionARN() + "/" + st.name + "/" + r.Method + "/@connections/{connectionId}"
	if err := s.authorizeIAM(r, body, "execute-api:ManageConnections", resource); err != nil {
		// The SDK drops the text of a ForbiddenException, which has no message in
		// its model: here it can be read.
		s.logf(a, "refuse @connections: %v", err)
		refuseCaller(w, err)
		return
	}
	if !s.requests.take() {
		refuse(w, http.StatusTooManyRequests, "LimitExceededException", "Rate exceeded")
		return
	}
	if !validID(id) {
		refuse(w, http.StatusBadRequest, "BadRequestException", "Invalid connectionId: "+id)
		return
	}
	c, ok := a.connection(id)
	if !ok || c.stage != st {
		refuse(w, http.StatusGone, "GoneException", "")
		return
	}
	switch {
	case r.Method == http.MethodGet:
		c.describe(w)
	case r.Method == http.MethodDelete:
		c.end(statusNormal, reasonNormal)
		w.WriteHeader(http.StatusNoContent)
	case tooBig:
		refuse(w, http.StatusRequestEntityTooLarge, "PayloadTooLargeException",
			fmt.Sprintf("Message of %d bytes exceeds the limit of %d bytes", len(body), messageLimit))
	case !utf8.Valid(body):
		refuse(w, http.StatusBadRequest, "BadRequestException", "Data is not valid UTF-8 text")
	default:
		c.post(w, body)
	}
}

// appendRest reads what is left of an oversized body, up to API Gateway's
// largest payload of 10 MB.
func appendRest(body []byte, r io.Reader) ([]byte, error) {
	const largest = 10 << 20
	rest, err := io.ReadAll(io.LimitReader(r, largest+1))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if len(body)+len(rest) > largest {
		return nil, errors.New("Message exceeds the largest payload")
	}
	return append(body, rest...), nil
}

// refuseCaller answers a wrong signature or a missing permission.
func refuseCaller(w http.ResponseWriter, err error) {
	var denied *account.Denied
	kind, message := "InvalidSignatureException", err.Error()
	if errors.As(err, &denied) {
		kind = "ForbiddenException"
	}
	var coded interface { // as the AWS SDK's API errors
		ErrorCode() string
		ErrorMessage() string
	}
	if errors.As(err, &coded) {
		kind, message = coded.ErrorCode(), coded.ErrorMessage()
	}
	refuse(w, http.StatusForbidden, kind, message)
}

func (c *conn) post(w http.ResponseWriter, body []byte) {
	switch err := c.send(body); {
	case errors.Is(err, errGone):
		refuse(w, http.StatusGone, "GoneException", "")
	case err != nil:
		refuse(w, http.StatusTooManyRequests, "LimitExceededException", err.Error())
	default:
		w.WriteHeader(http.StatusOK)
	}
}

func (c *conn) describe(w http.ResponseWriter) {
	b := append([]byte(nil), `{"connectedAt":"`...)
	b = c.connectedAt.UTC().AppendFormat(b, isoTime)
	b = append(b, `","identity":{"sourceIp":`...)
	b = appendString(b, c.sourceIP)
	b = append(b, `,"userAgent":`...)
	b = appendString(b, c.userAgent)
	b = append(b, `},"lastActiveAt":"`...)
	b = time.Unix(0, c.lastActive.Load()).UTC().AppendFormat(b, isoTime)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, `"}`...))
}
