package deploy

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// reader takes apart the inputs of one resource, or an object within them. It
// never fails: what is wrong is collected with its path, and a value that is
// unknown, as in a preview, reads as absent without being missed.
//
// Whatever is not read is refused at the end by [reader.finish], so a property
// is supported exactly if the kind reads it.
type reader struct {
	values   resource.PropertyMap
	defaults resource.PropertyMap // of the kind; nil within objects
	path     string               // of this object, "" at the top
	read     map[resource.PropertyKey]bool
	problems *[]fault
}

// fault is what is wrong with one property.
type fault struct{ path, reason string }

func newReader(values, defaults resource.PropertyMap) *reader {
	return &reader{values: values, defaults: defaults, read: map[resource.PropertyKey]bool{}, problems: new([]fault)}
}

// reject records that the property is wrong.
func (r *reader) reject(key, format string, args ...any) {
	*r.problems = append(*r.problems, fault{r.at(key), fmt.Sprintf(format, args...)})
}

func (r *reader) at(key string) string {
	if r.path == "" {
		return key
	}
	if strings.HasPrefix(key, "[") || key == "" {
		return r.path + key
	}
	return r.path + "." + key
}

// value returns the property; ok is false when it is absent or unknown.
func (r *reader) value(key string) (resource.PropertyValue, bool) {
	k := resource.PropertyKey(key)
	r.read[k] = true
	v, ok := r.values[k]
	if !ok || v.IsNull() {
		v, ok = r.defaults[k]
	}
	v = reveal(v)
	if v.IsResourceReference() {
		v = v.ResourceReferenceValue().ID
	}
	return v, ok && !v.IsNull() && !unknown(v)
}

// given reports whether the program gave the property, known or not.
func (r *reader) given(key string) bool {
	r.read[resource.PropertyKey(key)] = true
	v, ok := r.values[resource.PropertyKey(key)]
	return ok && !v.IsNull()
}

// require rejects properties that are not given, and empty strings.
func (r *reader) require(keys ...string) {
	for _, key := range keys {
		if !r.given(key) {
			r.reject(key, "is required")
		} else if v, ok := r.value(key); ok && v.IsString() && v.StringValue() == "" {
			r.reject(key, "must not be empty")
		}
	}
}

// ignore accepts properties that have no effect in the local cloud.
func (r *reader) ignore(keys ...string) {
	for _, key := range keys {
		r.read[resource.PropertyKey(key)] = true
	}
}

// refuse rejects a property that is given, because it would have an effect.
func (r *reader) refuse(key, why string) {
	if r.given(key) {
		r.reject(key, "is not supported by the local cloud: %s", why)
	}
}

// only accepts a property whose one supported value is want.
func (r *reader) only(key, want string) {
	if v := r.str(key); v != "" && v != want {
		r.reject(key, "%q is not supported by the local cloud, only %q is", v, want)
	}
}

func (r *reader) str(key string) string {
	v, ok := r.value(key)
	switch {
	case !ok:
		return ""
	case v.IsString():
		return v.StringValue()
	case v.IsNumber(), v.IsBool():
		return fmt.Sprint(v.V)
	}
	r.reject(key, "must be a string, is %s", v.TypeString())
	return ""
}

// oneOf is a string that must be one of the choices.
func (r *reader) oneOf(key string, choices ...string) string {
	v := r.str(key)
	if v != "" && !slices.Contains(choices, v) {
		r.reject(key, "must be one of %s, is %q", strings.Join(choices, ", "), v)
	}
	return v
}

func (r *reader) float(key string) float64 {
	v, ok := r.value(key)
	if !ok {
		return 0
	}
	if !v.IsNumber() {
		r.reject(key, "must be a number, is %s", v.TypeString())
		return 0
	}
	return v.NumberValue()
}

