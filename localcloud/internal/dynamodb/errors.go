package dynamodb

import (
	"errors"
	"fmt"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Error is a refusal as DynamoDB sends it.
type Error struct {
	// Code is the exception's name, such as ValidationException.
	Code string
	// Message is what AWS prints.
	Message string

	item    item     // of a failed condition, when asked for
	reasons []reason // of a cancelled transaction
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// reason says why one member of a transaction failed; the zero value is None.
type reason struct {
	Code    string `json:"Code"`
	Message string `json:"Message,omitempty"`
	Item    item   `json:"Item,omitempty"`
}

func refuse(code, format string, args ...any) *Error {
	if len(args) == 0 {
		return &Error{Code: code, Message: format}
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func validation(format string, args ...any) *Error {
	return refuse("ValidationException", format, args...)
}

func invalidParameter(format string, args ...any) *Error {
	return validation("One or more parameter values were invalid: "+format, args...)
}

func serialization(format string, args ...any) *Error {
	return refuse("SerializationException", format, args...)
}

func resourceNotFound() *Error {
	return refuse("ResourceNotFoundException", "Requested resource not found")
}

func tableNotFound(name string) *Error {
	return refuse("ResourceNotFoundException", "Requested resource not found: Table: %s not found", name)
}

func conditionFailed() *Error {
	return refuse("ConditionalCheckFailedException", "The conditional request failed")
}

// namespace is what stands before the # of an error's type.
func namespace(code string) string {
	switch code {
	case "ValidationException":
		return "com.amazon.coral.validate#"
	case "SerializationException", "UnknownOperationException", "AccessDeniedException":
		return "com.amazon.coral.service#"
	}
	return "com.amazonaws.dynamodb.v20120810#"
}

// body is the JSON document of the error. Three exceptions spell the message
// with a capital letter in AWS's service model.
func (e *Error) body() map[string]any {
	key := "message"
	switch e.Code {
	case "TransactionCanceledException", "IdempotentParameterMismatchException", "TransactionInProgressException":
		key = "Message"
	}
	body := map[string]any{"__type": namespace(e.Code) + e.Code, key: e.Message}
	if e.item != nil {
		body["Item"] = e.item
	}
	if e.reasons != nil {
		body["CancellationReasons"] = e.reasons
	}
	return body
}

// asError turns any error into one that can be sent.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var denied *account.Denied
	if errors.As(err, &denied) {
		return refuse("AccessDeniedException", "%s", denied.Error())
	}
	return refuse("InternalServerError", "%s", err.Error())
}
