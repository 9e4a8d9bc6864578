package deploy

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// randomID is a UUID.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// hashText is a short, stable name of a text.
func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func arnOf(service, resource string) string {
	return "arn:aws:" + service + ":" + account.Region + ":" + account.ID + ":" + resource
}

// lastOf is what follows the last separator: the name in an ARN or URL.
func lastOf(s, separator string) string { return s[strings.LastIndex(s, separator)+1:] }
