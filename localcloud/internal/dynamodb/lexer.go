package dynamodb

import "strings"

type tokenKind int

const (
	tokenEnd   tokenKind = iota
	tokenWord            // attribute name, keyword or function name
	tokenName            // #placeholder
	tokenValue           // :placeholder
	tokenIndex           // digits
	tokenPunct           // = <> < <= > >= + - ( ) [ ] , .
	tokenBad
)

type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// isWord is true for the keyword, in any case.
func (t token) isWord(keyword string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, keyword)
}

func (t token) is(punct string) bool { return t.kind == tokenPunct && t.text == punct }

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isPart(c byte) bool { return isLetter(c) || isDigit(c) }

// tokenize splits an expression. It never fails: what is no token becomes one
// of kind tokenBad, which the parser refuses with its place. The last token is
// tokenEnd.
func tokenize(text string) []token {
	var out []token
	for i := 0; i < len(text); {
		if strings.IndexByte(" \t\r\n", text[i]) >= 0 {
			i++
			continue
		}
		kind, end := scanToken(text, i)
		out = append(out, token{kind, text[i:end], i, end})
		i = end
	}
	return append(out, token{tokenEnd, "<EOF>", len(text), len(text)})
}

func scanToken(text string, i int) (tokenKind, int) {
	span := func(from int, in func(byte) bool) int {
		for from < len(text) && in(text[from]) {
			from++
		}
		return from
	}
	c := text[i]
	switch {
	case isLetter(c):
		return tokenWord, span(i, isPart)
	case isDigit(c):
		return tokenIndex, span(i, isDigit)
	case c == '#' || c == ':':
		end := span(i+1, isPart)
		if end == i+1 {
			return tokenBad, end
		}
		if c == '#' {
			return tokenName, end
		}
		return tokenValue, end
	}
	if i+1 < len(text) {
		switch text[i : i+2] {
		case "<>", "<=", ">=":
			return tokenPunct, i + 2
		}
	}
	if strings.IndexByte("=<>+-()[],.", c) >= 0 {
		return tokenPunct, i + 1
	}
	return tokenBad, i + 1
}
