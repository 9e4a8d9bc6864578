package eventsource

import (
	"bytes"
	"encoding/json"
)

const (
	maxFilters = 5    // by default; AWS gives up to 10 on request
	maxPattern = 4096 // characters
)

// filter is one compiled pattern: an object whose keys must all match.
type filter map[string]any // value: filter, or []rule

// rule is one alternative of a leaf.
type rule func(value any, present bool) bool

// compileFilters parses patterns. Any mistake is the one error that AWS gives.
func compileFilters(patterns []string) ([]filter, error) {
	if len(patterns) > maxFilters {
		return nil, invalid("%d filters: want at most %d", len(patterns), maxFilters)
	}
	var out []filter
	for _, p := range patterns {
		if len(p) > maxPattern {
			return nil, invalid("filter pattern of %d characters: want at most %d", len(p), maxPattern)
		}
		var tree map[string]any
		dec := json.NewDecoder(bytes.NewReader([]byte(p)))
		dec.UseNumber()
		if err := dec.Decode(&tree); err != nil || dec.More() {
			return nil, invalid("Invalid filter pattern definition.")
		}
		f, err := compileObject(tree)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func compileObject(tree map[string]any) (filter, error) {
	if len(tree) == 0 {
		return nil, invalid("Invalid filter pattern definition.")
	}
	f := filter{}
	for k, v := range tree {
		switch v := v.(type) {
		case map[string]any:
			sub, err := compileObject(v)
			if err != nil {
				return nil, err
			}
			f[k] = sub
		case []any:
			if len(v) == 0 {
				return nil, invalid("Invalid filter pattern definition.")
			}
			rules := make([]rule, len(v))
			for i, alt := range v {
				r, ok := compileRule(alt)
				if !ok {
					return nil, invalid("Invalid filter pattern definition.")
				}
				rules[i] = r
			}
			f[k] = rules
		default: // a value must be in an array
			return nil, invalid("Invalid filter pattern definition.")
		}
	}
	return f, nil
}

// matchAny says whether one of the filters matches; none match everything.
func matchAny(filters []filter, data json.RawMessage) bool {
	if len(filters) == 0 {
		return true
	}
	var event map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // literals compare numbers by their text
	if err := dec.Decode(&event); err != nil {
		return false
	}
	for _, f := range filters {
		if f.match(event) {
			return true
		}
	}
	return false
}

func (f filter) match(event map[string]any) bool {
	for k, want := range f {
		value, present := event[k]
		switch want := want.(type) {
		case filter:
			// A missing object is an empty one: {"exists": false} holds below it.
			sub, _ := value.(map[string]any)
			if !want.match(sub) {
				return false
			}
		case []rule:
			if !anyRule(want, value, present) {
				return false
			}
		}
	}
	return true
}

// anyRule matches a leaf; of an array, one element must match.
func anyRule(rules []rule, value any, present bool) bool {
	values := []any{value}
	if list, ok := value.([]any); ok && len(list) > 0 {
		values = list
	}
	for _, r := range rules {
		for _, v := range values {
			if r(v, present) {
				return true
			}
		}
	}
	return false
}
