package dynamodb

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// maxNesting is how deep lists and maps may lie in each other.
const maxNesting = 32

// UnmarshalJSON reads the typed form and refuses what DynamoDB refuses.
func (v *value) UnmarshalJSON(data []byte) error {
	return v.read(data, 0)
}

func (v *value) read(data []byte, depth int) error {
	if depth > maxNesting {
		return validation("Nesting Levels have exceeded supported limits: Attributes of type List or Map can have up to 32 nested levels")
	}
	var typed map[kind]json.RawMessage
	if err := json.Unmarshal(data, &typed); err != nil {
		return malformed(err)
	}
	for k, raw := range typed {
		if bytes.Equal(raw, []byte("null")) {
			delete(typed, k)
		}
	}
	if len(typed) > 1 {
		return validation("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	for k, raw := range typed {
		v.kind = k
		switch k {
		case kindString, kindNumber, kindBinary, kindBool, kindNull:
			return v.readScalar(raw)
		case kindStringSet, kindNumberSet, kindBinarySet:
			return v.readSet(raw)
		case kindList:
			return v.readList(raw, depth)
		case kindMap:
			return v.readMap(raw, depth)
		}
	}
	return validation("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
}

func (v *value) readScalar(raw []byte) (err error) {
	if v.kind == kindBool || v.kind == kindNull {
		if err := json.Unmarshal(raw, &v.flag); err != nil {
			return malformed(err)
		}
		if v.kind == kindNull && !v.flag {
			return invalidParameter("Null attribute value types must have the value of true")
		}
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return malformed(err)
	}
	v.text, err = scalarText(v.kind, text)
	return err
}

// scalarText is the stored form of a scalar's JSON string.
func scalarText(k kind, text string) (string, error) {
	switch k {
	case kindNumber:
		n, err := parseNumber(text)
		if err != nil {
			return "", err
		}
		return n.String(), nil
	case kindBinary:
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", serialization("'%s' can not be converted to a Blob: %s", text, err)
		}
		return string(raw), nil
	}
	return text, nil
}

func (v *value) readSet(raw []byte) error {
	var members []string
	if err := json.Unmarshal(raw, &members); err != nil {
		return malformed(err)
	}
	if len(members) == 0 {
		name := map[kind]string{kindStringSet: "string set", kindNumberSet: "number set", kindBinarySet: "binary set"}[v.kind]
		// Two blanks, and "An number": AWS's own spelling.
		return invalidParameter("An %s  may not be empty", name)
	}
	v.set = make([]string, 0, len(members))
	for _, m := range members {
		text, err := scalarText(v.elementKind(), m)
		if err != nil {
			return err
		}
		if slices.Contains(v.set, text) {
			if v.kind == kindNumberSet {
				return validation("Input collection contains duplicates")
			}
			suffix := " contains duplicates."
			if v.kind == kindBinarySet {
				suffix = "of type BS contains duplicates."
			}
			return invalidParameter("Input collection [%s]%s", strings.Join(members, ", "), suffix)
		}
		v.set = append(v.set, text)
	}
	return nil
}

func (v *value) readList(raw []byte, depth int) error {
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return malformed(err)
	}
	v.list = make([]value, len(elements))
	for i, e := range elements {
		if err := v.list[i].read(e, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (v *value) readMap(raw []byte, depth int) error {
	var elements map[string]json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return malformed(err)
	}
	v.m = make(item, len(elements))
	for name, e := range elements {
		var inner value
		if err := inner.read(e, depth+1); err != nil {
			return err
		}
		v.m[name] = inner
	}
	return nil
}

// MarshalJSON writes the typed form: {"S":"text"}.
func (v value) MarshalJSON() ([]byte, error) { return v.appendJSON(nil), nil }

// MarshalJSON writes the attributes in the order of their names.
func (it item) MarshalJSON() ([]byte, error) { return it.appendJSON(nil), nil }

func (it item) appendJSON(b []byte) []byte {
	if it == nil {
		return append(b, "null"...)
	}
	b = append(b, '{')
	for i, name := range sortedNames(it) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		b = it[name].appendJSON(b)
	}
	return append(b, '}')
}

func (v value) appendJSON(b []byte) []byte {
	b = append(b, '{', '"')
	b = append(b, v.kind...)
	b = append(b, '"', ':')
	switch v.kind {
	case kindString, kindNumber, kindBinary:
		b = appendText(b, v.kind, v.text)
	case kindBool:
		b = strconv.AppendBool(b, v.flag)
	case kindNull:
		b = append(b, "true"...)
	case kindMap:
		b = v.m.appendJSON(b)
	case kindList:
		b = append(b, '[')
		for i, e := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = e.appendJSON(b)
		}
		b = append(b, ']')
	default:
		b = append(b, '[')
		for i, text := range v.set {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, v.elementKind(), text)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendText writes a string, number or binary.
func appendText(b []byte, k kind, text string) []byte {
	if k != kindBinary {
		return appendString(b, text)
	}
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, []byte(text))
	return append(b, '"')
}

// appendString quotes a string; only those with something to escape take the
// slow way.
func appendString(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(text) // a string always marshals
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}
