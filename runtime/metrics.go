package streamer

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// metrics writes CloudWatch's embedded metric format, one line per attempt at
// a background request that was written down. Dimensions are the action alone: users, tenants and
// connections are no dimension, for each value of one is a metric that is paid for.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type metrics struct {
	mu        sync.Mutex // guards out: a line is written whole
	out       io.Writer
	namespace string
}

type metricLine struct {
	AWS struct {
		Timestamp int64             `json:"Timestamp"`
		Metrics   []metricDirective `json:"CloudWatchMetrics"`
	} `json:"_aws"`
	Action    string  `json:"Action"`
	Attempt   int64   `json:"Attempt"`
	Outcome   string  `json:"Outcome"`
	Duration  float64 `json:"Duration"`
	Succeeded int     `json:"Succeeded"`
	Failed    int     `json:"Failed"`
	Cancelled int     `json:"Cancelled"`
	Retried   int     `json:"Retried"`
}

type metricDirective struct {
	Namespace  string       `json:"Namespace"`
	Dimensions [][]string   `json:"Dimensions"`
	Metrics    []metricName `json:"Metrics"`
}

type metricName struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

// attempt records how an attempt ended; took is 0 for one whose owner is lost.
func (m *metrics) attempt(action string, state request.State, took time.Duration, attempt int64) {
	l := metricLine{Action: action, Attempt: attempt, Outcome: string(state), Duration: float64(took.Microseconds()) / 1000}
	switch state {
	case request.Succeeded:
		l.Succeeded = 1
	case request.Failed:
		l.Failed = 1
	case request.Cancelled:
		l.Cancelled = 1
	default:
		l.Retried = 1
	}
	l.AWS.Timestamp = time.Now().UnixMilli()
	l.AWS.Metrics = []metricDirective{{
		Namespace: m.namespace, Dimensions: [][]string{{"Action"}, {}},
		Metrics: []metricName{{"Duration", "Milliseconds"}, {"Succeeded", "Count"}, {"Failed", "Count"}, {"Cancelled", "Count"}, {"Retried", "Count"}},
	}}
	if took == 0 {
		l.AWS.Metrics[0].Metrics = l.AWS.Metrics[0].Metrics[1:] // no Duration
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = m.out.Write(append(raw, '\n')) // a log that cannot be written is no reason to fail
}
