package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

// entry is how a request stands, in an answer.
type entry struct {
	RequestID string      `json:"request_id"`
	Action    string      `json:"action"`
	Status    string      `json:"status"`
	Waiting   string      `json:"waiting"`
	Epoch     int64       `json:"epoch"`
	Seq       int64       `json:"seq"`
	Error     *wire.Error `json:"error"`
	Total     int         `json:"partials_total"`
	Partials  *struct {
		Epoch int64             `json:"epoch"`
		First int64             `json:"first"`
		Items []json.RawMessage `json:"items"`
	} `json:"partials"`
	Result json.RawMessage `json:"result"`
}

type listed struct {
	Requests []entry `json:"requests"`
	After    string  `json:"after"`
}

func list(t *testing.T, conn *client.Conn, payload any) (out listed) {
	t.Helper()
	read(t, call(t, conn, client.Message{Action: wire.ActionList, Payload: payload}, nil).Data, &out)
	return out
}

// positions asks after requests, with $resume or $sync.
func positions(t *testing.T, conn *client.Conn, action string, requests ...map[string]any) []entry {
	t.Helper()
	var out listed
	read(t, call(t, conn, client.Message{Action: action, Payload: map[string]any{"requests": requests}}, nil).Data, &out)
	return out.Requests
}

// cutter makes connections that the test can cut.
type cutter struct {
	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func (c *cutter) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.conns = append(c.conns, conn)
		}
		return conn, err
	}}}
}

// cut ends all connections as a network does that fails.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // no goodbye
		}
		_ = conn.Close() // may be cut already
	}
	c.conns = nil
}

// Two connections of one user watch one request; the second comes in the middle.
func TestTwoWatchers(t *testing.T) {
	t.Parallel()
	const user, id, units = "two watchers", "watched-1", 50
	first, second := shared.raw(t, user), shared.raw(t, user)
	first.send(fmt.Sprintf(`{"id":%q,"action":"write","payload":{"units":%d,"ms":100}}`, id, units))
	var one, two tale
	for len(one.log) < 5 {
		one.add(t, first.next())
	}
	second.send(`{"id":"resume","action":"$resume","payload":{"requests":[{"request_id":"watched-1","epoch":0,"seq":0,"partial_epoch":0,"partials":0}]}}`)
	joined := false
	var early []wire.Frame // come before the answer
	for two.ends == 0 {
		f := second.next()
		switch {
		case f.RequestID == "resume":
			var out listed
			if read(t, f.Data, &out); len(out.Requests) != 1 || out.Requests[0].Status != wire.StatusProcessing || out.Requests[0].Partials == nil {
				t.Fatalf("$resume is answered %s", f.Data)
			}
			p := out.Requests[0].Partials
			two.add(t, wire.Frame{Type: wire.TypePartial, First: p.First, Items: p.Items, Epoch: p.Epoch})
			joined = true
			for _, f := range early {
				two.join(t, f)
			}
		case !joined:
			early = append(early, f)
		default:
			two.join(t, f)
		}
	}
	for one.ends == 0 {
		one.add(t, first.next())
	}
	one.wantLog(t, units)
	if len(two.log) == units {
		two.wantLog(t, units)
	}
	// What was stored between the answer and the first frame is asked for.
	whole := positions(t, shared.connect(t, user), wire.ActionResume, map[string]any{"request_id": id, "partial_epoch": 0, "partials": 0})
	if len(whole) != 1 || whole[0].Total != units || whole[0].Partials == nil || len(whole[0].Partials.Items) != units {
		t.Errorf("afterwards $resume says %+v", whole)
	}
}

// join takes a frame of an epoch whose log is there already: it adds what is new.
// A gap is no fault here, $resume tells.
func (s *tale) join(t *testing.T, f wire.Frame) {
	t.Helper()
	if f.Type == wire.TypePartial {
		known := min(int64(len(s.log))+1-f.First, int64(len(f.Items)))
		if known < 0 {
			return
		}
		f.First, f.Items = f.First+known, f.Items[known:]
	}
	s.add(t, f)
}

