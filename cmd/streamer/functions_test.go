package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/localcloud"
)

func TestFunctionsAreQuiet(t *testing.T) {
	t.Parallel()
	const mapping = "event source mapping 1 of arn: PROBLEM: AccessDeniedException"
	for line, shown := range map[localcloud.Line]bool{
		{Source: "lambda", Text: `START`}:                                                    false,
		{Source: "lambda", Text: `{"level":"INFO"}`}:                                         false,
		{Source: "lambda", Text: `{"level":"WARN"}`}:                                         true,
		{Source: "lambda", Text: `{"level":"ERROR"}`}:                                        true,
		{Source: "lambda", Text: `{"errorMessage":"claim: denied","errorType":"wrapError"}`}: true,
		{Source: "lambda", Text: `{"errorMessage":"oh","errorType":"x","stackTrace":[]}`}:    false,
		{Source: "lambda", Text: "REPORT RequestId: 1\tDuration: 2.00 ms\t"}:                 false,
		{Source: "platform", Text: mapping}:                                                  true,
		{Source: "platform", Text: "send record of event 1: AccessDenied"}:                   true,
		{Source: "gateway", Text: "x"}:                                                       true,
		{Source: "scheduler", Text: "x"}:                                                     true,
	} {
		line.Name = "f"
		for _, verbose := range []bool{false, true} {
			var err bytes.Buffer
			newPrinter(options{verbose: verbose}, io.Discard, &err).function(line)
			if got := err.Len() > 0; got != (shown || verbose) {
				t.Errorf("%s: %s, verbose %v: shown %v", line.Source, line.Text, verbose, got)
			}
		}
	}
}

// listener is a printer of which all is seen that is shown.
type listener struct {
	*printer
	out bytes.Buffer
}

func listen() *listener {
	l := &listener{}
	l.printer = newPrinter(options{}, io.Discard, &l.out)
	return l
}

// says returns what is shown of lines of an instance.
func (l *listener) says(instance string, lines ...string) string {
	l.out.Reset()
	for _, text := range lines {
		l.function(localcloud.Line{Source: "lambda", Name: "router", Instance: instance, Text: text + "\n"})
	}
	return l.out.String()
}

// What a function says before it ends in main is why nothing is answered.
func TestFunctionThatCannotStart(t *testing.T) {
	t.Parallel()
	l := listen()
	const failed = "INIT_REPORT Init Duration: 3 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"
	if got := l.says("1", "hello", "START RequestId: 1", "working"); got != "" {
		t.Errorf("a function that works: %s", got)
	}
	died := []string{"panic: streamer: action \"echo\" is registered twice", "main.main()", "\tmain.go:59", failed}
	if got := l.says("2", died...); !strings.Contains(got, "router cannot start:\npanic: streamer") || !strings.Contains(got, "main.go:59") || strings.Contains(got, "working") {
		t.Errorf("shown is %q", got)
	}
	if got := l.says("3", died...); got != "" {
		t.Errorf("the same again: %q", got)
	}
	if got := l.says("4", "panic: another", failed); !strings.Contains(got, "another") {
		t.Errorf("shown is %q", got)
	}
}

// An instance that dies with an invocation has said why, or where it hung.
func TestFunctionThatDies(t *testing.T) {
	t.Parallel()
	const (
		start  = "START RequestId: 1 Version: $LATEST"
		end    = "END RequestId: 1"
		fine   = "REPORT RequestId: 1\tDuration: 2.00 ms\tMax Memory Used: 9 MB\t"
		died   = fine + "Status: error\tError Type: Runtime.ExitError"
		hanged = fine + "Status: timeout"
	)
	l := listen()
	if got := l.says("1", "initialised", start, "working", end, fine); got != "" {
		t.Errorf("an invocation that ends well: %s", got)
	}
	// Others talk at the same time.
	l.says("2", start, "another's line")
	if got, want := l.says("1", start, "panic: boom", "goroutine 7 [running]:", end, died), "router: "+died+"\npanic: boom\ngoroutine 7 [running]:\n"; got != want {
		t.Errorf("shown is %q\nwant %q", got, want)
	}
	if got, want := l.says("2", end, hanged), "router: "+hanged+"\nanother's line\n"; got != want {
		t.Errorf("shown is %q\nwant %q", got, want)
	}
	if got, want := l.says("3", start, "another's line", end, hanged), "router: "+hanged+"\n"; got != want {
		t.Errorf("the same again: shown is %q\nwant %q", got, want)
	}
	if got, want := l.says("4", start, end, hanged), "router: "+hanged+"\n"; got != want {
		t.Errorf("without a word: shown is %q\nwant %q", got, want)
	}
}

func TestWhatTheEndKillsIsNoNews(t *testing.T) {
	t.Parallel()
	l := listen()
	l.says("1", "START RequestId: 1", "working")
	if err := l.end(&devhost.System{}); err != nil {
		t.Fatal(err)
	}
	if got := l.says("1", "REPORT RequestId: 1\tStatus: error\tError Type: Runtime.ExitError"); got != "" {
		t.Errorf("shown is %q", got)
	}
}

func TestFewInstancesAreRemembered(t *testing.T) {
	t.Parallel()
	l := listen()
	for i := range maxInstances + 3 {
		for n := range lastLines + 1 {
			l.says(fmt.Sprint(i), fmt.Sprint(n))
		}
	}
	if len(l.said) != maxInstances || len(l.said[fmt.Sprint("router ", maxInstances+2)]) != lastLines {
		t.Errorf("%d are", len(l.said))
	}
}
