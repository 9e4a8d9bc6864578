package streamer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/wire"
)

// Booking is an input that says what is wrong with it.
type Booking struct {
	Guests []string `json:"guests"`
}

// Validate is called before the handler.
func (b Booking) Validate() error {
	for i, name := range b.Guests {
		if name == "" {
			return streamer.Invalid(fmt.Sprintf("payload.guests[%d]", i), "has no name")
		}
	}
	return nil
}

// What the client sees of an error: of a *streamer.Error all that it says, of any
// other that there was one.
func ExampleError() {
	app := streamer.New()
	streamer.Handle(app, "room.book", func(_ context.Context, in Booking) (string, error) {
		switch len(in.Guests) {
		case 0:
			return "", errors.New("dial 10.0.0.7: connection refused")
		case 1: // Retryable is false in a literal
			return "", &streamer.Error{Code: wire.CodeNotFound, Message: "there is no single room"}
		default: // and the code's own here
			return "", wire.NewError(wire.CodeUnavailable, "the large rooms are being cleaned")
		}
	})

	for _, guests := range []string{`["Ann",""]`, `["Ann"]`, `["Ann","Ben"]`, `[]`} {
		for _, f := range send(app, `{"id":"r-1","action":"room.book","payload":{"guests":`+guests+`}}`) {
			message, _, _ := strings.Cut(f.Message, ", reference ") // of the log; never the same
			fmt.Println(f.Code, f.Retryable, message, f.Details)
		}
	}
	// Output:
	// VALIDATION_ERROR false the payload is not valid [{payload.guests[1] has no name}]
	// NOT_FOUND false there is no single room []
	// UNAVAILABLE true the large rooms are being cleaned []
	// INTERNAL_ERROR true internal error []
}
