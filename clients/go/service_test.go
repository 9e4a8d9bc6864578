package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
)

// service is what docs/protocol.md describes, in memory: the test says what
// becomes of a request.
type service struct {
	t        *testing.T
	life     time.Duration // of a connection
	listener pipe

	mu       sync.Mutex
	sockets  []*websocket.Conn
	requests map[string]*kept
	calls    map[string]int // messages by action
	statuses []int          // of the next handshakes; then 101
	lose     map[string]int // how many messages of an action are not to be answered
	refuse   map[string]int // how many are to be answered RATE_LIMITED
	slow     string         // a request that is accepted while the next $resume is being answered
}

// kept is a stored request.
type kept struct {
	watchers   map[*websocket.Conn]bool
	epoch, seq int64
	progress   string // the newest frame's own fields
	log        []int
	stands     int64  // pieces of the log that are older than the epoch
	done       string // the result
}

func run(t *testing.T, do func(ctx context.Context, s *service)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &service{
			t: t, life: 2 * time.Hour, listener: pipe{make(chan net.Conn), make(chan struct{})},
			requests: map[string]*kept{}, calls: map[string]int{}, lose: map[string]int{}, refuse: map[string]int{},
		}
		server := &http.Server{Handler: http.HandlerFunc(s.serve)}
		go func() { _ = server.Serve(s.listener) }() // it ends with the listener
		do(t.Context(), s)
		_ = server.Close()
	})
}

// open makes a session that is closed with the test.
func (s *service) open(ctx context.Context, o client.SessionOptions) (*client.Session, error) {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		s.listener.conns <- far
		return near, nil
	}}
	o.URL, o.HTTPClient = "ws://service/live", &http.Client{Transport: transport}
	if o.Token == nil {
		o.Token = func(context.Context) (string, error) { return "good", nil }
	}
	return client.Open(ctx, o)
}

func (s *service) mustOpen(ctx context.Context) *client.Session {
	s.t.Helper()
	session, err := s.open(ctx, client.SessionOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut { // an upload
		return
	}
	s.mu.Lock()
	if len(s.statuses) > 0 {
		status := s.statuses[0]
		s.statuses = s.statuses[1:]
		s.mu.Unlock()
		w.WriteHeader(status)
		return
	}
	s.mu.Unlock()
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		s.t.Error(err)
		return
	}
	ws.SetReadLimit(wire.MaxMessage)
	s.mu.Lock()
	s.sockets = append(s.sockets, ws)
	s.mu.Unlock()
	end := time.AfterFunc(s.life, func() { _ = ws.Close(websocket.StatusGoingAway, "") })
	defer end.Stop()
	for {
		_, body, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		m, bad := wire.Parse(body)
		if bad != nil {
			s.t.Errorf("the client sent %.200s: %v", body, bad)
		}
		if answer := s.answer(ws, m); answer != "" {
			_ = ws.Write(r.Context(), websocket.MessageText, []byte(frame(m, answer))) // to nobody, when the connection was cut
		}
	}
}

func (s *service) answer(ws *websocket.Conn, m wire.Message) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[m.Action]++
	if s.lose[m.Action] > 0 {
		s.lose[m.Action]--
		return ""
	}
	if s.refuse[m.Action] > 0 {
		s.refuse[m.Action]--
		return `"type":"error","code":"RATE_LIMITED","message":"wait","retryable":true,"same_id":true`
	}
	switch m.Action {
	case "$hello":
		end := time.Now().Add(s.life).Format(time.RFC3339Nano)
		return fmt.Sprintf(`"type":"response","data":{"connection_expires_at":%q,"token_expires_at":"2100-01-01T00:00:00Z"}`, end)
	case "$upload":
		return `"type":"response","data":{"payload_ref":"K5XW6YTBOI2DCMRTGQ2TMNZYHE","method":"PUT","url":"http://service/u"}`
	case "$ping":
		return `"type":"response","data":{}`
	case "$resume", "$sync":
		answer := `"type":"response","data":{"requests":` + s.standing(ws, m) + `}`
		if id := s.slow; id != "" {
			s.slow, s.requests[id] = "", &kept{watchers: map[*websocket.Conn]bool{ws: true}}
			_ = ws.Write(s.t.Context(), websocket.MessageText, []byte(frame(wire.Message{ID: id}, accepted))) // to nobody, when it was cut
		}
		return answer
	case "quick":
		return `"type":"response","data":1`
	case "busy":
		return `"type":"error","code":"UNAVAILABLE","message":"again","retryable":true,"same_id":true`
	}
	k := s.requests[m.ID]
	if k == nil {
		k = &kept{watchers: map[*websocket.Conn]bool{}}
		s.requests[m.ID] = k
	}
	k.watchers[ws] = true
	return accepted
}

