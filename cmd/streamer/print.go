package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

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

	said  map[string][]string // by instance: its last lines, for when it dies
	shown map[string]string   // by function: what was last shown of those
	ended bool                // instances die because the system is closed
}

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
