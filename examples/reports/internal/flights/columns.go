package flights

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	errShort    = errors.New("too few rows")
	errTrailing = errors.New("bytes after the last row")
)

func encodeDepartures(minutes []int32) []byte {
	packed := make([]byte, 0, len(minutes)+len(minutes)/8)
	var before int32
	for _, m := range minutes {
		packed = binary.AppendUvarint(packed, uint64(m-before))
		before = m
	}
	return packed
}

func decodeDepartures(packed []byte, rows int) ([]int32, error) {
	var minute uint64
	return decodeVarints(packed, rows, func(row int, delta uint64) (int32, error) {
		if delta > maxDays*24*60 || minute+delta > maxDays*24*60 {
			return 0, fmt.Errorf("row %d: departs more than %d days after the first", row, maxDays)
		}
		minute += delta
		return int32(minute), nil
	})
}

func encodeDelays(delays []int16) []byte {
	packed := make([]byte, 0, len(delays)+len(delays)/4)
	for _, d := range delays {
		packed = binary.AppendUvarint(packed, uint64(uint32(int32(d)<<1)^uint32(int32(d)>>31)))
	}
	return packed
}

func decodeDelays(packed []byte, rows int) ([]int16, error) {
	return decodeVarints(packed, rows, func(row int, v uint64) (int16, error) {
		delay := int64(v>>1) ^ -int64(v&1)
		if delay < -MaxDelay || delay > MaxDelay {
			return 0, fmt.Errorf("row %d: delay of %d minutes", row, delay)
		}
		return int16(delay), nil
	})
}

// decodeVarints reads exactly rows uvarints. Every row takes a byte or more, so
// nothing is allocated that the input does not pay for.
func decodeVarints[T any](packed []byte, rows int, convert func(row int, v uint64) (T, error)) ([]T, error) {
	if len(packed) < rows {
		return nil, errShort
	}
	values := make([]T, rows)
	for row := range values {
		v, n := binary.Uvarint(packed)
		if n <= 0 {
			return nil, errShort
		}
		packed = packed[n:]
		var err error
		if values[row], err = convert(row, v); err != nil {
			return nil, err
		}
	}
	if len(packed) > 0 {
		return nil, errTrailing
	}
	return values, nil
}

// encodeRoutes keeps low and high bytes apart: most high bytes are zero, for the
// most flown routes come first, and deflate then sees it.
func encodeRoutes(routes []uint16) []byte {
	packed := make([]byte, 2*len(routes))
	for i, r := range routes {
		packed[i], packed[len(routes)+i] = byte(r), byte(r>>8)
	}
	return packed
}

func decodeRoutes(packed []byte, rows, known int) ([]uint16, error) {
	switch {
	case len(packed) < 2*rows:
		return nil, errShort
	case len(packed) > 2*rows:
		return nil, errTrailing
	}
	values := make([]uint16, rows)
	for row := range values {
		r := uint16(packed[row]) | uint16(packed[rows+row])<<8
		if int(r) >= known {
			return nil, fmt.Errorf("row %d: route %d of %d", row, r, known)
		}
		values[row] = r
	}
	return values, nil
}
