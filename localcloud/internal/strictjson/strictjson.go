// Package strictjson decodes documents of which nothing may be passed over: a
// member that nobody knows is an error which names it.
//
// It holds no state and depends on the standard library alone.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// UnknownMember is a member of an object that has no place in the value.
type UnknownMember struct{ Name string }

func (e *UnknownMember) Error() string { return "unknown member " + strconv.Quote(e.Name) }

// errMore is text after the document.
var errMore = errors.New("more text after the document")

// Unmarshal is json.Unmarshal, but for members that into has no fields for: the
// first of these is an *UnknownMember. What has an UnmarshalJSON of its own
// judges itself.
func Unmarshal(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	switch {
	case err == nil:
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return errMore
		}
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("unexpected end of JSON input")
	}
	// The package has no type for this error.
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if name, e := strconv.Unquote(quoted); e == nil {
			return &UnknownMember{Name: name}
		}
	}
	return err
}
