package analysis

// histogram counts flights by their delay, which is in whole minutes: what a
// summary says follows from the counts, without keeping or sorting the flights.
type histogram struct {
	counts  []uint32 // at delay + zero
	flights int
}

const zero = 1 << 15

func newHistogram() *histogram { return &histogram{counts: make([]uint32, 2*zero)} }

func (h *histogram) add(delay int16) {
	h.counts[int(delay)+zero]++
	h.flights++
}

func (h *histogram) mean() float64 {
	var sum int64
	for place, count := range h.counts {
		sum += int64(place-zero) * int64(count)
	}
	return float64(sum) / float64(h.flights)
}

// from counts the flights with that delay or more.
func (h *histogram) from(delay int) int {
	n := 0
	for _, count := range h.counts[delay+zero:] {
		n += int(count)
	}
	return n
}

func (h *histogram) quantile(p float64) float64 {
	left := position(p, h.flights) + 1
	for place, count := range h.counts {
		if left -= int(count); left <= 0 {
			return float64(place - zero)
		}
	}
	return 0
}
