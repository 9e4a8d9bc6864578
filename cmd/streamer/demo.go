package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// demo shows the whole way of a quick request and of a long one.
func demo(ctx context.Context, o options, p *printer) (err error) {
	begun := time.Now()
	p.say("Standing up %s on this machine: building its functions, running its Pulumi program …", o.dir)
	s, err := start(ctx, o, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end(s)) }()
	p.say("Up after %s: %d functions behind %s\n", time.Since(begun).Round(10*time.Millisecond), len(s.Cloud.Services().Functions.Functions()), s.URL)
	if !s.Verifies {
		return errors.New("the program does not verify tokens with the development key, so no token can be made for it")
	}
	token, err := s.Token("demo", "", nil, time.Hour)
	if err != nil {
		return err
	}
	p.event(event{Type: "ready", URL: s.URL, Token: token, Outputs: s.Outputs})
	conn, err := client.Dial(ctx, s.URL, token, client.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // the cloud goes with it
	if err := quickRequest(ctx, conn, p); err != nil {
		return err
	}
	return longRequest(ctx, conn, o, p)
}

func quickRequest(ctx context.Context, conn *client.Conn, p *printer) error {
	p.say("A quick request, answered in the same breath:\n  > reports.summary {}")
	sent := time.Now()
	f, err := conn.Call(ctx, client.Message{Action: "reports.summary", Payload: struct{}{}}, p.frame)
	if err != nil {
		return err
	}
	p.say("  < %s after %s: %s\n", f.Type, time.Since(sent).Round(time.Millisecond), shorten(f.Data, 240))
	return nil
}

func longRequest(ctx context.Context, conn *client.Conn, o options, p *printer) error {
	payload := map[string]any{"group": "origin", "statistic": "mean_delay"}
	p.say("A long request, accepted, worked off in the background, reported live:\n  > reports.generate %s", shorten(marshal(payload), 200))
	sent := time.Now()
	f, err := conn.Call(ctx, client.Message{Action: "reports.generate", Payload: payload}, func(f wire.Frame) {
		p.frame(f)
		switch f.Type {
		case wire.TypeAcknowledgment:
			p.say("  < accepted after %s (%s); it can be asked for until %s", time.Since(sent).Round(time.Millisecond), f.Status, f.RetainedUntil)
		case wire.TypeProgress:
			p.bar(f)
		}
	})
	if err != nil {
		return err
	}
	p.say("  < complete after %s\n", time.Since(sent).Round(10*time.Millisecond))
	return saveReport(f, o.out, p)
}

// saveReport writes what came in the last frame.
func saveReport(f wire.Frame, dir string, p *printer) error {
	var report struct{ Title, HTML, CSV string }
	if err := json.Unmarshal(f.Data, &report); err != nil {
		return fmt.Errorf("read report: %w", err)
	}
	if report.HTML == "" || report.CSV == "" {
		return errors.New("read report: it has no html or no csv")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("save report: %w", err)
	}
	var files []string
	for _, file := range []struct{ name, text string }{{"report.html", report.HTML}, {"report.csv", report.CSV}} {
		path, err := filepath.Abs(filepath.Join(dir, file.name))
		if err == nil {
			err = os.WriteFile(path, []byte(file.text), 0o644)
		}
		if err != nil {
			return fmt.Errorf("save report: %w", err)
		}
		files = append(files, path)
	}
	p.event(event{Type: "result", Files: files, Text: report.Title})
	p.say("%s (%d KB). Look at it:\n  %s\n  %s", report.Title, len(f.Data)/1024, files[0], files[1])
	p.say("\nThe handlers are in examples/reports, the declaration in examples/reports/infra/main.go.\nKeep the system up with: go run ./cmd/streamer dev ./examples/reports")
	return nil
}

func (p *printer) frame(f wire.Frame) { p.event(event{Type: "frame", Frame: &f}) }

func marshal(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return []byte("?")
	}
	return raw
}

func shorten(raw []byte, n int) string {
	if len(raw) <= n {
		return string(raw)
	}
	return string(raw[:n]) + " …"
}
