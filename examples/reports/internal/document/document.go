// Package document makes finished documents of an analysis: one HTML file with
// everything in it, drawn and styled, and one CSV file with the numbers.
//
// Its functions keep no state. It imports the analysis package and the standard
// library only.
package document

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
)

// MaxTitle is the longest title, in bytes.
const MaxTitle = 120

// Title is the title of a report that was not given one.
func Title(r *analysis.Result) string {
	return capital(r.Statistic.Label) + " by " + r.Grouping.Label
}

// CSV lists the groups as the report shows them, one record each, under a header:
// group, description, flights, estimate, interval_low, interval_high, unit.
// Numbers carry six digits after the point, and lines end as RFC 4180 says.
func CSV(r *analysis.Result) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	unit := "minutes"
	if r.Statistic.Unit == "%" {
		unit = "percent"
	}
	records := [][]string{{"group", "description", "flights", "estimate", "interval_low", "interval_high", "unit"}}
	for _, g := range r.Groups {
		records = append(records, []string{g.Code, g.Text, strconv.Itoa(g.Flights), six(g.Estimate), six(g.Low), six(g.High), unit})
	}
	if err := w.WriteAll(records); err != nil {
		return nil, fmt.Errorf("write report csv: %w", err)
	}
	return out.Bytes(), nil
}

func six(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// number writes a count with a comma between thousands.
func number[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// value writes an estimate as people read it, with its unit: a quantile of whole
// minutes has no fraction.
func value(s analysis.Statistic, v float64) string {
	if s.Unit == "%" {
		return plain(s, v) + "%"
	}
	return plain(s, v) + " " + s.Unit
}

// plain is value without the unit. The minus is a real one.
func plain(s analysis.Statistic, v float64) string {
	digits := 1
	if whole(s) {
		digits = 0
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Trim(text, "-0.") == "" {
		text = strings.TrimPrefix(text, "-")
	}
	return strings.Replace(text, "-", "\u2212", 1)
}

// whole says that a statistic is one of the delays, which are whole minutes.
func whole(s analysis.Statistic) bool { return s.Name == "median_delay" || s.Name == "p90_delay" }

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', -1, 32) + "%" }
