package wire

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// explain walks over a payload that encoding/json refused and lists what does
// not fit the type. It is slow and runs for refused messages only; encoding/json
// itself stops at the first problem, and names it in terms of Go.
func explain(payload []byte, t reflect.Type) []Detail {
	s := scanner{b: payload}
	raw, ok := s.value(0)
	if s.space(); !ok || s.i != len(payload) {
		return []Detail{{Path: "payload", Reason: "is not valid JSON: see byte " + strconv.Itoa(s.i)}}
	}
	x := explainer{}
	x.value("payload", raw, t)
	if len(x.details) == 0 { // encoding/json knows a rule that the walk does not
		x.problem("payload", "does not fit what the action takes")
	}
	return x.details
}

type explainer struct{ details []Detail }

func (x *explainer) full() bool { return len(x.details) >= MaxDetails }

func (x *explainer) problem(path, reason string) {
	if !x.full() {
		x.details = append(x.details, Detail{Path: path, Reason: reason})
	}
}

func (x *explainer) expected(path, what string, raw []byte) {
	x.problem(path, "expected "+what+", got "+kindOf(raw))
}

func (x *explainer) value(path string, raw []byte, t reflect.Type) {
	for t.Kind() == reflect.Pointer && !x.custom(t) {
		t = t.Elem()
	}
	if x.full() || raw[0] == 'n' && !x.custom(t) {
		return
	}
	if x.custom(t) || x.custom(reflect.PointerTo(t)) {
		x.own(path, raw, t)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		x.object(path, raw, func(key string, value []byte) { x.field(path, key, value, t) })
	case reflect.Map:
		x.object(path, raw, func(key string, value []byte) { x.entry(path, key, value, t) })
	case reflect.Slice, reflect.Array:
		x.array(path, raw, t)
	case reflect.String:
		if raw[0] != '"' {
			x.expected(path, "string", raw)
		} else if t == reflect.TypeFor[json.Number]() {
			x.own(path, raw, t)
		}
	case reflect.Bool:
		if raw[0] != 't' && raw[0] != 'f' {
			x.expected(path, "boolean", raw)
		}
	case reflect.Interface:
		if t.NumMethod() > 0 {
			x.problem(path, "cannot be given")
		}
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		x.problem(path, "cannot be given")
	default:
		x.number(path, raw, t)
	}
}

// custom says that the type decodes itself.
func (x *explainer) custom(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Unmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// own lets a type that decodes itself say whether it can. Its error's text goes
// to the client: it speaks of the client's own value.
func (x *explainer) own(path string, raw []byte, t reflect.Type) {
	err := json.Unmarshal(raw, reflect.New(t).Interface())
	if err == nil {
		return
	}
	if t == reflect.TypeFor[time.Time]() {
		if raw[0] != '"' {
			x.expected(path, "time (RFC 3339)", raw)
		} else {
			x.problem(path, "expected time (RFC 3339)")
		}
		return
	}
	if e := (*json.UnmarshalTypeError)(nil); errors.As(err, &e) {
		x.problem(path, "unexpected "+kindOf(raw))
		return
	}
	x.problem(path, cut(err.Error(), 200))
}

func (x *explainer) object(path string, raw []byte, member func(key string, value []byte)) {
	if raw[0] != '{' {
		x.expected(path, "object", raw)
		return
	}
	s := scanner{b: raw, i: 1}
	for !s.take('}') && !x.full() {
		s.space()
		key, _ := s.str()
		s.take(':')
		value, _ := s.value(0)
		member(key.string(), value)
		s.take(',')
	}
}

func (x *explainer) field(path, key string, raw []byte, t reflect.Type) {
	f, ok := lookup(t, key)
	if !ok {
		x.problem(appendKey(path, key), "unknown field")
		return
	}
	if f.quoted {
		x.quoted(appendKey(path, key), raw, f.typ)
		return
	}
	x.value(appendKey(path, key), raw, f.typ)
}

// quoted checks a field with the option "string": a value inside a string.
func (x *explainer) quoted(path string, raw []byte, t reflect.Type) {
	switch raw[0] {
	case 'n':
	case '"':
		inner := text{raw: raw[1 : len(raw)-1], escaped: true}.string()
		s := scanner{b: []byte(inner)}
		if value, ok := s.value(0); ok && s.i == len(inner) {
			x.value(path, value, t)
			return
		}
		x.problem(path, "expected a value within the string")
	default:
		x.expected(path, "string", raw)
	}
}

func (x *explainer) entry(path, key string, raw []byte, t reflect.Type) {
	path = appendKey(path, key)
	switch k := t.Key(); {
	case x.custom(reflect.PointerTo(k)) && k.Kind() != reflect.String:
		quoted, _ := json.Marshal(key)
		x.own(path, quoted, k)
	case k.Kind() != reflect.String:
		if reason := misfit([]byte(key), k); reason != "" {
			x.problem(path, "as a key: "+reason)
		}
	}
	x.value(path, raw, t.Elem())
}

func (x *explainer) array(path string, raw []byte, t reflect.Type) {
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !x.custom(reflect.PointerTo(t.Elem())) && raw[0] != '[' {
		if raw[0] != '"' {
			x.expected(path, "string of base64", raw)
		} else if _, err := base64.StdEncoding.DecodeString(text{raw: raw[1 : len(raw)-1], escaped: true}.string()); err != nil {
			x.problem(path, "expected string of base64")
		}
		return
	}
	if raw[0] != '[' {
		x.expected(path, "array", raw)
		return
	}
	s := scanner{b: raw, i: 1}
	for i := 0; !s.take(']') && !x.full(); i++ {
		value, _ := s.value(0)
		if t.Kind() == reflect.Slice || i < t.Len() { // what is too much is dropped
			x.value(appendIndex(path, i), value, t.Elem())
		}
		s.take(',')
	}
}

func (x *explainer) number(path string, raw []byte, t reflect.Type) {
	if kindOf(raw) != "number" {
		x.expected(path, numberName(t), raw)
	} else if reason := misfit(raw, t); reason != "" {
		x.problem(path, reason)
	}
}

func numberName(t reflect.Type) string {
	if t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64 {
		return "number"
	}
	return "integer"
}

// misfit says why a number does not fit a numeric type; "" when it does.
func misfit(raw []byte, t reflect.Type) string {
	var err error
	v, bits := string(raw), t.Bits()
	name := numberName(t)
	if name == "number" {
		_, err = strconv.ParseFloat(v, bits)
	} else if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uintptr {
		if _, err = strconv.ParseUint(v, 10, bits); err != nil && strings.HasPrefix(v, "-") {
			if _, signed := strconv.ParseInt(v, 10, 64); signed == nil {
				return "expected integer of 0 or more, got " + cut(v, 40)
			}
		}
	} else {
		_, err = strconv.ParseInt(v, 10, bits)
	}
	if err == nil {
		return ""
	}
	if errors.Is(err, strconv.ErrRange) {
		return "expected " + name + " of " + strconv.Itoa(bits) + " bits, got " + cut(v, 40)
	}
	return "expected " + name + ", got " + cut(v, 40)
}
