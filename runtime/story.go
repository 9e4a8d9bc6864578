package streamer

import (
	"context"
	"errors"
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
	a.Where.RequestID = invocation(ctx)
	p.keep(ctx, it, o.epoch, a, true)
}

// tell keeps what is known of the owner before this one, when that has ended without
// a word: it held the epoch that was claimed now, and gave it to nobody.
func (p *processor) tell(ctx context.Context, before *request.Item) {
	if before == nil || before.Claimed == nil || before.Claimed.Epoch != before.Epoch {
		return
	}
	a := request.Attempt{Number: before.Attempt, Began: before.Claimed.At, Silent: true, Where: p.where}
	a.Where.LogStream, a.Where.RequestID = before.Claimed.LogStream, before.Claimed.RequestID
	p.keep(ctx, *before, before.Epoch, a, false)
}

// keep stores how an attempt went; without over, unless that is known already.
func (p *processor) keep(ctx context.Context, it request.Item, epoch int64, a request.Attempt, over bool) {
	ctx, cancel := context.WithTimeout(ctx, storyTime)
	defer cancel()
	raw, err := a.Encode()
	if err == nil && !over {
		if _, err = p.store.GetBlob(ctx, it.Key, keys.Attempt(epoch)); err == nil {
			return // it had its say, and died before it could give the request up
		}
		if errors.Is(err, request.ErrNoBlob) {
			err = nil
		}
	}
	if err == nil {
		err = p.store.PutBlob(ctx, it.Key, keys.Attempt(epoch), raw, it.Retained)
	}
	if err != nil {
		p.log.Warn("remember attempt", "request", it.Key, "attempt", a.Number, "error", err.Error())
	}
}

// invocation is the id that AWS has given it.
func invocation(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

// bury puts a request that fails for good on the list of what is dead.
func bury(attrs request.Attrs, key string) {
	attrs[c.AttrLane] = keys.Dead(keys.DueShard(key, c.DueShards))
	attrs[c.AttrLaneAt] = time.Now().UnixMilli()
}
