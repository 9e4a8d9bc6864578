package lambda

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// newUUID returns a random UUID, the form of request and mapping identifiers.
// Nothing is protected by one being hard to guess.
func newUUID() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var out [36]byte
	hex.Encode(out[:8], b[:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// newTrace returns a trace header of a new, unsampled trace.
func newTrace() string {
	const form = "Root=1-########-########################;Parent=################;Sampled=0"
	var b [24]byte // of the second, the trace, the parent
	binary.BigEndian.PutUint32(b[:], uint32(time.Now().Unix()))
	binary.LittleEndian.PutUint64(b[4:], rand.Uint64())
	binary.LittleEndian.PutUint32(b[12:], rand.Uint32())
	binary.LittleEndian.PutUint64(b[16:], rand.Uint64())
	out := []byte(form)
	hex.Encode(out[7:15], b[:4])
	hex.Encode(out[16:40], b[4:16])
	hex.Encode(out[48:64], b[16:])
	return string(out)
}
