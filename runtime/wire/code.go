package wire

import (
	"cmp"
	"slices"
	"strings"
)

// Code says what went wrong, for programs. The set is closed within a version.
type Code string

// The codes. docs/protocol.md says of each when it occurs and what to do.
const (
	CodeValidation      Code = "VALIDATION_ERROR"
	CodeUnauthorized    Code = "UNAUTHORIZED"
	CodeForbidden       Code = "FORBIDDEN"
	CodeNotFound        Code = "NOT_FOUND"
	CodeInvalidAction   Code = "INVALID_ACTION"
	CodeConflict        Code = "CONFLICT"
	CodeRateLimited     Code = "RATE_LIMITED"
	CodeTimeout         Code = "TIMEOUT"
	CodeCancelled       Code = "CANCELLED"
	CodePayloadTooLarge Code = "PAYLOAD_TOO_LARGE"
	CodeUnavailable     Code = "UNAVAILABLE"
	CodeInternal        Code = "INTERNAL_ERROR"
)

// Codes returns every code of this version, in the order of the schema.
func Codes() []Code {
	return []Code{
		CodeValidation, CodeUnauthorized, CodeForbidden, CodeNotFound, CodeInvalidAction, CodeConflict,
		CodeRateLimited, CodeTimeout, CodeCancelled, CodePayloadTooLarge, CodeUnavailable, CodeInternal,
	}
}

// Known says whether the code is one of Codes.
func (c Code) Known() bool { return slices.Contains(Codes(), c) }

// Retryable is the default of an error's retryable: whether what went wrong may
// pass, so that the same request may succeed when it is made again after a
// pause. It does not say that nothing has happened: after TIMEOUT and
// INTERNAL_ERROR a handler's effects may be there in part, and only who knows
// the action knows whether it can be repeated. Where a repetition is harmless
// whatever happened, an error says so by its SameID.
func (c Code) Retryable() bool {
	switch c {
	case CodeRateLimited, CodeTimeout, CodeUnavailable, CodeInternal:
		return true
	}
	return false
}

// Detail is one problem of a message.
type Detail struct {
	// Path names the place: payload.rows[3].n. A key that is no plain name stands
	// in brackets and quotes: payload.labels["a b"].
	Path string `json:"path"`
	// Reason says what is wrong there, in English, for people.
	Reason string `json:"reason"`
}

// Error is what a client is told. The text is for the client: it must not hold
// what only the log may know.
type Error struct {
	Code    Code     `json:"code"`
	Message string   `json:"message"`
	Details []Detail `json:"details,omitempty"`
	// Retryable says that the same request may succeed after a pause, see
	// Code.Retryable.
	Retryable bool `json:"retryable"`
	// SameID says that it has to be sent with the same id then: it is not known
	// whether this one was accepted, and the id keeps it from being done twice.
	SameID bool `json:"same_id,omitempty"`
}

// NewError returns an error with the code's default of Retryable.
func NewError(code Code, message string, details ...Detail) *Error {
	return &Error{Code: code, Message: message, Details: details, Retryable: code.Retryable()}
}

// Error returns code, message and details in one line, for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	b.WriteString(": ")
	b.WriteString(e.Message)
	for i, d := range e.Details {
		if i == 0 {
			b.WriteString(" (")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(d.Path)
		b.WriteString(": ")
		b.WriteString(d.Reason)
	}
	if len(e.Details) > 0 {
		b.WriteByte(')')
	}
	return b.String()
}

// Cursor is a place in the life of a request. Frames of a request are ordered by
// it; a terminal frame counts whatever its cursor is.
type Cursor struct {
	// Epoch counts how often the request changed hands.
	Epoch int64 `json:"epoch"`
	// Seq counts the frames of one epoch, from 1.
	Seq int64 `json:"seq"`
}

// Compare returns -1, 0 or +1 as c is before, at or after d.
func (c Cursor) Compare(d Cursor) int {
	if n := cmp.Compare(c.Epoch, d.Epoch); n != 0 {
		return n
	}
	return cmp.Compare(c.Seq, d.Seq)
}
