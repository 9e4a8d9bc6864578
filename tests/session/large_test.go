package session_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	protocol "github.com/streamer-go/streamer/runtime/wire"
)

// filled reads the filling of a result.
func filled(t *testing.T, raw json.RawMessage, err error) int {
	t.Helper()
	var r reply
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		t.Error(err)
	}
	return len(r.Filler)
}

// Payloads and results of any size, over a session and over a plain connection;
// a connection that breaks in the middle of one is nothing to the caller.
func largePayloads(t *testing.T, s *system) {
	n := &network{}
	p := s.open("large", time.Hour, n)
	conn, err := client.Dial(t.Context(), s.url, s.token("large", time.Hour), client.Options{HTTPClient: s.cloud.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name         string
		payload, out int
		spoil        []int
		url          bool // the result is behind one
	}{
		{"small", 10, 10, nil, false},
		{"in parts", 10, 300_000, nil, false},
		{"just a message", 130_000, 10, nil, false},
		{"uploaded", 140_000, 10, nil, false},
		{"behind a URL", 10, 3_000_000, nil, true},
		{"both", 5_000_000, 5_000_000, nil, true},
		{"both, broken off", 500_000, 1_000_000, []int{0, 100, 5, 1 << 20, 200_000, 700_000}, true},
	} {
		in := ask{Ballast: strings.Repeat("b", tt.payload), Size: tt.out}
		n.spoil(tt.spoil)
		id := strings.NewReplacer(" ", "-", ",", "").Replace(tt.name)
		f, err := p.Call(t.Context(), client.Message{ID: id, Action: "tell", Payload: in}, nil)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if behind := f.Ref != nil && f.Ref.URL != ""; behind != tt.url {
			t.Errorf("%s: the result is at %+v", tt.name, f.Ref)
		}
		raw, err := p.Result(t.Context(), f)
		if got := filled(t, raw, err); got != tt.out {
			t.Errorf("%s: %d bytes instead of %d", tt.name, got, tt.out)
		}
		// The same by hand, over a connection.
		m := client.Message{Action: "tell", Payload: in}
		if tt.payload > 130_000 {
			m.Payload = nil
			if m.Ref, err = conn.Upload(t.Context(), in); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		if f, err = conn.Call(t.Context(), m, nil); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		raw, err = conn.Result(t.Context(), f)
		if got := filled(t, raw, err); got != tt.out {
			t.Errorf("%s: %d bytes instead of %d", tt.name, got, tt.out)
		}
		if left := n.spoil(nil); left > 0 {
			t.Errorf("%s: %d connections were not broken off", tt.name, left)
		}
	}
	var refused *protocol.Error
	if _, err := p.Call(t.Context(), client.Message{Action: "tell", Payload: ask{Ballast: strings.Repeat("b", 21<<20)}}, nil); !errors.As(err, &refused) || refused.Code != protocol.CodePayloadTooLarge {
		t.Errorf("too large for an upload: %.300v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	finish(t, p)
}

// Where they are switched off, what is too large is refused, and parts still work.
func noLargePayloads(t *testing.T, s *system) {
	p := s.open("small", time.Hour, nil)
	for size, want := range map[int]protocol.Code{300_000: "", 400_000: protocol.CodePayloadTooLarge} {
		f, err := p.Call(t.Context(), client.Message{Action: "tell", Payload: ask{Size: size}}, nil)
		var refused *protocol.Error
		if want != "" && (!errors.As(err, &refused) || refused.Code != want) || want == "" && err != nil {
			t.Errorf("%d bytes: %.300v", size, err)
		}
		if want != "" {
			continue
		}
		raw, err := p.Result(t.Context(), f)
		if got := filled(t, raw, err); got != size {
			t.Errorf("%d bytes instead of %d", got, size)
		}
	}
	var refused *protocol.Error
	if _, err := p.Call(t.Context(), client.Message{Action: "tell", Payload: ask{Ballast: strings.Repeat("b", 200_000)}}, nil); !errors.As(err, &refused) || refused.Code != protocol.CodePayloadTooLarge {
		t.Errorf("%.300v", err)
	}
	finish(t, p)
}
