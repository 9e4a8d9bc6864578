package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/streamer-go/streamer/runtime/admin"
)

func listDead(ctx context.Context, a *admin.Admin, o deadOptions, p *printer) error {
	page, err := a.List(ctx, o.filter)
	if err != nil {
		return err
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DIED\tREQUEST\tACTION\tATTEMPTS\tWHY")
	for _, r := range page.Requests {
		p.event(event{Type: "request", Data: marshal(named{r.Key.String(), r})})
		fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%s\n", when(r.Died), r.Key, r.Action, r.Attempt, r.Max, strings.ReplaceAll(printable(why(r.Error)), "\n", " "))
	}
	if page.After != "" {
		p.event(event{Type: "more", Text: page.After})
	}
	switch err := w.Flush(); {
	case err != nil:
		return err
	case len(page.Requests) == 0:
		p.say("Nothing is dead.")
	default:
		p.say("%s", strings.TrimRight(b.String(), "\n"))
	}
	if page.After != "" {
		p.say("\nThere may be more: -after '%s'", page.After)
	}
	return nil
}

// named adds the key as people write it.
type named struct {
	Key string `json:"key"`
	admin.Request
}

type namedStory struct {
	Key string `json:"key"`
	admin.Story
}

func showDead(ctx context.Context, a *admin.Admin, o deadOptions, p *printer) error {
	return o.each(ctx, a, p, func(key admin.Key) error {
		s, err := a.Show(ctx, key)
		if err != nil {
			return err
		}
		p.event(event{Type: "story", Data: marshal(namedStory{key.String(), s})})
		p.say("%s", tell(s))
		return nil
	})
}

func redriveDead(ctx context.Context, a *admin.Admin, o deadOptions, p *printer) error {
	return o.each(ctx, a, p, func(key admin.Key) error {
		next, err := a.Redrive(ctx, key)
		if err != nil {
			return err
		}
		p.event(event{Type: "redriven", Data: marshal(repeated{key.String(), next.String(), next.ID})})
		p.say("%s is repeated by %s", key, next)
		return nil
	})
}

// repeated says by which request one is repeated.
type repeated struct {
	Request string `json:"request"`
	By      string `json:"by"`
	ID      string `json:"id"` // of that
}

func dropDead(ctx context.Context, a *admin.Admin, o deadOptions, p *printer) error {
	return o.each(ctx, a, p, func(key admin.Key) error {
		if err := a.Drop(ctx, key); err != nil {
			return err
		}
		p.event(event{Type: "dropped", Data: marshal(map[string]string{"request": key.String()})})
		p.say("%s is dropped", key)
		return nil
	})
}

// tell is a story for people.
func tell(s admin.Story) string {
	var b strings.Builder
	indent := "  "
	line := func(name, format string, args ...any) {
		text := strings.ReplaceAll(printable(fmt.Sprintf(format, args...)), "\n", "\n           "+indent)
		fmt.Fprintf(&b, "%s%-10s %s\n", indent, name, text)
	}
	fmt.Fprintf(&b, "%s\n", s.Key)
	line("status", "%s, action %s", s.Status, s.Action)
	line("created", "%s, deadline %s, kept until %s", when(s.Created), when(s.Deadline), when(s.Kept))
	if !s.Died.IsZero() {
		line("died", "%s", when(s.Died))
	}
	if s.Error != nil {
		line("error", "%s", why(s.Error))
	}
	if s.Redrives != "" {
		line("redrives", "%s", s.Redrives)
	}
	if s.RedrivenAs != "" {
		line("redriven", "as %s", s.RedrivenAs)
	}
	indent = "    "
	for _, a := range s.Attempts {
		fmt.Fprintf(&b, "\n  attempt %d of %d: %s\n", a.Number, s.Max, outcome(a))
		if a.Began.IsZero() {
			continue
		}
		if a.Ended.IsZero() {
			line("began", "%s", when(a.Began))
		} else {
			line("began", "%s, took %s", when(a.Began), a.Ended.Sub(a.Began).Round(time.Millisecond))
		}
		if a.Code != "" {
			line("error", "%s: %s", a.Code, a.Message)
		}
		if a.Text != "" && a.Text != a.Message {
			line("text", "%s", a.Text)
		}
		if a.Reference != "" {
			line("reference", "%s", a.Reference)
		}
		if a.LogStream != "" {
			line("log", "%s, invocation %s", strings.TrimSpace(a.LogGroup+" "+a.LogStream), a.Invocation)
		}
		if !a.Next.IsZero() {
			line("next", "%s", when(a.Next))
		}
	}
	return b.String()
}

func outcome(a admin.Attempt) string {
	switch a.Outcome {
	case admin.Silent:
		return "ended without a word"
	case admin.Postponed:
		return "postponed: no version that could run it"
	default:
		return a.Outcome
	}
}

func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func why(f *admin.Failure) string {
	if f == nil {
		return ""
	}
	return f.Code + ": " + f.Message
}

// printable keeps what others have written from commanding the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
