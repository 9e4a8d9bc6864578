package iam

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// condition is one operator with one key: all of a statement must hold.
type condition struct {
	key       string // in lower case
	set       string // "", "any" or "all": ForAnyValue, ForAllValues
	ifExists  bool
	null      bool // the operator Null
	negated   bool
	operands  []template
	matchOne  matcher // of the operator, not negated
	wantsNull []string
}

// matcher reports whether a value of the call matches an operand of the policy.
type matcher func(operand glob, value string) bool

// compileConditions compiles the element Condition.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func compileConditions(raw map[string]map[string]json.RawMessage, where string, words vocabulary) ([]condition, *MalformedPolicy) {
	var list []condition
	for _, operator := range sortedKeys(raw) {
		for _, key := range sortedKeys(raw[operator]) {
			at := where + "." + operator + "." + key
			operands, err := operandList(raw[operator][key])
			if err != nil {
				return nil, malformed(at, "%s", err)
			}
			c, err := compileCondition(operator, key, operands, words)
			if err != nil {
				return nil, malformed(at, "%s", err)
			}
			list = append(list, c)
		}
	}
	return list, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// operandList reads a string, number, bool, or an array of these, as strings.
func operandList(data json.RawMessage) ([]string, error) {
	var v any
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]string, len(list))
	for i, e := range list {
		switch e := e.(type) {
		case string:
			out[i] = e
		case json.Number:
			out[i] = e.String()
		case bool:
			out[i] = strconv.FormatBool(e)
		default:
			return nil, fmt.Errorf("a value must be a string, number or boolean, or an array of these")
		}
	}
	return out, nil
}

func compileCondition(operator, key string, operands []string, words vocabulary) (condition, error) {
	c := condition{key: strings.ToLower(key)}
	if !strings.Contains(key, ":") {
		return c, fmt.Errorf("key %q has no service in front", key)
	}
	if err := words.check(c.key); err != nil {
		return c, err
	}
	name := operator
	if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		name, c.set = rest, "any"
	} else if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		name, c.set = rest, "all"
	}
	if rest, ok := strings.CutSuffix(name, "IfExists"); ok {
		name, c.ifExists = rest, true
	}
	if name == "Null" {
		c.null, c.wantsNull = true, operands
		return c, checkOperands(operands, parseBool)
	}
	var check func(string) error
	if c.matchOne, c.negated, check = operatorOf(name); c.matchOne == nil {
		return c, fmt.Errorf("%q is no condition operator", operator)
	}
	// Only operators of strings and ARNs know variables.
	textual := strings.HasPrefix(name, "String") || strings.HasPrefix(name, "Arn")
	words.variables = words.variables && textual
	for _, o := range operands {
		if err := check(o); err != nil && !(words.variables && strings.Contains(o, "${")) {
			return c, err
		}
		t, err := parseTemplate(o, words)
		if err != nil {
			return c, err
		}
		if !strings.HasSuffix(name, "Like") && !strings.HasPrefix(name, "Arn") {
			t.unglob()
		}
		c.operands = append(c.operands, t)
	}
	return c, nil
}

// unglob makes wildcards plain characters, for operators without them.
func (t template) unglob() {
	for _, part := range t {
		for i, r := range part.text {
			switch r {
			case star:
				part.text[i] = '*'
			case question:
				part.text[i] = '?'
			}
		}
	}
}

