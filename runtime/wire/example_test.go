package wire_test

import (
	"fmt"

	"github.com/streamer-go/streamer/runtime/wire"
)

// A message that does not fit is answered with all that is wrong, under its id.
func ExampleDecode() {
	message, refused := wire.Parse([]byte(`{"id":"r-1","action":"orders.search","payload":{"limit":"20","colour":"blue"}}`))
	if refused != nil {
		fmt.Println(refused)
		return
	}
	var in struct {
		Text  string `json:"text"`
		Limit int    `json:"limit"`
	}
	if refused := wire.Decode(message.Payload, &in); refused != nil {
		for _, d := range refused.Details {
			fmt.Println(d.Path, "-", d.Reason)
		}
		fmt.Println(string(wire.AppendError(nil, message.ID, wire.NewError(refused.Code, "look again"), nil)))
	}
	// Output:
	// payload.limit - expected integer, got string
	// payload.colour - unknown field
	// {"type":"error","request_id":"r-1","code":"VALIDATION_ERROR","message":"look again","retryable":false}
}

// A client reads frames of every type with one type.
func ExampleFrame() {
	frame := wire.AppendProgress(nil, "r-1", wire.Cursor{Epoch: 1, Seq: 4}, 37.5, "reading rows", nil)
	var f wire.Frame
	if err := f.Decode(frame); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Type, f.RequestID, f.Percentage, f.Message, f.Cursor().Compare(wire.Cursor{Epoch: 1, Seq: 3}) > 0)
	// Output: progress r-1 37.5 reading rows true
}
