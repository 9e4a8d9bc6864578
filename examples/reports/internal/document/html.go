package document

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
)

//go:embed report.html
var page string

// HTML writes the report as one page that needs nothing else: no script, no font,
// no image to load. It is well-formed XML too. An empty title is replaced by
// Title. The title is text; nothing in it is taken for markup.
func HTML(r *analysis.Result, title string) ([]byte, error) {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return nil, fmt.Errorf("read report template: %w", err)
	}
	if title == "" {
		title = Title(r)
	}
	view := struct {
		Title, Statistic, Grouping, Level, Findings string
		Filters, Notes                              []string
		Figures                                     []figure
		Chart                                       chart
		Rows                                        []tableRow
		Described                                   bool
	}{
		Title: title, Statistic: capital(r.Statistic.Label), Grouping: r.Grouping.Label, Level: percent(r.Query.Confidence),
		Findings: findings(r), Filters: filters(r), Notes: notes(r), Figures: figures(r), Chart: draw(r), Rows: rows(r),
		Described: slices.ContainsFunc(r.Groups, func(g analysis.Group) bool { return g.Text != "" }),
	}
	var out bytes.Buffer
	if err := t.Execute(&out, view); err != nil {
		return nil, fmt.Errorf("write report html: %w", err)
	}
	return out.Bytes(), nil
}

type tableRow struct{ Code, Text, Flights, Estimate, Low, High, Against string }

func rows(r *analysis.Result) []tableRow {
	all := make([]tableRow, len(r.Groups))
	for i, g := range r.Groups {
		against := "not clear"
		switch {
		case g.Low > r.Overall:
			against = "above"
		case g.High < r.Overall:
			against = "below"
		}
		all[i] = tableRow{
			Code: g.Code, Text: g.Text, Flights: number(g.Flights), Estimate: value(r.Statistic, g.Estimate),
			Low: plain(r.Statistic, g.Low), High: plain(r.Statistic, g.High), Against: against,
		}
	}
	return all
}
