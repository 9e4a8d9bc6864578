package component

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/contract"
)

// Of quick handlers.
const (
	quickThreshold = 5 * time.Second  // by default
	quickTimeout   = 10 * time.Second // by default
	// answerMargin is what the router needs beside the handler.
	answerMargin = 2 * time.Second
)

// quick settles what is about quick handlers. Three values go together: nothing may
// be estimated to be quick that is cut off then, and what is cut off must leave the
// router time to answer.
func (s *settings) quick(c *checker, a *StreamerArgs) {
	if given(a.QuickThreshold) {
		s.quickThreshold = c.text("quickThreshold", a.QuickThreshold, quickThreshold.String(), between(0, contract.MaxQuickTimeout))
	}
	s.quickTimeout = c.text("quickTimeout", a.QuickTimeout, quickTimeout.String(), between(100*time.Millisecond, contract.MaxQuickTimeout))
	timeout := lasting(a.QuickTimeout, quickTimeout)
	if !given(a.QuickThreshold) {
		s.quickThreshold = s.quickTimeout.ApplyT(func(timeout string) string {
			return min(quickThreshold, parsed(timeout)).String()
		}).(pulumi.StringOutput)
	} else if threshold := lasting(a.QuickThreshold, quickThreshold); threshold >= 0 && timeout >= 0 {
		if why := cutOff(threshold, timeout); why != "" {
			c.add("quickThreshold", "%s", why)
		}
	}
	router := s.sizes[contract.RoleRouter].timeout
	if a.Router != nil && timeout >= 0 {
		if seconds, ok := known[int](a.Router.Timeout); ok {
			if why := unanswered(seconds, timeout); why != "" {
				c.add("router.timeout", "%s", why)
			}
		}
	}
	s.quickThreshold = pulumi.All(s.quickThreshold, s.quickTimeout, router).ApplyT(func(v []any) (string, error) {
		threshold, timeout := v[0].(string), parsed(v[1].(string))
		if err := late("router.timeout", unanswered(v[2].(int), timeout)); err != nil {
			return "", err
		}
		return threshold, late("quickThreshold", cutOff(parsed(threshold), timeout))
	}).(pulumi.StringOutput)
}

func cutOff(threshold, timeout time.Duration) string {
	if threshold > timeout {
		return fmt.Sprintf("is %s, may not be more than quickTimeout, which is %s: what is estimated to take longer would be cut off", threshold, timeout)
	}
	return ""
}

func unanswered(router int, timeout time.Duration) string {
	if timeout > time.Duration(router)*time.Second-answerMargin {
		return fmt.Sprintf("is %d seconds, must be at least two seconds more than quickTimeout, which is %s", router, timeout)
	}
	return ""
}

// lasting is a duration that is known, or its default; -1 for one that is wrong by
// itself, or known later.
func lasting(in pulumi.StringPtrInput, fallback time.Duration) time.Duration {
	if !given(in) {
		return fallback
	}
	if v, ok := known[string](in); ok {
		if d := parsed(v); d <= contract.MaxQuickTimeout {
			return d
		}
	}
	return -1
}

// parsed reads a duration; -1 for what is none.
func parsed(v string) time.Duration {
	d, err := time.ParseDuration(v)
	if err != nil {
		return -1
	}
	return d
}
