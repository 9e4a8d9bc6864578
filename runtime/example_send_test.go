package streamer_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"strconv"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/work"
	"github.com/streamer-go/streamer/runtime/wire"
)

// send is a client of the examples, alice of acme who may "orders:read". It sends
// one message and returns the frames that come for it, in order. The router and
// the processor are the real ones; what they store is in memory.
func send(app *streamer.App, message string) []wire.Frame {
	conns := &sockets{}
	parts := streamer.Parts{
		Store: newMemory(), Conns: conns, Wake: &hints{}, Start: &hints{},
		Log: slog.New(slog.DiscardHandler), Out: io.Discard, Nonce: rand.Text, Lease: time.Minute,
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	event, err := json.Marshal(map[string]any{"body": message, "requestContext": map[string]any{
		"connectionId": "c1", "authorizer": map[string]string{
			"user": "alice", "tenant": "acme", "permissions": `["orders:read"]`, "exp": strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10),
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	raw, err := streamer.NewRouter(app, parts).Invoke(ctx, event)
	if err != nil {
		log.Fatal(err)
	}
	var response struct{ Body string }
	var answer wire.Frame
	if err := json.Unmarshal(raw, &response); err != nil {
		log.Fatal(err)
	}
	if err := answer.Decode([]byte(response.Body)); err != nil {
		log.Fatal(err)
	}
	frames := []wire.Frame{answer}
	if answer.Type == wire.TypeAcknowledgment { // the dispatcher starts a processor
		hint, err := json.Marshal(work.Hint{Key: keys.Request("acme", "alice", answer.RequestID)})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := streamer.NewProcessor(app, parts).Invoke(ctx, hint); err != nil {
			log.Fatal(err)
		}
		for _, f := range conns.frames {
			frames = append(frames, f.Frame)
		}
	}
	return frames
}
