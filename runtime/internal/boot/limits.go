package boot

import (
	"fmt"
	"strconv"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/dynamo"
)

// Limits are what users and tenants may have; zero is no limit.
type Limits struct {
	// OpenPerUser and OpenPerTenant bound the requests that are open at once.
	OpenPerUser, OpenPerTenant int
	// TenantConcurrency bounds the requests of a tenant that are worked off at once.
	TenantConcurrency int
	// TenantRate bounds the messages per second of a tenant.
	TenantRate float64
	// Paused: nothing is started.
	Paused bool
}

// limits reads those of the role. The table of connections comes with the
// limits that keep something in it.
func (e *env) limits(role c.Role, t *dynamo.Tables) (l Limits) {
	switch role {
	case c.RoleRouter:
		l.OpenPerUser, l.OpenPerTenant = e.whole(c.EnvMaxOpenUser), e.whole(c.EnvMaxOpenTenant)
		l.TenantRate = e.rate(c.EnvTenantRate)
	case c.RoleDispatcher:
		l.TenantConcurrency, l.Paused = e.whole(c.EnvTenantConcurrency), e.yes(c.EnvPaused)
	}
	if l.TenantRate > 0 || l.TenantConcurrency > 0 {
		t.Connections = e.required(c.EnvConnectionsTable)
	}
	return l
}

func (e *env) whole(name string) int {
	v := e.get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		e.faults = append(e.faults, fmt.Sprintf("%s is %q, want a whole number above zero", name, v))
	}
	return n
}

func (e *env) rate(name string) float64 {
	v := e.get(name)
	if v == "" {
		return 0
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f > 0) {
		e.faults = append(e.faults, fmt.Sprintf("%s is %q, want a number above zero", name, v))
	}
	return f
}

func (e *env) yes(name string) bool {
	v := e.get(name)
	if v == "" {
		return false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		e.faults = append(e.faults, fmt.Sprintf("%s is %q, want true or false", name, v))
	}
	return b
}
