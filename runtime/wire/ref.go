package wire

import "strconv"

// Ref says where a result is that is too large for a message: in parts that the
// client asks for with $fetch, or at a URL.
type Ref struct {
	// Size is the length of the result's JSON text in bytes.
	Size int64 `json:"size"`
	// Parts is how many parts $fetch has; 0 where there is a URL.
	Parts int64 `json:"parts,omitempty"`
	// URL answers a GET with the JSON text until ExpiresAt (RFC 3339, UTC). After
	// that, $get has a fresh one.
	URL       string `json:"url,omitempty"`
	ExpiresAt string `json:"expires_at,omitempty"`
}

func (r *Ref) append(dst []byte) []byte {
	dst = append(dst, `{"size":`...)
	dst = strconv.AppendInt(dst, r.Size, 10)
	if r.Parts > 0 {
		dst = append(dst, `,"parts":`...)
		dst = strconv.AppendInt(dst, r.Parts, 10)
	}
	if r.URL != "" {
		dst = AppendString(append(dst, `,"url":`...), r.URL)
		dst = AppendString(append(dst, `,"expires_at":`...), r.ExpiresAt)
	}
	return append(dst, '}')
}
