package gateway_test

import (
	"encoding/json"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\b\f\n\r\t\x00\x1f\x7f", "ä€😀\u2028", "a\xffb\xc3", `{"a":"b"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(gateway.AppendString(nil, s), &back); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		want := s
		if !utf8.ValidString(s) {
			encoded, _ := json.Marshal(s)
			_ = json.Unmarshal(encoded, &want)
		}
		if back != want {
			t.Errorf("%q became %q, want %q", s, back, want)
		}
	})
}

func FuzzFrameCounter(f *testing.F) {
	f.Add(3, 40<<10, 7)
	f.Add(0, 32<<10, 1)
	f.Add(1, 70<<10, 100)
	f.Fuzz(func(t *testing.T, before, size, chunk int) {
		before, size, chunk = before&7, size&0x1ffff, max(1, chunk&0x3ff)
		var stream []byte
		for range before {
			stream = append(stream, frame(1, false, "begin")...)
			stream = append(stream, frame(9, true, "ping")...)
			stream = append(stream, frame(0, true, strings.Repeat("x", 200))...)
		}
		stream = append(stream, frame(2, true, strings.Repeat("x", size))...)
		var chunks [][]byte
		for len(stream) > 0 {
			n := min(chunk, len(stream))
			chunks = append(chunks, stream[:n])
			stream = stream[n:]
		}
		want := int64(0)
		if size > 32<<10 {
			want = int64(before) + 1
		}
		if got := gateway.FirstOversized(chunks...); got != want {
			t.Errorf("first oversized message %d, want %d", got, want)
		}
	})
}

func FuzzMatchWildcard(f *testing.F) {
	for _, pair := range [][2]string{{"*", "abc"}, {"a*c", "abbc"}, {"?", "a"}, {"a*b*c", "aXbYbZc"}, {"", ""}, {"**", ""}, {"*a", "ba"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		// path.Match agrees where its extras (classes, escapes, slashes, runes) do not occur.
		if strings.ContainsAny(pattern+s, `[]\/`) || !ascii(pattern) || !ascii(s) {
			return
		}
		want, err := path.Match(pattern, s)
		if err != nil {
			return
		}
		if got := gateway.MatchWildcard(pattern, s); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
