package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// refusedAsTooLarge says whether an error is the client's own refusal, with the
// size and the limit.
func refusedAsTooLarge(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == wire.CodePayloadTooLarge && !e.Retryable &&
		strings.Contains(e.Message, fmt.Sprint(wire.MaxMessage)) && strings.Contains(e.Message, "message has ")
}

// sized is a message of exactly that many bytes in a Conn's call.
func sized(bytes int) client.Message {
	return client.Message{ID: "i", Action: "a", Payload: strings.Repeat("x", bytes-len(`{"id":"i","action":"a","payload":""}`))}
}

// Too large a message would end the connection under the other calls.
func TestTooLargeAMessageIsNotSent(t *testing.T) {
	t.Parallel()
	var held *wire.Message
	got := make(chan struct{})
	ctx, conn := dial(t, server(t, func(m wire.Message, send func(string)) {
		if held == nil {
			held = &m
			close(got)
			return
		}
		send(frame(m, `"type":"response","data":"x"`))
		if m.ID == "last" {
			send(frame(*held, `"type":"response","data":1`))
		}
	}))
	other := make(chan error, 1)
	go func() {
		_, err := conn.Call(ctx, client.Message{Action: "under way"}, nil)
		other <- err
	}()
	<-got
	for name, m := range map[string]client.Message{
		"a byte too many": sized(wire.MaxMessage + 1),
		"payload":         {Action: "a", Payload: strings.Repeat("x", 200<<10)},
		"metadata":        {Action: "a", Metadata: map[string]string{"x": strings.Repeat("x", 200<<10)}},
	} {
		if _, err := conn.Call(ctx, m, nil); !refusedAsTooLarge(err) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	for _, m := range []client.Message{sized(wire.MaxMessage), {ID: "last", Action: "a"}} {
		if _, err := conn.Call(ctx, m, nil); err != nil {
			t.Errorf("a message that is not too large: %v", err)
		}
	}
	if err := <-other; err != nil {
		t.Errorf("the call under way: %v", err)
	}
}

// A session uploads a payload where that helps, and sends nothing where it does
// not.
func TestSessionRefusesWhatNoUploadMakesSmaller(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 200<<10)
	around := len(`{"id":"r","action":"quick","payload_ref":"","metadata":{"x":""}}`)
	for name, tt := range map[string]struct {
		m       client.Message
		uploads int
		refused bool
	}{
		"payload":                     {client.Message{Payload: large}, 1, false},
		"metadata":                    {client.Message{Metadata: large}, 0, true},
		"metadata, and a payload":     {client.Message{Metadata: large, Payload: 1}, 0, true},
		"metadata, and an upload":     {client.Message{Metadata: large, Ref: "u"}, 0, true},
		"metadata, with the upload's": {client.Message{Metadata: map[string]string{"x": large[:wire.MaxMessage-around]}, Payload: large}, 1, true},
	} {
		run(t, func(ctx context.Context, s *service) {
			session := s.mustOpen(ctx)
			defer session.Close()
			tt.m.ID, tt.m.Action, tt.m.Resend = "r", "quick", true
			_, err := session.Call(ctx, tt.m, nil)
			if tt.refused && !refusedAsTooLarge(err) || !tt.refused && err != nil {
				t.Errorf("%s: %.200v", name, err)
			}
			if n := s.called("$hello"); n != 1 || s.called("$upload") != tt.uploads || (s.called("quick") == 0) != tt.refused {
				t.Errorf("%s: %d handshakes, %d uploads, sent %d times", name, n, s.called("$upload"), s.called("quick"))
			}
		})
	}
}
