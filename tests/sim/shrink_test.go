package sim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// shrinking takes no longer than that, in real time.
const shrinking = 90 * time.Second

// part is something that a plan can do without.
type part struct{ kind, name string }

// parts of a plan, what matters most first. The faults are those that happened.
func (p *plan) parts(fired []string) []part {
	var out []part
	for _, c := range p.clients {
		out = append(out, part{"client", c.name})
	}
	for i := range p.outages {
		out = append(out, part{"outage", fmt.Sprint(i)})
	}
	if p.skew > 0 {
		out = append(out, part{"clocks", ""})
	}
	if p.updates != nil {
		out = append(out, part{"update", ""})
	}
	for _, c := range p.clients {
		for _, s := range c.steps {
			if s.do == "send" {
				out = append(out, part{"request", c.name + " " + s.request})
			}
		}
	}
	for _, f := range fired {
		out = append(out, part{"fault", f})
	}
	for _, c := range p.clients {
		for i, s := range c.steps {
			if s.do != "send" {
				out = append(out, part{"step", fmt.Sprintf("%s %d", c.name, i)})
			}
		}
	}
	return out
}

// without is the plan without those parts.
func (p *plan) without(cut map[part]bool, fired []string) *plan {
	q := *p
	q.clients, q.outages, q.only = nil, nil, map[string]bool{}
	for _, c := range p.clients {
		if cut[part{"client", c.name}] {
			continue
		}
		steps := c.steps
		c.steps = nil
		for i, s := range steps {
			if !cut[part{"request", c.name + " " + s.request}] && !cut[part{"step", fmt.Sprintf("%s %d", c.name, i)}] {
				c.steps = append(c.steps, s)
			}
		}
		q.clients = append(q.clients, c)
	}
	for i, o := range p.outages {
		if cut[part{"outage", fmt.Sprint(i)}] {
			o.to = o.from
		}
		q.outages = append(q.outages, o)
	}
	for _, f := range fired {
		q.only[f] = !cut[part{"fault", f}]
	}
	if cut[part{"clocks", ""}] {
		q.skew = 0
	}
	if cut[part{"update", ""}] {
		q.updates = nil
	}
	return &q
}

// shrink looks for a smaller plan that breaks the same promise, by leaving out
// halves, quarters and so on of each kind of parts.
func shrink(t *testing.T, r *report) *report {
	t.Helper()
	until := time.Now().Add(shrinking)
	want := shapes(r)
	p, fired, best := r.plan, r.fired, r
	cut := map[part]bool{}
	fails := func(more []part) bool {
		try := map[part]bool{}
		for k := range cut {
			try[k] = true
		}
		for _, k := range more {
			try[k] = true
		}
		got := play(t, p.without(try, fired))
		if !slices.ContainsFunc(shapes(got), func(s string) bool { return slices.Contains(want, s) }) {
			return false
		}
		cut, best = try, got
		return true
	}
	all := p.parts(fired)
	for _, kind := range []string{"client", "outage", "clocks", "update", "request", "fault", "step"} {
		var left []part
		for _, k := range all {
			if k.kind == kind {
				left = append(left, k)
			}
		}
		for size := len(left); size > 0 && len(left) > 0; size /= 2 {
			for at := 0; at < len(left) && time.Now().Before(until); {
				group := left[at:min(at+size, len(left))]
				if fails(group) {
					left = slices.Delete(slices.Clone(left), at, at+len(group))
				} else {
					at += size
				}
			}
		}
	}
	return best
}

// shapes are the violations without what differs between two of a kind.
func shapes(r *report) []string {
	var out []string
	for _, v := range r.violations {
		var b strings.Builder
		for word := range strings.FieldsSeq(v.text) {
			if !strings.ContainsFunc(word, func(r rune) bool { return unicode.IsDigit(r) || r == '"' || r == '/' }) {
				b.WriteString(word + " ")
			}
		}
		out = append(out, b.String())
	}
	return out
}
