// Package strictjsontest helps tests to go through all that a client can send.
//
// It depends on the standard library alone.
package strictjsontest

import (
	"reflect"
	"strings"
)

// Members are the paths of what a type of the SDK has, each with a body that
// holds it alone.
func Members(of reflect.Type) map[string]any {
	all := map[string]any{}
	for i := range of.NumField() {
		f := of.Field(i)
		if !f.IsExported() {
			continue
		}
		all[f.Name] = map[string]any{f.Name: nil}
		inner, wrap := f.Type, func(v any) any { return v }
		for done := false; !done; {
			outer := wrap
			switch inner.Kind() {
			case reflect.Pointer:
			case reflect.Slice:
				wrap = func(v any) any { return outer([]any{v}) }
			case reflect.Map:
				wrap = func(v any) any { return outer(map[string]any{"k": v}) }
			default:
				done = true
				continue
			}
			inner = inner.Elem()
		}
		if inner.Kind() != reflect.Struct || !strings.HasSuffix(inner.PkgPath(), "/types") {
			continue
		}
		for path, body := range Members(inner) {
			all[f.Name+"."+path] = map[string]any{f.Name: wrap(body)}
		}
	}
	return all
}
