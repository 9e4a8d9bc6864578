package sim_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// line is something that happened: when, to whom, what. The request is named
// where there is one, so that a story can be read for it alone.
type line struct {
	at      time.Duration // since the run began
	who     string
	request string
	text    string
	minor   bool // every call is one: too much to read, but two runs can be compared by it
}

func (l line) String() string {
	about := ""
	if l.request != "" {
		about = l.request + ": "
	}
	return fmt.Sprintf("%12s  %-14s %s%s", l.at.Round(time.Microsecond), l.who, about, l.text)
}

// story is what happened in a run. It never holds a name that differs between
// two runs of a plan.
type story struct {
	began time.Time
	mu    sync.Mutex // guards lines
	lines []line
}

func (s *story) tell(who, request, format string, args ...any) {
	s.add(line{time.Since(s.began), who, request, fmt.Sprintf(format, args...), false})
}

func (s *story) add(l line) {
	s.mu.Lock()
	s.lines = append(s.lines, l)
	s.mu.Unlock()
}

// sorted is the story in an order that does not depend on who came first at
// one instant.
func (s *story) sorted() []line {
	s.mu.Lock()
	lines := slices.Clone(s.lines)
	s.mu.Unlock()
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.who, b.who), cmp.Compare(a.request, b.request), cmp.Compare(a.text, b.text))
	})
	return lines
}

// digest is equal for two runs in which the same happened at the same times.
func (s *story) digest() string {
	h := sha256.New()
	for _, l := range s.sorted() {
		_, _ = fmt.Fprintln(h, l.String())
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// about is the story of some requests, and of what concerns no request in
// particular. Without any it is whole.
func (s *story) about(requests []string) string {
	var b strings.Builder
	for _, l := range s.sorted() {
		if l.minor {
			continue
		}
		if len(requests) == 0 || l.request == "" && l.who != "sweep" || slices.Contains(requests, l.request) {
			b.WriteString(l.String())
			b.WriteByte('\n')
		}
	}
	return b.String()
}
