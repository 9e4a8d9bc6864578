package component

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// Limits keep one user or tenant from taking what is there for all. Each is off
// where it is not set, and costs nothing then. Callers whose tokens name no
// tenant are one tenant together.
type Limits struct {
	// MaxOpenPerUser is how many requests of a user may be open, which is accepted
	// and not ended, 1 to 10000. One more is refused with RATE_LIMITED. What is
	// open is counted when a request is accepted: of those that come at one
	// instant, some more may pass.
	MaxOpenPerUser pulumi.IntPtrInput `pulumi:"maxOpenPerUser,optional"`
	// MaxOpenPerTenant is the same for all users of a tenant together.
	MaxOpenPerTenant pulumi.IntPtrInput `pulumi:"maxOpenPerTenant,optional"`
	// TenantConcurrency is how many requests of a tenant are worked off at once, 1
	// to 10000. What is above waits, the oldest is next.
	TenantConcurrency pulumi.IntPtrInput `pulumi:"tenantConcurrency,optional"`
	// TenantRate is how many messages a second a tenant may send, above 0 to 1000,
	// over ten seconds. Others are refused with RATE_LIMITED. Each message costs a
	// write then.
	TenantRate pulumi.Float64PtrInput `pulumi:"tenantRate,optional"`
}

const (
	maxOpen = 10000
	// maxRate is what one item of DynamoDB takes: 1,000 writes a second (developer
	// guide, "Best practices for designing and using partition keys effectively").
	maxRate = 1000
)

// overload is what is set of the limits, as the functions are told it; what is
// off is not in it.
type overload struct {
	router, dispatcher pulumi.StringMap
	// open: requests are counted; rate and slots: something is kept of tenants.
	open, rate, slots bool
}

// overload settles limits and pause.
func (c *checker) overload(l *Limits, paused pulumi.BoolPtrInput) overload {
	o := overload{router: pulumi.StringMap{}, dispatcher: pulumi.StringMap{}}
	if l == nil {
		l = &Limits{}
	}
	whole := func(path string, in pulumi.IntPtrInput, env pulumi.StringMap, name string) bool {
		if !given(in) {
			return false
		}
		env[name] = c.whole("limits."+path, in, 0, 1, maxOpen).ApplyT(func(n int) string {
			if n == 0 { // an Output of nothing
				return ""
			}
			return strconv.Itoa(n)
		}).(pulumi.StringOutput)
		return true
	}
	user := whole("maxOpenPerUser", l.MaxOpenPerUser, o.router, contract.EnvMaxOpenUser)
	tenant := whole("maxOpenPerTenant", l.MaxOpenPerTenant, o.router, contract.EnvMaxOpenTenant)
	o.open = user || tenant
	o.slots = whole("tenantConcurrency", l.TenantConcurrency, o.dispatcher, contract.EnvTenantConcurrency)
	if o.rate = given(l.TenantRate); o.rate {
		o.router[contract.EnvTenantRate] = c.rate("limits.tenantRate", l.TenantRate)
	}
	if on, ok := known[bool](paused); given(paused) && (!ok || on) {
		o.dispatcher[contract.EnvPaused] = paused.ToBoolPtrOutput().ApplyT(func(on *bool) string {
			return strconv.FormatBool(on != nil && *on)
		}).(pulumi.StringOutput)
	}
	return o
}

func (c *checker) rate(path string, in pulumi.Float64PtrInput) pulumi.StringOutput {
	return c.decimal(path, in, 0, func(v float64) string {
		if !(v > 0 && v <= maxRate) {
			return fmt.Sprintf("is %v, must be above 0 and at most %d", v, maxRate)
		}
		return ""
	}).ApplyT(func(v float64) string {
		if v == 0 { // an Output of nothing
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}).(pulumi.StringOutput)
}

// limit gives a function what the limits that are on ask of it. Of the table of
// connections, which also holds who is connected, it may only touch what is
// about limits.
func (p *parts) limit(b *blueprint) {
	o := p.settings.overload
	kept := func(prefix string, calls ...string) {
		b.rights = append(b.rights, allow("dynamodb", calls, p.connections.Arn).onKeys(prefix+"*"))
		b.env[contract.EnvConnectionsTable] = p.connections.Name
	}
	switch b.role {
	case contract.RoleRouter:
		maps.Copy(b.env, o.router)
		if o.open {
			b.rights = append(b.rights, allow("dynamodb", []string{"Query"}, p.requests.index(contract.IndexOpen)))
		}
		if o.rate {
			kept("#rate/", "UpdateItem")
		}
	case contract.RoleDispatcher:
		maps.Copy(b.env, o.dispatcher)
		if o.slots {
			b.rights = append(b.rights, allow("dynamodb", []string{"Query"}, p.requests.index(contract.IndexLane)))
			kept("#slots/", "DeleteItem", "Query", "UpdateItem")
		}
	}
}
