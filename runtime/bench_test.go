package streamer_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	streamer "github.com/streamer-go/streamer/runtime"
)

// A quick request costs what parsing, the handler and the answer cost, and no
// call to anybody. The bound leaves room for what encoding/json may change.
const quickMessage = `{"id":"6f1c2d3e-0000-4000-8000-000000000001","action":"echo","payload":{"text":"hello, world"},"metadata":{"page":"home"}}`

func BenchmarkQuickMessage(b *testing.B) {
	message := streamer.Message(handlers(), streamer.Parts{Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Alone: true})
	ctx := context.Background()
	b.ReportAllocs()
	var n int
	for b.Loop() {
		n = len(string(message(ctx, quickMessage)))
	}
	if n < 60 {
		b.Fatalf("answered with %d bytes", n)
	}
}

func TestQuickMessageAllocatesLittle(t *testing.T) {
	message := streamer.Message(handlers(), streamer.Parts{Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Alone: true})
	ctx := context.Background()
	var answer string
	allocs := testing.AllocsPerRun(100, func() { answer = string(message(ctx, quickMessage)) })
	if want := `{"type":"response","request_id":"6f1c2d3e-0000-4000-8000-000000000001","data":{"text":"hello, world"}}`; answer != want {
		t.Errorf("answered %s", answer)
	}
	if allocs > 20 {
		t.Errorf("%v allocations", allocs)
	}
}
