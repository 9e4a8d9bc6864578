package overload_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/runtime/wire"
)

// The processor's cap leaves the rest of the account's concurrency to the
// others: while jobs fill it, messages are answered, requests are accepted, and
// all of them are worked off in the end.
func TestCapOfJobsStarvesNobody(t *testing.T) {
	const jobs, late, atOnce = 150, 40, 4
	synctest.Test(t, func(t *testing.T) {
		// Lambda leaves a hundred to functions without a share of their own; jobs
		// would take those too, and more.
		s := stand(t, localcloud.Config{Concurrency: 100 + atOnce}, component.StreamerArgs{MaxJobs: pulumi.Int(atOnce)})
		c := s.connect("acme", "ann")
		c.queue("j", jobs, 1)
		for i := range late {
			sent := time.Now()
			if f := c.says(fmt.Sprint("q", i), "echo", map[string]any{"n": i}); f.Type != wire.TypeResponse || time.Since(sent) > time.Second {
				t.Fatalf("a quick request is answered %+v after %s", f, time.Since(sent))
			}
			if f := c.says(fmt.Sprint("late", i), "job", job{0}); f.Type != wire.TypeAcknowledgment || time.Since(sent) > 2*time.Second {
				t.Fatalf("a long request is answered %+v after %s", f, time.Since(sent))
			}
			time.Sleep(30 * time.Second)
		}
		if ended, most := s.counts("acme"); most != atOnce || ended >= jobs {
			t.Fatalf("%d have ended, %d were at work at once: this is no overload", ended, most)
		}
		time.Sleep((jobs/atOnce + 30) * time.Minute)
		if ended, most := s.counts("acme"); ended < jobs+late || most != atOnce {
			t.Errorf("%d of %d have ended, %d were at work at once", ended, jobs+late, most)
		}
	})
}

// The limits on open requests and on messages, as clients see them.
func TestLimitsOfClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stand(t, localcloud.Config{}, component.StreamerArgs{Limits: &component.Limits{
			MaxOpenPerUser: pulumi.Int(2), MaxOpenPerTenant: pulumi.Int(3), TenantRate: pulumi.Float64(2),
		}})
		ann, bob, other := s.connect("acme", "ann"), s.connect("acme", "bob"), s.connect("other", "ann")
		want := func(c *conn, id, answer string) {
			t.Helper()
			f := c.says(id, "job", job{5})
			if got := strings.TrimPrefix(f.Type+" "+string(f.Code), wire.TypeError+" "); strings.TrimSpace(got) != answer {
				t.Errorf("%s is answered %+v, want %s", id, f, answer)
			}
			time.Sleep(time.Second)
		}
		limited := string(wire.CodeRateLimited)
		want(ann, "1", wire.TypeAcknowledgment)
		want(ann, "2", wire.TypeAcknowledgment)
		want(ann, "3", limited)
		want(bob, "1", wire.TypeAcknowledgment)
		want(bob, "2", limited)
		want(other, "1", wire.TypeAcknowledgment)
		time.Sleep(6 * time.Minute)
		want(ann, "3", wire.TypeAcknowledgment)

		time.Sleep(time.Minute)
		time.Sleep(time.Until(time.Now().Truncate(10 * time.Second).Add(10 * time.Second)))
		passed := 0
		for i := range 50 {
			if f := ann.says(fmt.Sprint("q", i), "echo", map[string]any{}); f.Type == wire.TypeResponse {
				passed++
			} else if f.Code != wire.CodeRateLimited {
				t.Fatalf("%+v", f)
			}
		}
		if passed != 20 {
			t.Errorf("%d messages of 50 passed, want 20", passed)
		}
		if f := other.says("q", "echo", map[string]any{}); f.Type != wire.TypeResponse {
			t.Errorf("another tenant: %+v", f)
		}
	})
}

// What comes while starts are paused is accepted and waits, visibly; the change
// of the switch is all that is needed.
func TestPauseAndGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stand(t, localcloud.Config{}, component.StreamerArgs{Paused: pulumi.Bool(true), MaxJobs: pulumi.Int(100)})
		c := s.connect("acme", "ann")
		c.queue("j", 20, 1)
		time.Sleep(5 * time.Minute)
		if ended, most := s.counts("acme"); ended+most > 0 {
			t.Fatalf("paused, %d were at work and %d have ended", most, ended)
		}
		f := c.says("g", "$get", map[string]string{"request_id": "j00007"})
		var got struct {
			Status  string `json:"status"`
			Waiting string `json:"waiting"`
		}
		if err := json.Unmarshal(f.Data, &got); err != nil || got.Status != "PENDING" || got.Waiting != "paused" {
			t.Errorf("$get says %s", f.Data)
		}
		s.up(component.StreamerArgs{MaxJobs: pulumi.Int(100)})
		time.Sleep(4 * time.Minute)
		if ended, _ := s.counts("acme"); ended != 20 {
			t.Errorf("%d of 20 have ended after the pause", ended)
		}
	})
}
