package streamer

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

const (
	// maxStoryText bounds what is kept of a handler's own error.
	maxStoryText = 1024
	// storyTime bounds the call that keeps it: the request does not wait for it.
	storyTime = 2 * time.Second
)

// remember keeps how an attempt failed, for whoever has to find out why: before
// the transition, so that a request that is seen dead has its story. That it
// cannot be kept is a line in the log and nothing else; next is when the next
// attempt begins, zero for none.
func (p *processor) remember(ctx context.Context, o *owner, it request.Item, v verdict, next time.Time) {
	a := request.Attempt{
		Number: it.Attempt, Began: o.started.UnixMilli(), Ended: time.Now().UnixMilli(), Postponed: v.postponed,
		Text: cut(v.text, maxStoryText), Reference: v.reference, Where: p.where,
	}
	if !next.IsZero() {
		a.Next = next.UnixMilli()
	}
	if v.err != nil {
		a.Code, a.Message = string(v.err.Code), cut(v.err.Message, maxStoredMessage)
	}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		a.Where.RequestID = lc.AwsRequestID
	}
	raw, err := a.Encode()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, storyTime)
		defer cancel()
		err = p.store.PutBlob(ctx, o.key, keys.Attempt(o.epoch), raw, it.Retained)
	}
	if err != nil {
		p.log.Warn("remember attempt", "request", o.key, "attempt", it.Attempt, "error", err.Error())
	}
}

// bury puts a request that fails for good on the list of what is dead.
func bury(attrs request.Attrs, key string) {
	attrs[c.AttrLane] = keys.Dead(keys.DueShard(key, c.DueShards))
	attrs[c.AttrLaneAt] = time.Now().UnixMilli()
}
