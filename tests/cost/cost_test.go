package cost_test

import (
	"strings"
	"testing"
)

// most is what one may use of what is metered.
type most struct {
	messages, minutes, invocations, writes, reads, queue, schedules, logs float64
}

func (m most) byItem() map[string]float64 {
	return map[string]float64{
		"apigateway.messages": m.messages, "apigateway.connection-minutes": m.minutes, "lambda.requests": m.invocations,
		"dynamodb.write-units": m.writes, "dynamodb.read-units": m.reads, "sqs.requests": m.queue,
		"scheduler.invocations": m.schedules, "logs.bytes": m.logs,
	}
}

// No request uses more than it did, and docs/cost.md says what that costs.
func TestCost(t *testing.T) {
	all := scenarios()
	uses, traces := make([]tally, len(all)), map[string][]*call{}
	done := 0
	for i := range all {
		sc := &all[i]
		t.Run(strings.ReplaceAll(sc.name, " ", "-"), func(t *testing.T) {
			if testing.Short() && sc.name != "quick" && sc.name != "20 frames" {
				t.Skip("not short")
			}
			used, trace := sc.measure(t)
			sc.check(t, used)
			uses[i], traces[sc.name] = used, trace
			done++
		})
	}
	t.Run("document", func(t *testing.T) {
		if done < len(all) {
			t.Skip("not everything was measured")
		}
		document(t, all, uses, traces)
	})
}

// check compares what one has used with what it may.
func (sc *scenario) check(t *testing.T, used tally) {
	t.Helper()
	const tiny = 1e-6
	for item, limit := range sc.most.byItem() {
		n := used.bill[item]
		t.Logf("%-30s %g", item, n)
		if n > limit+tiny {
			t.Errorf("%s: one uses %g, it may use %g", item, n, limit)
		}
	}
	if sc.idle {
		return // functions return at once, and 1 ms is billed
	}
	// The meter of Lambda says what has passed, each time rounded up to 1 ms.
	metered, passed := used.bill["lambda.gb-seconds"], used.handlerSeconds
	if metered < passed-tiny || metered > passed+0.001*used.bill["lambda.requests"]+tiny {
		t.Errorf("metered %g GB-seconds, %g have passed", metered, passed)
	}
}

// What the documentation promises of a million, without the handler's own time.
func (sc *scenario) promise() (least, most float64) {
	switch sc.name {
	case "quick":
		return 2, 3
	case "20 frames":
		return 35, 45
	}
	return 0, 1e9
}
