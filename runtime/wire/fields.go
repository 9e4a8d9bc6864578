package wire

import (
	"reflect"
	"strings"
)

// field is a field of a struct as encoding/json sees it.
type field struct {
	typ    reflect.Type
	quoted bool // the option "string"
	name   string
	tagged bool
}

// lookup finds the field that encoding/json would fill from key: exact names
// first, then in any letter case.
func lookup(t reflect.Type, key string) (field, bool) {
	all := fields(t)
	for _, f := range all {
		if f.name == key {
			return f, true
		}
	}
	for _, f := range all {
		if strings.EqualFold(f.name, key) {
			return f, true
		}
	}
	return field{}, false
}

// fields lists the fields of a struct with those of its embedded structs, by
// encoding/json's rule: of equal names the shallowest counts, then the tagged
// one, then none.
func fields(t reflect.Type) []field {
	var all []field
	taken := map[string]bool{}
	visited := map[reflect.Type]bool{t: true}
	for level := []reflect.Type{t}; len(level) > 0; {
		var found []field
		var next []reflect.Type
		for _, st := range level {
			f, embedded := direct(st)
			found = append(found, f...)
			for _, e := range embedded {
				if !visited[e] {
					visited[e] = true
					next = append(next, e)
				}
			}
		}
		for _, f := range found {
			if !taken[f.name] && dominates(f, found) {
				all = append(all, f)
			}
		}
		for _, f := range found {
			taken[f.name] = true
		}
		level = next
	}
	return all
}

func dominates(f field, level []field) bool {
	same, tagged := 0, 0
	for _, g := range level {
		if g.name == f.name {
			same++
			if g.tagged {
				tagged++
			}
		}
	}
	return same == 1 || f.tagged && tagged == 1
}

// direct returns the fields of one struct, and the structs embedded in it.
func direct(t reflect.Type) (out []field, embedded []reflect.Type) {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		if tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		inner := sf.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if sf.Anonymous && name == "" && inner.Kind() == reflect.Struct {
			embedded = append(embedded, inner)
			continue
		}
		if !sf.IsExported() {
			continue
		}
		f := field{typ: sf.Type, name: name, tagged: name != ""}
		if name == "" {
			f.name = sf.Name
		}
		for option := range strings.SplitSeq(options, ",") {
			f.quoted = f.quoted || option == "string" && quotable(inner)
		}
		out = append(out, f)
	}
	return out, embedded
}

func quotable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64:
		return true
	}
	return false
}
