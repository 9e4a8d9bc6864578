package sqs

import "fmt"

// Error is a refusal in AWS's words.
type Error struct {
	// Code is the name of the JSON protocol, such as QueueDoesNotExist.
	Code string
	// QueryCode is the older protocol's name for it, which the SDKs report;
	// "" when it is the same.
	QueryCode string
	Message   string
	Status    int // of HTTP; 0 for 400
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func noSuchQueue() *Error {
	return &Error{Code: "QueueDoesNotExist", QueryCode: "AWS.SimpleQueueService.NonExistentQueue", Message: "The specified queue does not exist."}
}

func unsupported(format string, args ...any) *Error {
	return &Error{Code: "UnsupportedOperation", QueryCode: "AWS.SimpleQueueService.UnsupportedOperation", Message: fmt.Sprintf(format, args...)}
}

// invalidParameter has no shape of its own in the JSON protocol.
func invalidParameter(format string, args ...any) *Error {
	return refuse("InvalidParameterValue", format, args...)
}

func missingParameter(name string) *Error {
	return refuse("MissingParameter", "The request must contain the parameter %s.", name)
}

func invalidAttribute(name string) *Error {
	return refuse("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

func invalidHandle(handle string) *Error {
	return refuse("ReceiptHandleIsInvalid", "The input receipt handle %q is not a valid receipt handle.", handle)
}

func notInFlight(handle string) *Error {
	return &Error{
		Code: "MessageNotInflight", QueryCode: "AWS.SimpleQueueService.MessageNotInflight",
		Message: fmt.Sprintf("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", handle),
	}
}

// batchError is a refusal of a whole batch; its older name has a prefix.
func batchError(code, format string, args ...any) *Error {
	e := refuse(code, format, args...)
	e.QueryCode = "AWS.SimpleQueueService." + code
	return e
}
