package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	streamerclient "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// long are the percentiles of long requests, each counted from the send.
type long struct {
	Count                               int
	Acknowledged, Progressed, Completed []time.Duration
}

// longRequests sends long requests one after the other. A few before the first
// that counts have started the functions.
func longRequests(o order) (*long, error) {
	const warm = 5
	ctx, cancel := context.WithTimeout(context.Background(), o.For)
	defer cancel()
	conn, err := streamerclient.Dial(ctx, o.URL, o.Token, streamerclient.Options{})
	if err != nil {
		return nil, err
	}
	var times [3][]time.Duration
	for i := range o.Requests + warm {
		var at [3]time.Duration
		sent := time.Now()
		_, err = conn.Call(ctx, streamerclient.Message{Action: "work", Payload: map[string]string{"text": text}}, func(f wire.Frame) {
			for k, kind := range []string{wire.TypeAcknowledgment, wire.TypeProgress, wire.TypeComplete} {
				if f.Type == kind && at[k] == 0 {
					at[k] = time.Since(sent)
				}
			}
		})
		if err == nil && slices.Contains(at[:], 0) {
			err = fmt.Errorf("long request %d: not every frame came: %v", i, at)
		}
		if err != nil {
			break
		}
		if i < warm {
			continue
		}
		for k := range times {
			times[k] = append(times[k], at[k])
		}
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return nil, err
	}
	for _, t := range times {
		slices.Sort(t)
	}
	return &long{o.Requests, percentiles(times[0]), percentiles(times[1]), percentiles(times[2])}, nil
}
