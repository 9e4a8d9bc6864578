package sim_test

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

// dice draws by name: the same seed and name give the same draw, whoever asks
// and whatever was drawn before.
type dice uint64

func (d dice) hash(name string) uint64 {
	h := fnv.New64a()
	var seed [8]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(d))
	_, _ = h.Write(seed[:])
	_, _ = h.Write([]byte(name))
	// FNV leaves its high bits alike for names that end alike; this mixes them
	// (finalizer of SplitMix64).
	z := h.Sum64()
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// unit is in [0, 1).
func (d dice) unit(name string) float64 { return float64(d.hash(name)>>11) / (1 << 53) }

// below is in [0, n).
func (d dice) below(name string, n int) int { return int(d.hash(name) % uint64(n)) }

// between is in [low, high), to the nanosecond.
func (d dice) between(name string, low, high time.Duration) time.Duration {
	return low + time.Duration(d.hash(name)%uint64(high-low))
}

// skewed is in [low, high), mostly near low.
func (d dice) skewed(name string, low, high time.Duration) time.Duration {
	u := d.unit(name)
	return low + time.Duration(u*u*u*float64(high-low))
}

// one picks one of them.
func one[T any](d dice, name string, of ...T) T { return of[d.below(name, len(of))] }
