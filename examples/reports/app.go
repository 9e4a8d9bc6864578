// Package reports is a service that makes reports on the punctuality of flights.
// A report takes seconds to compute and runs in the background; questions about
// the data are answered at once.
//
//	reports.generate  a finished report: HTML and CSV
//	reports.summary   what the data hold, for all airports or one
//	reports.columns   what a report can be grouped by, estimate and be filtered by
//
// The handlers keep no state but the flights, which are unpacked when they are
// first needed and never change. The analysis is in internal/analysis, the
// documents in internal/document; neither knows of Streamer.
package reports

import (
	"errors"
	"sync"
	"time"

	"github.com/streamer-go/streamer/examples/reports/data"
	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
	"github.com/streamer-go/streamer/examples/reports/internal/flights"
	streamer "github.com/streamer-go/streamer/runtime"
)

// App registers the actions.
func App() *streamer.App {
	s := &service{dataset: sync.OnceValues(data.Open)}
	app := streamer.New()
	streamer.Handle(app, "reports.summary", s.summary)
	streamer.Handle(app, "reports.columns", s.columns)
	streamer.HandleTask(app, "reports.generate", s.generate, streamer.Retry(3, streamer.Exponential(time.Second)))
	return app
}

type service struct {
	dataset func() (*flights.Dataset, error)
}

// open returns the flights. What is wrong with them is in the binary, so another
// attempt would not help.
func (s *service) open() (*flights.Dataset, error) {
	d, err := s.dataset()
	return d, streamer.Permanent(err)
}

// refused gives the client the paths of what is wrong with its query, and leaves
// other errors as they are.
func refused(err error) error {
	var problems analysis.Problems
	if !errors.As(err, &problems) {
		return err
	}
	details := make([]streamer.Detail, len(problems))
	for i, p := range problems {
		details[i] = streamer.Detail{Path: "payload." + p.Path, Reason: p.Reason}
	}
	return streamer.Invalid(details[0].Path, details[0].Reason, details[1:]...)
}