// standing answers $resume and $sync.
func (s *service) standing(ws *websocket.Conn, m wire.Message) string {
	var in struct {
		Requests []struct {
			ID           string `json:"request_id"`
			Epoch, Seq   int64
			PartialEpoch int64 `json:"partial_epoch"`
			Partials     int64
		}
	}
	if err := json.Unmarshal(m.Payload, &in); err != nil {
		s.t.Error(err)
	}
	out := []map[string]any{}
	for _, r := range in.Requests {
		k := s.requests[r.ID]
		if k == nil {
			out = append(out, map[string]any{"request_id": r.ID, "error": map[string]string{"code": "NOT_FOUND", "message": "no such request"}})
			continue
		}
		if m.Action == "$resume" {
			k.watchers[ws] = true
		}
		e := map[string]any{"request_id": r.ID, "status": "PROCESSING", "epoch": k.epoch, "seq": k.seq}
		if k.progress != "" {
			e["progress"] = map[string]any{"percentage": 1, "message": k.progress, "epoch": k.epoch, "seq": k.seq}
		}
		from := min(r.Partials, int64(len(k.log)))
		if r.PartialEpoch < k.epoch {
			from = min(from, k.stands)
		}
		if rest := k.log[from:]; len(rest) > 0 { // three at a time
			e["partials"] = map[string]any{"epoch": k.epoch, "first": from + 1, "items": rest[:min(3, len(rest))], "more": len(rest) > 3}
		}
		if k.done != "" {
			e["status"], e["result"], e["epoch"], e["partials_total"] = "SUCCEEDED", json.RawMessage(k.done), k.epoch+1, len(k.log)
		}
		out = append(out, e)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		s.t.Error(err)
	}
	return string(raw)
}

// push sends a frame to those who watch a request; lost is one that nobody gets.
func (s *service) push(id string, lost bool, f func(k *kept) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.requests[id]
	body := f(k)
	for ws := range k.watchers {
		if !lost {
			_ = ws.Write(s.t.Context(), websocket.MessageText, []byte(frame(wire.Message{ID: id}, body))) // or it has been cut
		}
	}
}

func (s *service) progress(id, text string, lost bool) {
	s.push(id, lost, func(k *kept) string {
		k.epoch, k.progress = max(k.epoch, 1), text
		k.seq++
		return fmt.Sprintf(`"type":"progress","percentage":1,"message":%q,"epoch":%d,"seq":%d`, text, k.epoch, k.seq)
	})
}

func (s *service) emit(id string, lost bool, n ...int) {
	s.push(id, lost, func(k *kept) string {
		first := len(k.log) + 1
		k.epoch, k.log = max(k.epoch, 1), append(k.log, n...)
		k.seq++
		raw, _ := json.Marshal(n)
		return fmt.Sprintf(`"type":"partial","first":%d,"items":%s,"epoch":%d,"seq":%d`, first, raw, k.epoch, k.seq)
	})
}

func (s *service) complete(id string, lost bool) {
	s.push(id, lost, func(k *kept) string {
		k.done = `"done"`
		total := ""
		if len(k.log) > 0 {
			total = fmt.Sprintf(`"partials":%d,`, len(k.log))
		}
		return fmt.Sprintf(`"type":"complete",%s"data":"done","epoch":%d,"seq":0`, total, k.epoch+1)
	})
}

// cut ends every connection, as a network does.
func (s *service) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ws := range s.sockets {
		_ = ws.CloseNow()
	}
	s.sockets = nil
	for _, k := range s.requests {
		clear(k.watchers)
	}
}

func (s *service) called(action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[action]
}
