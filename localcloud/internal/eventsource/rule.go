package eventsource

import (
	"encoding/json"
	"math/big"
	"strings"
)

// compileRule compiles one alternative of a leaf: a literal, or an object with
// one operator. https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
func compileRule(alt any) (rule, bool) {
	switch alt := alt.(type) {
	case nil, string, bool, json.Number:
		return literal(alt), true
	case map[string]any:
		if len(alt) != 1 {
			return nil, false
		}
		for op, arg := range alt {
			return compileOperator(op, arg)
		}
	}
	return nil, false
}

func compileOperator(op string, arg any) (rule, bool) {
	switch op {
	case "exists":
		want, ok := arg.(bool)
		return func(v any, present bool) bool {
			// exists is for leaves: an object is none.
			_, object := v.(map[string]any)
			return (present && !object) == want
		}, ok
	case "prefix":
		return textRule(arg, strings.HasPrefix)
	case "suffix":
		return textRule(arg, strings.HasSuffix)
	case "equals-ignore-case":
		return textRule(arg, strings.EqualFold)
	case "numeric":
		return numericRule(arg)
	case "anything-but":
		return anythingBut(arg)
	}
	return nil, false
}

func literal(want any) rule {
	return func(v any, present bool) bool { return present && v == want }
}

func textRule(arg any, match func(text, want string) bool) (rule, bool) {
	want, ok := arg.(string)
	return func(v any, present bool) bool {
		text, isText := v.(string)
		return present && isText && match(text, want)
	}, ok
}

// anythingBut takes a literal, a list of literals, or {"prefix": …} or {"suffix": …}.
func anythingBut(arg any) (rule, bool) {
	var not []rule
	switch arg := arg.(type) {
	case string, json.Number:
		not = []rule{literal(arg)}
	case []any:
		for _, a := range arg {
			switch a.(type) {
			case string, json.Number:
				not = append(not, literal(a))
			default:
				return nil, false
			}
		}
	case map[string]any:
		for op := range arg {
			if op != "prefix" && op != "suffix" {
				return nil, false
			}
		}
		r, ok := compileRule(arg)
		if !ok {
			return nil, false
		}
		not = []rule{r}
	}
	return func(v any, present bool) bool {
		_, object := v.(map[string]any)
		if !present || object {
			return false
		}
		for _, r := range not {
			if r(v, present) {
				return false
			}
		}
		return true
	}, len(not) > 0
}

// numericRule takes pairs of comparison and bound: [">", 1, "<=", 9]. Values
// are JSON numbers; DynamoDB's {"N": "5"} is text to it.
func numericRule(arg any) (rule, bool) {
	list, ok := arg.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return nil, false
	}
	var checks []func(*big.Rat) bool
	for i := 0; i < len(list); i += 2 {
		op, isText := list[i].(string)
		number, isNumber := list[i+1].(json.Number)
		if !isText || !isNumber {
			return nil, false
		}
		bound, ok := new(big.Rat).SetString(number.String())
		accept, known := comparisons[op]
		if !ok || !known {
			return nil, false
		}
		checks = append(checks, func(n *big.Rat) bool { return accept(n.Cmp(bound)) })
	}
	return func(v any, present bool) bool {
		number, ok := v.(json.Number)
		if !present || !ok {
			return false
		}
		n, ok := new(big.Rat).SetString(number.String())
		if !ok {
			return false
		}
		for _, c := range checks {
			if !c(n) {
				return false
			}
		}
		return true
	}, true
}

var comparisons = map[string]func(cmp int) bool{
	"=":  func(c int) bool { return c == 0 },
	"<":  func(c int) bool { return c < 0 },
	"<=": func(c int) bool { return c <= 0 },
	">":  func(c int) bool { return c > 0 },
	">=": func(c int) bool { return c >= 0 },
}
