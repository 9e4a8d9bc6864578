package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/runtime/wire"
)

// tale is a request as its client has heard of it: the log of partials put together by
// the rule of Session.Call, and how often it ended.
type tale struct {
	log      []int
	progress []wire.Frame
	ends     int
}

func (s *tale) add(t *testing.T, f wire.Frame) {
	t.Helper()
	switch {
	case f.Type == wire.TypePartial:
		if int(f.First) > len(s.log)+1 {
			t.Errorf("a gap: piece %d after %d", f.First, len(s.log))
			return
		}
		s.log = s.log[:f.First-1]
		for _, item := range f.Items {
			var n int
			read(t, item, &n)
			s.log = append(s.log, n)
		}
	case f.Type == wire.TypeProgress:
		s.progress = append(s.progress, f)
	case f.Terminal():
		s.ends++
	}
}

// wantLog wants the numbers from 1 to n in the log, and one end.
func (s *tale) wantLog(t *testing.T, n int) {
	t.Helper()
	if !slices.Equal(s.log, numbers(n)) {
		t.Errorf("the log is %v, want 1 to %d", s.log, n)
	}
	if s.ends != 1 {
		t.Errorf("%d ends", s.ends)
	}
}

func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

// noted returns the lines that a request's handler has written, word by word.
func (s *system) noted(t *testing.T, name string) (lines [][]string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

// firsts are the first words, as numbers.
func firsts(t *testing.T, lines [][]string) (all []int) {
	t.Helper()
	for _, words := range lines {
		n, err := strconv.Atoi(words[0])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// touch makes the file that a hold request waits for.
func (s *system) touch(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// accept sends a message and reads frames until it is acknowledged.
func (r *rawConn) accept(body string) {
	r.t.Helper()
	r.send(body)
	for {
		switch f := r.next(); f.Type {
		case wire.TypeAcknowledgment:
			return
		case wire.TypeError, wire.TypeResponse, wire.TypeComplete:
			r.t.Fatalf("%s is answered %+v", body, f)
		}
	}
}