// A session whose connection is cut, over and over, while partials and progress
// come tells one story without a gap.
func TestSessionGoesOn(t *testing.T) {
	t.Parallel()
	const units = 60
	var cuts cutter
	var mu sync.Mutex // guards lost
	lost := 0
	session, err := client.Open(bounded(t), client.SessionOptions{
		URL: shared.URL, HTTPClient: cuts.client(),
		Token:        func(context.Context) (string, error) { return shared.Keys.Token("cut", "", nil, time.Hour) },
		OnDisconnect: func(error) { mu.Lock(); lost++; mu.Unlock() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() }) // the test has ended
	var told tale
	at := 0
	f, err := session.Call(bounded(t), client.Message{ID: "cut-1", Action: "write", Payload: app.March{Units: units, Milliseconds: 100}}, func(f wire.Frame) {
		told.add(t, f)
		if f.Type == wire.TypePartial && len(told.log) > at+12 {
			at = len(told.log)
			cuts.cut()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	told.wantLog(t, units)
	wantMarched(t, f, 1, units)
	var cursor wire.Cursor
	for _, p := range told.progress {
		if p.Cursor().Compare(cursor) <= 0 {
			t.Errorf("progress %+v after %v", p, cursor)
		}
		cursor = p.Cursor()
	}
	mu.Lock()
	defer mu.Unlock()
	if lost < 2 || len(told.progress) < 3 {
		t.Errorf("%d connections lost, %d of progress: this proves nothing", lost, len(told.progress))
	}
	// Another program of the same user hears all of it, afterwards.
	var again tale
	if _, err := shared.session(t, "cut").Follow(bounded(t), "cut-1", func(f wire.Frame) { again.add(t, f) }); err != nil {
		t.Fatal(err)
	}
	again.wantLog(t, units)
}

// What differs from what a client has is told, and nothing else.
func TestSync(t *testing.T) {
	t.Parallel()
	const user = "sync"
	conn, r := shared.connect(t, user), shared.raw(t, user)
	call(t, conn, client.Message{ID: "sync-done", Action: "write", Payload: app.March{Units: 3, Milliseconds: 1}}, nil)
	r.send(`{"id":"sync-open","action":"hold","payload":{"until":"sync-go"}}`)
	for r.next().Type != wire.TypeProgress {
	}
	ask := func(id string, epoch, seq int64) map[string]any {
		return map[string]any{"request_id": id, "epoch": epoch, "seq": seq}
	}
	var open, done entry
	for _, e := range positions(t, conn, wire.ActionSync, ask("sync-open", 0, 0), ask("sync-done", 0, 0), ask("sync-none", 0, 0)) {
		switch e.RequestID {
		case "sync-open":
			open = e
		case "sync-done":
			done = e
		default:
			if e.Status != "" || e.Error == nil || e.Error.Code != wire.CodeNotFound {
				t.Errorf("%+v", e)
			}
		}
	}
	if open.Status != wire.StatusProcessing || done.Status != wire.StatusSucceeded || done.Total != 3 || len(done.Result) == 0 || done.Partials != nil {
		t.Errorf("open %+v, done %+v", open, done)
	}
	if same := positions(t, conn, wire.ActionSync, ask("sync-open", open.Epoch, open.Seq)); len(same) != 0 {
		t.Errorf("nothing differs, but $sync says %+v", same)
	}
	shared.touch(t, "sync-go")
	if frames := r.until("sync-open"); frames[len(frames)-1].Type != wire.TypeComplete {
		t.Errorf("got %+v", frames)
	}
	if changed := positions(t, conn, wire.ActionSync, ask("sync-open", open.Epoch, open.Seq)); len(changed) != 1 || changed[0].Status != wire.StatusSucceeded {
		t.Errorf("after the end $sync says %+v", changed)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	const user, n = "list", 7
	conn := shared.connect(t, user)
	var want []string
	for i := range n {
		id := fmt.Sprint("list-", i)
		call(t, conn, client.Message{ID: id, Action: "fail", Payload: app.Fail{}}, nil)
		want = append([]string{id}, want...)
	}
	refused(t, conn, client.Message{ID: "list-failed", Action: "panic.long", Payload: struct{}{}}, wire.CodeInternal)
	want = append([]string{"list-failed"}, want...)
	r := shared.raw(t, user)
	r.send(`{"id":"list-open","action":"hold","payload":{"until":"list-go"}}`)
	for r.next().Type != wire.TypeProgress {
	}
	want = append([]string{"list-open"}, want...)

	pages := func(payload map[string]any) (ids []string) {
		for {
			page := list(t, conn, payload)
			for _, e := range page.Requests {
				ids = append(ids, e.RequestID)
				if e.Action == "" || e.Status == "" || len(e.Result) > 0 {
					t.Errorf("%+v", e)
				}
			}
			if page.After == "" {
				return ids
			}
			if limit, ok := payload["limit"].(int); ok && len(page.Requests) > limit {
				t.Errorf("%d of at most %d", len(page.Requests), limit)
			}
			payload["after"] = page.After
		}
	}
	for _, limit := range []int{1, 4, 9, 50} {
		if got := pages(map[string]any{"limit": limit}); !slices.Equal(got, want) {
			t.Errorf("by %d: %v, want %v", limit, got, want)
		}
	}
	if got := pages(map[string]any{"open": true}); !slices.Equal(got, want[:1]) {
		t.Errorf("open: %v", got)
	}
	if got := pages(map[string]any{"status": "SUCCEEDED", "limit": 3}); !slices.Equal(got, want[2:]) {
		t.Errorf("succeeded: %v", got)
	}
	shared.touch(t, "list-go")
}

// Whatever is asked, another user's requests are not known, nor heard of.
func TestRequestsOfOthers(t *testing.T) {
	t.Parallel()
	const id = "theirs-1"
	alice, mallory := shared.raw(t, "theirs alice"), shared.raw(t, "theirs mallory")
	alice.send(`{"id":"theirs-1","action":"write","payload":{"units":10,"ms":150}}`)
	for alice.next().Type != wire.TypeProgress {
	}
	conn := shared.connect(t, "theirs mallory")
	for _, action := range []string{wire.ActionResume, wire.ActionSync} {
		got := positions(t, conn, action, map[string]any{"request_id": id, "partials": 0})
		if len(got) != 1 || got[0].Status != "" || got[0].Partials != nil || got[0].Error == nil || got[0].Error.Code != wire.CodeNotFound {
			t.Errorf("%s of another user's request: %+v", action, got)
		}
	}
	mallory.send(`{"id":"resume","action":"$resume","payload":{"requests":[{"request_id":"theirs-1"}]}}`)
	if got := list(t, conn, nil); len(got.Requests) != 0 {
		t.Errorf("$list has %+v", got)
	}
	refused(t, conn, client.Message{Action: wire.ActionFetch, Payload: map[string]any{"request_id": id, "part": 1}}, wire.CodeNotFound)
	if frames := alice.until(id); frames[len(frames)-1].Type != wire.TypeComplete {
		t.Errorf("got %+v", frames)
	}
	// All that mallory has heard are the answers to mallory.
	mallory.send(`{"id":"last","action":"$ping"}`)
	for {
		f := mallory.next()
		if f.RequestID == "last" {
			break
		}
		if f.RequestID != "resume" {
			t.Errorf("another user heard %+v", f)
		}
	}
}
