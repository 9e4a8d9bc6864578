package iam

import (
	"fmt"
	"strings"
)

// arnParts is how many fields an ARN has; the last keeps further colons.
const arnParts = 6

// resourcePattern matches ARNs field by field: a wildcard does not reach over
// a colon, but in the last field.
type resourcePattern struct {
	all    bool // "*"
	fields [arnParts - 1]glob
	tail   template
}

// parseResource compiles an element of Resource. Fields that are missing at
// the end are wildcards:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
func parseResource(text string, words vocabulary) (resourcePattern, error) {
	if text == "*" {
		return resourcePattern{all: true}, nil
	}
	parts := strings.SplitN(text, ":", arnParts)
	if parts[0] != "arn" || len(parts) < 3 {
		return resourcePattern{}, fmt.Errorf("resource %q must be in ARN format or \"*\"", text)
	}
	if strings.ContainsAny(parts[2], "*?") {
		return resourcePattern{}, fmt.Errorf("resource %q has a wildcard in the service", text)
	}
	for len(parts) < arnParts {
		parts = append(parts, "*")
	}
	var p resourcePattern
	for i := range p.fields {
		if strings.Contains(parts[i], "${") {
			return resourcePattern{}, fmt.Errorf("resource %q has a variable outside of its last field", text)
		}
		p.fields[i] = compileGlob(parts[i])
	}
	var err error
	p.tail, err = parseTemplate(parts[arnParts-1], words)
	return p, err
}

func (p *resourcePattern) matches(arn string, values map[string][]string) bool {
	if p.all {
		return true
	}
	parts := strings.SplitN(arn, ":", arnParts)
	if len(parts) != arnParts {
		return false
	}
	for i := range p.fields {
		if !p.fields[i].matches(parts[i]) {
			return false
		}
	}
	tail, ok := p.tail.fill(values)
	return ok && tail.matches(parts[arnParts-1])
}

// template is a text with policy variables:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
type template []templatePart

type templatePart struct {
	text     glob   // when variable is ""
	variable string // condition key in lower case
	fallback *string
}

func parseTemplate(s string, words vocabulary) (template, error) {
	var t template
	for words.variables {
		before, rest, ok := strings.Cut(s, "${")
		if !ok {
			break
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return nil, fmt.Errorf("%q has a variable without end", s)
		}
		t = append(t, templatePart{text: compileGlob(before)})
		switch name {
		case "*", "?", "$":
			t = append(t, templatePart{text: literal(name)})
		default:
			part, err := parseVariable(name)
			if err == nil {
				err = words.check(part.variable)
			}
			if err != nil {
				return nil, err
			}
			t = append(t, part)
		}
		s = after
	}
	return append(t, templatePart{text: compileGlob(s)}), nil
}

// parseVariable reads what is between the braces: a condition key, and after a
// comma the quoted text that stands in when the call has no such key.
func parseVariable(s string) (templatePart, error) {
	name, fallback, ok := strings.Cut(s, ",")
	part := templatePart{variable: strings.ToLower(strings.TrimSpace(name))}
	if part.variable == "" {
		return part, fmt.Errorf("variable ${%s} has no name", s)
	}
	if ok {
		fallback = strings.TrimSpace(fallback)
		text, opened := strings.CutPrefix(fallback, "'")
		text, closed := strings.CutSuffix(text, "'")
		if !opened || !closed {
			return part, fmt.Errorf("variable ${%s} has a default without single quotes", s)
		}
		part.fallback = &text
	}
	return part, nil
}

// fill puts in the values; ok is false when one is missing, for then the text
// matches nothing.
func (t template) fill(values map[string][]string) (g glob, ok bool) {
	if len(t) == 1 {
		return t[0].text, true
	}
	for _, part := range t {
		if part.variable == "" {
			g = append(g, part.text...)
			continue
		}
		v := values[part.variable]
		switch {
		case len(v) == 1:
			g = append(g, literal(v[0])...)
		case part.fallback != nil:
			g = append(g, literal(*part.fallback)...)
		default:
			return nil, false
		}
	}
	return g, true
}
