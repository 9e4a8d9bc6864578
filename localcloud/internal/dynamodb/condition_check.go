package dynamodb

import (
	"encoding/base64"
	"slices"
	"strconv"
)

// What DynamoDB refuses in a condition before it sees an item.

// noFunctions notes a function other than size among operands.
func (p *parser) noFunctions(operands []operand) {
	for _, o := range operands {
		if o.call != nil && o.call.name != "size" {
			p.misused(o.call)
		}
	}
}

func (p *parser) checkComparison(op string, left, right operand) {
	p.noFunctions([]operand{left, right})
	p.distinct(op, left, right)
	if op == "=" || op == "<>" {
		return
	}
	for _, o := range []operand{left, right} {
		if k := o.literal(); k != "" && k != kindString && k != kindNumber && k != kindBinary {
			p.note(faultOperand, operandType(op, string(k)))
		}
	}
}

func (p *parser) distinct(op string, left, right operand) {
	if left.path != nil && right.path != nil && slices.Equal(left.path, right.path) {
		p.note(faultDistinct, "The first operand must be distinct from the remaining operands for this operator or function; operator: "+
			op+", first operand: "+left.path.String())
	}
}

func (p *parser) checkBetween(left, low, high operand) {
	p.noFunctions([]operand{left, low, high})
	if low.value == nil || high.value == nil || low.literal() == "" || high.literal() == "" {
		return
	}
	bounds := "lower bound operand: AttributeValue: " + printed(*low.value) + ", upper bound operand: AttributeValue: " + printed(*high.value)
	order, ok := low.value.compare(*high.value)
	switch {
	case low.value.kind != high.value.kind:
		p.note(faultOperand, "The BETWEEN operator requires same data type for lower and upper bounds; "+bounds)
	case ok && order > 0:
		p.note(faultOperand, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "+bounds)
	}
}

// printed is a scalar as AWS prints it in a message.
func printed(v value) string {
	text := v.text
	if v.kind == kindBinary {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return "{" + string(v.kind) + ":" + text + "}"
}

func (p *parser) checkFunction(c *call) {
	arity := functionArity(c.name)
	if arity < 0 {
		p.note(faultUnknownFunction, "Invalid function name; function: "+c.name)
		return
	}
	if len(c.args) != arity {
		p.note(faultOperands, operandCount(c))
		// The arguments are read by position later, even of a call that is refused.
		c.args = append(c.args, operand{value: &value{}}, operand{value: &value{}})
		return
	}
	switch c.name {
	case "attribute_exists", "attribute_not_exists":
		if c.args[0].path == nil {
			p.note(faultOperand, "Operator or function requires a document path; operator or function: "+c.name)
		}
		return
	case "size":
		k := c.args[0].result()
		if k == kindNumber || k == kindBool || k == kindNull {
			p.note(faultOperand, operandType(c.name, string(k)))
		}
		return
	}
	p.distinct(c.name, c.args[0], c.args[1])
	switch c.name {
	case "begins_with":
		for _, a := range c.args {
			if k := a.result(); k != "" && k != kindString && k != kindBinary {
				p.note(faultOperand, operandType(c.name, string(k)))
			}
		}
	case "attribute_type":
		p.checkTypeName(c.args[1])
	}
}

func operandCount(c *call) string {
	return "Incorrect number of operands for operator or function; operator or function: " + c.name +
		", number of operands: " + strconv.Itoa(len(c.args))
}

func operandType(name, k string) string {
	return "Incorrect operand type for operator or function; operator or function: " + name + ", operand type: " + k
}

func (p *parser) checkTypeName(o operand) {
	k := string(o.result())
	if k == "" {
		k = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
	}
	if k != "S" {
		p.note(faultOperand, operandType("attribute_type", k))
		return
	}
	known := []string{"S", "N", "B", "NULL", "SS", "BOOL", "L", "BS", "NS", "M"}
	if !slices.Contains(known, o.value.text) {
		p.note(faultOperand, "Invalid attribute type name found; type: "+o.value.text+", valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}")
	}
}
