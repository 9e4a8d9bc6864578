package document

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
)

// Measures of the chart, in units of its view box.
const (
	chartWidth = 760
	rowHeight  = 24
	axisTop    = 34
	axisBottom = 46
	charWidth  = 6.6 // of a label's letter, about
	codeWidth  = 7.6 // of a bold one
	labelGap   = 24  // before, within and after a label
	labelMost  = chartWidth * 9 / 20
	plotRight  = chartWidth - 22
)

// chart is the drawing of a result: a row for each group with a point for the
// estimate and a line for its interval. It is computed here and only laid out in
// the template.
type chart struct {
	Width, Height, Row int
	Left, Right        int
	Top, Bottom        int
	Rows               []chartRow
	Ticks              []tick
	Overall            string // x of the line for all flights
	OverallLabel       string
	OverallLabelAnchor string
	AxisLabel          string
	AxisMiddle, AxisY  int
	TickY              int
	Alt                string
}

type chartRow struct {
	Y, Band          int
	Striped          bool
	Code, Text       string
	Low, High, Point string
	Above, Below     bool
	Tip              string
}

type tick struct{ X, Label string }

// draw lays out the chart of a result.
func draw(r *analysis.Result) chart {
	c := chart{Width: chartWidth, Row: rowHeight, Top: axisTop, Right: plotRight, Left: labelWidth(r.Groups)}
	c.Bottom = c.Top + rowHeight*len(r.Groups)
	c.Height, c.TickY, c.AxisY = c.Bottom+axisBottom, c.Bottom+18, c.Bottom+38
	c.AxisMiddle = (c.Left + c.Right) / 2
	c.AxisLabel = capital(r.Statistic.Label) + " (" + unitName(r.Statistic) + ")"
	low, high := r.Overall, r.Overall
	for _, g := range r.Groups {
		low, high = min(low, g.Low), max(high, g.High)
	}
	low, high, step := axis(low, high, whole(r.Statistic))
	x := func(v float64) float64 {
		return float64(c.Left) + (v-low)/(high-low)*float64(c.Right-c.Left)
	}
	for i := 0; low+float64(i)*step <= high+step/2; i++ {
		v := low + float64(i)*step
		c.Ticks = append(c.Ticks, tick{coordinate(x(v)), tickLabel(v, step)})
	}
	c.Overall, c.OverallLabel = coordinate(x(r.Overall)), "All flights: "+value(r.Statistic, r.Overall)
	c.OverallLabelAnchor = "middle"
	switch at := x(r.Overall); {
	case at < float64(c.Left+90):
		c.OverallLabelAnchor = "start"
	case at > float64(c.Right-90):
		c.OverallLabelAnchor = "end"
	}
	for i, g := range r.Groups {
		c.Rows = append(c.Rows, chartRow{
			Y: c.Top + rowHeight*i + rowHeight/2, Band: c.Top + rowHeight*i, Striped: i%2 == 0,
			Code: g.Code, Text: fit(g.Label),
			Low: coordinate(x(g.Low)), High: coordinate(x(g.High)), Point: coordinate(x(g.Estimate)),
			Above: g.Low > r.Overall, Below: g.High < r.Overall,
			Tip: g.Code + ": " + value(r.Statistic, g.Estimate) + ", interval " + plain(r.Statistic, g.Low) + " to " + plain(r.Statistic, g.High),
		})
	}
	c.Alt = alt(r)
	return c
}

// labelWidth leaves room for the longest label, as far as there is room.
func labelWidth(groups []analysis.Group) int {
	longest := 0.0
	for _, g := range groups {
		longest = max(longest, codeWidth*letters(g.Code)+charWidth*letters(g.Text))
	}
	return min(int(longest)+labelGap, labelMost)
}

func letters(s string) float64 { return float64(utf8.RuneCountInString(s)) }

// fit shortens the text of a label to what its code leaves of the room.
func fit(l analysis.Label) string {
	room := int((labelMost - labelGap - codeWidth*letters(l.Code)) / charWidth)
	runes := []rune(l.Text)
	if len(runes) <= room {
		return l.Text
	}
	return strings.TrimSpace(string(runes[:max(room-1, 0)])) + "…"
}

// axis widens a range to round numbers and gives the step between ticks, of
// which there are about six. Zero is on the axis when it is not far away.
func axis(low, high float64, whole bool) (from, to, step float64) {
	if low > 0 && low < 0.75*high {
		low = 0
	}
	if high < 0 && high > 0.75*low {
		high = 0
	}
	if high-low < 1 {
		low, high = low-0.5, high+0.5
	}
	step = roundStep((high - low) / 6)
	if whole {
		step = max(step, 1)
	}
	return math.Floor(low/step) * step, math.Ceil(high/step) * step, step
}

// roundStep is the smallest of 1, 2 and 5 times a power of ten that is not
// below v.
func roundStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

func tickLabel(v, step float64) string {
	digits := 0
	if step < 1 {
		digits = int(math.Ceil(-math.Log10(step)))
	}
	text := strconv.FormatFloat(math.Abs(v), 'f', digits, 64)
	if v < -step/2 {
		return "\u2212" + text
	}
	return text
}

// coordinate keeps a tenth of a unit: less than a printed dot.
func coordinate(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

func unitName(s analysis.Statistic) string {
	if s.Unit == "%" {
		return "percent of flights"
	}
	return "minutes"
}
