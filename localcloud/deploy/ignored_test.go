package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What is accepted and has no effect is in the documentation.
func TestIgnoredPropertiesAreDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/localcloud.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("kinds_*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no kinds", err)
	}
	calls, keys := regexp.MustCompile(`\.ignore\(([^)]*)\)`), regexp.MustCompile(`"(\w+)"`)
	n := 0
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range calls.FindAllStringSubmatch(string(code), -1) {
			for _, key := range keys.FindAllStringSubmatch(call[1], -1) {
				if n++; !strings.Contains(string(doc), "`"+key[1]+"`") {
					t.Errorf("%s ignores %s, of which docs/localcloud.md says nothing", file, key[1])
				}
			}
		}
	}
	if n == 0 {
		t.Error("nothing is ignored")
	}
}
