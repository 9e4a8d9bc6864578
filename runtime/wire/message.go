package wire

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Message is what a client sent.
type Message struct {
	// ID is the client's name for the request: 1 to 128 of [A-Za-z0-9._:-].
	ID string
	// Action is the name of what is to be done, 1 to 128 characters. The names of
	// the built-in ones begin with $.
	Action string
	// Payload is the action's input as it was sent; nil when there was none.
	Payload json.RawMessage
	// Ref names an upload that holds the payload; "" when there was none.
	Ref string
	// Metadata is a free object, at most 4 KB; nil when there was none.
	Metadata json.RawMessage
}

// The keys of a message, as bits.
const (
	keyID = 1 << iota
	keyAction
	keyPayload
	keyRef
	keyMetadata
)

// Parse reads a client's message. Payload and Metadata are slices of body.
//
// The whole text is checked: valid JSON in valid UTF-8, an object, no other
// keys than id, action, payload, payload_ref and metadata (in exactly this spelling), none
// twice, nothing after the object. The error is VALIDATION_ERROR with all
// problems that were found, or PAYLOAD_TOO_LARGE above MaxMessage. Together with
// an error the message holds the id, where there was one that could be used, so
// that the client can be told which of its messages it was; nothing else of it
// is to be used.
//
// A metadata of null counts as none. A payload of null is kept: what it means
// is [Decode]'s to say.
func Parse(body []byte) (Message, *Error) {
	if len(body) > MaxMessage {
		return Message{}, NewError(CodePayloadTooLarge, fmt.Sprintf("message has %d bytes, at most %d are allowed", len(body), MaxMessage))
	}
	p := parser{scanner: scanner{b: body}}
	ok := p.top()
	if ok && len(p.details) == 0 && utf8.Valid(body) {
		return p.msg, nil
	}
	return Message{ID: p.msg.ID}, p.failure(ok)
}

// ParsePayload checks a payload that came by another way than a message: valid
// JSON in valid UTF-8, with nothing after it, nested no deeper than a message's.
func ParsePayload(body []byte) *Error {
	p := parser{scanner: scanner{b: body}}
	_, ok := p.value(1)
	if p.space(); ok && (p.i != len(p.b) || !utf8.Valid(body)) {
		ok = false
	}
	switch {
	case ok:
		return nil
	case p.deep:
		return NewError(CodeValidation, "the payload is not valid", Detail{Path: "payload", Reason: fmt.Sprintf("is nested deeper than %d levels", MaxDepth)})
	default:
		return NewError(CodeValidation, "the payload is not valid", Detail{Path: "payload", Reason: fmt.Sprintf("is not JSON in UTF-8: see byte %d", p.i)})
	}
}

// parser reads the top-level object.
type parser struct {
	scanner
	msg     Message
	seen    int
	details []Detail
}

// failure says why the message is refused; ok tells whether it could be read.
func (p *parser) failure(ok bool) *Error {
	switch {
	case p.deep:
		return NewError(CodeValidation, fmt.Sprintf("message is nested deeper than %d levels", MaxDepth))
	case !ok:
		return NewError(CodeValidation, fmt.Sprintf("message is not a JSON object: see byte %d", p.i))
	case !utf8.Valid(p.b):
		p.msg.ID = ""
		return NewError(CodeValidation, "message is not valid UTF-8")
	}
	return NewError(CodeValidation, "message is not valid", p.details...)
}

func (p *parser) problem(path, reason string) {
	if len(p.details) < MaxDetails {
		p.details = append(p.details, Detail{Path: path, Reason: reason})
	}
}

// top reads the object and what is after it; false when that is not JSON.
func (p *parser) top() bool {
	if !p.take('{') {
		return false
	}
	if !p.take('}') {
		for more := true; more; {
			if !p.member() {
				return false
			}
			if more = p.take(','); !more && !p.take('}') {
				return false
			}
		}
	}
	if p.space(); p.i != len(p.b) {
		return false
	}
	if p.seen&keyID == 0 {
		p.problem("id", "is required")
	}
	if p.seen&keyAction == 0 {
		p.problem("action", "is required")
	}
	if p.seen&keyPayload != 0 && p.seen&keyRef != 0 {
		p.problem("payload_ref", "is given beside payload")
	}
	return true
}

func (p *parser) member() bool {
	p.space()
	name, ok := p.str()
	if !ok || !p.take(':') {
		return false
	}
	key, plain := bit(name.raw), name.raw
	if name.escaped {
		plain = []byte(name.string())
		key = bit(plain)
	}
	switch {
	case key == 0:
		p.problem(appendKey("", string(plain)), "unknown field")
	case p.seen&key != 0:
		p.problem(string(plain), "is given twice")
		if key == keyID {
			p.msg.ID = "" // which of the two is not for us to choose
		}
		key = 0
	}
	p.seen |= key
	switch key {
	case keyID:
		return p.id()
	case keyAction:
		return p.action()
	case keyRef:
		return p.ref()
	}
	raw, ok := p.value(1)
	switch {
	case !ok:
		return false
	case key == keyPayload:
		p.msg.Payload = raw
	case key == keyMetadata:
		p.metadata(raw)
	}
	return true
}

func bit(name []byte) int {
	switch string(name) { // does not allocate
	case "id":
		return keyID
	case "action":
		return keyAction
	case "payload":
		return keyPayload
	case "payload_ref":
		return keyRef
	case "metadata":
		return keyMetadata
	}
	return 0
}

func (p *parser) id() bool {
	p.space()
	if p.i < len(p.b) && p.b[p.i] != '"' {
		return p.notString("id")
	}
	t, ok := p.str()
	if !ok {
		return false
	}
	if id := t.string(); ValidID(id) {
		p.msg.ID = id
	} else {
		p.problem("id", "must be 1 to 128 characters of A-Z a-z 0-9 . _ : -")
	}
	return true
}

// ValidID says whether id can name a request.
func ValidID(id string) bool {
	for i := range len(id) {
		switch c := id[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return id != "" && len(id) <= MaxID
}

func (p *parser) action() bool {
	p.space()
	if p.i < len(p.b) && p.b[p.i] != '"' {
		return p.notString("action")
	}
	t, ok := p.str()
	if !ok {
		return false
	}
	p.msg.Action = t.string()
	if p.msg.Action == "" || utf8.RuneCountInString(p.msg.Action) > MaxAction {
		p.problem("action", "must be 1 to 128 characters")
	}
	return true
}

func (p *parser) ref() bool {
	p.space()
	if p.i < len(p.b) && p.b[p.i] != '"' {
		return p.notString("payload_ref")
	}
	t, ok := p.str()
	if !ok {
		return false
	}
	if p.msg.Ref = t.string(); !ValidID(p.msg.Ref) {
		p.problem("payload_ref", "must be the payload_ref of an upload")
	}
	return true
}

func (p *parser) notString(path string) bool {
	raw, ok := p.value(1)
	if ok {
		p.problem(path, "expected string, got "+kindOf(raw))
	}
	return ok
}

func (p *parser) metadata(raw []byte) {
	switch {
	case raw[0] == 'n':
	case raw[0] != '{':
		p.problem("metadata", "expected object, got "+kindOf(raw))
	case len(raw) > MaxMetadata:
		p.problem("metadata", fmt.Sprintf("has %d bytes, at most %d are allowed", len(raw), MaxMetadata))
	default:
		p.msg.Metadata = raw
	}
}

// kindOf names the JSON type of a value that has been scanned.
func kindOf(raw []byte) string {
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}
