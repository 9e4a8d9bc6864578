package chaos_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// processes finds the living processes that have all of those variables.
func processes(variables ...string) (pids []int, supported bool) {
	found, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is valid
	for _, path := range found {
		environ, err := os.ReadFile(path) // gone, or another user's
		if err != nil {
			continue
		}
		environ = append([]byte{0}, environ...)
		has := true
		for _, v := range variables {
			has = has && bytes.Contains(environ, []byte("\x00"+v+"\x00"))
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && has {
			pids = append(pids, pid)
		}
	}
	return pids, true
}
