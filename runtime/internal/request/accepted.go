package request

import (
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
)

// StartGrace is when the sweep looks at a request whose start was lost. It is longer
// than the processor's queue usually is.
const StartGrace = 6 * time.Minute

// Accepted is a request as it is accepted: what its item holds from the beginning.
type Accepted struct {
	Tenant, User, ID string
	By               string // nonce of the write
	Action           string
	Input            []byte // a blob
	Print            []byte
	Max              int64
	At, Deadline     int64 // ms
	Retained         int64 // seconds
	Watchers         Attrs // connection id → until when, seconds
}

// Attrs of the item: it is to be started.
func (a *Accepted) Attrs() Attrs {
	key, watchers := keys.Request(a.Tenant, a.User, a.ID), a.Watchers
	if watchers == nil {
		watchers = Attrs{}
	}
	return Attrs{
		c.AttrState: string(Pending), c.AttrEpoch: int64(0), c.AttrStart: int64(0),
		c.AttrAttempt: int64(0), c.AttrOffers: int64(0), c.AttrBeat: int64(0), c.AttrBy: a.By,
		c.AttrAction: a.Action, c.AttrInput: a.Input, c.AttrPrint: a.Print, c.AttrMax: a.Max, c.AttrWatchers: watchers,
		c.AttrCreatedAt: a.At, c.AttrDeadline: a.Deadline, c.AttrRetained: a.Retained,
		c.AttrDueAt: StartDue(time.UnixMilli(a.At), a.Deadline), c.AttrDueShard: keys.DueShard(key, c.DueShards),
		c.AttrOwner: keys.Owner(a.Tenant, a.User), c.AttrCreated: keys.Created(a.At, a.ID),
	}
}

// StartDue is when the sweep looks at what is offered now, in ms: by its deadline.
func StartDue(now time.Time, deadline int64) int64 {
	return min(now.Add(StartGrace).UnixMilli(), deadline)
}
