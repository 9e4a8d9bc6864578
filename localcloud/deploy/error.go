package deploy

import (
	"fmt"
	"strings"
)

// Problem is one refusal: a resource, or a property of it, that the local cloud
// cannot make as the program says.
type Problem struct {
	Type, Name string // of the resource
	Property   string // path of the input, "" for the resource as a whole
	Reason     string
	File       string // where the program registers it, "" when not known
	Line       int
}

func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q: ", p.Type, p.Name)
	if p.Property != "" {
		b.WriteString(p.Property + ": ")
	}
	b.WriteString(p.Reason)
	if p.File != "" {
		fmt.Fprintf(&b, "\n    at %s:%d", p.File, p.Line)
	}
	return b.String()
}

// Error is a run that failed. It has all that was refused, not only the first,
// and what the program itself reported.
type Error struct {
	Problems []Problem
	// Program is what the program logged as errors, or how it ended.
	Program string
}

func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.Program != "" {
		lines = append(lines, e.Program)
	}
	if len(lines) == 1 {
		return "deploy: " + lines[0]
	}
	return "deploy:\n  " + strings.Join(lines, "\n  ")
}
