package iam

import "unicode"

// glob is a pattern in which two values that are no characters stand for the
// wildcards, so that the text of a policy variable is never one.
type glob []rune

const (
	star     rune = -1 // any number of characters
	question rune = -2 // one character
)

// compileGlob makes a pattern of s, in which * and ? are wildcards.
func compileGlob(s string) glob {
	g := make(glob, 0, len(s))
	for _, r := range s {
		switch r {
		case '*':
			r = star
		case '?':
			r = question
		}
		g = append(g, r)
	}
	return g
}

// literal makes a pattern that matches s alone.
func literal(s string) glob { return glob(s) }

// fold returns the pattern in lower case.
func (g glob) fold() glob {
	folded := make(glob, len(g))
	for i, r := range g {
		if r >= 0 {
			r = unicode.ToLower(r)
		}
		folded[i] = r
	}
	return folded
}

// matches reports whether all of s matches. It takes at most len(g)*len(s)
// steps: only the last star is ever tried again.
func (g glob) matches(s string) bool {
	text := []rune(s)
	p, t := 0, 0
	again, mark := -1, 0 // where to go on after the last star, and in text
	for t < len(text) {
		switch {
		case p < len(g) && g[p] == star:
			again, mark = p+1, t
			p++
		case p < len(g) && (g[p] == question || g[p] == text[t]):
			p++
			t++
		case again >= 0:
			mark++
			p, t = again, mark
		default:
			return false
		}
	}
	for p < len(g) && g[p] == star {
		p++
	}
	return p == len(g)
}
