package dynamodb

import (
	"slices"
	"strings"
)

// kind is the type descriptor of a value: S, N, B, BOOL, NULL, SS, NS, BS, L, M.
type kind string

const (
	kindString    kind = "S"
	kindNumber    kind = "N"
	kindBinary    kind = "B"
	kindBool      kind = "BOOL"
	kindNull      kind = "NULL"
	kindStringSet kind = "SS"
	kindNumberSet kind = "NS"
	kindBinarySet kind = "BS"
	kindList      kind = "L"
	kindMap       kind = "M"
)

// value is an attribute value. Values are never changed once they are stored:
// a change makes a copy of what lies on its path.
type value struct {
	kind kind
	text string   // of S, B (raw bytes) and N (plain notation)
	flag bool     // of BOOL
	set  []string // of SS, NS and BS, like text
	list []value
	m    item
}

// item is a map of attributes.
type item map[string]value

func numberValue(n number) value { return value{kind: kindNumber, text: n.String()} }

// number parses the text of a value that was checked when it was read.
func (v value) number() number {
	n, _ := scanNumber(v.text)
	return n
}

// word is how messages call strings and binaries.
func (k kind) word() string {
	if k == kindBinary {
		return "binary"
	}
	return "string"
}

// isSet is true for the three kinds of sets.
func (v value) isSet() bool {
	return v.kind == kindStringSet || v.kind == kindNumberSet || v.kind == kindBinarySet
}

// elementKind is the kind of a set's members.
func (v value) elementKind() kind { return v.kind[:1] }

func (v value) equal(o value) bool {
	if v.kind != o.kind {
		return false
	}
	switch v.kind {
	case kindNull:
		return true
	case kindBool:
		return v.flag == o.flag
	case kindList:
		return slices.EqualFunc(v.list, o.list, value.equal)
	case kindMap:
		return v.m.equal(o.m)
	case kindStringSet, kindNumberSet, kindBinarySet:
		return sameMembers(v.set, o.set)
	}
	return v.text == o.text
}

func (it item) equal(o item) bool {
	if len(it) != len(o) {
		return false
	}
	for name, v := range it {
		w, ok := o[name]
		if !ok || !v.equal(w) {
			return false
		}
	}
	return true
}

func sameMembers(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	return true
}

// compare orders two values of one kind that has an order; ok is false for others.
func (v value) compare(o value) (order int, ok bool) {
	if v.kind != o.kind {
		return 0, false
	}
	switch v.kind {
	case kindString, kindBinary:
		return strings.Compare(v.text, o.text), true
	case kindNumber:
		return v.number().compare(o.number()), true
	}
	return 0, false
}

// sortKey is a string whose byte order is the order of keys of v's kind.
func (v value) sortKey() string {
	if v.kind == kindNumber {
		return v.number().sortKey()
	}
	return v.text
}

// size counts the bytes of a value by the rules of the DynamoDB guide
// (CapacityUnitCalculations).
func (v value) size() int {
	switch v.kind {
	case kindString, kindBinary:
		return len(v.text)
	case kindNumber:
		return v.number().size()
	case kindBool, kindNull:
		return 1
	case kindList:
		n := 3
		for _, e := range v.list {
			n += 1 + e.size()
		}
		return n
	case kindMap:
		n := 3
		for name, e := range v.m {
			n += 1 + len(name) + e.size()
		}
		return n
	}
	n := 0
	for _, s := range v.set {
		n += value{kind: v.elementKind(), text: s}.size()
	}
	return n
}

func (it item) size() int {
	n := 0
	for name, v := range it {
		n += len(name) + v.size()
	}
	return n
}
