package document

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/examples/reports/internal/analysis"
)

func TestAxis(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		low := (random.Float64() - 0.5) * math.Pow(10, float64(random.IntN(5)))
		high := low + random.Float64()*math.Pow(10, float64(random.IntN(5)-1))
		whole := random.IntN(2) == 0
		from, to, step := axis(low, high, whole)
		ticks := (to - from) / step
		if from > low || to < high || ticks < 0.99 || ticks > 9.01 || math.Abs(ticks-math.Round(ticks)) > 1e-6 {
			t.Fatalf("axis of %v to %v is %v to %v by %v", low, high, from, to, step)
		}
		if whole && step != math.Round(step) {
			t.Fatalf("step %v is not whole", step)
		}
	}
}

func TestTickLabel(t *testing.T) {
	t.Parallel()
	for want, test := range map[string][2]float64{"0": {-1e-12, 5}, "−5": {-5, 5}, "0.2": {0.2, 0.2}, "0.05": {0.05, 0.05}, "120": {120, 20}} {
		if got := tickLabel(test[0], test[1]); got != want {
			t.Errorf("label of %v by %v is %s, want %s", test[0], test[1], got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	mean, median := analysis.Statistic{Name: "mean_delay", Unit: "min"}, analysis.Statistic{Name: "median_delay", Unit: "min"}
	if got := value(mean, -0.04); got != "0.0 min" {
		t.Errorf("got %q", got)
	}
	if got := value(mean, -1.25); got != "−1.2 min" {
		t.Errorf("got %q", got)
	}
	if got := value(median, -3); got != "−3 min" {
		t.Errorf("got %q", got)
	}
	if got := value(analysis.Statistic{Name: "late_share", Unit: "%"}, 20.86); got != "20.9%" {
		t.Errorf("got %q", got)
	}
	for want, n := range map[string]int64{"0": 0, "999": 999, "1,000": 1000, "-12,345": -12345} {
		if got := number(n); got != want {
			t.Errorf("number %d is %s, want %s", n, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	short := analysis.Label{Code: "BOS", Text: "Boston, MA"}
	if got := fit(short); got != short.Text {
		t.Errorf("short label became %q", got)
	}
	long := analysis.Label{Code: "AAA-BBB", Text: strings.Repeat("Zürich ", 20)}
	got := fit(long)
	if !strings.HasSuffix(got, "…") || codeWidth*letters(long.Code)+charWidth*letters(got) > labelMost {
		t.Errorf("long label became %q", got)
	}
}
