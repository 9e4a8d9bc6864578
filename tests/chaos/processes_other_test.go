//go:build !linux

package chaos_test

// processes needs /proc.
func processes(...string) (pids []int, supported bool) { return nil, false }
