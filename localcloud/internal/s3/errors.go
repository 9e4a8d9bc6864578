package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

// Error is a refusal in AWS's words:
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
type Error struct {
	Code    string
	Message string
	Status  int // of HTTP
	Details []Detail
}

// Detail is a further element of an error's document.
type Detail struct{ Name, Value string }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(status int, code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}

func (e *Error) with(name, value string) *Error {
	e.Details = append(e.Details, Detail{name, value})
	return e
}

func noSuchBucket(name string) *Error {
	return refuse(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist").with("BucketName", name)
}

func noSuchKey(key string) *Error {
	return refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.").with("Key", key)
}

func preconditionFailed(header string) *Error {
	return refuse(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold").with("Condition", header)
}

func invalidArgument(name, value, message string) *Error {
	return refuse(http.StatusBadRequest, "InvalidArgument", "%s", message).with("ArgumentName", name).with("ArgumentValue", value)
}

func invalidRequest(format string, args ...any) *Error {
	return refuse(http.StatusBadRequest, "InvalidRequest", format, args...)
}

// notImplemented names what the local S3 does not have.
func notImplemented(what string) *Error {
	return refuse(http.StatusNotImplemented, "NotImplemented", "The local S3 does not have %s: it answers PutObject, GetObject, HeadObject, DeleteObject, ListObjectsV2 and HeadBucket", what)
}

// unsupportedHeader is S3's answer to a header that it does not know what to do with.
func unsupportedHeader(name, value string) *Error {
	return refuse(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented: %s: %s", name, value).with("Header", name)
}

// asError gives every error the form of S3.
func asError(err error) *Error {
	var own *Error
	var unsigned *iam.SignatureError
	var denied *account.Denied
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &unsigned):
		e := &Error{Code: unsigned.Code, Message: unsigned.Message, Status: unsigned.Status}
		for _, d := range unsigned.Details {
			e.Details = append(e.Details, Detail(d))
		}
		if e.Status == 0 {
			e.Status = http.StatusForbidden
		}
		return e
	case errors.As(err, &denied):
		return &Error{Code: "AccessDenied", Message: denied.Error(), Status: http.StatusForbidden}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: "RequestTimeout", Message: "The client went away.", Status: http.StatusBadRequest}
	}
	return &Error{Code: "InternalError", Message: err.Error(), Status: http.StatusInternalServerError}
}

// MarshalXML writes the document of an error: its code, its message, and what
// else there is to say.
func (e *Error) MarshalXML(enc *xml.Encoder, _ xml.StartElement) error {
	start := xml.StartElement{Name: xml.Name{Local: "Error"}}
	if err := enc.EncodeToken(start); err != nil {
		return err
	}
	for _, d := range append([]Detail{{"Code", e.Code}, {"Message", e.Message}}, e.Details...) {
		if err := enc.EncodeElement(d.Value, xml.StartElement{Name: xml.Name{Local: d.Name}}); err != nil {
			return err
		}
	}
	return enc.EncodeToken(start.End())
}
