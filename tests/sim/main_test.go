package sim_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain gives the component a cache of its own for what it builds: in a
// bubble it is the year 2000, and files that are marked as last used then would
// be cleared away by builds in the present.
func TestMain(m *testing.M) {
	flag.Parse()
	code, err := inOwnCache(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func inOwnCache(run func() int) (int, error) {
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return 0, fmt.Errorf("ask go for its cache: %w", err)
	}
	dir, err := os.MkdirTemp("", "sim-")
	if err != nil {
		return 0, fmt.Errorf("make cache: %w", err)
	}
	defer os.RemoveAll(dir)
	for name, value := range map[string]string{"GOCACHE": strings.TrimSpace(string(goCache)), "XDG_CACHE_HOME": dir} {
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	return run(), nil
}
