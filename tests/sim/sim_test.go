package sim_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Settings of a run, in the environment. They are read by tests, never before, for
// the go command then knows that the outcome depends on them.
const (
	seedSetting     = "STREAMER_SIM_SEED"     // run this seed alone
	requestsSetting = "STREAMER_SIM_REQUESTS" // how many requests in all, on fresh seeds
	storySetting    = "STREAMER_SIM_STORY"    // print what happened, also when nothing is wrong
)

// perRun is the number of requests of one bubble.
const perRun = 400

// fixed are the seeds of the ordinary run; a fresh one comes on top.
var fixed = []uint64{1, 2, 3, 4}

// TestSimulation runs the system through bad weather, and looks whether it kept
// its promises.
func TestSimulation(t *testing.T) {
	var shrunk atomic.Bool // one story is enough
	requests := perRun
	if testing.Short() {
		requests = perRun / 4
	}
	var sum total
	began := time.Now()
	t.Run("seed", func(t *testing.T) {
		for _, seed := range seeds(t) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				r := play(t, newPlan(seed, requests))
				sum.add(r)
				t.Log(r)
				if os.Getenv(storySetting) != "" {
					t.Log("\n" + r.story.about(nil))
				}
				for _, v := range r.violations {
					t.Errorf("%s: %s", v.request, v.text)
				}
				if len(r.violations) > 0 && shrunk.CompareAndSwap(false, true) {
					tell(t, r)
				}
			})
		}
	})
	t.Logf("%s in %s", &sum, time.Since(began).Round(time.Second))
}

// total is the sum of some runs.
type total struct {
	runs, requests, accepted, faults, invocations, violations atomic.Int64
	virtual                                                   atomic.Int64
}

func (s *total) add(r *report) {
	s.runs.Add(1)
	s.requests.Add(int64(r.plan.requests()))
	s.accepted.Add(int64(r.requests))
	s.faults.Add(int64(len(r.fired)))
	s.invocations.Add(int64(r.invocations))
	s.violations.Add(int64(len(r.violations)))
	s.virtual.Add(int64(r.virtual))
}

func (s *total) String() string {
	return fmt.Sprintf("%d runs, %d requests, %d of them accepted, %d faults, %d invocations, %.0f hours of virtual time, %d violations",
		s.runs.Load(), s.requests.Load(), s.accepted.Load(), s.faults.Load(), s.invocations.Load(),
		time.Duration(s.virtual.Load()).Hours(), s.violations.Load())
}

// TestReplay plays plans twice. What Go itself leaves to chance, such as which
// of two ready channels a select takes, no seed decides: so one pair need not be
// alike to the last call, but all others have to.
func TestReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("several runs")
	}
	t.Parallel()
	const pairs = 4
	alike := 0
	for seed := range uint64(pairs) {
		size := 40
		if seed == 0 {
			size = 400 // as large as they come
		}
		a, b := play(t, newPlan(1000+seed, size)), play(t, newPlan(1000+seed, size))
		if a.digest == b.digest {
			alike++
		} else {
			t.Logf("seed %d: %s", 1000+seed, firstDifference(a, b))
		}
	}
	t.Logf("%d of %d pairs are alike to the last call", alike, pairs)
	if alike < pairs-1 {
		t.Errorf("%d of %d pairs are alike, want at least %d", alike, pairs, pairs-1)
	}
}

// firstDifference is where two stories part, and what comes just before.
func firstDifference(a, b *report) string {
	x, y := a.story.sorted(), b.story.sorted()
	for i := range min(len(x), len(y)) {
		if x[i] == y[i] {
			continue
		}
		var text strings.Builder
		fmt.Fprintf(&text, "line %d of %d differs, after\n", i, len(x))
		for _, l := range x[max(0, i-3):i] {
			fmt.Fprintln(&text, l)
		}
		for _, lines := range [][]line{x, y} {
			fmt.Fprintln(&text, "comes")
			for _, l := range lines[i:min(i+3, len(lines))] {
				fmt.Fprintln(&text, l)
			}
		}
		return text.String()
	}
	return "one goes on for longer"
}

func seeds(t *testing.T) []uint64 {
	t.Helper()
	if text := os.Getenv(seedSetting); text != "" {
		seed, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatalf("%s is %q, want a number", seedSetting, text)
		}
		return []uint64{seed}
	}
	var raw [4]byte
	_, _ = rand.Read(raw[:])
	fresh := uint64(binary.LittleEndian.Uint32(raw[:]))
	text := os.Getenv(requestsSetting)
	if text == "" {
		if testing.Short() {
			return []uint64{fixed[0], fresh}
		}
		return append(fixed[:len(fixed):len(fixed)], fresh)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number above 0", requestsSetting, text)
	}
	var all []uint64
	for i := range (n + perRun - 1) / perRun {
		all = append(all, fresh+uint64(i))
	}
	return all
}

// tell tells the smallest run that was found to break the same promise.
func tell(t *testing.T, r *report) {
	t.Helper()
	small := shrink(t, r)
	t.Logf("again with STREAMER_SIM_SEED=%d. The smallest run that was found, %d of %d requests, %d of %d faults:\n%s",
		r.plan.seed, small.plan.requests(), r.plan.requests(), len(small.fired), len(r.fired), small.story.about(small.about()))
}
