package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// openLoop sends at a rate, whatever the answers do, round robin over the
// connections. Latencies count from when a message was due, so that a server
// that stands still is not excused by the messages that were sent late.
func (c *client) openLoop(rate float64, d time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d+30*time.Second)
	defer cancel()
	total := int(rate * d.Seconds())
	begin := time.Now().Add(10 * time.Millisecond)
	due := func(i int) time.Time {
		return begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
	}
	latencies := make([][]time.Duration, len(c.conns))
	failures := make(chan error, len(c.conns)+1)
	var wg sync.WaitGroup
	for k, ws := range c.conns {
		answers := total / len(c.conns)
		if k < total%len(c.conns) {
			answers++
		}
		wg.Go(func() {
			for range answers {
				_, body, err := ws.Read(ctx)
				var number int
				if err == nil {
					number, err = numberOf(body)
				}
				if err == nil && (number >= total || number%len(c.conns) != k) {
					err = errAnswer
				}
				if err != nil {
					failures <- err
					cancel()
					return
				}
				latencies[k] = append(latencies[k], time.Since(due(number)))
			}
		})
	}
	if err := c.pace(ctx, total, due); err != nil {
		failures <- err
		cancel()
	}
	wg.Wait()
	close(failures)
	var err error
	for e := range failures {
		err = errors.Join(err, e)
	}
	return newLoad(time.Since(begin), slices.Concat(latencies...)), err
}

// pace sends each message when it is due, and at once those that are overdue.
func (c *client) pace(ctx context.Context, total int, due func(int) time.Time) error {
	var buf []byte
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for i := range total {
		if wait := time.Until(due(i)); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		buf = appendMessage(buf[:0], i)
		if err := c.conns[i%len(c.conns)].Write(ctx, websocket.MessageText, buf); err != nil {
			return err
		}
	}
	return nil
}
