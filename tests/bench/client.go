package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// text is the payload of an echo, about as long as that of an ordinary call.
var text = strings.Repeat("streamer ", 16)

// client makes the load. It has one set of connections at a time.
type client struct {
	conns []*websocket.Conn
}

// load is what was measured of a number of round trips.
type load struct {
	Count     int             `json:"count"`
	Took      time.Duration   `json:"took"`
	CPU       time.Duration   `json:"cpu"` // of the client
	Latencies []time.Duration `json:"latencies"`
}

func (c *client) do(o order) (reply, error) {
	switch o.Op {
	case "dial":
		begin := time.Now()
		err := c.dial(o)
		return reply{Took: time.Since(begin).Seconds()}, err
	case "close":
		c.closeAll()
		return reply{}, nil
	case "closed":
		l, err := measured(func() (load, error) { return c.closedLoop(o.For) })
		return reply{Load: &l}, err
	case "open":
		l, err := measured(func() (load, error) { return c.openLoop(o.Rate, o.For) })
		return reply{Load: &l}, err
	case "each":
		l, err := measured(func() (load, error) { return c.each() })
		return reply{Load: &l}, err
	case "long":
		l, err := longRequests(o)
		return reply{Long: l}, err
	}
	return reply{}, fmt.Errorf("no order %q", o.Op)
}

// measured adds the CPU time of this process.
func measured(run func() (load, error)) (load, error) {
	before, err := processCPU(os.Getpid())
	if err != nil {
		return load{}, err
	}
	l, err := run()
	if err != nil {
		return l, err
	}
	after, err := processCPU(os.Getpid())
	l.CPU = after - before
	return l, err
}

// dial opens connections, sixteen at a time.
func (c *client) dial(o order) error {
	dialer := net.Dialer{Timeout: 30 * time.Second}
	if o.Source != "" {
		// Each address of 127/8 has ports of its own.
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.Source)}
	}
	transport := &http.Transport{DialContext: dialer.DialContext}
	options := &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}}
	if o.Token != "" {
		options.HTTPHeader = http.Header{"Authorization": {"Bearer " + o.Token}}
		options.Subprotocols = []string{"streamer.v1"}
	}
	c.conns = make([]*websocket.Conn, o.Connections)
	return parallel(16, o.Connections, func(i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		ws, _, err := websocket.Dial(ctx, o.URL, options) //nolint:bodyclose // the library says that it never needs to be
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		ws.SetReadLimit(128 << 10)
		c.conns[i] = ws
		return nil
	})
}

func (c *client) closeAll() {
	_ = parallel(64, len(c.conns), func(i int) error {
		if ws := c.conns[i]; ws != nil {
			_ = ws.CloseNow()
		}
		return nil
	})
	c.conns = nil
}

// parallel does n things, so many at a time, until one fails.
func parallel(workers, n int, do func(i int) error) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	at := 0
	for range min(workers, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := at
				at++
				stop := failed != nil || i >= n
				mu.Unlock()
				if stop {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// appendMessage appends the message of a number.
func appendMessage(b []byte, number int) []byte {
	b = append(b, `{"id":"`...)
	b = strconv.AppendInt(b, int64(number), 10)
	b = append(b, `","action":"echo","payload":{"text":"`...)
	b = append(b, text...)
	return append(b, `"}}`...)
}

var errAnswer = errors.New("not the answer to what was sent")

// numberOf returns the number of the message that an answer is for. The bare
// servers answer with the message, Streamer with a response frame.
func numberOf(answer []byte) (int, error) {
	rest, ok := bytes.CutPrefix(answer, []byte(`{"type":"response","request_id":"`))
	if !ok {
		rest, ok = bytes.CutPrefix(answer, []byte(`{"id":"`))
	}
	digits, rest, found := bytes.Cut(rest, []byte(`"`))
	if !ok || !found || !bytes.Contains(rest, []byte(text)) {
		return 0, fmt.Errorf("%w: %.200s", errAnswer, answer)
	}
	return strconv.Atoi(string(digits))
}

// roundTrip sends a message and reads its answer, nothing else being under way.
func roundTrip(ctx context.Context, ws *websocket.Conn, buf []byte, number int) ([]byte, error) {
	buf = appendMessage(buf[:0], number)
	if err := ws.Write(ctx, websocket.MessageText, buf); err != nil {
		return buf, err
	}
	_, answer, err := ws.Read(ctx)
	if err != nil {
		return buf, err
	}
	n, err := numberOf(answer)
	if err == nil && n != number {
		err = fmt.Errorf("%w: sent %d: %.200s", errAnswer, number, answer)
	}
	return buf, err
}

// closedLoop has one message under way on each connection, the next when it is
// answered.
func (c *client) closedLoop(d time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d+30*time.Second)
	defer cancel()
	begin := time.Now()
	latencies := make([][]time.Duration, len(c.conns))
	err := parallel(len(c.conns), len(c.conns), func(i int) error {
		var buf []byte
		for number := 1; ; number++ {
			sent := time.Now()
			if sent.Sub(begin) >= d {
				return nil
			}
			var err error
			if buf, err = roundTrip(ctx, c.conns[i], buf, number); err != nil {
				return err
			}
			latencies[i] = append(latencies[i], time.Since(sent))
		}
	})
	return newLoad(time.Since(begin), slices.Concat(latencies...)), err
}

// each sends one message on every connection, 64 at a time.
func (c *client) each() (load, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	begin := time.Now()
	latencies := make([]time.Duration, len(c.conns))
	err := parallel(64, len(c.conns), func(i int) error {
		sent := time.Now()
		_, err := roundTrip(ctx, c.conns[i], nil, i)
		latencies[i] = time.Since(sent)
		return err
	})
	return newLoad(time.Since(begin), latencies), err
}

func newLoad(took time.Duration, latencies []time.Duration) load {
	slices.Sort(latencies)
	return load{Count: len(latencies), Took: took, Latencies: percentiles(latencies)}
}

// percentiles returns p50, p90, p99, p99.9 and the longest of sorted values.
func percentiles(sorted []time.Duration) []time.Duration {
	if len(sorted) == 0 {
		return make([]time.Duration, 5)
	}
	at := func(q float64) time.Duration { return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))] }
	return []time.Duration{at(0.5), at(0.9), at(0.99), at(0.999), sorted[len(sorted)-1]}
}
