package streamer

import (
	"context"
	"slices"
	"time"
)

// Caller is who sent a request. It comes from the authorizer alone: nothing a
// client puts in a frame can name a user or tenant.
type Caller struct {
	User        string
	Tenant      string // "" when the token names none
	Permissions []string
}

// May says whether the caller has the permission.
func (c Caller) May(permission string) bool { return slices.Contains(c.Permissions, permission) }

// Call is what a handler can know of its request besides the payload.
type Call struct {
	ID       string // the client's id of the request
	Action   string
	Metadata []byte // JSON object as the client sent it, or nil
	Caller   Caller
	// Attempt counts from 1; it is 0 for a request that is answered at once and not
	// stored (see Idempotent).
	Attempt int
	// Deadline of the request as a whole; zero where Attempt is.
	Deadline time.Time
}

type callKey struct{}

// CallFrom returns the request that the handler's context belongs to. Outside
// of a handler it is zero.
func CallFrom(ctx context.Context) Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	if c == nil {
		return Call{}
	}
	return *c
}

// CallerFrom returns who sent the request that the context belongs to.
func CallerFrom(ctx context.Context) Caller { return CallFrom(ctx).Caller }

// callContext carries the call of a handler.
type callContext struct {
	context.Context
	call Call
}

func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return &c.call
	}
	return c.Context.Value(key)
}

func withCall(ctx context.Context, c Call) context.Context { return &callContext{ctx, c} }
