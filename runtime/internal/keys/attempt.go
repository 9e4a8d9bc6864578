package keys

import (
	"strconv"
	"strings"
)

// ParseAttempt reads the range key of how an attempt failed; ok is false for any
// other key.
func ParseAttempt(key string) (epoch int64, ok bool) {
	rest, ok := strings.CutPrefix(key, Attempts)
	if !ok {
		return 0, false
	}
	epoch, err := strconv.ParseInt(rest, 10, 64)
	return epoch, err == nil
}
