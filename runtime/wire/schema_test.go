package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// schema is a validator for the keywords that schema.json uses. A keyword that
// it does not know is an error: nothing in the file goes unchecked.
type schema struct {
	defs map[string]any
	root map[string]any
}

func loadSchema(t testing.TB) *schema {
	t.Helper()
	body, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(body, &root); err != nil {
		t.Fatal(err)
	}
	return &schema{defs: root["$defs"].(map[string]any), root: root}
}

// check validates a document against a definition; "" is the whole file.
func (s *schema) check(def string, doc []byte) error {
	dec := json.NewDecoder(bytes.NewReader(doc))
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("more than one value")
	}
	var rule any = s.root
	if def != "" {
		var ok bool
		if rule, ok = s.defs[def]; !ok {
			return fmt.Errorf("no definition %q", def)
		}
	}
	return s.apply("$", rule, v)
}

func (s *schema) apply(path string, rule, v any) error {
	switch r := rule.(type) {
	case bool:
		if !r {
			return fmt.Errorf("%s: not allowed", path)
		}
		return nil
	case map[string]any:
		for _, keyword := range slices.Sorted(maps.Keys(r)) {
			if err := s.keyword(path, keyword, r, v); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%s: a schema is an object or a boolean, not %T", path, rule)
}

func (s *schema) keyword(path, keyword string, r map[string]any, v any) error {
	arg := r[keyword]
	object, _ := v.(map[string]any)
	array, isArray := v.([]any)
	str, isString := v.(string)
	num, isNumber := v.(float64)
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s: %s", path, keyword, fmt.Sprintf(format, args...))
	}
	switch keyword {
	case "$schema", "$id", "title", "description", "$defs":
	case "$ref":
		name, ok := strings.CutPrefix(arg.(string), "#/$defs/")
		if def, found := s.defs[name]; ok && found {
			return s.apply(path, def, v)
		}
		return fail("%v leads nowhere", arg)
	case "type":
		names, ok := arg.([]any)
		if !ok {
			names = []any{arg}
		}
		if !slices.ContainsFunc(names, func(n any) bool { return isType(n.(string), v) }) {
			return fail("want %v, got %T", arg, v)
		}
	case "const":
		if !reflect.DeepEqual(arg, v) {
			return fail("want %v, got %v", arg, v)
		}
	case "enum":
		if !slices.ContainsFunc(arg.([]any), func(a any) bool { return reflect.DeepEqual(a, v) }) {
			return fail("%v is none of %v", v, arg)
		}
	case "oneOf", "anyOf":
		return s.some(path, keyword, arg.([]any), v)
	case "required":
		for _, name := range arg.([]any) {
			if _, ok := object[name.(string)]; object != nil && !ok {
				return fail("%v is missing", name)
			}
		}
	case "dependentRequired":
		for name, needs := range arg.(map[string]any) {
			for _, need := range needs.([]any) {
				_, has := object[name]
				if _, ok := object[need.(string)]; has && !ok {
					return fail("%v needs %v", name, need)
				}
			}
		}
	case "properties", "additionalProperties":
		return s.members(path, keyword, r, object)
	case "items":
		for i, item := range array {
			if err := s.apply(fmt.Sprintf("%s[%d]", path, i), arg, item); err != nil {
				return err
			}
		}
	case "minItems", "maxItems":
		if n := float64(len(array)); isArray && (keyword == "minItems" && n < arg.(float64) || keyword == "maxItems" && n > arg.(float64)) {
			return fail("%v items", n)
		}
	case "minLength", "maxLength":
		if n := float64(utf8.RuneCountInString(str)); isString && (keyword == "minLength" && n < arg.(float64) || keyword == "maxLength" && n > arg.(float64)) {
			return fail("%v characters", n)
		}
	case "pattern":
		if isString && !regexp.MustCompile(arg.(string)).MatchString(str) {
			return fail("%q does not match", str)
		}
	case "minimum", "maximum":
		if isNumber && (keyword == "minimum" && num < arg.(float64) || keyword == "maximum" && num > arg.(float64)) {
			return fail("%v", num)
		}
	default:
		return fail("the validator does not know this keyword")
	}
	return nil
}

func (s *schema) some(path, keyword string, rules []any, v any) error {
	var errs []string
	for _, rule := range rules {
		if err := s.apply(path, rule, v); err != nil {
			errs = append(errs, err.Error())
		}
	}
	matched := len(rules) - len(errs)
	if matched == 0 || keyword == "oneOf" && matched > 1 {
		return fmt.Errorf("%s: %s: %d match: %s", path, keyword, matched, strings.Join(errs, " | "))
	}
	return nil
}

func (s *schema) members(path, keyword string, r map[string]any, object map[string]any) error {
	known, _ := r["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		rule, ok := known[name]
		if ok != (keyword == "properties") {
			continue
		}
		if !ok {
			rule = r["additionalProperties"]
		}
		if err := s.apply(path+"."+name, rule, object[name]); err != nil {
			return err
		}
	}
	return nil
}

func isType(name string, v any) bool {
	switch x := v.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && x == math.Trunc(x)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}
