package gateway_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

// TestWorkersHaveTheTimeoutOfTheirMessage: what one message has left of its time,
// or has used up, is nothing to the next one.
func TestWorkersHaveTheTimeoutOfTheirMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := start(t, plan{})
		c.on("default", func(_ context.Context, event []byte) (string, error) {
			_, rest, _ := strings.Cut(string(event), `"body":"`)
			seconds, name, _ := strings.Cut(rest, " ")
			name, _, _ = strings.Cut(name, `"`)
			n, err := strconv.Atoi(seconds)
			time.Sleep(time.Duration(n) * time.Second)
			return `{"statusCode":200,"body":"` + name + `"}`, err
		})
		ws := c.connect()
		for i, n := range []int{0, 28, 28, 31, 28, 0, 31, 0} {
			began := time.Now()
			say(t, ws, fmt.Sprintf("%d m%d", n, i))
			got := hear(t, ws)
			if took := time.Since(began); took != time.Duration(min(n, 29))*time.Second {
				t.Errorf("message %d of %d s: heard %s after %v", i, n, got, took)
			}
			if n > 29 {
				c.wantError(got, "Endpoint request timed out")
			} else if got != fmt.Sprintf("m%d", i) {
				t.Errorf("message %d of %d s: heard %s", i, n, got)
			}
			time.Sleep(7 * time.Second) // the late answers come, and are dropped
		}
	})
}

func TestIdleWorkersAreFew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const burst = 200
		c := start(t, plan{})
		c.on("default", func(context.Context, []byte) (string, error) {
			time.Sleep(time.Second)
			return `{"statusCode":200,"body":"x"}`, nil
		})
		ws := c.connect()
		for range 2 {
			began := time.Now()
			for range burst {
				say(t, ws, "x")
			}
			for range burst {
				hear(t, ws)
			}
			if took := time.Since(began); took != time.Second {
				t.Errorf("%d messages at once took %v", burst, took)
			}
			synctest.Wait()
			if n := gateway.IdleWorkers(c.svc); n != gateway.MaxIdle {
				t.Errorf("%d idle workers, want %d", n, gateway.MaxIdle)
			}
		}
	})
}
