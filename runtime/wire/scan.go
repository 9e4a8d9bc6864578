package wire

import "encoding/json"

// scanner walks over JSON text without building anything from it. It exists
// because a message is looked at once on the way in: validity, the top-level
// keys and where their values lie all come from the same pass.
type scanner struct {
	b []byte
	i int // next byte; after a failure, where it was
	// deep says that the text was refused for its nesting.
	deep bool
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// take skips space and the byte c, when that comes next.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// value skips space and one value that lies depth levels deep, and returns the
// value's own bytes.
func (s *scanner) value(depth int) ([]byte, bool) {
	s.space()
	start := s.i
	if s.i >= len(s.b) {
		return nil, false
	}
	ok := false
	switch c := s.b[s.i]; {
	case c == '"':
		_, ok = s.str()
	case c == '{' || c == '[':
		if depth >= MaxDepth {
			s.deep = true
			return nil, false
		}
		s.i++
		if c == '{' {
			ok = s.object(depth + 1)
		} else {
			ok = s.array(depth + 1)
		}
	case c == 't':
		ok = s.word("true")
	case c == 'f':
		ok = s.word("false")
	case c == 'n':
		ok = s.word("null")
	case c == '-' || c-'0' < 10:
		ok = s.number()
	}
	return s.b[start:s.i], ok
}

func (s *scanner) object(depth int) bool {
	if s.take('}') {
		return true
	}
	for {
		s.space()
		if _, ok := s.str(); !ok || !s.take(':') {
			return false
		}
		if _, ok := s.value(depth); !ok {
			return false
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scanner) array(depth int) bool {
	if s.take(']') {
		return true
	}
	for {
		if _, ok := s.value(depth); !ok {
			return false
		}
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scanner) word(w string) bool {
	for j := range len(w) {
		if s.i >= len(s.b) || s.b[s.i] != w[j] {
			return false
		}
		s.i++
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i]-'0' < 10 {
		s.i++
	}
	return s.i > start
}

func (s *scanner) number() bool {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return false
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return false
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		return s.digits()
	}
	return true
}

// text is a string literal: its bytes between the quotes.
type text struct {
	raw     []byte
	escaped bool
}

// str reads a string literal at the current position.
func (s *scanner) str() (text, bool) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return text{}, false
	}
	s.i++
	t := text{}
	for start := s.i; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			t.raw = s.b[start:s.i]
			s.i++
			return t, true
		case c < ' ':
			return text{}, false
		case c == '\\':
			t.escaped = true
			if !s.escape() {
				return text{}, false
			}
		}
	}
	return text{}, false
}

// escape reads what follows a backslash and stays on its last byte.
func (s *scanner) escape() bool {
	s.i++
	if s.i >= len(s.b) {
		return false
	}
	switch s.b[s.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			s.i++
			if s.i >= len(s.b) || !hex(s.b[s.i]) {
				return false
			}
		}
		return true
	}
	return false
}

func hex(c byte) bool { return c-'0' < 10 || c|0x20 >= 'a' && c|0x20 <= 'f' }

// string returns the value of the literal.
func (t text) string() string {
	if !t.escaped {
		return string(t.raw)
	}
	quoted := make([]byte, 0, len(t.raw)+2)
	quoted = append(append(append(quoted, '"'), t.raw...), '"')
	var v string
	if err := json.Unmarshal(quoted, &v); err != nil {
		return "" // not reached: the scanner took the literal
	}
	return v
}
