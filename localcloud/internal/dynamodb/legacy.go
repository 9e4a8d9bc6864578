package dynamodb

import (
	"slices"
	"strings"
)

// The parameters that expressions replaced: KeyConditions, QueryFilter,
// ScanFilter, Expected, AttributeUpdates and AttributesToGet. Each becomes what
// the expression that replaced it would have been parsed to. They name
// attributes of the top level only, dots included.

// comparison is a condition on one attribute. Value and Exists are the older
// form, which only Expected has.
type comparison struct {
	ComparisonOperator string
	AttributeValueList []value
	Value              *value
	Exists             *bool
}

// attributeUpdate is a change of one attribute.
type attributeUpdate struct {
	Action string
	Value  *value
}

// given is a parameter and whether a request has it.
type given struct {
	name string
	is   bool
}

// notBoth refuses requests that mix expressions and what they replaced.
func notBoth(legacy []given, expressions ...given) error {
	present := func(all []given) string {
		var names []string
		for _, g := range all {
			if g.is {
				names = append(names, g.name)
			}
		}
		return strings.Join(names, ", ")
	}
	old, now := present(legacy), present(expressions)
	if old == "" || now == "" {
		return nil
	}
	return validation("Can not use both expression and non-expression parameters in the same request: "+
		"Non-expression parameters: {%s} Expression parameters: {%s}", old, now)
}

func topLevel(name string) operand { return operand{path: path{{name: name}}} }

// attributesToGet is the projection of a list of names; nil without one.
func attributesToGet(names []string) (*pathTree, error) {
	if names == nil {
		return nil, nil
	}
	if len(names) == 0 {
		return nil, constraint("[]", "attributesToGet", "have length greater than or equal to 1")
	}
	paths := make([]path, len(names))
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, invalidParameter("Duplicate value in attribute name: %s", name)
		}
		paths[i] = path{{name: name}}
	}
	return newPathTree(paths), nil
}

// arguments is how many values an operator takes; many is one or more.
func (c comparison) arguments() (n int, many, ok bool) {
	switch c.ComparisonOperator {
	case "NULL", "NOT_NULL":
		return 0, false, true
	case "EQ", "NE", "LE", "LT", "GE", "GT", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH":
		return 1, false, true
	case "BETWEEN":
		return 2, false, true
	case "IN":
		return 1, true, true
	}
	return 0, false, false
}

// check refuses an operator that there is not, and values it cannot take.
func (c comparison) check(parameter, name string) error {
	member := parameter + "." + name + ".member.comparisonOperator"
	if c.ComparisonOperator == "" {
		return constraint("null", member, "not be null")
	}
	n, many, ok := c.arguments()
	if !ok {
		return oneOf(member, c.ComparisonOperator, "IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL", "NE", "LE", "BEGINS_WITH", "GE", "CONTAINS")
	}
	values := c.AttributeValueList
	if len(values) != n && !(many && len(values) > n) {
		return invalidParameter("Invalid number of argument(s) for the %s ComparisonOperator", c.ComparisonOperator)
	}
	for _, v := range values {
		if v.kind != values[0].kind {
			return invalidParameter("AttributeValues inside AttributeValueList must be of same type")
		}
		if !c.takes(v) {
			return invalidParameter("ComparisonOperator %s is not valid for %s AttributeValue type", c.ComparisonOperator, v.kind)
		}
	}
	if c.ComparisonOperator == "BETWEEN" {
		if order, ok := values[0].compare(values[1]); ok && order > 0 {
			return validation("The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")
		}
	}
	return nil
}

func (c comparison) takes(v value) bool {
	switch c.ComparisonOperator {
	case "EQ", "NE", "IN":
		return true
	case "BEGINS_WITH":
		return v.kind == kindString || v.kind == kindBinary
	}
	return v.kind == kindString || v.kind == kindNumber || v.kind == kindBinary
}

// symbol is the operator in the words of expressions.
func (c comparison) symbol() string {
	return map[string]string{
		"EQ": "=", "NE": "<>", "LE": "<=", "LT": "<", "GE": ">=", "GT": ">", "BETWEEN": "between", "IN": "in",
		"NULL": "attribute_not_exists", "NOT_NULL": "attribute_exists",
		"CONTAINS": "contains", "NOT_CONTAINS": "contains", "BEGINS_WITH": "begins_with",
	}[c.ComparisonOperator]
}

// condition is the comparison as a node of a condition.
func (c comparison) condition(name string) *condition {
	operands := []operand{topLevel(name)}
	for i := range c.AttributeValueList {
		operands = append(operands, operand{value: &c.AttributeValueList[i]})
	}
	op := c.symbol()
	if functionArity(op) < 0 {
		return &condition{op: op, operands: operands}
	}
	node := &condition{op: "call", operands: []operand{{call: &call{name: op, args: operands}}}}
	if c.ComparisonOperator == "NOT_CONTAINS" {
		return &condition{op: "not", below: []*condition{node}}
	}
	return node
}

