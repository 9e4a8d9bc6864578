package cost_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// column is a part of the bill.
type column struct {
	title string
	cost  func(tally) float64
}

func columns() []column {
	of := func(items ...string) func(tally) float64 {
		return func(u tally) (sum float64) {
			for _, item := range items {
				sum += usd(item, u.bill[item])
			}
			return sum
		}
	}
	return []column{
		{"messages", of("apigateway.messages")},
		{"minutes", of("apigateway.connection-minutes")},
		{"invocations", of("lambda.requests")},
		{"GB-s, own", func(u tally) float64 { return usd("lambda.gb-seconds", u.ownSeconds) }},
		{"writes", of("dynamodb.write-units")},
		{"reads", of("dynamodb.read-units")},
		{"queue, schedule", of("sqs.requests", "scheduler.invocations")},
		{"logs", of("logs.bytes")},
		{"X-Ray", func(u tally) float64 { return usd(itemTraces, sampled*u.bill[itemTraces]) }},
		{"transfer", of(itemTransfer)},
	}
}

func (u tally) sum() (sum float64) {
	for _, c := range columns() {
		sum += c.cost(u)
	}
	return sum
}

// document holds docs/cost.md to what was measured.
func document(t *testing.T, all []scenario, uses []tally, traces map[string][]*call) {
	t.Helper()
	const path = "../../docs/cost.md"
	const begin, end = "<!-- measured -->\n", "<!-- end of measured -->"
	var b strings.Builder
	costs(&b, all, uses)
	idle(&b, all, uses)
	counts(&b, all, uses)
	for _, name := range []string{"20 frames", "retry"} {
		list(&b, name, traces[name])
	}
	priceList(&b)
	t.Log("\n" + b.String())
	for i := range all {
		if least, most := all[i].promise(); uses[i].sum()*1e6 < least || uses[i].sum()*1e6 > most {
			t.Errorf("a million of %q costs $%.2f, promised are $%g to $%g", all[i].name, uses[i].sum()*1e6, least, most)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), begin)
	body, tail, ok2 := strings.Cut(rest, end)
	switch {
	case !ok || !ok2:
		t.Fatalf("%s has no place for what is measured", path)
	case body == b.String():
	case os.Getenv("STREAMER_UPDATE") == "":
		t.Fatalf("%s is not what is measured: run this test with STREAMER_UPDATE=1", path)
	default:
		if err := os.WriteFile(path, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// header is a table's head; all but the first column are numbers.
func header(b *strings.Builder, titles ...string) {
	row(b, titles...)
	fmt.Fprintf(b, "|---%s|\n", strings.Repeat("|--:", len(titles)-1))
}

func dollars(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
}

// costs are dollars for a million.
func costs(b *strings.Builder, all []scenario, uses []tally) {
	b.WriteString("### Dollars for a million\n\n")
	titles := []string{""}
	for _, c := range columns() {
		titles = append(titles, c.title)
	}
	header(b, append(titles, "**sum**", "handler's time")...)
	for i, u := range uses {
		if all[i].idle {
			continue
		}
		cells := []string{all[i].name}
		for _, c := range columns() {
			cells = append(cells, dollars(c.cost(u)*1e6))
		}
		row(b, append(cells, "**"+dollars(u.sum()*1e6)+"**", dollars(usd("lambda.gb-seconds", u.handlerSeconds)*1e6))...)
	}
	b.WriteString("\n")
	for i := range all {
		per := all[i].per
		if per == "" {
			per = "requests"
		}
		fmt.Fprintf(b, "- **%s** (%s): %s.\n", all[i].name, per, all[i].what)
	}
}

// idle is what a system costs in a month without a request.
func idle(b *strings.Builder, all []scenario, uses []tally) {
	const hours = 730
	for i, u := range uses {
		if !all[i].idle {
			continue
		}
		polls := usd("sqs.requests", u.bill["sqs.empty-receives"]) * pollers
		traces := usd(itemTraces, u.bill[itemTraces]) // fewer than one in a second: all are recorded
		rest := u.sum() - usd(itemTraces, sampled*u.bill[itemTraces])
		fmt.Fprintf(b, "\n### A month in which nobody is there\n\n")
		header(b, "", "in an hour", "dollars in a month")
		row(b, "receives of the empty wake queue, by each of five pollers", fmt.Sprint(u.bill["sqs.empty-receives"]), dollars(polls*hours))
		row(b, "sweeps: schedule, invocation, 16 queries each, logs", fmt.Sprint(u.bill["lambda.requests"]), dollars(rest*hours))
		row(b, "traces of the sweeps, were all recorded", fmt.Sprint(u.bill[itemTraces]), dollars(traces*hours))
		row(b, "**sum**", "", "**"+dollars((polls+rest+traces)*hours)+"**")
	}
}

// counts are what one uses.
func counts(b *strings.Builder, all []scenario, uses []tally) {
	b.WriteString("\n### What one uses\n\n")
	header(b, "", "messages", "connection minutes", "invocations", "GB-seconds, own", "write units", "read units", "queue requests", "log bytes", "bytes to the client", "handler's GB-seconds")
	for i, u := range uses {
		cells := []string{all[i].name}
		for _, n := range []float64{
			u.bill["apigateway.messages"], u.bill["apigateway.connection-minutes"], u.bill["lambda.requests"], u.ownSeconds,
			u.bill["dynamodb.write-units"], u.bill["dynamodb.read-units"], u.bill["sqs.requests"], u.bill["logs.bytes"],
			u.bill[itemTransfer], u.handlerSeconds,
		} {
			cell := strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.5f", n), "0"), ".")
			if cell == "0" {
				cell = ""
			}
			cells = append(cells, cell)
		}
		row(b, cells...)
	}
}

// list is the calls of one request; the same ones in turn are one line.
func list(b *strings.Builder, name string, trace []*call) {
	if len(trace) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### The calls of a request: %s\n\n", name)
	row(b, "after", "function", "call", "write units", "read units")
	b.WriteString("|--:|---|---|--:|--:|\n")
	began := trace[0].at
	for i := 0; i < len(trace); {
		block, times := repeated(trace[i:])
		for j, c := range trace[i : i+block] {
			what := c.what
			if times > 1 {
				what = fmt.Sprintf("%d × %s", times, what)
			}
			at := ""
			if j == 0 {
				at = c.at.Sub(began).Truncate(10 * time.Millisecond).String()
			}
			row(b, at, string(c.role), what, units(c.writes), units(c.reads))
		}
		i += block * times
	}
}

func units(n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// repeated says how often the first calls, one or two of them, come in a row.
func repeated(trace []*call) (block, times int) {
	same := func(a, b *call) bool {
		return a.role == b.role && a.what == b.what && a.writes == b.writes && a.reads == b.reads
	}
	best := [2]int{1, 1}
	for block = 1; block <= 2; block++ {
		for times = 1; (times+1)*block <= len(trace); times++ {
			if !slices.EqualFunc(trace[:block], trace[times*block:(times+1)*block], same) {
				break
			}
		}
		if times > 1 && block*times > best[0]*best[1] {
			best = [2]int{block, times}
		}
	}
	return best[0], best[1]
}

func priceList(b *strings.Builder) {
	b.WriteString("\n### Prices\n\n")
	row(b, "item", "dollars", "for", "source")
	b.WriteString("|---|--:|---|---|\n")
	all := prices()
	for _, item := range slices.Sorted(maps.Keys(all)) {
		p := all[item]
		many := map[float64]string{1e6: "a million ", 1e9: "", 1: ""}[p.per]
		row(b, item, fmt.Sprint(p.usd), many+p.unit, p.source)
	}
}
