package keys

import (
	"strconv"
	"strings"
)

// ParsePartial reads the range key of a batch of partials; ok is false for any
// other key.
func ParsePartial(key string) (epoch, first int64, ok bool) {
	rest, ok := strings.CutPrefix(key, Partials)
	e, f, cut := strings.Cut(rest, "#")
	if !ok || !cut {
		return 0, 0, false
	}
	epoch, err := strconv.ParseInt(e, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	first, err = strconv.ParseInt(f, 10, 64)
	return epoch, first, err == nil
}
