package wire

import (
	"strconv"
	"unicode/utf8"
)

// maxName bounds what a client's own key may add to an error.
const maxName = 64

// appendKey returns the path of a member of what path names.
func appendKey(path, key string) string {
	if len(key) > maxName {
		return path + "[" + strconv.Quote(cut(key, maxName)) + "]"
	}
	for i := range len(key) {
		switch c := key[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '_', c == '$', i > 0 && (c >= '0' && c <= '9' || c == '-'):
		default:
			return path + "[" + strconv.Quote(key) + "]"
		}
	}
	switch {
	case key == "":
		return path + `[""]`
	case path == "":
		return key
	}
	return path + "." + key
}

func appendIndex(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// cut shortens s to about n bytes, at the start of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
