package dynamodb

import (
	"slices"
	"strconv"
)

// update is a parsed UpdateExpression.
type update struct {
	actions []action
	legacy  bool // it was AttributeUpdates, whose errors have texts of their own
}

// action is one change: SET, REMOVE, ADD or DELETE of a path.
type action struct {
	verb  string
	path  path
	value operand
}

func (u *update) paths() []path {
	out := make([]path, len(u.actions))
	for i, a := range u.actions {
		out[i] = a.path
	}
	return out
}

func updateWords() []string { return []string{"SET", "REMOVE", "ADD", "DELETE"} }

// maxOperators is how many operators and functions an update may have.
const maxOperators = 300

// parseUpdate reads an UpdateExpression; nil text is an update of nothing.
func parseUpdate(text *string, s *scope) (*update, error) {
	u := &update{}
	if text == nil {
		return u, nil
	}
	p, err := newParser("UpdateExpression", *text, s)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for p.peek().kind != tokenEnd {
		i := slices.IndexFunc(updateWords(), p.peek().isWord)
		if i < 0 {
			return nil, p.syntax()
		}
		p.next()
		verb := updateWords()[i]
		if seen[verb] {
			p.note(faultSection, `The "`+verb+`" section can only be used once in an update expression;`)
		}
		seen[verb] = true
		if err := p.section(u, verb); err != nil {
			return nil, err
		}
	}
	if err := p.verdict(faultReserved); err != nil {
		return nil, err
	}
	if n := u.operators(); n > maxOperators {
		return nil, p.invalid("The number of operators exceeded the limit of " + strconv.Itoa(maxOperators) + "; operator count: " + strconv.Itoa(n))
	}
	return u, nil
}

// operators counts the functions and arithmetic of all actions.
func (u *update) operators() int {
	n := 0
	for _, a := range u.actions {
		n += 1 + a.value.operators()
	}
	return n
}

func (o operand) operators() int {
	if o.call == nil {
		return 0
	}
	n := 1
	for _, a := range o.call.args {
		n += a.operators()
	}
	return n
}

// section reads the actions of one keyword.
func (p *parser) section(u *update, verb string) error {
	for {
		a, err := p.action(verb)
		if err != nil {
			return err
		}
		p.overlap(u.paths(), a.path)
		u.actions = append(u.actions, a)
		if !p.accept(",") {
			return nil
		}
	}
}

func (p *parser) action(verb string) (action, error) {
	at, err := p.path(updateWords())
	if err != nil {
		return action{}, err
	}
	a := action{verb: verb, path: at}
	switch verb {
	case "SET":
		if err := p.expect("="); err != nil {
			return a, err
		}
		a.value, err = p.sum()
	case "ADD", "DELETE":
		t := p.peek()
		if t.kind != tokenValue {
			return a, p.syntax()
		}
		p.next()
		v := p.resolveValue(t.text)
		a.value.value = &v
		p.checkChange(verb, v)
	}
	return a, err
}

// checkChange refuses values that ADD and DELETE cannot use.
func (p *parser) checkChange(verb string, v value) {
	if v.kind == "" || v.isSet() || verb == "ADD" && v.kind == kindNumber {
		return
	}
	names := map[kind]string{
		kindString: "STRING", kindNumber: "NUMBER", kindBinary: "BINARY", kindNull: "NULL",
		kindBool: "BOOLEAN", kindList: "LIST", kindMap: "MAP",
	}
	p.note(faultOperands, "Incorrect operand type for operator or function; operator: "+verb+", operand type: "+names[v.kind])
}

// sum reads an operand, or two with + or - between them.
func (p *parser) sum() (operand, error) {
	left, err := p.updateOperand()
	if err != nil {
		return operand{}, err
	}
	t := p.peek()
	if !t.is("+") && !t.is("-") {
		return left, nil
	}
	p.next()
	right, err := p.updateOperand()
	if err != nil {
		return operand{}, err
	}
	c := &call{name: t.text, args: []operand{left, right}}
	p.checkUpdateCall(c)
	return operand{call: c}, nil
}

func (p *parser) updateOperand() (operand, error) {
	t := p.peek()
	switch {
	case p.accept("("):
		if err := p.enter(); err != nil {
			return operand{}, err
		}
		defer p.leave()
		o, err := p.sum()
		if err != nil {
			return o, err
		}
		return o, p.expect(")")
	case t.kind == tokenValue:
		p.next()
		v := p.resolveValue(t.text)
		return operand{value: &v}, nil
	case t.kind == tokenWord && p.tokens[p.at+1].is("("):
		return p.updateFunction()
	}
	at, err := p.path(updateWords())
	return operand{path: at}, err
}

func (p *parser) updateFunction() (operand, error) {
	if err := p.enter(); err != nil {
		return operand{}, err
	}
	defer p.leave()
	c := &call{name: p.next().text}
	p.next() // the parenthesis that made it a function
	for {
		o, err := p.updateOperand()
		if err != nil {
			return operand{}, err
		}
		c.args = append(c.args, o)
		if p.accept(",") {
			continue
		}
		if err := p.expect(")"); err != nil {
			return operand{}, err
		}
		p.checkUpdateCall(c)
		return operand{call: c}, nil
	}
}

func (p *parser) checkUpdateCall(c *call) {
	want := kind("")
	switch c.name {
	case "if_not_exists":
	case "list_append":
		want = kindList
	case "+", "-":
		want = kindNumber
	default:
		if functionArity(c.name) > 0 {
			p.note(faultUnknownFunction, "The function is not allowed in an update expression; function: "+c.name)
		} else {
			p.note(faultUnknownFunction, "Invalid function name; function: "+c.name)
		}
		return
	}
	if len(c.args) != 2 {
		p.note(faultOperand, operandCount(c))
		return
	}
	if c.name == "if_not_exists" {
		if c.args[0].path == nil {
			p.note(faultOperand, "Operator or function requires a document path; operator or function: "+c.name)
		}
		return
	}
	for _, a := range c.args {
		if k := a.literal(); k != "" && k != want {
			p.note(faultOperand, operandType(c.name, string(k)))
		}
	}
}
