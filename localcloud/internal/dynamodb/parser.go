package dynamodb

import (
	"slices"
	"strconv"
)

// maxExpression is the length of an expression, in bytes.
const maxExpression = 4 << 10

// maxDepth bounds the nesting of parentheses and paths, and so the recursion.
const maxDepth = 150

// parser reads one expression. A syntax error ends it at once; other faults
// are collected, for DynamoDB reports the gravest and not the first.
type parser struct {
	what   string // ConditionExpression, …
	text   string
	tokens []token
	at     int
	depth  int
	scope  *scope
	faults map[fault]string
}

// fault is a class of semantic errors.
type fault int

const (
	faultParens fault = iota
	faultUnknownFunction
	faultMisusedFunction
	faultReserved
	faultSection
	faultName
	faultValue
	faultOverlap
	faultConflict
	faultOperands
	faultDistinct
	faultOperand
)

func newParser(what, text string, s *scope) (*parser, error) {
	p := &parser{what: what, text: text, scope: s, faults: map[fault]string{}}
	if text == "" {
		return nil, p.invalid("The expression can not be empty;")
	}
	if len(text) > maxExpression {
		return nil, p.invalid("Expression size has exceeded the maximum allowed size; expression size: " + strconv.Itoa(len(text)))
	}
	p.tokens = tokenize(text)
	return p, nil
}

func (p *parser) invalid(why string) *Error { return validation("Invalid %s: %s", p.what, why) }

// note keeps the first fault of its class.
func (p *parser) note(f fault, why string) {
	if _, ok := p.faults[f]; !ok {
		p.faults[f] = why
	}
}

// verdict is the gravest fault. first overrides the usual order.
func (p *parser) verdict(first ...fault) error {
	for _, f := range first {
		if why, ok := p.faults[f]; ok {
			return p.invalid(why)
		}
	}
	for f := faultParens; f <= faultOperand; f++ {
		if why, ok := p.faults[f]; ok {
			return p.invalid(why)
		}
	}
	return nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// accept takes the token when it is the given punctuation.
func (p *parser) accept(punct string) bool {
	if p.peek().is(punct) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(punct string) error {
	if !p.accept(punct) {
		return p.syntax()
	}
	return nil
}

func (p *parser) acceptWord(keyword string) bool {
	if p.peek().isWord(keyword) {
		p.at++
		return true
	}
	return false
}

// syntax is the error at the current token, with its neighbours.
func (p *parser) syntax() error {
	from := 0
	if p.at > 0 {
		from = p.tokens[p.at-1].start
	}
	to := p.tokens[min(p.at+1, len(p.tokens)-1)]
	end := to.end
	if to.kind == tokenEnd && p.peek().kind != tokenEnd {
		end = p.peek().end
	}
	return p.invalid(`Syntax error; token: "` + p.peek().text + `", near: "` + p.text[from:end] + `"`)
}

// enter bounds the recursion; leave undoes it.
func (p *parser) enter() error {
	p.depth++
	if p.depth > maxDepth {
		return p.invalid("The expression has exceeded the maximum nesting depth;")
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// path reads a document path. keywords are words that cannot begin a name here.
func (p *parser) path(keywords []string) (path, error) {
	first, err := p.pathName(keywords)
	if err != nil {
		return nil, err
	}
	out := path{first}
	for {
		switch {
		case p.accept("."):
			s, err := p.pathName(keywords)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		case p.accept("["):
			t := p.peek()
			index, err := strconv.Atoi(t.text)
			if t.kind != tokenIndex || err != nil {
				return nil, p.syntax()
			}
			p.next()
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			out = append(out, step{index: index, isIndex: true})
		default:
			return out, nil
		}
	}
}

func (p *parser) pathName(keywords []string) (step, error) {
	t := p.peek()
	switch {
	case t.kind == tokenName:
		p.next()
		return step{name: p.resolveName(t.text)}, nil
	case t.kind == tokenWord && !slices.ContainsFunc(keywords, t.isWord):
		p.next()
		if isReserved(t.text) {
			p.note(faultReserved, "Attribute name is a reserved keyword; reserved keyword: "+t.text)
		}
		return step{name: t.text}, nil
	}
	return step{}, p.syntax()
}

func (p *parser) resolveName(placeholder string) string {
	name, ok := p.scope.names[placeholder]
	if !ok {
		p.note(faultName, "An expression attribute name used in the document path is not defined; attribute name: "+placeholder)
	}
	p.scope.namesUsed[placeholder] = true
	return name
}

func (p *parser) resolveValue(placeholder string) value {
	v, ok := p.scope.values[placeholder]
	if !ok {
		p.note(faultValue, "An expression attribute value used in expression is not defined; attribute value: "+placeholder)
	}
	p.scope.valuesUsed[placeholder] = true
	return v
}

// parseProjection reads a ProjectionExpression.
func parseProjection(text string, s *scope) (*pathTree, error) {
	p, err := newParser("ProjectionExpression", text, s)
	if err != nil {
		return nil, err
	}
	var paths []path
	for {
		one, err := p.path(nil)
		if err != nil {
			return nil, err
		}
		p.overlap(paths, one)
		paths = append(paths, one)
		if !p.accept(",") {
			break
		}
	}
	if p.peek().kind != tokenEnd {
		return nil, p.syntax()
	}
	if err := p.verdict(); err != nil {
		return nil, err
	}
	return newPathTree(paths), nil
}

// overlap notes a path that lies in one of the others, or that would need the
// same attribute to be a list and a map.
func (p *parser) overlap(others []path, one path) {
	for _, o := range others {
		clash := faultOverlap
		for i := range min(len(o), len(one)) {
			if o[i].isIndex != one[i].isIndex {
				clash = faultConflict
				break
			}
			if o[i] != one[i] {
				clash = -1
				break
			}
		}
		tail := "; must remove or rewrite one of these paths; path one: " + o.String() + ", path two: " + one.String()
		switch clash {
		case faultOverlap:
			p.note(faultOverlap, "Two document paths overlap with each other"+tail)
		case faultConflict:
			p.note(faultConflict, "Two document paths conflict with each other"+tail)
		}
	}
}
