package streamer_test

import (
	"context"
	"fmt"
	"time"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/wire"
)

// A quick handler: its result is the answer. Who asks is known from the token;
// a field that the input does not have never reaches the handler.
func ExampleHandle() {
	type Order struct {
		ID string `json:"id"`
	}
	type Status struct {
		Order string `json:"order"`
		State string `json:"state"`
		For   string `json:"for"`
	}
	app := streamer.New()
	streamer.Handle(app, "order.status", func(ctx context.Context, in Order) (Status, error) {
		return Status{Order: in.ID, State: "shipped", For: streamer.CallerFrom(ctx).User}, nil
	}, streamer.Require("orders:read"))

	for _, message := range []string{
		`{"id":"r-1","action":"order.status","payload":{"id":"o-7"}}`,
		`{"id":"r-2","action":"order.status","payload":{"id":"o-7","user":"bob"}}`,
	} {
		for _, f := range send(app, message) {
			fmt.Println(f.RequestID, f.Type, string(f.Data), f.Code, f.Details)
		}
	}
	// Output:
	// r-1 response {"order":"o-7","state":"shipped","for":"alice"}  []
	// r-2 error  VALIDATION_ERROR [{payload.user unknown field}]
}

// A long handler: the request is accepted at once, reports how far it is, and
// ends with its result.
func ExampleHandleTask() {
	type Report struct {
		Pages int `json:"pages"`
	}
	type Link struct {
		URL string `json:"url"`
	}
	app := streamer.New()
	streamer.HandleTask(app, "report.print", func(_ context.Context, task *streamer.Task, in Report) (Link, error) {
		task.Progress(streamer.Progress{Percentage: 50, Message: fmt.Sprintf("%d pages to print", in.Pages)})
		return Link{URL: "https://example.com/" + task.ID() + ".pdf"}, nil
	}, streamer.Retry(5, streamer.Exponential(time.Second)))

	for _, f := range send(app, `{"id":"r-1","action":"report.print","payload":{"pages":12}}`) {
		switch f.Type {
		case wire.TypeAcknowledgment:
			fmt.Println(f.Type, f.Status)
		case wire.TypeProgress:
			fmt.Println(f.Type, f.Percentage, f.Message)
		case wire.TypeComplete:
			fmt.Println(f.Type, string(f.Data))
		}
	}
	// Output:
	// acknowledgment PENDING
	// progress 50 12 pages to print
	// complete {"url":"https://example.com/r-1.pdf"}
}

// One handler, quick for a short text; what is estimated to take more than five
// seconds is accepted, and the same handler runs in the background.
func ExampleEstimateBy() {
	app := streamer.New()
	streamer.Handle(app, "words.count", func(_ context.Context, words []string) (int, error) { return len(words), nil },
		streamer.EstimateBy(func(words []string) time.Duration { return time.Duration(len(words)) * 2 * time.Second }))

	for _, message := range []string{
		`{"id":"r-1","action":"words.count","payload":["one","two"]}`,
		`{"id":"r-2","action":"words.count","payload":["one","two","three"]}`,
	} {
		for _, f := range send(app, message) {
			fmt.Println(f.RequestID, f.Type, f.Status+string(f.Data))
		}
	}
	// Output:
	// r-1 response 2
	// r-2 acknowledgment PENDING
	// r-2 complete 3
}
