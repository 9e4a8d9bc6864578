package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// Decode decodes a message's payload into what into points to. Keys that the
// type does not have are refused; for the rest it follows encoding/json, which
// also matches keys in other letter case and takes the last of two equal ones.
//
// An absent payload, and null, decode like {} into a struct or a map, and leave
// an interface or a pointer nil; for any other type the payload is required.
//
// The error is VALIDATION_ERROR with up to ten problems, each with its path from
// "payload" on. After an error what into points to may be filled in part.
func Decode(payload json.RawMessage, into any) *Error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic("wire: Decode into something that is not a pointer")
	}
	if raw := bytes.TrimSpace(payload); len(raw) == 0 || string(raw) == "null" {
		return decodeAbsent(v)
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if dec.Decode(into) == nil {
		rest := scanner{b: payload, i: int(dec.InputOffset())}
		if rest.space(); rest.i == len(payload) {
			return nil
		}
	}
	return NewError(CodeValidation, "the payload is not valid", explain(payload, v.Type().Elem())...)
}

func decodeAbsent(v reflect.Value) *Error {
	if u, ok := v.Interface().(json.Unmarshaler); ok {
		if err := u.UnmarshalJSON([]byte("null")); err != nil {
			return NewError(CodeValidation, "the payload is not valid", Detail{Path: "payload", Reason: "is required"})
		}
		return nil
	}
	e := v.Elem()
	switch e.Kind() {
	case reflect.Struct, reflect.Interface, reflect.Pointer:
		return nil
	case reflect.Map:
		if e.IsNil() {
			e.Set(reflect.MakeMap(e.Type()))
		}
		return nil
	}
	return NewError(CodeValidation, "the payload is not valid", Detail{Path: "payload", Reason: "is required"})
}
