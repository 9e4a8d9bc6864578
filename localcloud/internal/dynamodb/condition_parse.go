package dynamodb

import (
	"slices"
	"strconv"
)

// conditionWords cannot be attribute names in conditions.
func conditionWords() []string { return []string{"AND", "OR", "NOT", "BETWEEN", "IN"} }

// functionArity is the number of operands of each function of conditions; -1
// is no function.
func functionArity(name string) int {
	switch name {
	case "attribute_exists", "attribute_not_exists", "size":
		return 1
	case "attribute_type", "begins_with", "contains":
		return 2
	}
	return -1
}

// maxIn is the number of values in an IN.
const maxIn = 100

// term is what a part of a condition turned out to be: a condition, or an
// operand that a comparison has yet to use.
type term struct {
	cond    *condition
	operand operand
	parens  bool // it stands in parentheses
}

// parseCondition reads a condition of the named parameter; "" is no condition.
func parseCondition(what string, text *string, s *scope) (*condition, error) {
	if text == nil {
		return nil, nil
	}
	p, err := newParser(what, *text, s)
	if err != nil {
		return nil, err
	}
	t, err := p.or()
	if err != nil {
		return nil, err
	}
	cond, err := p.whole(t)
	if err != nil {
		return nil, err
	}
	if p.peek().kind != tokenEnd {
		return nil, p.syntax()
	}
	return cond, p.verdict()
}

// whole is the term as a condition. A function that is none is misused, any
// other operand lacks its comparison.
func (p *parser) whole(t term) (*condition, error) {
	if t.cond != nil {
		return t.cond, nil
	}
	c := t.operand.call
	if c == nil {
		return nil, p.syntax()
	}
	if c.name == "size" {
		p.misused(c)
	}
	return &condition{op: "call", operands: []operand{t.operand}}, nil
}

func (p *parser) misused(c *call) {
	p.note(faultMisusedFunction, "The function is not allowed to be used this way in an expression; function: "+c.name)
}

func (p *parser) or() (term, error) { return p.chain("or", p.and) }

func (p *parser) and() (term, error) { return p.chain("and", p.not) }

// chain reads terms that are joined by one keyword.
func (p *parser) chain(op string, read func() (term, error)) (term, error) {
	left, err := read()
	if err != nil {
		return term{}, err
	}
	for p.peek().isWord(op) {
		a, err := p.whole(left)
		if err != nil {
			return term{}, err
		}
		p.next()
		right, err := read()
		if err != nil {
			return term{}, err
		}
		b, err := p.whole(right)
		if err != nil {
			return term{}, err
		}
		left = term{cond: &condition{op: op, below: []*condition{a, b}}}
	}
	return left, nil
}

func (p *parser) not() (term, error) {
	if !p.acceptWord("NOT") {
		return p.comparison()
	}
	if err := p.enter(); err != nil {
		return term{}, err
	}
	defer p.leave()
	t, err := p.not()
	if err != nil {
		return term{}, err
	}
	c, err := p.whole(t)
	return term{cond: &condition{op: "not", below: []*condition{c}}}, err
}

// comparison reads an operand with what compares it, or a term in parentheses.
func (p *parser) comparison() (term, error) {
	left, err := p.primary()
	if err != nil || left.cond != nil {
		return left, err
	}
	t := p.peek()
	switch {
	case t.kind == tokenPunct && slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, t.text):
		p.next()
		right, err := p.operand()
		if err != nil {
			return term{}, err
		}
		p.checkComparison(t.text, left.operand, right)
		return term{cond: &condition{op: t.text, operands: []operand{left.operand, right}}}, nil
	case t.isWord("BETWEEN"):
		p.next()
		return p.between(left.operand)
	case t.isWord("IN"):
		p.next()
		return p.in(left.operand)
	}
	return left, nil
}

func (p *parser) between(left operand) (term, error) {
	low, err := p.operand()
	if err != nil {
		return term{}, err
	}
	if !p.acceptWord("AND") {
		return term{}, p.syntax()
	}
	high, err := p.operand()
	if err != nil {
		return term{}, err
	}
	p.checkBetween(left, low, high)
	return term{cond: &condition{op: "between", operands: []operand{left, low, high}}}, nil
}

func (p *parser) in(left operand) (term, error) {
	if err := p.expect("("); err != nil {
		return term{}, err
	}
	args, err := p.arguments()
	if err != nil {
		return term{}, err
	}
	if len(args) > maxIn {
		p.note(faultOperands, "Too many operands for the operator or function; operator or function: IN, number of operands: "+strconv.Itoa(len(args)+1))
	}
	all := append([]operand{left}, args...)
	p.noFunctions(all)
	return term{cond: &condition{op: "in", operands: all}}, nil
}

// primary reads parentheses, a function, a placeholder or a path.
func (p *parser) primary() (term, error) {
	if !p.accept("(") {
		o, err := p.simple()
		return term{operand: o}, err
	}
	if err := p.enter(); err != nil {
		return term{}, err
	}
	defer p.leave()
	t, err := p.or()
	if err != nil {
		return term{}, err
	}
	if err := p.expect(")"); err != nil {
		return term{}, err
	}
	if t.parens {
		p.note(faultParens, "The expression has redundant parentheses;")
	}
	t.parens = true
	return t, nil
}

// operand reads what stands at the side of a comparison.
func (p *parser) operand() (operand, error) {
	t, err := p.primary()
	if err == nil && t.cond != nil {
		err = p.syntax()
	}
	return t.operand, err
}

func (p *parser) simple() (operand, error) {
	t := p.peek()
	switch {
	case t.kind == tokenValue:
		p.next()
		v := p.resolveValue(t.text)
		return operand{value: &v}, nil
	case t.kind == tokenWord && p.tokens[p.at+1].is("(") && !slices.ContainsFunc(conditionWords(), t.isWord):
		return p.function()
	}
	at, err := p.path(conditionWords())
	return operand{path: at}, err
}

func (p *parser) function() (operand, error) {
	if err := p.enter(); err != nil {
		return operand{}, err
	}
	defer p.leave()
	name := p.next().text
	p.next() // the parenthesis that made it a function
	args, err := p.arguments()
	if err != nil {
		return operand{}, err
	}
	p.noFunctions(args)
	c := &call{name: name, args: args}
	p.checkFunction(c)
	return operand{call: c}, nil
}

// arguments reads operands up to the closing parenthesis.
func (p *parser) arguments() ([]operand, error) {
	var args []operand
	for {
		o, err := p.operand()
		if err != nil {
			return nil, err
		}
		args = append(args, o)
		if !p.accept(",") {
			return args, p.expect(")")
		}
	}
}