// integer is a whole number within bounds.
func (r *reader) integer(key string, least, most int) int {
	v := r.float(key)
	if v != math.Trunc(v) {
		r.reject(key, "must be a whole number, is %v", v)
		return least
	}
	if _, known := r.value(key); known && (v < float64(least) || v > float64(most)) {
		r.reject(key, "must be from %d to %d, is %v", least, most, v)
		return least
	}
	return int(v)
}

// optional is like integer and tells an absent number from zero.
func (r *reader) optional(key string, least, most int) *int {
	if _, ok := r.value(key); !ok {
		return nil
	}
	n := r.integer(key, least, most)
	return &n
}

func (r *reader) flag(key string) bool {
	v, ok := r.value(key)
	if !ok {
		return false
	}
	if !v.IsBool() {
		r.reject(key, "must be true or false, is %s", v.TypeString())
		return false
	}
	return v.BoolValue()
}

func (r *reader) list(key string) []resource.PropertyValue {
	v, ok := r.value(key)
	if !ok {
		return nil
	}
	if !v.IsArray() {
		r.reject(key, "must be a list, is %s", v.TypeString())
		return nil
	}
	return v.ArrayValue()
}

func (r *reader) strings(key string) []string {
	var out []string
	for i, v := range r.list(key) {
		v = reveal(v)
		switch {
		case unknown(v):
		case v.IsString():
			out = append(out, v.StringValue())
		default:
			r.reject(fmt.Sprintf("%s[%d]", key, i), "must be a string, is %s", v.TypeString())
		}
	}
	return out
}

// texts is a map of strings.
func (r *reader) texts(key string) map[string]string {
	v, ok := r.value(key)
	if !ok {
		return nil
	}
	if !v.IsObject() {
		r.reject(key, "must be a map, is %s", v.TypeString())
		return nil
	}
	out := map[string]string{}
	for k, v := range v.ObjectValue() {
		v = reveal(v)
		switch {
		case unknown(v):
		case v.IsString():
			out[string(k)] = v.StringValue()
		case v.IsNumber(), v.IsBool():
			out[string(k)] = fmt.Sprint(v.V)
		default:
			r.reject(fmt.Sprintf("%s[%q]", key, k), "must be a string, is %s", v.TypeString())
		}
	}
	return out
}

// object hands the object to f, and not when there is none.
func (r *reader) object(key string, f func(*reader)) {
	if v, ok := r.value(key); ok {
		r.within(key, v, f)
	}
}

// objects hands each element of a list of objects to f.
func (r *reader) objects(key string, f func(*reader)) {
	for i, v := range r.list(key) {
		if v = reveal(v); !unknown(v) {
			r.within(fmt.Sprintf("%s[%d]", key, i), v, f)
		}
	}
}

func (r *reader) within(key string, v resource.PropertyValue, f func(*reader)) {
	if !v.IsObject() {
		r.reject(key, "must be an object, is %s", v.TypeString())
		return
	}
	inner := &reader{values: v.ObjectValue(), path: r.at(key), read: map[resource.PropertyKey]bool{}, problems: r.problems}
	f(inner)
	inner.finish()
}

// document is a JSON document, given as its text or as an object.
func (r *reader) document(key string) string {
	v, ok := r.value(key)
	switch {
	case !ok:
		return ""
	case v.IsString():
		if text := v.StringValue(); text != "" && !json.Valid([]byte(text)) {
			r.reject(key, "must be a JSON document")
		}
		return v.StringValue()
	case v.IsObject():
		text, err := json.Marshal(plain(v))
		if err != nil {
			r.reject(key, "must be a JSON document: %v", err)
		}
		return string(text)
	}
	r.reject(key, "must be a JSON document, is %s", v.TypeString())
	return ""
}

// finish rejects what nobody read.
func (r *reader) finish() {
	for _, key := range r.values.StableKeys() {
		// Keys with two underscores are the SDK's own, such as __defaults.
		if !r.read[key] && !r.values[key].IsNull() && !strings.HasPrefix(string(key), "__") {
			r.reject(string(key), "is not supported by the local cloud")
		}
	}
}
