package iam

import (
	"regexp"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b:c", true}, {"?", "", false}, {"?", "é", true},
		{"a*c", "abbc", true}, {"a*c", "abcd", false}, {"a?c", "abc", true}, {"*a*", "bab", true}, {"**a", "aa", true},
		{"a*b*c", "a-b-b-c", true}, {"table/T", "table/T/index/I", false}, {"table/T*", "table/T/index/I", true},
		{"A", "a", false}, {"[a]", "a", false}, {"a.c", "abc", false},
	} {
		if got := compileGlob(tc.pattern).matches(tc.text); got != tc.want {
			t.Errorf("%q matches %q: %t", tc.pattern, tc.text, got)
		}
	}
}

// FuzzGlob compares with a regular expression that says the same.
func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*a*a*a*b", strings.Repeat("a", 50))
	f.Add("", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if strings.ContainsRune(pattern+text, '\uFFFD') || !valid(pattern) || !valid(text) {
			t.Skip() // a policy is JSON, so its text is always valid
		}
		quoted := regexp.QuoteMeta(pattern)
		quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, ".*"), `\?`, ".")
		want := regexp.MustCompile(`(?s)\A(?:` + quoted + `)\z`).MatchString(text)
		if got := compileGlob(pattern).matches(text); got != want {
			t.Errorf("%q matches %q: %t, want %t", pattern, text, got, want)
		}
		if !literal(pattern).matches(pattern) {
			t.Errorf("literal %q does not match itself", pattern)
		}
	})
}

func valid(s string) bool { return strings.ToValidUTF8(s, "") == s }
