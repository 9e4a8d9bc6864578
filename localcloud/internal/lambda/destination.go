package lambda

import (
	"context"
	"encoding/json"
	"time"
)

// destinationRecord is what a destination receives.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
type destinationRecord struct {
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	RequestContext  requestContext   `json:"requestContext"`
	RequestPayload  json.RawMessage  `json:"requestPayload"`
	ResponseContext *responseContext `json:"responseContext,omitempty"`
	ResponsePayload json.RawMessage  `json:"responsePayload,omitempty"`
}

type requestContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	InvokeCount int    `json:"approximateInvokeCount"`
}

type responseContext struct {
	StatusCode      int    `json:"statusCode"`
	ExecutedVersion string `json:"executedVersion"`
	FunctionError   string `json:"functionError,omitempty"`
}

// conclude ends an event: its record goes to the queue, when there is one. res
// is nil for an event whose function never ran to an end.
func (s *Service) conclude(a *asyncEvent, queueARN, condition string, res *InvokeResult) {
	if queueARN == "" {
		return
	}
	rec := destinationRecord{
		Version: "1.0", Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: requestContext{
			RequestID: a.id, FunctionARN: FunctionARN(a.function) + ":$LATEST", Condition: condition, InvokeCount: a.attempts,
		},
		RequestPayload: a.payload,
	}
	if res != nil {
		if condition == "Success" {
			rec.RequestContext.InvokeCount++
		}
		rec.ResponseContext = &responseContext{StatusCode: 200, ExecutedVersion: res.ExecutedVersion, FunctionError: res.FunctionError}
		rec.ResponsePayload = document(res.Payload)
	}
	body, err := json.Marshal(rec)
	if err == nil {
		err = s.opts.Send(s.roleContext(context.WithoutCancel(s.ctx), a.function), queueARN, string(body))
	}
	if err != nil {
		s.problem(a.function, "PROBLEM: send record of event "+a.id+" to "+queueARN+": "+err.Error())
	}
}

// document returns b as JSON: as it is, or as a string when it is none.
func document(b []byte) json.RawMessage {
	if json.Valid(b) {
		return b
	}
	quoted, _ := json.Marshal(string(b))
	return quoted
}

// roleContext returns a context that carries the caller that a function is.
func (s *Service) roleContext(ctx context.Context, function string) context.Context {
	info, ok := s.Function(function)
	if !ok {
		return ctx
	}
	return asRole(ctx, &info.Spec)
}
