package dynamodb

import (
	_ "embed" // the list of reserved words
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed reserved_words.txt
var reservedText string

var reservedWords = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	for word := range strings.FieldsSeq(reservedText) {
		words[word] = true
	}
	return words
})

func isReserved(name string) bool { return reservedWords()[strings.ToUpper(name)] }

// boundValues are ExpressionAttributeValues. An invalid one is refused with
// its placeholder.
type boundValues map[string]value

func (b *boundValues) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return malformed(err)
	}
	if raw == nil {
		return nil
	}
	*b = make(boundValues, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		var v value
		if err := v.read(raw[name], 0); err != nil {
			e := asError(err)
			if e.Code != "ValidationException" {
				return err
			}
			return validation("ExpressionAttributeValues contains invalid value: %s for key %s", e.Message, name)
		}
		(*b)[name] = v
	}
	return nil
}

// bindings are the substitutions of a request.
type bindings struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues boundValues
}

// scope resolves the placeholders of a request's expressions and knows which
// were used.
type scope struct {
	names      map[string]string
	values     boundValues
	namesUsed  map[string]bool
	valuesUsed map[string]bool
}

// expression is a parameter that holds one; text is nil when it is absent.
type expression struct {
	name string
	text *string
}

// maxPlaceholder is the longest placeholder, with its first character.
const maxPlaceholder = 255

// scope checks the placeholders. projection is the expression that has names
// only; the others, which may have values too, come in AWS's order.
func (b bindings) scope(projection *string, others ...expression) (*scope, error) {
	s := &scope{b.ExpressionAttributeNames, b.ExpressionAttributeValues, map[string]bool{}, map[string]bool{}}
	valued := false
	var names []string
	for _, e := range others {
		valued = valued || e.text != nil
		names = append(names, e.name)
	}
	if s.values != nil && !valued {
		verb := " is null"
		if len(names) > 1 {
			verb = " are null"
		}
		return nil, validation("ExpressionAttributeValues can only be specified when using expressions: %s%s", strings.Join(names, " and "), verb)
	}
	if s.names != nil && !valued && projection == nil {
		return nil, validation("ExpressionAttributeNames can only be specified when using expressions")
	}
	if s.names != nil && len(s.names) == 0 {
		return nil, validation("ExpressionAttributeNames must not be empty")
	}
	if s.values != nil && len(s.values) == 0 {
		return nil, validation("ExpressionAttributeValues must not be empty")
	}
	if err := checkPlaceholders("ExpressionAttributeNames", '#', slices.Sorted(maps.Keys(s.names))); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(s.names)) {
		if s.names[name] == "" {
			return nil, validation("ExpressionAttributeNames contains invalid value: Empty attribute name for key %s", name)
		}
	}
	return s, checkPlaceholders("ExpressionAttributeValues", ':', slices.Sorted(maps.Keys(s.values)))
}

func checkPlaceholders(what string, first byte, names []string) error {
	for _, name := range names {
		tokens := tokenize(name)
		ok := len(tokens) == 2 && name[0] == first && tokens[0].end == len(name) && tokens[0].kind != tokenBad
		if !ok {
			return validation("%s contains invalid key: Syntax error; key: \"%s\"", what, name)
		}
		if len(name) > maxPlaceholder {
			return validation("%s contains invalid key: The expression attribute map contains a key that is too long; key: \"%s\"", what, name)
		}
	}
	return nil
}

// unused refuses placeholders that no expression mentions.
func (s *scope) unused() error {
	if keys := missing(s.names, s.namesUsed); keys != "" {
		return validation("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", keys)
	}
	if keys := missing(s.values, s.valuesUsed); keys != "" {
		return validation("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", keys)
	}
	return nil
}

func missing[V any](given map[string]V, used map[string]bool) string {
	var keys []string
	for name := range given {
		if !used[name] {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}
