package analysis

import (
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

// estimator computes a statistic of flights: of the group's own, or of as many
// drawn from them at random, each as likely as any other and as often as it comes.
type estimator interface {
	// observed is the statistic of the group's own flights.
	observed() float64
	// draw adds n flights to the resample.
	draw(random *rand.Rand, n int)
	// finish is the statistic of the resample, and starts a new one.
	finish() float64
}

func newEstimator(s Statistic, lateMinutes int, delays []int16) estimator {
	switch {
	case s.takesLateMinutes:
		late := make([]int16, len(delays))
		for i, d := range delays {
			if int(d) >= lateMinutes {
				late[i] = 1
			}
		}
		return &meanEstimator{values: late, scale: 100}
	case s.quantile > 0:
		return newQuantileEstimator(s.quantile, delays)
	}
	return &meanEstimator{values: delays, scale: 1}
}

// meanEstimator is exact: sums are whole numbers, however the flights are drawn.
type meanEstimator struct {
	values []int16
	scale  float64
	sum    int64
	drawn  int
}

func (e *meanEstimator) observed() float64 {
	var sum int64
	for _, v := range e.values {
		sum += int64(v)
	}
	return e.scale * float64(sum) / float64(len(e.values))
}

func (e *meanEstimator) draw(random *rand.Rand, n int) {
	values, sum := e.values, int64(0)
	for range n {
		sum += int64(values[random.Uint32N(uint32(len(values)))])
	}
	e.sum += sum
	e.drawn += n
}

func (e *meanEstimator) finish() float64 {
	mean := e.scale * float64(e.sum) / float64(e.drawn)
	e.sum, e.drawn = 0, 0
	return mean
}

// quantileEstimator counts how often each delay is drawn, for delays are whole
// minutes: no resample has to be sorted.
type quantileEstimator struct {
	p        float64
	distinct []int16  // ascending
	ranks    []uint16 // of each flight's delay in distinct
	counts   []uint32
	drawn    int
}

func newQuantileEstimator(p float64, delays []int16) *quantileEstimator {
	// Sorting is by counting: every delay has a place in a table of 65536.
	rankOf := make([]uint16, 2*zero)
	for _, d := range delays {
		rankOf[int(d)+zero] = 1
	}
	e := &quantileEstimator{p: p, ranks: make([]uint16, len(delays))}
	for place, seen := range rankOf {
		if seen == 1 {
			rankOf[place] = uint16(len(e.distinct))
			e.distinct = append(e.distinct, int16(place-zero))
		}
	}
	for i, d := range delays {
		e.ranks[i] = rankOf[int(d)+zero]
	}
	e.counts = make([]uint32, len(e.distinct))
	return e
}

func (e *quantileEstimator) observed() float64 {
	for _, rank := range e.ranks {
		e.counts[rank]++
	}
	e.drawn = len(e.ranks)
	return e.finish()
}

func (e *quantileEstimator) draw(random *rand.Rand, n int) {
	ranks, counts := e.ranks, e.counts
	for range n {
		counts[ranks[random.Uint32N(uint32(len(ranks)))]]++
	}
	e.drawn += n
}

func (e *quantileEstimator) finish() float64 {
	left := position(e.p, e.drawn) + 1
	var value int16
	for i, count := range e.counts {
		if left > 0 && int(count) >= left {
			value = e.distinct[i]
		}
		left -= int(count)
		e.counts[i] = 0
	}
	e.drawn = 0
	return float64(value)
}

// position is the index, in n sorted values, of the smallest one that a share p
// of the values does not exceed.
func position(p float64, n int) int {
	// A hair less than p*n, lest 0.9*10 be taken for a little more than 9.
	return min(max(int(math.Ceil(p*float64(n)-1e-9))-1, 0), n-1)
}

// patience is how many flights are drawn between two looks at the context: a few
// milliseconds.
const patience = 1 << 20

// bootstrap draws q.Resamples resamples of a group, each as large as the group,
// and returns the ends of the percentile interval. It calls step now and then with
// what was done since: flights drawn, resamples finished.
func bootstrap(ctx context.Context, q Query, code string, size int, e estimator, step func(draws, resamples int)) (low, high float64, err error) {
	random := rand.New(rand.NewPCG(uint64(q.Seed), stream(code)))
	estimates := make([]float64, 0, q.Resamples)
	draws, resamples := 0, 0
	for range q.Resamples {
		for left := size; left > 0; {
			n := min(left, patience-draws)
			e.draw(random, n)
			left, draws = left-n, draws+n
			if draws < patience {
				continue
			}
			if ctx.Err() != nil {
				return 0, 0, context.Cause(ctx)
			}
			step(draws, resamples)
			draws, resamples = 0, 0
		}
		estimates = append(estimates, e.finish())
		resamples++
	}
	step(draws, resamples)
	slices.Sort(estimates)
	tail := (1 - q.Confidence) / 2
	return estimates[position(tail, len(estimates))], estimates[position(1-tail, len(estimates))], nil
}

// stream gives each group a sequence of random numbers of its own, so that its
// interval depends on no other group.
func stream(code string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(code)) // a hash.Hash never fails
	return h.Sum64()
}
