package document_test

import (
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/streamer-go/streamer/examples/reports/data"
	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
	"github.com/streamer-go/streamer/examples/reports/internal/document"
)

var vendored = sync.OnceValues(data.Open)

// results are real ones, small enough to be computed for every test: one for
// each grouping and statistic.
func results(t *testing.T) map[string]*analysis.Result {
	t.Helper()
	d, err := vendored()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*analysis.Result{}
	for _, g := range analysis.Groupings() {
		for _, s := range analysis.Statistics() {
			q := analysis.Query{
				Group: g.Name, Statistic: s.Name, Resamples: 100, MinFlights: 10,
				Filter: analysis.Filter{From: "2001-02-01", To: "2001-03-31", Origins: []string{"BOS", "JFK"}, MinMiles: 200},
			}
			r, err := analysis.Run(context.Background(), d, q, func(analysis.Progress) {})
			if err != nil {
				t.Fatal(err)
			}
			all[g.Name+"/"+s.Name] = r
		}
	}
	return all
}

// hostile is a result that tries to break out of the page.
func hostile() *analysis.Result {
	evil := `</title></svg><script>alert("1" & '2')</script>` + "\x00\u202e]]>{{.Title}}"
	return &analysis.Result{
		Query:    analysis.Query{Confidence: 0.95, Resamples: 100, MinFlights: 2, Filter: analysis.Filter{Origins: []string{evil}, From: evil}},
		Grouping: analysis.Grouping{Label: evil}, Statistic: analysis.Statistic{Name: "mean_delay", Label: evil, Unit: "min"},
		Flights: 2, Rows: 2, Source: 2,
		Groups: []analysis.Group{{Label: analysis.Label{Code: "=1+1", Text: evil}, Flights: 2, Estimate: 1, Low: 0, High: 2}},
	}
}

// element is a start tag of a page.
type element struct {
	name string
	attr map[string]string
}

// parse reads a page as XML, strictly, and returns its elements and its text.
func parse(t *testing.T, page []byte) (elements []element, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(page)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, text
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}}
			for _, a := range token.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			elements = append(elements, e)
		case xml.CharData:
			text += string(token)
		}
	}
}

func count(elements []element, name string) (n int) {
	for _, e := range elements {
		if e.name == name {
			n++
		}
	}
	return n
}

func TestHTML(t *testing.T) {
	t.Parallel()
	for name, r := range results(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, err := document.HTML(r, "")
			if err != nil {
				t.Fatal(err)
			}
			elements, text := parse(t, page)
			if !strings.Contains(text, document.Title(r)) || !strings.Contains(text, "Bureau of Transportation Statistics") {
				t.Error("title or source is missing")
			}
			for _, g := range r.Groups {
				if !strings.Contains(text, g.Code) {
					t.Errorf("group %s is missing", g.Code)
				}
			}
			// A row in the table and a mark in the chart for each group.
			if rows, marks := count(elements, "tr"), count(elements, "g"); rows != len(r.Groups)+1 || marks != len(r.Groups) {
				t.Errorf("%d rows and %d marks for %d groups", rows, marks, len(r.Groups))
			}
			selfContained(t, elements)
			insideChart(t, elements)
			accessible(t, elements)
		})
	}
}

func selfContained(t *testing.T, elements []element) {
	t.Helper()
	for _, e := range elements {
		switch e.name {
		case "script", "link", "img", "iframe", "object", "embed", "a", "image", "use":
			t.Errorf("element %s", e.name)
		}
		for name, value := range e.attr {
			if name == "src" || name == "href" || strings.HasPrefix(name, "on") || name != "xmlns" && strings.Contains(value, "://") {
				t.Errorf("%s has %s=%q", e.name, name, value)
			}
		}
	}
}

// insideChart checks that nothing is drawn outside of the view box, or nowhere.
func insideChart(t *testing.T, elements []element) {
	t.Helper()
	number := regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	var width, height float64
	for _, e := range elements {
		if e.name == "svg" {
			if _, err := fmt.Sscanf(e.attr["viewBox"], "0 0 %f %f", &width, &height); err != nil {
				t.Fatal(err)
			}
		}
		for name, limit := range map[string]float64{"x": width, "x1": width, "x2": width, "cx": width, "y": height, "y1": height, "y2": height, "cy": height} {
			value, ok := e.attr[name]
			if !ok {
				continue
			}
			v, err := strconv.ParseFloat(value, 64)
			if err != nil || !number.MatchString(value) || v < 0 || v > limit {
				t.Errorf("%s has %s=%q, want 0 to %v", e.name, name, value, limit)
			}
		}
		if d := e.attr["d"]; strings.Contains(d, "NaN") || strings.Contains(d, "Inf") {
			t.Errorf("path %s", d)
		}
	}
}

func accessible(t *testing.T, elements []element) {
	t.Helper()
	ids := map[string]bool{}
	for _, e := range elements {
		if id, ok := e.attr["id"]; ok {
			if ids[id] {
				t.Errorf("id %s is there twice", id)
			}
			ids[id] = true
		}
	}
	for _, e := range elements {
		switch e.name {
		case "html":
			if e.attr["lang"] != "en" {
				t.Error("the page has no language")
			}
		case "svg":
			if e.attr["role"] != "img" {
				t.Error("the chart has no role")
			}
			for _, id := range strings.Fields(e.attr["aria-labelledby"]) {
				if !ids[id] {
					t.Errorf("the chart is labelled by %s, which is not there", id)
				}
			}
		case "th":
			if e.attr["scope"] == "" {
				t.Error("a header of the table has no scope")
			}
		}
	}
	if count(elements, "caption") != 1 || count(elements, "h1") != 1 {
		t.Error("no caption, or not one headline")
	}
}

func TestEscapes(t *testing.T) {
	t.Parallel()
	r := hostile()
	page, err := document.HTML(r, `<b onclick="x">&amp;`+"\u2028")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "<script") || strings.Contains(string(page), "<b ") {
		t.Fatal("markup came through")
	}
	elements, text := parse(t, page)
	selfContained(t, elements)
	if !strings.Contains(text, `<b onclick="x">&amp;`) || !strings.Contains(text, `{{.Title}}`) {
		t.Error("text was changed")
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	all := results(t)
	all["hostile"] = hostile()
	for name, r := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, err := document.CSV(r)
			if err != nil {
				t.Fatal(err)
			}
			records, err := csv.NewReader(strings.NewReader(string(content))).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(records[0], ","); got != "group,description,flights,estimate,interval_low,interval_high,unit" {
				t.Errorf("header %s", got)
			}
			if len(records) != len(r.Groups)+1 {
				t.Fatalf("%d records for %d groups", len(records), len(r.Groups))
			}
			unit := map[string]string{"min": "minutes", "%": "percent"}[r.Statistic.Unit]
			for i, g := range r.Groups {
				record := records[i+1]
				if record[0] != g.Code || record[1] != g.Text || record[2] != strconv.Itoa(g.Flights) || record[6] != unit {
					t.Errorf("record %q for %+v", record, g)
				}
				for j, want := range []float64{g.Estimate, g.Low, g.High} {
					if got, err := strconv.ParseFloat(record[3+j], 64); err != nil || math.Abs(got-want) > 5.001e-7 {
						t.Errorf("number %s, want %v", record[3+j], want)
					}
				}
			}
			if lines := strings.Count(string(content), "\r\n"); lines < len(records) {
				t.Errorf("%d line ends for %d records", lines, len(records))
			}
		})
	}
}
