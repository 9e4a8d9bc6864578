package reports

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
	"github.com/streamer-go/streamer/examples/reports/internal/flights"
)

// SummaryIn asks what the data hold.
type SummaryIn struct {
	// Airport is the code of an airport whose flights are meant, in both
	// directions. Default: all flights.
	Airport string `json:"airport,omitempty"`
}

// SummaryOut says what the data hold. Delays are in minutes, LateShare in percent
// of flights that arrived 15 minutes late or more.
type SummaryOut struct {
	// Airport is the one that was asked for.
	Airport *AirportOut `json:"airport,omitempty"`
	// Flights that the numbers are about, Rows in the data.
	Flights int `json:"flights"`
	Rows    int `json:"rows"`
	// From and To are the first and last day of departure.
	From string `json:"from"`
	To   string `json:"to"`
	// Airports and Routes that those flights connect.
	Airports    int     `json:"airports"`
	Routes      int     `json:"routes"`
	MeanDelay   float64 `json:"mean_delay"`
	MedianDelay float64 `json:"median_delay"`
	P90Delay    float64 `json:"p90_delay"`
	LateShare   float64 `json:"late_share"`
	// Busiest are the ten airports with the most departures, or, for one airport,
	// the ten at the other end of most of its flights.
	Busiest []AirportOut `json:"busiest"`
}

// AirportOut is an airport.
type AirportOut struct {
	Code    string `json:"code"`
	Name    string `json:"name"`
	City    string `json:"city"`
	State   string `json:"state"`
	Flights int    `json:"flights,omitempty"`
}

func (s *service) summary(_ context.Context, in SummaryIn) (SummaryOut, error) {
	d, err := s.open()
	if err != nil {
		return SummaryOut{}, err
	}
	sum, err := analysis.Summarize(d, in.Airport)
	if err != nil {
		return SummaryOut{}, refused(err)
	}
	out := SummaryOut{
		Flights: sum.Flights, Rows: sum.Rows, From: sum.First.Format(time.DateOnly), To: sum.Last.Format(time.DateOnly),
		Airports: sum.Airports, Routes: sum.Routes,
		MeanDelay: thousandths(sum.MeanDelay), MedianDelay: sum.MedianDelay, P90Delay: sum.P90Delay, LateShare: thousandths(sum.LateShare),
		Busiest: make([]AirportOut, 0, len(sum.Busiest)),
	}
	for _, t := range sum.Busiest {
		out.Busiest = append(out.Busiest, airportOut(t.Airport, t.Flights))
	}
	if in.Airport != "" {
		a := airportOut(sum.Airport, sum.Flights)
		out.Airport = &a
	}
	return out, nil
}

func airportOut(a flights.Airport, n int) AirportOut {
	return AirportOut{Code: a.Code, Name: a.Name, City: a.City, State: a.State, Flights: n}
}

func thousandths(v float64) float64 { return math.Round(v*1000) / 1000 }

// ColumnsIn asks what a report can be made of. It has no fields.
type ColumnsIn struct{}

// ColumnsOut is what a form needs that asks for a report.
type ColumnsOut struct {
	Groups     []ChoiceOut `json:"groups"`
	Statistics []ChoiceOut `json:"statistics"`
	// Airports maps codes to places, such as "BOS" to "Boston, MA".
	Airports map[string]string `json:"airports"`
}

// ChoiceOut is a value of a field of ReportIn.
type ChoiceOut struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	// Unit of a statistic: min or %.
	Unit string `json:"unit,omitempty"`
	// Limited says that a group takes ReportIn.Limit.
	Limited bool `json:"limited,omitempty"`
}

func (s *service) columns(context.Context, ColumnsIn) (ColumnsOut, error) {
	d, err := s.open()
	if err != nil {
		return ColumnsOut{}, err
	}
	airports, err := d.Airports()
	if err != nil {
		return ColumnsOut{}, err
	}
	out := ColumnsOut{Airports: make(map[string]string, len(airports))}
	for _, g := range analysis.Groupings() {
		out.Groups = append(out.Groups, ChoiceOut{Name: g.Name, Label: g.Label, Limited: !g.Ordered})
	}
	for _, st := range analysis.Statistics() {
		out.Statistics = append(out.Statistics, ChoiceOut{Name: st.Name, Label: st.Label, Unit: st.Unit})
	}
	for _, a := range airports {
		out.Airports[a.Code] = strings.TrimSuffix(a.City+", "+a.State, ", ")
	}
	return out, nil
}
