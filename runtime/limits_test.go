package streamer_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/boot"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/wire"
)

var (
	bob = client{user: "bob", tenant: "acme", connection: "c2", permissions: `[]`, expires: time.Hour}
	eve = client{user: "alice", tenant: "other", connection: "c3", permissions: `[]`, expires: time.Hour}
)

// limitedBubble is bubble with limits.
func limitedBubble(t *testing.T, app *streamer.App, l boot.Limits, f func(t *testing.T, s *system)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f(t, newSystem(t, app, func(p *streamer.Parts) { p.Limits = l }))
	})
}

// demands sends a request for a task and returns what answers it: the type of the
// frame, or the code of an error.
func (s *system) demands(who client, id string) string {
	s.t.Helper()
	f := s.says(who, fmt.Sprintf(`{"id":%q,"action":"task","payload":{}}`, id))
	if f.Type != wire.TypeError {
		return f.Type
	}
	if f.Code == wire.CodeRateLimited && (!f.Retryable || !f.SameID || f.RequestID != id || f.Placed) {
		s.t.Errorf("a request that was not accepted, and can be made again, is answered %+v", f)
	}
	return string(f.Code)
}

func TestOpenRequestsAreLimited(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{OpenPerUser: 2, OpenPerTenant: 3}, func(t *testing.T, s *system) {
		const accepted, refused = wire.TypeAcknowledgment, string(wire.CodeRateLimited)
		want := func(who client, id, answer string) {
			t.Helper()
			if got := s.demands(who, id); got != answer {
				t.Errorf("%s of %s/%s: %s, want %s", id, who.tenant, who.user, got, answer)
			}
		}
		want(alice, "r1", accepted)
		want(alice, "r2", accepted)
		want(alice, "r3", refused) // of the user
		want(bob, "r1", accepted)
		want(bob, "r2", refused) // of the tenant
		want(eve, "r1", accepted)
		want(alice, "r1", accepted) // known already
		if f := s.says(alice, `{"id":"r1","action":"task","payload":{"text":"another"}}`); f.Code != wire.CodeConflict {
			t.Errorf("another payload under a known id: %+v", f)
		}
		if f := s.says(alice, `{"id":"q1","action":"echo","payload":{"text":"quick"}}`); f.Type != wire.TypeResponse {
			t.Errorf("a quick request: %+v", f)
		}
		s.mustRun(keys.Request("acme", "alice", "r1"), 0)
		want(alice, "r3", accepted)
		want(alice, "r4", refused)
	})
}

func TestOpenRequestsAreMarked(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]boot.Limits{"on": {OpenPerTenant: 9}, "off": {TenantRate: 9}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limitedBubble(t, handlers(), l, func(t *testing.T, s *system) {
				key := s.accept("r1", "task", `{}`)
				item := s.store.items[key]
				if (item[c.AttrOpen] == "acme" && item[c.AttrOpenAt] == "alice/"+fmt.Sprint(item[c.AttrCreated])) != (name == "on") {
					t.Errorf("open %v, %v", item[c.AttrOpen], item[c.AttrOpenAt])
				}
				s.mustRun(key, 0)
				if item := s.store.items[key]; item[c.AttrOpen] != nil || item[c.AttrOpenAt] != nil {
					t.Error("it has ended, and is counted")
				}
			})
		})
	}
}

