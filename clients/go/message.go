package client

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/streamer-go/streamer/runtime/wire"
)

// Message is a request. As it is sent, in JSON, it may have 128 KB
// (wire.MaxMessage); the payload alone may be uploaded instead.
type Message struct {
	// ID is 1 to 128 characters of A-Z a-z 0-9 . _ : -, and new for every request.
	// Default: a random one, which the frames name. Who wants to find the request
	// again when its frames were lost chooses one and keeps it.
	ID string
	// Action is the name of what is called. Required.
	Action string
	// Payload is the action's input, of any type that encoding/json can write.
	// Default none, which is {} for actions that take an object.
	Payload any
	// Metadata is kept with the request and given to its handler: what encodes to
	// an object of at most 4096 bytes (wire.MaxMetadata). Default none.
	Metadata any
	// Ref names an upload, in the place of Payload. Default none.
	Ref string
	// Resend lets a Session send the message again, with the same id, when the
	// connection was lost before it was answered. That is harmless for actions that
	// always run long or are idempotent; others may run twice. A Conn does not look
	// at it.
	Resend bool
}

// encode writes the message as it is sent. Whatever is sent was written here: API
// Gateway ends a connection over which too large a message comes, with all that
// is under way on it, so such a message is an error here.
func (m Message) encode() ([]byte, error) {
	body, err := json.Marshal(struct {
		ID       string `json:"id"`
		Action   string `json:"action"`
		Payload  any    `json:"payload,omitempty"`
		Ref      string `json:"payload_ref,omitempty"`
		Metadata any    `json:"metadata,omitempty"`
	}{m.ID, m.Action, m.Payload, m.Ref, m.Metadata})
	if err != nil {
		return nil, err
	}
	if len(body) > wire.MaxMessage {
		return nil, wire.NewError(wire.CodePayloadTooLarge, fmt.Sprintf("the message has %d bytes, at most %d can be sent", len(body), wire.MaxMessage))
	}
	return body, nil
}

func tooLarge(err error) bool {
	e := (*wire.Error)(nil)
	return errors.As(err, &e) && e.Code == wire.CodePayloadTooLarge
}

func invalidID(id string) error {
	return fmt.Errorf("id %.140q is not 1 to %d characters of A-Z a-z 0-9 . _ : -", id, wire.MaxID)
}
