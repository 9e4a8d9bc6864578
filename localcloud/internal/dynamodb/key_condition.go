package dynamodb

import "strings"

// keyRange is what a KeyConditionExpression asks for.
type keyRange struct {
	hash value
	op   string // "" for all, or = < <= > >= between begins_with
	a, b value
}

// keyTerm is one condition on one key attribute.
type keyTerm struct {
	name   string
	op     string
	values []value
}

// parseKeyCondition reads a KeyConditionExpression against a schema that is
// applied later by bind, when the table is known.
func parseKeyCondition(text string, s *scope) ([]keyTerm, error) {
	c, err := parseCondition("KeyConditionExpression", &text, s)
	if err != nil {
		return nil, err
	}
	var terms []keyTerm
	if err := keyTerms(c, &terms); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, t := range terms {
		if seen[t.name] {
			return nil, validation("KeyConditionExpressions must only contain one condition per key")
		}
		seen[t.name] = true
	}
	if len(terms) > 2 {
		return nil, validation("Conditions can be of length 1 or 2 only")
	}
	return terms, nil
}

// keyTerms flattens the ANDs and checks every term's form.
func keyTerms(c *condition, terms *[]keyTerm) error {
	switch c.op {
	case "and":
		if err := keyTerms(c.below[0], terms); err != nil {
			return err
		}
		return keyTerms(c.below[1], terms)
	case "or", "not", "in", "<>":
		return validation("Invalid operator used in KeyConditionExpression: %s", strings.ToUpper(c.op))
	case "call":
		f := c.operands[0].call
		if f.name != "begins_with" {
			return validation("Invalid operator used in KeyConditionExpression: %s", f.name)
		}
		return keyTermOf(f.name, f.args, terms)
	case "between":
		return keyTermOf(c.op, c.operands, terms)
	}
	operands, op := c.operands, c.op
	if operands[0].path == nil && operands[1].path != nil {
		operands, op = []operand{operands[1], operands[0]}, mirrored(op)
	}
	return keyTermOf(op, operands, terms)
}

// mirrored is the operator with its sides exchanged.
func mirrored(op string) string {
	switch op[0] {
	case '<':
		return ">" + op[1:]
	case '>':
		return "<" + op[1:]
	}
	return op
}

func keyTermOf(op string, operands []operand, terms *[]keyTerm) error {
	for _, o := range operands {
		if o.call != nil {
			return validation("KeyConditionExpressions cannot contain nested operations")
		}
	}
	if operands[0].path == nil {
		return validation("No key attribute specified")
	}
	if len(operands[0].path) > 1 {
		return validation("Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: %s", operands[0].path[0].name)
	}
	t := keyTerm{name: operands[0].path[0].name, op: op}
	for _, o := range operands[1:] {
		if o.value == nil {
			return validation("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
		}
		t.values = append(t.values, *o.value)
	}
	*terms = append(*terms, t)
	return nil
}

// bind applies the terms to a schema.
func (k key) bind(terms []keyTerm) (keyRange, error) {
	var r keyRange
	hashed := false
	for _, t := range terms {
		if t.name == k.hash {
			hashed = true
			if t.op != "=" {
				return r, validation("Query key condition not supported")
			}
			r.hash = t.values[0]
		}
	}
	if !hashed {
		return r, validation("Query condition missed key schema element: %s", k.hash)
	}
	for _, t := range terms {
		if t.name == k.hash {
			continue
		}
		if t.name != k.sort || k.sort == "" {
			if k.sort == "" {
				return r, validation("Query key condition not supported")
			}
			return r, validation("Query condition missed key schema element: %s", k.sort)
		}
		r.op, r.a = t.op, t.values[0]
		if len(t.values) > 1 {
			r.b = t.values[1]
		}
	}
	return r, k.checkTypes(terms)
}

func (k key) checkTypes(terms []keyTerm) error {
	for _, t := range terms {
		for _, v := range t.values {
			if v.kind != k.kindOf(t.name) {
				return invalidParameter("Condition parameter type does not match schema type")
			}
			if v.kind != kindNumber && v.text == "" && t.op == "=" {
				return validation("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", v.kind.word(), t.name)
			}
		}
		if t.op == "begins_with" && k.kindOf(t.name) == kindNumber {
			return invalidParameter("Unsupported operator on a range key: begins_with")
		}
	}
	return nil
}

// span is the part of a partition's rows that the range condition selects:
// they are neighbours, for the rows are in order.
func (r keyRange) span(rows []*row) (from, to int) {
	from, to = 0, len(rows)
	if r.op == "" {
		return from, to
	}
	a := r.a.sortKey()
	switch r.op {
	case "=":
		return search(rows, a, false), search(rows, a, true)
	case "<":
		to = search(rows, a, false)
	case "<=":
		to = search(rows, a, true)
	case ">":
		from = search(rows, a, true)
	case ">=":
		from = search(rows, a, false)
	case "between":
		from, to = search(rows, a, false), search(rows, r.b.sortKey(), true)
	case "begins_with":
		from = search(rows, a, false)
		for to = from; to < len(rows) && strings.HasPrefix(rows[to].sort, a); to++ {
		}
	}
	return from, max(from, to)
}

// search is the first row whose range key is not below the key, or, with
// past, is above it.
func search(rows []*row, sort string, past bool) int {
	lo, hi := 0, len(rows)
	for lo < hi {
		mid := (lo + hi) / 2
		if c := strings.Compare(rows[mid].sort, sort); c < 0 || past && c == 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
