package gateway

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// selection is a parsed route selection expression: text and JSON paths into
// the message, joined.
type selection struct{ parts []part }

type part struct {
	text string
	path []string // of $request.body; nil for text
}

// parseSelection reads a route selection expression; see "Route selection
// expressions" in the API Gateway guide.
func parseSelection(expr string) (*selection, error) {
	switch {
	case expr == "":
		return nil, fmt.Errorf("route selection expression: empty: %w", ErrInvalid)
	case expr == "$default", strings.HasPrefix(expr, `\$`):
		return &selection{parts: []part{{text: strings.TrimPrefix(expr, `\`)}}}, nil
	case strings.HasPrefix(expr, "$") && !strings.HasPrefix(expr, "${"):
		p, err := parseVariable(expr[1:])
		if err != nil {
			return nil, err
		}
		return &selection{parts: []part{p}}, nil
	}
	s := &selection{}
	for expr != "" {
		start := strings.Index(expr, "${")
		if start < 0 {
			s.parts = append(s.parts, part{text: expr})
			break
		}
		if start > 0 {
			s.parts = append(s.parts, part{text: expr[:start]})
		}
		end := strings.IndexByte(expr[start:], '}')
		if end < 0 {
			return nil, fmt.Errorf("route selection expression %q: ${ without }: %w", expr, ErrInvalid)
		}
		p, err := parseVariable(expr[start+2 : start+end])
		if err != nil {
			return nil, err
		}
		s.parts = append(s.parts, p)
		expr = expr[start+end+1:]
	}
	return s, nil
}

func parseVariable(v string) (part, error) {
	path, ok := strings.CutPrefix(v, "request.body.")
	if !ok || path == "" {
		return part{}, fmt.Errorf("route selection expression: variable %q is not supported, only request.body.<path>: %w", v, ErrInvalid)
	}
	path = strings.ReplaceAll(strings.ReplaceAll(path, "[", "."), "]", "")
	return part{path: strings.Split(path, ".")}, nil
}

// key returns the route key that body selects; "" when body is not JSON, for
// which API Gateway takes $default.
func (s *selection) key(body []byte) string {
	if len(s.parts) == 1 && s.parts[0].text == "$default" {
		return "$default"
	}
	if !json.Valid(body) {
		return ""
	}
	var b strings.Builder
	for _, p := range s.parts {
		if p.path == nil {
			b.WriteString(p.text)
			continue
		}
		b.WriteString(resolve(body, p.path))
	}
	return b.String()
}

// resolve returns the value at path as text, "" when there is none. It reads
// level by level, so that siblings are skipped, not decoded.
func resolve(raw json.RawMessage, path []string) string {
	for _, name := range path {
		if i, err := strconv.Atoi(name); err == nil {
			var list []json.RawMessage
			if json.Unmarshal(raw, &list) == nil {
				if i < 0 || i >= len(list) {
					return ""
				}
				raw = list[i]
				continue
			}
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return ""
		}
		next, ok := object[name]
		if !ok {
			return ""
		}
		raw = next
	}
	var text string
	if json.Unmarshal(raw, &text) == nil { // null leaves it empty
		return text
	}
	return string(raw)
}
