package analysis

import (
	"context"

	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// Estimate is Run with a single resample, which Check would refuse: for tests of
// all that is not an interval.
func Estimate(d *flights.Dataset, q Query) (*Result, error) {
	q = q.WithDefaults()
	q.Resamples = 1
	return answer(context.Background(), d, q, func(Progress) {})
}
