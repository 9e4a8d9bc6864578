package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// sample is one measurement of round trips. CPU times are per message.
type sample struct {
	perSecond                 float64
	latencies                 []time.Duration // see percentiles
	server, functions, client time.Duration
	instances                 int
	others                    float64 // cores that were busy with something else
}

// held is what holding connections came to.
type held struct {
	connections, answered int
	opened                time.Duration
	rss, heap, stack      int // bytes per connection
}

// results are all that was measured.
type results struct {
	plan                  plan
	began                 time.Time
	took                  time.Duration
	loadBefore, loadAfter string
	small, big, open      [serverCount][]sample
	held                  *held
	long                  *long
}

var serverNames = [serverCount]string{"echo", "bare host", "Streamer"}

func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, %d cores, %s %s/%s; %d rounds of %v each, in %v. Load average of the last minute: %s before, %s after.\n",
		r.began.UTC().Format("2006-01-02 15:04 MST"), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		r.plan.Rounds, r.plan.For, r.took.Round(time.Second), r.loadBefore, r.loadAfter)
	section(&b, fmt.Sprintf("Closed loop, %d connections", r.plan.Small), r.small)
	section(&b, fmt.Sprintf("Closed loop, %d connections", r.plan.Big), r.big)
	section(&b, fmt.Sprintf("Open loop, %.0f messages per second on %d connections", r.plan.Rate, r.plan.Big), r.open)
	if h := r.held; h != nil {
		fmt.Fprintf(&b, "\n### Connections held\n\n| connections | opened in | answered while all are open | RSS per connection | of that heap | stacks |\n|--:|--:|--:|--:|--:|--:|\n")
		fmt.Fprintf(&b, "| %d | %.1f s | %d | %.1f KB | %.1f KB | %.1f KB |\n", h.connections, h.opened.Seconds(), h.answered,
			kilobytes(h.rss), kilobytes(h.heap), kilobytes(h.stack))
	}
	if l := r.long; l != nil {
		fmt.Fprintf(&b, "\n### Long requests\n\nFrom the send, %d requests one after the other.\n\n| frame | p50 | p99 |\n|---|--:|--:|\n", l.Count)
		for i, t := range [][]time.Duration{l.Acknowledged, l.Progressed, l.Completed} {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", [...]string{"`acknowledgment`", "first `progress`", "`complete`"}[i], milliseconds(t[0]), milliseconds(t[2]))
		}
	}
	return b.String()
}

// section writes the tables of one load: medians, and the range where it matters.
func section(b *strings.Builder, title string, s [serverCount][]sample) {
	if len(s[serverCloud]) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n", title)
	b.WriteString("| | per second (range) | p50 | p99 (range) | CPU per message: server | functions | client | instances | other load, cores |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for k, all := range s {
		p99 := ordered(all, func(x sample) time.Duration { return x.latencies[2] })
		rate := ordered(all, func(x sample) float64 { return x.perSecond })
		fmt.Fprintf(b, "| %s | %.0f (%.0f to %.0f) | %s | %s (%s to %s) | %s | %s | %s | %d | %.2f |\n", serverNames[k],
			median(rate), rate[0], rate[len(rate)-1],
			milliseconds(median(ordered(all, func(x sample) time.Duration { return x.latencies[0] }))),
			milliseconds(median(p99)), milliseconds(p99[0]), milliseconds(p99[len(p99)-1]),
			microseconds(median(ordered(all, func(x sample) time.Duration { return x.server }))),
			microseconds(median(ordered(all, func(x sample) time.Duration { return x.functions }))),
			microseconds(median(ordered(all, func(x sample) time.Duration { return x.client }))),
			median(ordered(all, func(x sample) int { return x.instances })),
			median(ordered(all, func(x sample) float64 { return x.others })))
	}
	rate := func(k int) float64 { return median(ordered(s[k], func(x sample) float64 { return x.perSecond })) }
	fmt.Fprintf(b, "\nStreamer to echo: %.2f; Streamer to bare host: %.2f (messages per second).\n",
		rate(serverCloud)/rate(serverEcho), rate(serverCloud)/rate(serverBare))
}

func ordered[T cmp.Ordered](all []sample, of func(sample) T) []T {
	out := make([]T, len(all))
	for i, s := range all {
		out[i] = of(s)
	}
	slices.Sort(out)
	return out
}

// median is the middle of sorted values, the lower one of two.
func median[T any](sorted []T) T { return sorted[(len(sorted)-1)/2] }

func kilobytes(n int) float64 { return float64(n) / 1024 }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

func microseconds(d time.Duration) string {
	return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
}

const beginMark, endMark = "<!-- results -->\n", "<!-- end of results -->\n"

// putInto replaces what a page has between its markers.
func putInto(page, text string) error {
	raw, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(raw, []byte(beginMark))
	_, tail, ok2 := bytes.Cut(rest, []byte(endMark))
	if !ok || !ok2 {
		return fmt.Errorf("write results to %s: it has no markers %q and %q", page, beginMark, endMark)
	}
	out := slices.Concat(head, []byte(beginMark+"\n"+text+"\n"+endMark), tail)
	return os.WriteFile(page, out, 0o644)
}
