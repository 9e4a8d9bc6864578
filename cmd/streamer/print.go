package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/runtime/wire"
)

// event is a line of -json.
type event struct {
	Type    string          `json:"type"` // ready, frame, rebuilt, result, failed, exit; request, story, more, redriven, dropped
	URL     string          `json:"url,omitempty"`
	Token   string          `json:"token,omitempty"`
	Cloud   *cloudInfo      `json:"cloud,omitempty"`
	Outputs map[string]any  `json:"outputs,omitempty"`
	Frame   *wire.Frame     `json:"frame,omitempty"`
	Files   []string        `json:"files,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Text    string          `json:"text,omitempty"`
	Code    *int            `json:"code,omitempty"`
}

// cloudInfo is how other programs reach the local cloud.
type cloudInfo struct {
	Endpoint        string `json:"endpoint"`
	Region          string `json:"region"`
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
}

// printer writes for people, or for programs. Safe for concurrent use.
type printer struct {
	mu       sync.Mutex // guards what follows
	out, err io.Writer
	json     bool
	verbose  bool
	live     bool // a progress bar can be drawn over itself
	drawn    bool // the cursor stands behind a bar

	said  map[string][]string // by function: its last lines, for when it cannot start
	shown map[string]string   // by function: what was last shown of those
}

// lastLines is how much is kept of what a function says: a panic with its stack.
const lastLines = 30

func newPrinter(o options, stdout, stderr io.Writer) *printer {
	p := &printer{out: stdout, err: stderr, json: o.json, verbose: o.verbose, said: map[string][]string{}, shown: map[string]string{}}
	if f, ok := stdout.(*os.File); ok && !o.json {
		if info, err := f.Stat(); err == nil {
			p.live = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

// event is written with -json alone.
func (p *printer) event(e event) {
	if !p.json {
		return
	}
	raw, err := json.Marshal(e)
	if err != nil {
		raw = []byte(`{"type":"failed","text":"event cannot be written"}`)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.out.Write(append(raw, '\n'))
}

// say is for people alone.
func (p *printer) say(format string, args ...any) {
	if p.json {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endBar()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *printer) failed(err error) {
	if errors.Is(err, errReported) {
		return
	}
	p.event(event{Type: "failed", Text: err.Error()})
	p.complain("streamer: " + err.Error())
}

func (p *printer) complain(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endBar()
	fmt.Fprintln(p.err, line)
}

func (p *printer) endBar() {
	if p.drawn {
		fmt.Fprintln(p.out)
		p.drawn = false
	}
}

// program takes what the Pulumi program says.
func (p *printer) program(severity, line string) {
	switch severity {
	case "debug", "info":
		if !p.verbose {
			return
		}
	case "error": // it is in the error that the run returns
		return
	}
	p.complain("program: " + severity + ": " + strings.TrimRight(line, "\n"))
}

// function takes what functions log, and what the cloud has to say.
func (p *printer) function(l localcloud.Line) {
	quiet := l.Source == "lambda" && !strings.Contains(l.Text, `"level":"ERROR"`) && !strings.Contains(l.Text, `"level":"WARN"`)
	if quiet && !p.verbose {
		p.start(l.Name, strings.TrimRight(l.Text, "\n"))
		return
	}
	p.complain(l.Name + ": " + strings.TrimRight(l.Text, "\n"))
}

// start watches for a function that ends before it serves anything, such as by a
// panic in main: what it said last is why. The same is said once.
func (p *printer) start(function, line string) {
	p.mu.Lock()
	why := ""
	switch {
	case strings.HasPrefix(line, "INIT_REPORT ") && strings.Contains(line, "Status: "):
		why = strings.Join(p.said[function], "\n")
		delete(p.said, function)
		if p.shown[function] == why {
			why = ""
		} else {
			p.shown[function] = why
		}
	case strings.HasPrefix(line, "START "):
		delete(p.said, function) // it serves
	default:
		kept := append(p.said[function], line)
		p.said[function] = kept[max(0, len(kept)-lastLines):]
	}
	p.mu.Unlock()
	if why != "" {
		p.complain(function + " cannot start:\n" + why)
	}
}

const barWidth = 32

// bar draws progress.
func (p *printer) bar(f wire.Frame) {
	if p.json {
		return
	}
	n := int(f.Percentage / 100 * barWidth)
	line := fmt.Sprintf("  [%s%s] %5.1f %%  %s", strings.Repeat("#", n), strings.Repeat(".", barWidth-n), f.Percentage, f.Message)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
		p.drawn = true
		return
	}
	fmt.Fprintln(p.out, line)
}
