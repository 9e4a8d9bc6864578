package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the peers, as the command is. One that is
// built for coverage writes what a peer has run when it exits.
func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		err := servePeer(role)
		if dir := os.Getenv("STREAMER_COVER_DIR"); dir != "" {
			err = errors.Join(err, os.Setenv("GOCOVERDIR", dir))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, role+": "+err.Error())
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestHarness runs everything once with tiny counts. It measures nothing: it
// holds that every phase works and that the page can be written.
func TestHarness(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and starts processes")
	}
	if runtime.GOOS != "linux" {
		t.Skip("CPU times are read from /proc")
	}
	dir := t.TempDir()
	p := plan{
		Rounds: 2, For: 100 * time.Millisecond, Warm: 50 * time.Millisecond, Small: 2, Big: 4, Rate: 100,
		Connections: 20, Sources: 2, Long: 2, Dir: "app", Profile: filepath.Join(dir, "cloud.prof"),
	}
	r, err := run(p)
	if err != nil {
		t.Fatal(err)
	}
	for name, series := range map[string][serverCount][]sample{"small": r.small, "big": r.big, "open": r.open} {
		for k, samples := range series {
			if len(samples) != p.Rounds {
				t.Errorf("%s, %s: %d samples", name, serverNames[k], len(samples))
			}
			for _, s := range samples {
				if s.perSecond <= 0 || s.latencies[0] <= 0 || s.latencies[0] > s.latencies[4] {
					t.Errorf("%s, %s: %+v", name, serverNames[k], s)
				}
				if (s.instances > 0) != (k != serverEcho) {
					t.Errorf("%s, %s: %d instances", name, serverNames[k], s.instances)
				}
			}
		}
	}
	if r.held.answered != p.Connections {
		t.Errorf("%d of %d connections answered", r.held.answered, p.Connections)
	}
	if r.long.Count != p.Long || r.long.Acknowledged[0] <= 0 || r.long.Progressed[0] <= 0 {
		t.Errorf("long requests: %+v", r.long)
	}
	page := filepath.Join(dir, "page.md")
	if err := os.WriteFile(page, []byte("before\n"+beginMark+"old\n"+endMark+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := putInto(page, r.markdown()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n", "### Closed loop, 2 connections", "| Streamer | ", "### Connections held", "`acknowledgment`", "after\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Errorf("the page keeps what was replaced:\n%s", text)
	}
}

func TestPutIntoNeedsMarkers(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("no markers"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := putInto(page, "text"); err == nil {
		t.Error("a page without markers was written")
	}
}

func TestNumberOf(t *testing.T) {
	t.Parallel()
	message := string(appendMessage(nil, 42))
	for _, tc := range []struct {
		answer string
		want   int
		fails  bool
	}{
		{answer: message, want: 42},
		{answer: `{"type":"response","request_id":"7","data":{"text":"` + text + `"}}`, want: 7},
		{answer: `{"type":"response","request_id":"7","data":{"text":"other"}}`, fails: true},
		{answer: `{"type":"error","request_id":"7","code":"INTERNAL_ERROR"}`, fails: true},
		{answer: `{"message":"Internal server error","connectionId":"x","requestId":"y"}`, fails: true},
	} {
		got, err := numberOf([]byte(tc.answer))
		if got != tc.want || (err != nil) != tc.fails {
			t.Errorf("%.60s: %d, %v", tc.answer, got, err)
		}
	}
}