// Where nothing is limited, nothing is asked.
func TestNoLimitCostsNothing(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{}`)
		s.says(alice, `{"id":"q1","action":"echo","payload":{"text":"x"}}`)
		s.dispatch(s.offers(key))
		s.runStarted()
		s.dispatch(c.SweepEvent)
		if calls := s.store.tenants.calls; len(calls) > 0 {
			t.Errorf("calls %q", calls)
		}
		if woken := s.wake.all(); len(woken) > 0 {
			t.Errorf("wakes %+v", woken)
		}
		if item := s.store.items[key]; item[c.AttrOpen] != nil {
			t.Errorf("%v", item)
		}
	})
}

func TestMessagesAreLimited(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{TenantRate: 0.5}, func(t *testing.T, s *system) {
		<-time.After(time.Until(time.Now().Truncate(10 * time.Second).Add(10 * time.Second)))
		echo := func(who client) wire.Frame { return s.says(who, `{"id":"q1","action":"echo","payload":{"text":"x"}}`) }
		for i := range 5 {
			if f := echo([]client{alice, bob}[i%2]); f.Type != wire.TypeResponse {
				t.Fatalf("message %d: %+v", i, f)
			}
		}
		for range 20 {
			if f := echo(bob); f.Code != wire.CodeRateLimited || !f.Retryable || !f.SameID || !strings.Contains(f.Message, "0.5 messages a second") {
				t.Fatalf("one too many: %+v", f)
			}
		}
		if n := s.store.tenants.count("count acme"); n != 6 {
			t.Errorf("counted %d times: it was known after 6 that nothing is left", n)
		}
		if f := s.says(alice, `{"id":"p1","action":"$ping"}`); f.Type != wire.TypeResponse {
			t.Errorf("a ping touches no table: %+v", f)
		}
		if f := s.says(alice, `{"id":"g1","action":"$get","payload":{"request_id":"none"}}`); f.Code != wire.CodeRateLimited {
			t.Errorf("$get: %+v", f)
		}
		if f := echo(eve); f.Type != wire.TypeResponse {
			t.Errorf("another tenant: %+v", f)
		}
		<-time.After(10 * time.Second)
		if f := echo(alice); f.Type != wire.TypeResponse {
			t.Errorf("after ten seconds: %+v", f)
		}
	})
}

// A limit that cannot be checked is no reason to refuse.
func TestLimitsThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	limitedBubble(t, handlers(), boot.Limits{OpenPerUser: 1, OpenPerTenant: 1, TenantRate: 1}, func(t *testing.T, s *system) {
		s.accept("r1", "task", `{}`)
		s.store.fault = func(call string) error {
			if call == "open" || call == "count" {
				return errDown
			}
			return nil
		}
		for i := range 20 {
			s.accept(fmt.Sprint("s", i), "task", `{}`)
		}
		if log := s.log.String(); !strings.Contains(log, "count open requests") || !strings.Contains(log, "count message") {
			t.Errorf("the log does not say so: %s", log)
		}
		s.store.fault = func(call string) error {
			if call == "get" {
				return errDown
			}
			return nil
		}
		if got := s.demands(alice, "r1"); got != string(wire.CodeUnavailable) {
			t.Errorf("whether it was accepted is not known: %s", got)
		}
	})
}

// Values that make no sense are named, all of them; the table of connections is
// asked for only by what is kept there.
func TestLimitsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		role c.Role
		env  map[string]string
		want string // "": none
	}{
		{"nothing", c.RoleRouter, nil, ""},
		{"open requests", c.RoleRouter, map[string]string{c.EnvMaxOpenUser: "5", c.EnvMaxOpenTenant: "7"}, ""},
		{"off", c.RoleDispatcher, map[string]string{c.EnvTenantConcurrency: "", c.EnvPaused: "false"}, ""},
		{"paused", c.RoleDispatcher, map[string]string{c.EnvPaused: "true"}, ""},
		{"rate without a table", c.RoleRouter, map[string]string{c.EnvTenantRate: "0.5"}, "STREAMER_CONNECTIONS_TABLE is not set"},
		{"slots without a table", c.RoleDispatcher, map[string]string{c.EnvTenantConcurrency: "5"}, "STREAMER_CONNECTIONS_TABLE is not set"},
		{"rate", c.RoleRouter, map[string]string{c.EnvTenantRate: "0.5", c.EnvConnectionsTable: "t"}, ""},
		{"faults of the router", c.RoleRouter, map[string]string{c.EnvMaxOpenUser: "0", c.EnvMaxOpenTenant: "many", c.EnvTenantRate: "-1"},
			`STREAMER_MAX_OPEN_PER_USER is "0", want a whole number above zero; STREAMER_MAX_OPEN_PER_TENANT is "many", want a whole number above zero; STREAMER_TENANT_RATE is "-1", want a number above zero`},
		{"faults of the dispatcher", c.RoleDispatcher, map[string]string{c.EnvTenantConcurrency: "1.5", c.EnvPaused: "perhaps"},
			`STREAMER_TENANT_CONCURRENCY is "1.5", want a whole number above zero; STREAMER_PAUSED is "perhaps", want true or false`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			host := streamer.Host{Getenv: func(name string) string {
				return map[string]string{
					c.EnvRole: string(tt.role), "AWS_REGION": "eu-central-1", c.EnvRequestsTable: "r", c.EnvHistoryTable: "h",
					c.EnvWakeQueueURL: "https://q", c.EnvProcessorFunction: "p",
				}[name] + tt.env[name]
			}}
			var err error
			if tt.role == c.RoleRouter {
				_, err = streamer.New().Handler(host)
			} else {
				_, err = streamer.DispatcherHandler(host)
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
