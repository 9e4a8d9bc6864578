// Package account is what the services of the local cloud have in common: the
// one account and region, who signed a call, the check of a permission, and
// the count of what AWS would bill. It depends on nothing else in the cloud.
package account

import (
	"context"
	"fmt"
)

// The account and region of the local cloud.
const (
	ID     = "000000000000"
	Region = "us-east-1"
)

// Caller is who signed a call.
type Caller struct {
	ARN  string // as AWS prints it: arn:aws:sts::…:assumed-role/role/session, or …:root
	Role string // name of the role, "" for the root
	Root bool   // the account's own keys: everything is allowed
}

// Root is the caller that holds the account's own keys.
func Root() Caller { return Caller{ARN: "arn:aws:iam::" + ID + ":root", Root: true} }

// AssumedRole is the caller that a function's instance is.
func AssumedRole(role, session string) Caller {
	return Caller{ARN: "arn:aws:sts::" + ID + ":assumed-role/" + role + "/" + session, Role: role}
}

type callerKey struct{}

// WithCaller returns a context that carries c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the caller that the context carries; ok is false for none.
func CallerFrom(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// Authorizer decides whether the context's caller may do action on resource.
// It returns a *Denied when not; a context without caller is denied.
type Authorizer interface {
	Authorize(ctx context.Context, action, resource string) error
}

// Denied is the refusal of a call: who, what, on what.
type Denied struct {
	Caller           Caller
	Action, Resource string
	// Explicit is true when a Deny statement matched.
	Explicit bool
}

func (d *Denied) Error() string {
	why := "no identity-based policy allows the " + d.Action + " action"
	if d.Explicit {
		why = "of an explicit deny in an identity-based policy"
	}
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because %s", d.Caller.ARN, d.Action, d.Resource, why)
}

// Meter counts what AWS would bill. Implementations are safe for concurrent use.
type Meter interface {
	Count(item string, n float64)
}

// What is metered.
const (
	MeterMessages          = "apigateway.messages"           // per 32 KB, both directions
	MeterConnectionMinutes = "apigateway.connection-minutes" //
	MeterInvocations       = "lambda.requests"               //
	MeterGBSeconds         = "lambda.gb-seconds"             //
	MeterWriteUnits        = "dynamodb.write-units"          // WRU, per 1 KB
	MeterReadUnits         = "dynamodb.read-units"           // RRU, per 4 KB strong
	MeterQueueRequests     = "sqs.requests"                  // per 64 KB
	MeterEmptyReceives     = "sqs.empty-receives"            // those of sqs.requests that found nothing
	MeterSchedules         = "scheduler.invocations"         //
	MeterObjectPuts        = "s3.put-requests"               // PUT and LIST
	MeterObjectGets        = "s3.get-requests"               // GET and HEAD; DELETE is free
	MeterLogBytes          = "logs.bytes"                    //
)
