package deploy_test

import (
	"fmt"
	"os"
	"testing"
)

// testDir holds what several tests share.
var testDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "deploy-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		testDir = dir
		return m.Run()
	}())
}
