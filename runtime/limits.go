package streamer

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/boot"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

// rateWindow is what a tenant's messages are counted over: a burst may use up
// the whole window's at once.
const rateWindow = 10 * time.Second

// limitStore is what the router's limits need of the tables.
type limitStore interface {
	// Open counts the open requests of a tenant, or of one user of it, up to most.
	Open(ctx context.Context, tenant, user string, most int) (int, error)
	// CountMessage returns false when most were counted in the window.
	CountMessage(ctx context.Context, tenant string, start, expires, most int64) (bool, error)
}

// limiter refuses what a user or tenant has too much of. Where a limit is off,
// nothing is asked for it; nil limits nothing. A limit that cannot be checked
// lets pass: it must not make a working system fail.
type limiter struct {
	boot.Limits
	store limitStore
	log   *slog.Logger

	mu     sync.Mutex          // guards the rest
	window int64               // the newest, by its start in epoch seconds
	spent  map[string]struct{} // tenants with nothing left of it
}

func newLimiter(l boot.Limits, store limitStore, log *slog.Logger) *limiter {
	if l.OpenPerUser == 0 && l.OpenPerTenant == 0 && l.TenantRate == 0 {
		return nil
	}
	return &limiter{Limits: l, store: store, log: log, spent: map[string]struct{}{}}
}

// message counts a message of the session's tenant and returns the error for
// one that is too much.
func (l *limiter) message(ctx context.Context, s session, m wire.Message) []byte {
	if l == nil || l.TenantRate == 0 || m.Action == "$hello" || m.Action == "$ping" {
		return nil
	}
	tenant := tenantOf(s)
	start := time.Now().Truncate(rateWindow).Unix()
	if !l.isSpent(tenant, start) {
		most := max(int64(math.Ceil(l.TenantRate*rateWindow.Seconds())), 1)
		ok, err := l.store.CountMessage(ctx, tenant, start, start+int64(6*rateWindow/time.Second), most)
		if err != nil {
			l.log.Error("count message", "tenant", tenant, "error", err.Error())
		}
		if ok || err != nil {
			return nil
		}
		l.spend(tenant, start)
	}
	return limited(m.ID, fmt.Sprintf("the tenant may send %g messages a second", l.TenantRate))
}

// isSpent spares the write that would be refused again.
func (l *limiter) isSpent(tenant string, start int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if start != l.window {
		l.window = start
		clear(l.spent)
	}
	_, spent := l.spent[tenant]
	return spent
}

func (l *limiter) spend(tenant string, start int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if start == l.window {
		l.spent[tenant] = struct{}{}
	}
}

// open says what there is too much of for another request of the caller, "" for
// nothing. The count is a moment old: of requests that come at one instant, some
// more than the limit may pass.
func (l *limiter) open(ctx context.Context, s session) string {
	if l == nil {
		return ""
	}
	tenant := tenantOf(s)
	for _, limit := range []struct {
		most       int
		user, what string
	}{
		{l.OpenPerUser, s.User, "the user has %d open requests, and may have no more"},
		{l.OpenPerTenant, "", "the tenant has %d open requests, and may have no more"},
	} {
		if limit.most == 0 {
			continue
		}
		n, err := l.store.Open(ctx, tenant, limit.user, limit.most)
		if err != nil {
			l.log.Error("count open requests", "tenant", tenant, "error", err.Error())
			continue
		}
		if n >= limit.most {
			return fmt.Sprintf(limit.what, limit.most)
		}
	}
	return ""
}

// mark makes a request one of those that are counted.
func (l *limiter) mark(item request.Attrs, s session, createdAt int64, id string) {
	if l == nil || l.OpenPerUser == 0 && l.OpenPerTenant == 0 {
		return
	}
	item[c.AttrOpen], item[c.AttrOpenAt] = tenantOf(s), keys.OpenAt(s.User, createdAt, id)
}

// tooMany returns the answer to a request that is one too many, nil for one
// that is not. One that was accepted before is answered as ever.
func (r *router) tooMany(ctx context.Context, s session, m wire.Message, a *action) []byte {
	why := r.limits.open(ctx, s)
	if why == "" {
		return nil
	}
	key := keys.Request(s.Tenant, s.User, m.ID)
	it, found, err := r.store.Get(ctx, key)
	switch {
	case err != nil:
		return r.unavailable(m.ID, key, err)
	case found && a.idempotent:
		return r.onceAgain(ctx, s, m, a, it)
	case found:
		return r.again(ctx, s, m, it, fingerprint(a.name, m.Payload))
	}
	return limited(m.ID, why)
}

// limited is the error for what there is too much of: nothing has happened, and
// the same id can be used again.
func limited(id, why string) []byte {
	return wire.AppendError(nil, id, &Error{
		Code: wire.CodeRateLimited, Message: why + "; try again in a while", Retryable: true, SameID: true,
	}, nil)
}

// tenantOf is the session's tenant as keys hold it; callers without one have one
// together.
func tenantOf(s session) string { return keys.Tenant(keys.Owner(s.Tenant, s.User)) }
