package main

import (
	"strings"

	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/localcloud"
)

const (
	// lastLines is how much is kept of what an instance says: a panic with its stack.
	lastLines = 30
	// maxInstances bounds of how many that is kept: which ones have ended by themselves
	// is not known.
	maxInstances = 4000
)

// function takes what functions log, and what the cloud has to say: that is always
// shown. Of what functions log, warnings, errors, and how they die.
func (p *printer) function(l localcloud.Line) {
	text := strings.TrimRight(l.Text, "\n")
	loud := strings.Contains(text, `"level":"ERROR"`) || strings.Contains(text, `"level":"WARN"`) || answersError(text)
	if l.Source != "lambda" || loud || p.verbose {
		p.complain(l.Name + ": " + text)
		return
	}
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	if !ended {
		p.follow(l.Name, l.Name+" "+l.Instance, text)
	}
}

// answersError says that the line is an error with which a function has answered its
// invocation, as aws-lambda-go logs it. With a stack the function ends, and its last
// lines are shown as a whole.
func answersError(line string) bool {
	return strings.HasPrefix(line, `{"errorMessage":`) && !strings.Contains(line, `"stackTrace":`)
}

// end closes the system. It takes instances out of their work, which is no news.
func (p *printer) end(s *devhost.System) error {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	return s.Close()
}

// follow watches for an instance that dies, before it serves anything (a panic in
// main) or with an invocation (a panic, an exit, a timeout): what it has said last is
// why. The same is said once.
func (p *printer) follow(function, instance, line string) {
	status := strings.Contains(line, "Status: ")
	switch {
	case strings.HasPrefix(line, "INIT_REPORT ") && status:
		if why := p.last(function, instance); why != "" {
			p.complain(function + " cannot start:\n" + why)
		}
	case strings.HasPrefix(line, "REPORT ") && status:
		if why := p.last(function, instance); why != "" {
			line += "\n" + why
		}
		p.complain(function + ": " + line)
	case strings.HasPrefix(line, "REPORT "), strings.HasPrefix(line, "START "):
		p.forget(instance) // it serves
	case strings.HasPrefix(line, "END "):
	default:
		p.keep(instance, line)
	}
}

// last takes the last lines of an instance, "" when those were shown already.
func (p *printer) last(function, instance string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	why := strings.Join(p.said[instance], "\n")
	delete(p.said, instance)
	if p.shown[function] == why {
		return ""
	}
	p.shown[function] = why
	return why
}

func (p *printer) forget(instance string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.said, instance)
}

func (p *printer) keep(instance, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.said[instance] == nil && len(p.said) >= maxInstances {
		for any := range p.said {
			delete(p.said, any)
			break
		}
	}
	kept := append(p.said[instance], line)
	p.said[instance] = kept[max(0, len(kept)-lastLines):]
}
