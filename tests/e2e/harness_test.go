package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/runtime/wire"
)

// patience is for whatever has no bound of its own: the machine may be busy.
const patience = 60 * time.Second

// eventually polls until done says so, and fails the test when it never does.
func eventually(t *testing.T, what string, within time.Duration, done func() bool) {
	t.Helper()
	deadline := time.After(within)
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for !done() {
		select {
		case <-every.C:
		case <-deadline:
			t.Fatalf("%s: not within %s", what, within)
		}
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// lines keeps what a system has logged.
type lines struct {
	mu   sync.Mutex // guards kept
	kept []string
}

func (l *lines) add(line localcloud.Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, line.Source+" "+line.Name+" "+strings.TrimRight(line.Text, "\n"))
}

// find returns the first line that has all of the words.
func (l *lines) find(words ...string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.kept {
		has := true
		for _, word := range words {
			has = has && strings.Contains(line, word)
		}
		if has {
			return line
		}
	}
	return ""
}

func (l *lines) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.kept[max(0, len(l.kept)-n):], "\n")
}

// token is for a user of the test's own.
func (s *system) token(t *testing.T, user string, permissions ...string) string {
	t.Helper()
	token, err := s.Keys.Token(user, "", permissions, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// connect opens a connection as a user; by default one named after the test.
func (s *system) connect(t *testing.T, user string, permissions ...string) *client.Conn {
	t.Helper()
	conn, err := client.Dial(bounded(t), s.URL, s.token(t, user, permissions...), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the other side may have gone first
	return conn
}

// connectAgain opens a connection after functions were killed. What meets a dying
// process is refused, or has no answer.
func (s *system) connectAgain(t *testing.T, user string) (conn *client.Conn) {
	t.Helper()
	eventually(t, "a connection", patience, func() bool {
		var refused *client.StatusError
		var err error
		conn, err = client.Dial(bounded(t), s.URL, s.token(t, user), client.Options{})
		if errors.As(err, &refused) && refused.Code == http.StatusInternalServerError {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	t.Cleanup(func() { _ = conn.Close() }) // the other side may have gone first
	eventually(t, "an answer", patience, func() bool {
		ctx, cancel := context.WithTimeout(bounded(t), 2*time.Second)
		defer cancel()
		_, err := conn.Call(ctx, client.Message{Action: wire.ActionPing, Payload: struct{}{}}, nil)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		return err == nil
	})
	return conn
}

// raw opens a connection that takes any frame.
func (s *system) raw(t *testing.T, user string, permissions ...string) *rawConn {
	t.Helper()
	header := map[string][]string{"Authorization": {"Bearer " + s.token(t, user, permissions...)}}
	ws, _, err := websocket.Dial(bounded(t), s.URL, &websocket.DialOptions{HTTPHeader: header, Subprotocols: []string{wire.Protocol}})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(wire.MaxMessage)
	t.Cleanup(func() { _ = ws.CloseNow() }) // may be closed already
	return &rawConn{t, ws}
}

type rawConn struct {
	t  *testing.T
	ws *websocket.Conn
}

func (r *rawConn) send(body string) {
	r.t.Helper()
	if err := r.write(body); err != nil {
		r.t.Fatal(err)
	}
}

// write is send for other goroutines than the test's.
func (r *rawConn) write(body string) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	return r.ws.Write(ctx, websocket.MessageText, []byte(body))
}

func (r *rawConn) next() wire.Frame {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	_, body, err := r.ws.Read(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	var f wire.Frame
	if err := f.Decode(body); err != nil {
		r.t.Fatalf("frame %s: %v", body, err)
	}
	return f
}

// until reads frames up to the last one of a request.
func (r *rawConn) until(id string) []wire.Frame {
	r.t.Helper()
	var frames []wire.Frame
	for {
		f := r.next()
		if f.RequestID != id {
			continue
		}
		frames = append(frames, f)
		if f.Terminal() || f.Type == wire.TypeResponse || f.Type == wire.TypeError {
			return frames
		}
	}
}

// call sends a message and wants it answered without an error.
func call(t *testing.T, conn *client.Conn, m client.Message, each func(wire.Frame)) wire.Frame {
	t.Helper()
	f, err := conn.Call(bounded(t), m, each)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// refused sends a message and wants an error with that code.
func refused(t *testing.T, conn *client.Conn, m client.Message, code wire.Code) (*wire.Error, wire.Frame) {
	t.Helper()
	f, err := conn.Call(bounded(t), m, nil)
	var refusal *wire.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("%s: got %v, %+v; want error %s", m.Action, err, f, code)
	}
	if refusal.Code != code {
		t.Fatalf("%s: got %v, want %s", m.Action, refusal, code)
	}
	return refusal, f
}

// state is what $get answers.
type state struct {
	Status  string          `json:"status"`
	Attempt int             `json:"attempt"`
	Result  json.RawMessage `json:"result"`
	Error   *wire.Error     `json:"error"`
	Epoch   int64           `json:"epoch"`
}

func get(t *testing.T, conn *client.Conn, id string) state {
	t.Helper()
	f := call(t, conn, client.Message{Action: wire.ActionGet, Payload: map[string]string{"request_id": id}}, nil)
	var s state
	read(t, f.Data, &s)
	return s
}

func read(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%.200s: %v", raw, err)
	}
}

// attempts returns the numbers of the attempts that a count request has begun,
// and the process of each.
func (s *system) attempts(t *testing.T, id string) (numbers, pids []int) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, id))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		number, pid, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err1 := strconv.Atoi(number)
		p, err2 := strconv.Atoi(pid)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatalf("attempts of %s: %v", id, err)
		}
		numbers, pids = append(numbers, n), append(pids, p)
	}
	return numbers, pids
}

// processes finds the instances of a function of this system, of all for "".
func (s *system) processes(function string) []int {
	return processes("E2E_DIR="+s.dir, "AWS_LAMBDA_FUNCTION_NAME="+function)
}

// processes finds the living processes that have a variable (any for ""), and
// one that begins as the other says.
func processes(variable, prefix string) (pids []int) {
	found, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is valid
	for _, path := range found {
		environ, err := os.ReadFile(path) // gone, or another user's
		if err != nil {
			continue
		}
		has, begins := variable == "", false
		for v := range bytes.SplitSeq(environ, []byte{0}) {
			has = has || string(v) == variable
			begins = begins || strings.HasPrefix(string(v), prefix)
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && has && begins {
			pids = append(pids, pid)
		}
	}
	return pids
}

// kill ends instances of a function, of all functions for role "", as kill -9
// does, and says how many there were.
func (s *system) kill(t *testing.T, role contract.Role) int {
	t.Helper()
	name := ""
	if role != "" {
		name = s.Function(role)
	}
	n := 0
	for _, pid := range s.processes(name) {
		switch err := syscall.Kill(pid, syscall.SIGKILL); {
		case err == nil:
			n++
		case !errors.Is(err, syscall.ESRCH):
			t.Fatal(err)
		}
	}
	return n
}

// long is a request that succeeds in the background.
func long(id string) client.Message {
	return client.Message{ID: id, Action: "fail", Payload: struct{}{}}
}