// legacyFilter is QueryFilter, ScanFilter or Expected as a condition.
func legacyFilter(parameter string, all map[string]comparison, operator string) (*condition, error) {
	if err := oneOf("conditionalOperator", operator, "OR", "AND"); err != nil {
		return nil, err
	}
	switch {
	case operator != "" && len(all) == 0:
		return nil, validation("ConditionalOperator cannot be used without Filter or Expected")
	case operator != "" && len(all) == 1:
		return nil, validation("ConditionalOperator can only be used when Filter or Expected has two or more elements")
	}
	join := "and"
	if operator == "OR" {
		join = "or"
	}
	var tree *condition
	for _, name := range sortedNames(all) {
		c, err := all[name].modern(name)
		if err == nil {
			err = c.check(parameter, name)
		}
		if err != nil {
			return nil, err
		}
		if node := c.condition(name); tree == nil {
			tree = node
		} else {
			tree = &condition{op: join, below: []*condition{tree, node}}
		}
	}
	return tree, nil
}

// modern replaces the older form of Expected: a value to be equal to, or that
// there be none.
func (c comparison) modern(name string) (comparison, error) {
	exists := c.Exists == nil || *c.Exists
	switch {
	case c.Value != nil && c.AttributeValueList != nil:
		return c, invalidParameter("Value and AttributeValueList cannot be used together for Attribute: %s", name)
	case c.ComparisonOperator != "" && c.Exists != nil:
		return c, invalidParameter("Exists and ComparisonOperator cannot be used together for Attribute: %s", name)
	case c.ComparisonOperator != "":
		if c.Value != nil {
			c.AttributeValueList = []value{*c.Value}
		}
		if n, _, ok := c.arguments(); ok && n > 0 && c.AttributeValueList == nil {
			return c, invalidParameter("Value or AttributeValueList must be used with ComparisonOperator: %s for Attribute: %s", c.ComparisonOperator, name)
		}
		return c, nil
	case c.AttributeValueList != nil:
		return c, invalidParameter("AttributeValueList can only be used with a ComparisonOperator for Attribute: %s", name)
	case exists && c.Value == nil:
		shown := "null"
		if c.Exists != nil {
			shown = "true"
		}
		return c, invalidParameter("Value must be provided when Exists is %s for Attribute: %s", shown, name)
	case !exists && c.Value != nil:
		return c, invalidParameter("Value cannot be used when Exists is false for Attribute: %s", name)
	case !exists:
		return comparison{ComparisonOperator: "NULL"}, nil
	}
	return comparison{ComparisonOperator: "EQ", AttributeValueList: []value{*c.Value}}, nil
}

// legacyKeyCondition is KeyConditions as the terms of a key condition.
func legacyKeyCondition(all map[string]comparison) ([]keyTerm, error) {
	var terms []keyTerm
	for _, name := range sortedNames(all) {
		c := all[name]
		if err := c.check("keyConditions", name); err != nil {
			return nil, err
		}
		switch c.ComparisonOperator {
		case "NULL", "NOT_NULL", "NE", "CONTAINS", "NOT_CONTAINS", "IN":
			return nil, validation("Attempted conditional constraint is not an indexable operation")
		}
		terms = append(terms, keyTerm{name: name, op: c.symbol(), values: c.AttributeValueList})
	}
	if len(terms) < 1 || len(terms) > 2 {
		return nil, validation("Conditions can be of length 1 or 2 only")
	}
	return terms, nil
}

// legacyUpdate is AttributeUpdates as an update.
func legacyUpdate(all map[string]attributeUpdate) (*update, error) {
	u := &update{legacy: true}
	for _, name := range sortedNames(all) {
		a, err := all[name].action(name)
		if err != nil {
			return nil, err
		}
		u.actions = append(u.actions, a)
	}
	return u, nil
}

func (au attributeUpdate) action(name string) (action, error) {
	a := action{path: topLevel(name).path}
	if err := oneOf("attributeUpdates."+name+".member.action", au.Action, "ADD", "PUT", "DELETE"); err != nil {
		return a, err
	}
	v := au.Value
	a.value = operand{value: v}
	switch {
	case v == nil && au.Action != "DELETE":
		return a, invalidParameter("Only DELETE action is allowed when no attribute value is specified")
	case v == nil:
		a.verb = "REMOVE"
	case au.Action == "DELETE":
		if !v.isSet() {
			return a, invalidParameter("DELETE action with value is not supported for the type %s", v.kind)
		}
		a.verb = "DELETE"
	case au.Action == "ADD" && v.kind == kindList:
		// ADD appends to a list, which the ADD of expressions does not do.
		none := operand{value: &value{kind: kindList}}
		old := operand{call: &call{name: "if_not_exists", args: []operand{topLevel(name), none}}}
		a.verb, a.value = "SET", operand{call: &call{name: "list_append", args: []operand{old, {value: v}}}}
	case au.Action == "ADD":
		if v.kind != kindNumber && !v.isSet() {
			return a, invalidParameter("ADD action is not supported for the type %s", v.kind)
		}
		a.verb = "ADD"
	default:
		a.verb = "SET"
	}
	return a, nil
}
