package analysis_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// TestFilterEdges counts flights that lie exactly on the bounds of a filter.
func TestFilterEdges(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		when, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	var rows []flights.Flight
	for _, when := range []string{"2001-01-01 23:59", "2001-01-02 00:00", "2001-01-02 23:59", "2001-01-03 00:00"} {
		rows = append(rows,
			flights.Flight{Departure: at(when), Origin: "AAA", Destination: "BBB", Miles: 250, Delay: 15},
			flights.Flight{Departure: at(when), Origin: "BBB", Destination: "CCC", Miles: 251, Delay: 14})
	}
	var archive bytes.Buffer
	if err := flights.Write(&archive, rows, nil, len(rows), 0); err != nil {
		t.Fatal(err)
	}
	d, err := flights.Open(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		filter  analysis.Filter
		flights int
		late    float64
	}{
		"all":         {analysis.Filter{}, 8, 50},
		"one day":     {analysis.Filter{From: "2001-01-02", To: "2001-01-02"}, 4, 50},
		"from":        {analysis.Filter{From: "2001-01-02"}, 6, 50},
		"to":          {analysis.Filter{To: "2001-01-02"}, 6, 50},
		"before all":  {analysis.Filter{From: "1999-01-01"}, 8, 50},
		"min miles":   {analysis.Filter{MinMiles: 251}, 4, 0},
		"max miles":   {analysis.Filter{MaxMiles: 250}, 4, 100},
		"origin":      {analysis.Filter{Origins: []string{"BBB"}}, 4, 0},
		"destination": {analysis.Filter{Destinations: []string{"BBB"}}, 4, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := analysis.Estimate(d, analysis.Query{Group: "hour", Statistic: "late_share", MinFlights: 2, Filter: test.filter})
			if err != nil {
				t.Fatal(err)
			}
			if r.Flights != test.flights || r.Overall != test.late {
				t.Errorf("%d flights, %v%% late, want %d and %v", r.Flights, r.Overall, test.flights, test.late)
			}
		})
	}
}
