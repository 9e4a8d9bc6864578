package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"time"
)

// idBytes is what a connection, request or message id carries: recorded ids
// are 15 characters and "=", URL-safe base64 of 11 bytes.
const (
	idBytes  = 11
	idLength = 16
)

// newID returns a connection, request or message id.
func newID() string {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:], rand.Uint64())
	binary.LittleEndian.PutUint64(raw[8:], rand.Uint64())
	return base64.URLEncoding.EncodeToString(raw[:idBytes])
}

// validID reports whether s has the form of an id.
func validID(s string) bool {
	if len(s) != idLength {
		return false
	}
	_, err := base64.URLEncoding.Strict().DecodeString(s)
	return err == nil
}

// newResourceID returns the id of an API (10 characters) or of one of its
// parts (7), as API Gateway makes them.
func newResourceID(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[rand.IntN(len(alphabet))]
	}
	return string(b)
}

// newTrace returns an X-Amzn-Trace-Id that starts a trace.
func newTrace(now time.Time) string {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:], rand.Uint64())
	binary.LittleEndian.PutUint64(raw[8:], rand.Uint64())
	return "Root=1-" + strconv.FormatInt(now.Unix(), 16) + "-" + hex.EncodeToString(raw[:12])
}
