package overload_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/runtime/wire"
)

// A tenant with a thousand requests in the queue (STREAMER_OVERLOAD says how
// many) has as many at work as it may have, all the time and in the order in
// which they came, and the first request of another tenant starts at once.
func TestQueueOfOneTenantDelaysNobodyElse(t *testing.T) {
	jobs := 1000
	if testing.Short() {
		jobs = 300
	}
	if n := os.Getenv("STREAMER_OVERLOAD"); n != "" {
		var err error
		if jobs, err = strconv.Atoi(n); err != nil {
			t.Fatal("STREAMER_OVERLOAD: ", err)
		}
	}
	const atOnce = 10
	synctest.Test(t, func(t *testing.T) {
		s := stand(t, localcloud.Config{}, component.StreamerArgs{
			Limits: &component.Limits{TenantConcurrency: pulumi.Int(atOnce)}, MaxJobs: pulumi.Int(100),
		})
		big := s.connect("big", "ann")
		big.queue("j", jobs, 5)
		small := s.connect("small", "bob")
		sent := time.Now()
		if f := small.says("first", "job", job{1}); f.Type != wire.TypeAcknowledgment {
			t.Fatalf("%+v", f)
		}
		time.Sleep(time.Minute)
		if wait := s.startedAt("small/first").Sub(sent); wait < 0 || wait > 2*time.Second {
			t.Errorf("with %d requests of another tenant in the queue, the first one started after %s", jobs, wait)
		}
		before, _ := s.counts("big")
		time.Sleep(30 * time.Minute)
		ended, most := s.counts("big")
		// Six turns of five minutes each, and hardly a second between two.
		if ended -= before; most != atOnce || ended < 5*atOnce || ended > 7*atOnce {
			t.Errorf("in half an hour %d have ended, at most %d at once; want about %d and %d", ended, most, 6*atOnce, atOnce)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		order := slices.DeleteFunc(slices.Clone(s.began), func(name string) bool { return name == "small/first" })
		for i, name := range order {
			var n int
			if _, err := fmt.Sscanf(name, "big/j%d", &n); err != nil || n < i-2*atOnce || n > i+2*atOnce {
				t.Errorf("%s was the %dth to begin", name, i)
			}
		}
	})
}
