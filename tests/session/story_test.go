package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	protocol "github.com/streamer-go/streamer/runtime/wire"
)

// story is what a caller is told of one request, and what is wrong with it.
type story struct {
	name string // user/id

	mu       sync.Mutex
	log      []string
	shown    protocol.Cursor
	percent  float64
	acks     int
	ended    int
	restarts int // pieces that took the place of others
	last     time.Time
	silence  time.Duration // the longest
	wrong    []string
}

func (y *story) problem(format string, args ...any) {
	y.wrong = append(y.wrong, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// frame checks one more frame.
func (y *story) frame(f protocol.Frame) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !y.last.IsZero() {
		y.silence = max(y.silence, time.Since(y.last))
	}
	y.last = time.Now()
	if y.ended > 0 {
		y.problem("%s after the end", f.Type)
	}
	switch f.Type {
	case protocol.TypeAcknowledgment:
		if y.acks++; y.acks > 1 {
			y.problem("%d acknowledgments", y.acks)
		}
	case protocol.TypeProgress:
		if f.Cursor().Compare(y.shown) <= 0 {
			y.problem("progress %+v after %+v", f.Cursor(), y.shown)
		}
		y.shown, y.percent = f.Cursor(), f.Percentage
	case protocol.TypePartial:
		y.partial(f)
	case protocol.TypeResponse, protocol.TypeComplete, protocol.TypeError:
		y.ended++
		if f.Type == protocol.TypeComplete && f.Partials != int64(len(y.log)) {
			y.problem("complete counts %d pieces, there are %d", f.Partials, len(y.log))
		}
	default:
		y.problem("frame %+v", f)
	}
}

func (y *story) partial(f protocol.Frame) {
	if f.First < 1 || f.First > int64(len(y.log))+1 {
		y.problem("piece %d comes after %d", f.First, len(y.log))
		return
	}
	if f.First <= int64(len(y.log)) {
		y.restarts++
	}
	y.log = y.log[:f.First-1]
	for _, raw := range f.Items {
		var piece string
		if err := json.Unmarshal(raw, &piece); err != nil {
			y.problem("piece %s: %v", raw, err)
		}
		y.log = append(y.log, piece)
		if want := fmt.Sprintf("%s %d of run ", y.name, len(y.log)); !strings.HasPrefix(piece, want) {
			y.problem("piece %d is %q", len(y.log), piece)
		}
	}
}

// outcome is how a request ended, for its caller or in the store.
type outcome struct {
	status string
	code   protocol.Code
	result string
}

// told is how a call ended. Results in parts are fetched.
func told(ctx context.Context, session *client.Session, f protocol.Frame, err error) (outcome, error) {
	if e := (*protocol.Error)(nil); errors.As(err, &e) {
		if !f.Placed {
			return outcome{}, err
		}
		if e.Code == protocol.CodeCancelled {
			return outcome{protocol.StatusCancelled, e.Code, ""}, nil
		}
		return outcome{protocol.StatusFailed, e.Code, ""}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	raw, err := session.Result(ctx, f)
	return outcome{protocol.StatusSucceeded, "", string(raw)}, err
}

// stored is how a request ended in the store, by a connection of its own.
func stored(ctx context.Context, conn *client.Conn, id string) (outcome, error) {
	f, err := conn.Call(ctx, client.Message{Action: "$get", Payload: map[string]string{"request_id": id}}, nil)
	if err != nil {
		return outcome{}, err
	}
	var state struct {
		Status string          `json:"status"`
		Result json.RawMessage `json:"result"`
		Ref    *protocol.Ref   `json:"ref"`
		Error  *protocol.Error `json:"error"`
	}
	if err := json.Unmarshal(f.Data, &state); err != nil {
		return outcome{}, err
	}
	out := outcome{status: state.Status}
	if state.Error != nil {
		out.code = state.Error.Code
	}
	raw, err := conn.Result(ctx, protocol.Frame{RequestID: id, Data: state.Result, Ref: state.Ref})
	out.result = string(raw)
	return out, err
}

// check compares a story that has ended with what the handler knows.
func (y *story) check(s *system, o outcome) {
	s.t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.ended != 1 {
		y.problem("%d ends", y.ended)
	}
	if want, _ := s.books.of(y.name); o.status == protocol.StatusSucceeded && !slices.Equal(y.log, want) {
		y.problem("%s; emitted were\n%q, the log has\n%q", difference(y.log, want), want, y.log)
	}
	if len(y.wrong) > 0 {
		s.t.Errorf("%s (%+.300v):\n%s", y.name, o, strings.Join(y.wrong, "\n"))
	}
}

func difference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("piece %d differs", i+1)
		}
	}
	return fmt.Sprintf("%d pieces instead of %d", len(got), len(want))
}

// leaks fails the test when goroutines of the client are left in this bubble.
func leaks(t *testing.T) {
	t.Helper()
	synctest.Wait()
	buf := make([]byte, 4<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	// The first is this goroutine; its head names the bubble.
	_, bubble, _ := strings.Cut(strings.SplitN(all[0], "\n", 2)[0], "synctest bubble ")
	bubble = "synctest bubble " + strings.TrimRight(bubble, "]:")
	for _, g := range all[1:] {
		head, stack, _ := strings.Cut(g, "\n")
		if strings.HasSuffix(strings.TrimRight(head, "]:"), bubble) && strings.Contains(stack, "clients/go.") && !strings.Contains(stack, "session_test.") {
			t.Errorf("a goroutine is left of the client: %s", g)
		}
	}
}
