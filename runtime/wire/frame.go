package wire

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Frame is any frame that a client is sent; which fields are set depends on Type.
type Frame struct {
	Type          string            `json:"type,omitempty"`
	RequestID     string            `json:"request_id,omitempty"`
	Data          json.RawMessage   `json:"data,omitempty"`           // response, complete, event
	Status        string            `json:"status,omitempty"`         // acknowledgment
	RetainedUntil string            `json:"retained_until,omitempty"` // acknowledgment: RFC 3339, UTC
	Percentage    float64           `json:"percentage,omitempty"`     // progress: 0 to 100
	Message       string            `json:"message,omitempty"`        // progress, error
	Metadata      json.RawMessage   `json:"metadata,omitempty"`       // progress
	First         int64             `json:"first,omitempty"`          // partial: number of the first item
	Items         []json.RawMessage `json:"items,omitempty"`          // partial
	Code          Code              `json:"code,omitempty"`           // error
	Details       []Detail          `json:"details,omitempty"`        // error
	Retryable     bool              `json:"retryable,omitempty"`      // error
	SameID        bool              `json:"same_id,omitempty"`        // error
	Topic         string            `json:"topic,omitempty"`          // event
	Partials      int64             `json:"partials,omitempty"`       // complete: pieces of the finished log
	Ref           *Ref              `json:"ref,omitempty"`            // complete: where a large result is
	Epoch         int64             `json:"epoch,omitempty"`
	Seq           int64             `json:"seq,omitempty"`
	// Placed says that the frame has a cursor: it belongs to an accepted request.
	Placed bool `json:"-"`

	// Of API Gateway's own frames, which have no type: the connection, and the
	// gateway's id of the message, which is not the client's.
	ConnectionID     string `json:"connectionId,omitempty"`
	GatewayRequestID string `json:"requestId,omitempty"`
}

// Decode reads a frame into f. Fields and types that it does not know are not
// an error, for later versions may add some.
func (f *Frame) Decode(body []byte) error {
	type plain Frame
	var in struct {
		plain
		Epoch *int64 `json:"epoch"` // these two hide the ones of Frame
		Seq   *int64 `json:"seq"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return fmt.Errorf("decode frame: %w", err)
	}
	*f = Frame(in.plain)
	if in.Epoch != nil && in.Seq != nil {
		f.Epoch, f.Seq, f.Placed = *in.Epoch, *in.Seq, true
	}
	if f.Type == "" && !f.Gateway() {
		return errors.New("decode frame: no type")
	}
	return nil
}

// MarshalJSON writes the frame as it came: a percentage, a cursor or retryable
// that is zero is written where its type has one.
func (f Frame) MarshalJSON() ([]byte, error) {
	type plain Frame
	out := struct {
		plain
		Percentage *float64 `json:"percentage,omitempty"` // these hide the ones of Frame
		Retryable  *bool    `json:"retryable,omitempty"`
		Epoch      *int64   `json:"epoch,omitempty"`
		Seq        *int64   `json:"seq,omitempty"`
	}{plain: plain(f)}
	switch f.Type {
	case TypeProgress:
		out.Percentage = &f.Percentage
	case TypeError:
		out.Retryable = &f.Retryable
	}
	if f.Placed {
		out.Epoch, out.Seq = &f.Epoch, &f.Seq
	}
	return json.Marshal(out)
}

// Gateway says that the frame is API Gateway's own: a message did not reach the
// function, or the function did not answer. It does not name the request.
func (f *Frame) Gateway() bool { return f.Type == "" && f.Message != "" && f.ConnectionID != "" }

// Terminal says that this is the last frame of a request. An error is when it
// belongs to one, by its cursor: without, it refuses a message.
func (f *Frame) Terminal() bool {
	return f.Type == TypeComplete || f.Type == TypeError && f.Placed
}

// Cursor returns the frame's place in the life of its request; zero when it has none.
func (f *Frame) Cursor() Cursor { return Cursor{Epoch: f.Epoch, Seq: f.Seq} }

// Err returns the error that the frame carries; nil when it is not of that type.
func (f *Frame) Err() *Error {
	if f.Type != TypeError {
		return nil
	}
	return &Error{Code: f.Code, Message: f.Message, Details: f.Details, Retryable: f.Retryable, SameID: f.SameID}
}