// operatorOf returns how an operator compares; match is nil for one that does
// not exist. A negated operator holds when match does for no operand.
func operatorOf(name string) (match matcher, negated bool, check func(string) error) {
	anything := func(string) error { return nil }
	switch name {
	case "StringEquals", "StringNotEquals":
		return matchExact, name == "StringNotEquals", anything
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		return matchFold, name == "StringNotEqualsIgnoreCase", anything
	case "StringLike", "StringNotLike":
		return glob.matches, name == "StringNotLike", anything
	case "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike":
		return matchARN, strings.HasPrefix(name, "ArnNot"), anything
	case "Bool":
		return matchFold, false, parseBool
	case "BinaryEquals":
		return matchExact, false, func(s string) error { _, err := base64.StdEncoding.DecodeString(s); return err }
	case "IpAddress", "NotIpAddress":
		return matchIP, name == "NotIpAddress", func(s string) error { _, err := parsePrefix(s); return err }
	}
	if op, ok := strings.CutPrefix(name, "Numeric"); ok {
		return ordered(op, parseNumber), op == "NotEquals", func(s string) error { _, err := parseNumber(s); return err }
	}
	if op, ok := strings.CutPrefix(name, "Date"); ok {
		return ordered(op, parseDate), op == "NotEquals", func(s string) error { _, err := parseDate(s); return err }
	}
	return nil, false, nil
}

func checkOperands(operands []string, check func(string) error) error {
	for _, o := range operands {
		if err := check(o); err != nil {
			return err
		}
	}
	return nil
}

// holds evaluates the condition. A key that the call does not have makes it
// false, but true for a negated operator, …IfExists and ForAllValues.
func (c *condition) holds(values map[string][]string) bool {
	got := values[c.key]
	if c.null {
		missing := strconv.FormatBool(len(got) == 0)
		return slices.ContainsFunc(c.wantsNull, func(w string) bool { return strings.EqualFold(w, missing) })
	}
	if len(got) == 0 {
		return c.set == "all" || c.ifExists || (c.negated && c.set != "any")
	}
	operands := make([]glob, 0, len(c.operands))
	for _, t := range c.operands {
		if g, ok := t.fill(values); ok {
			operands = append(operands, g)
		}
	}
	one := func(v string) bool {
		hit := slices.ContainsFunc(operands, func(o glob) bool { return c.matchOne(o, v) })
		return hit != c.negated
	}
	// Several values without a set operator: none may be at fault for a negated
	// operator, one is enough for another.
	if c.set == "all" || (c.set == "" && c.negated) {
		return !slices.ContainsFunc(got, func(v string) bool { return !one(v) })
	}
	return slices.ContainsFunc(got, one)
}

// text is an operand of an operator without wildcards.
func (g glob) text() string { return string(g) }

func matchExact(o glob, v string) bool { return o.text() == v }
func matchFold(o glob, v string) bool  { return strings.EqualFold(o.text(), v) }

// matchARN matches field by field, as for resources.
func matchARN(o glob, v string) bool {
	if len(o) == 1 && o[0] == star {
		return true
	}
	fields := strings.SplitN(v, ":", arnParts)
	for i := range arnParts - 1 {
		end := slices.Index(o, ':')
		if end < 0 || i >= len(fields) || !o[:end].matches(fields[i]) {
			return false
		}
		o = o[end+1:]
	}
	return len(fields) == arnParts && o.matches(fields[arnParts-1])
}

func matchIP(o glob, v string) bool {
	prefix, err := parsePrefix(o.text())
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(v)
	return err == nil && prefix.Contains(addr.Unmap())
}

func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

func parseBool(s string) error {
	if !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	return nil
}

func parseNumber(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return n, nil
}

// parseDate reads a date (ISO 8601) or epoch seconds, as seconds.
func parseDate(s string) (float64, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return float64(t.UnixNano()) / 1e9, nil
		}
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a date", s)
}

// ordered compares what parse makes of value and operand.
func ordered(op string, parse func(string) (float64, error)) matcher {
	var holds func(v, o float64) bool
	switch op {
	case "Equals", "NotEquals":
		holds = func(v, o float64) bool { return v == o }
	case "LessThan":
		holds = func(v, o float64) bool { return v < o }
	case "LessThanEquals":
		holds = func(v, o float64) bool { return v <= o }
	case "GreaterThan":
		holds = func(v, o float64) bool { return v > o }
	case "GreaterThanEquals":
		holds = func(v, o float64) bool { return v >= o }
	default:
		return nil
	}
	return func(operand glob, value string) bool {
		o, err := parse(operand.text())
		if err != nil {
			return false
		}
		v, err := parse(value)
		return err == nil && holds(v, o)
	}
}
