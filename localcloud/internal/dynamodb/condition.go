package dynamodb

import (
	"strings"
	"unicode/utf16"
)

// operand is a path, a value, or a call of a function.
type operand struct {
	path  path
	value *value
	call  *call
}

// call is a function with its arguments, in conditions and in updates; the
// operators + and - of updates are calls too.
type call struct {
	name string
	args []operand
}

// condition is a node of a condition: and, or, not with conditions below it,
// or a comparison or function with operands.
type condition struct {
	op       string // "and", "or", "not", "call", "between", "in", or a comparator
	below    []*condition
	operands []operand
}

// literal is the kind of a placeholder's value, "" for other operands.
func (o operand) literal() kind {
	if o.value == nil {
		return ""
	}
	return o.value.kind
}

// result is the kind an operand surely has, "" when only the item tells.
func (o operand) result() kind {
	if o.call != nil {
		if o.call.name == "size" {
			return kindNumber
		}
		return kindBool
	}
	return o.literal()
}

// of is the operand's value for an item.
func (o operand) of(it item) (value, bool) {
	switch {
	case o.value != nil:
		return *o.value, true
	case o.path != nil:
		return it.at(o.path)
	}
	return sizeOf(o.call.args[0], it)
}

// sizeOf is the function size: characters of a string, bytes of a binary,
// members of the rest. Other types have no size.
func sizeOf(o operand, it item) (value, bool) {
	v, ok := o.of(it)
	if !ok {
		return value{}, false
	}
	var n int
	switch v.kind {
	case kindString:
		n = len(utf16.Encode([]rune(v.text)))
	case kindBinary:
		n = len(v.text)
	case kindList:
		n = len(v.list)
	case kindMap:
		n = len(v.m)
	case kindStringSet, kindNumberSet, kindBinarySet:
		n = len(v.set)
	default:
		return value{}, false
	}
	return numberOf(n), true
}

// holds evaluates the condition; a nil condition holds. it may be nil: no item.
func (c *condition) holds(it item) bool {
	if c == nil {
		return true
	}
	switch c.op {
	case "and":
		return c.below[0].holds(it) && c.below[1].holds(it)
	case "or":
		return c.below[0].holds(it) || c.below[1].holds(it)
	case "not":
		return !c.below[0].holds(it)
	case "call":
		return c.operands[0].call.holds(it)
	}
	return c.compare(it)
}

func (c *condition) compare(it item) bool {
	left, ok := c.operands[0].of(it)
	switch c.op {
	case "between":
		low, ok1 := c.operands[1].of(it)
		high, ok2 := c.operands[2].of(it)
		return ok && ok1 && ok2 && ordered(low, "<=", left) && ordered(left, "<=", high)
	case "in":
		for _, o := range c.operands[1:] {
			if right, ok2 := o.of(it); ok && ok2 && left.equal(right) {
				return true
			}
		}
		return false
	}
	right, ok2 := c.operands[1].of(it)
	switch c.op {
	case "=":
		return ok && ok2 && left.equal(right)
	case "<>":
		// True when either is missing, as for values of different types.
		return !ok || !ok2 || !left.equal(right)
	}
	return ok && ok2 && ordered(left, c.op, right)
}

func ordered(a value, op string, b value) bool {
	order, ok := a.compare(b)
	if !ok {
		return false
	}
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func (c *call) holds(it item) bool {
	v, ok := c.args[0].of(it)
	switch c.name {
	case "attribute_exists":
		return ok
	case "attribute_not_exists":
		return !ok
	}
	w, ok2 := c.args[1].of(it)
	if !ok || !ok2 {
		return false
	}
	switch c.name {
	case "attribute_type":
		return string(v.kind) == w.text
	case "begins_with":
		return v.kind == w.kind && (v.kind == kindString || v.kind == kindBinary) && strings.HasPrefix(v.text, w.text)
	}
	return contains(v, w)
}

// contains looks for a part of a string or binary, or for a member.
func contains(v, w value) bool {
	switch v.kind {
	case kindString, kindBinary:
		return w.kind == v.kind && strings.Contains(v.text, w.text)
	case kindList:
		for _, e := range v.list {
			if e.equal(w) {
				return true
			}
		}
		return false
	}
	return v.isSet() && w.kind == v.elementKind() && sliceHas(v.set, w.text)
}

// mentions calls visit with every path of the condition.
func (c *condition) mentions(visit func(path)) {
	if c == nil {
		return
	}
	for _, b := range c.below {
		b.mentions(visit)
	}
	for _, o := range c.operands {
		o.mentions(visit)
	}
}

func (o operand) mentions(visit func(path)) {
	if o.path != nil {
		visit(o.path)
	}
	if o.call != nil {
		for _, a := range o.call.args {
			a.mentions(visit)
		}
	}
}
