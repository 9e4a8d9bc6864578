package streamer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/wire"
)

type size struct {
	Bytes int    `json:"bytes"`
	Fill  string `json:"fill"`
}

// sized answers with a JSON string of exactly that many bytes.
func sized() *streamer.App {
	app := streamer.New()
	streamer.HandleTask(app, "big", func(_ context.Context, _ *streamer.Task, in size) (string, error) {
		n := (in.Bytes - 2) / len(in.Fill)
		return strings.Repeat(in.Fill, n) + strings.Repeat("x", in.Bytes-2-n*len(in.Fill)), nil
	})
	streamer.HandleTask(app, "length", func(_ context.Context, _ *streamer.Task, in string) (int, error) { return len(in), nil })
	streamer.Handle(app, "length.now", func(_ context.Context, in string) (int, error) { return len(in), nil })
	return app
}

// result puts together what the client is told of a result.
func (s *system) result(f wire.Frame, id string) string {
	s.t.Helper()
	switch {
	case f.Ref == nil:
		return string(f.Data)
	case f.Ref.URL != "":
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		return string(s.store.objects[strings.TrimPrefix(f.Ref.URL, "https://bucket/")])
	}
	var text strings.Builder
	for part := range f.Ref.Parts {
		a := s.says(alice, fmt.Sprintf(`{"id":"f","action":"$fetch","payload":{"request_id":%q,"part":%d}}`, id, part+1))
		var data struct {
			Part, Parts int64
			Text        string
		}
		if err := json.Unmarshal(a.Data, &data); err != nil || data.Part != part+1 || data.Parts != f.Ref.Parts {
			s.t.Fatalf("part %d: %s, %v", part+1, a.Data, err)
		}
		text.WriteString(data.Text)
	}
	return text.String()
}

// Results of every size arrive whole, or the request fails and says why.
func TestLargeResults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		bytes  int
		fill   string
		bucket bool
		way    string
	}{
		{100 << 10, "x", false, "message"},
		{130_000, "x", false, "message"},
		{128<<10 + 1, "x", false, "parts"},
		{128<<10 + 1, `é€😀`, true, "parts"},
		{350 << 10, "€", false, "parts"},
		{350<<10 + 1, "x", false, "refused"},
		{400 << 10, "x", true, "url"},
		{1 << 20, "x", true, "url"},
		{6 << 20, "x", true, "url"},
	} {
		bubble(t, sized(), func(t *testing.T, s *system) {
			if tt.bucket {
				s.store.objects = map[string][]byte{}
			}
			key := s.accept("r", "big", fmt.Sprintf(`{"bytes":%d,"fill":%q}`, tt.bytes, tt.fill))
			s.mustRun(key, 0)
			f := s.last(alice.connection)
			way := "message"
			switch {
			case f.Type == wire.TypeError && f.Code == wire.CodePayloadTooLarge:
				way = "refused"
			case f.Ref != nil && f.Ref.URL != "":
				way = "url"
			case f.Ref != nil:
				way = "parts"
			}
			if way != tt.way {
				t.Fatalf("%d bytes: %s, want %s (%s %s)", tt.bytes, way, tt.way, f.Code, f.Message)
			}
			if way == "refused" {
				return
			}
			var got string
			if err := json.Unmarshal([]byte(s.result(f, "r")), &got); err != nil {
				t.Fatalf("%d bytes: %v", tt.bytes, err)
			}
			if len(got) != tt.bytes-2 || f.Ref != nil && f.Ref.Size != int64(tt.bytes) {
				t.Errorf("%d bytes: %d came, %+v", tt.bytes, len(got)+2, f.Ref)
			}
			// The same, to who asks again.
			again := s.says(alice, fmt.Sprintf(`{"id":"r","action":"big","payload":{"bytes":%d,"fill":%q}}`, tt.bytes, tt.fill))
			if again.Type != wire.TypeComplete || s.result(again, "r") != s.result(f, "r") {
				t.Errorf("%d bytes: sent again, %s %s", tt.bytes, again.Type, again.Code)
			}
		})
	}
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	bubble(t, sized(), func(t *testing.T, s *system) {
		s.mustRun(s.accept("r", "big", `{"bytes":200000,"fill":"x"}`), 0)
		bob := alice
		bob.user = "bob"
		for payload, want := range map[string]wire.Code{
			`{"request_id":"r","part":0}`: wire.CodeValidation,
			`{"request_id":"r","part":5}`: wire.CodeValidation,
			`{"request_id":"s","part":1}`: wire.CodeNotFound,
			`{"request_id":"","part":1}`:  wire.CodeValidation,
		} {
			if f := s.says(alice, `{"id":"f","action":"$fetch","payload":`+payload+`}`); f.Code != want {
				t.Errorf("%s: %s, want %s", payload, f.Code, want)
			}
		}
		if f := s.says(bob, `{"id":"f","action":"$fetch","payload":{"request_id":"r","part":1}}`); f.Code != wire.CodeNotFound {
			t.Errorf("another user is answered %s %s", f.Type, f.Code)
		}
	})
}

// uploadURL asks for one.
func (s *system) uploadURL(who client, size int) (ref, url string) {
	s.t.Helper()
	f := s.says(who, fmt.Sprintf(`{"id":"u","action":"$upload","payload":{"size":%d}}`, size))
	var data struct {
		Ref string `json:"payload_ref"`
		URL string `json:"url"`
	}
	if err := json.Unmarshal(f.Data, &data); err != nil {
		s.t.Fatalf("%+v: %v", f, err)
	}
	return data.Ref, data.URL
}

func TestLargeInputs(t *testing.T) {
	t.Parallel()
	bubble(t, sized(), func(t *testing.T, s *system) {
		s.store.objects = map[string][]byte{}
		for _, n := range []int{1, 128<<10 + 1, 350 << 10, 400 << 10, 1 << 20, 6 << 20} {
			payload := `"` + strings.Repeat("y", n) + `"`
			ref, url := s.uploadURL(alice, len(payload))
			s.store.put(url, []byte(payload))
			id := fmt.Sprint("r", n)
			body := fmt.Sprintf(`{"id":%q,"action":"length","payload_ref":%q}`, id, ref)
			if f := s.says(alice, body); f.Type != wire.TypeAcknowledgment {
				t.Fatalf("%d bytes: %+v", n, f)
			}
			s.store.put(url, []byte(`"changed"`)) // too late: what was accepted is stored elsewhere
			who := alice
			who.connection = id
			ref, url = s.uploadURL(alice, len(payload))
			s.store.put(url, []byte(payload))
			if f := s.says(who, fmt.Sprintf(`{"id":%q,"action":"length","payload_ref":%q}`, id, ref)); f.Type != wire.TypeAcknowledgment {
				t.Fatalf("the same payload is another request: %+v", f)
			}
			s.mustRun(keys.Request(alice.tenant, alice.user, id), 0)
			if f := s.last(id); string(f.Data) != fmt.Sprint(n) {
				t.Errorf("%d bytes: %s %s %s", n, f.Data, f.Code, f.Message)
			}
		}
		ref, url := s.uploadURL(alice, 7)
		s.store.put(url, []byte(`"quick"`))
		if f := s.says(alice, fmt.Sprintf(`{"id":"q","action":"length.now","payload_ref":%q}`, ref)); string(f.Data) != "5" {
			t.Errorf("%+v", f)
		}
	})
}

func TestUploadsThatAreRefused(t *testing.T) {
	t.Parallel()
	bubble(t, sized(), func(t *testing.T, s *system) {
		if f := s.says(alice, `{"id":"u","action":"$upload","payload":{"size":200000}}`); f.Code != wire.CodePayloadTooLarge {
			t.Errorf("switched off: %+v", f)
		}
		s.store.objects = map[string][]byte{}
		for payload, want := range map[string]wire.Code{
			`{"size":0}`: wire.CodeValidation,
			`{}`:         wire.CodeValidation,
			fmt.Sprintf(`{"size":%d}`, wire.MaxUpload+1):      wire.CodePayloadTooLarge,
			`{"size":1,"user":"bob"}`:                         wire.CodeValidation,
			fmt.Sprintf(`{"size":%d}`, int64(wire.MaxUpload)): "",
		} {
			if f := s.says(alice, `{"id":"u","action":"$upload","payload":`+payload+`}`); f.Code != want {
				t.Errorf("%s: %q %s, want %q", payload, f.Code, f.Message, want)
			}
		}
		ref, url := s.uploadURL(alice, 10)
		send := func(who client, ref string) wire.Frame {
			return s.says(who, fmt.Sprintf(`{"id":"r","action":"length","payload_ref":%q}`, ref))
		}
		if f := send(alice, ref); f.Code != wire.CodeValidation || f.Details[0].Path != "payload_ref" {
			t.Errorf("not uploaded yet: %+v", f)
		}
		for body, path := range map[string]string{`{"a":`: "payload", `"a" "b"`: "payload", "\"\xff\"": "payload", `{"a":1}`: "payload", strings.Repeat("[", 600): "payload"} {
			s.store.put(url, []byte(body))
			if f := send(alice, ref); f.Code != wire.CodeValidation || len(f.Details) == 0 || f.Details[0].Path != path {
				t.Errorf("%s: %+v", body, f)
			}
		}
		s.store.put(url, []byte(`"secret"`))
		bob := alice
		bob.user = "bob"
		if f := send(bob, ref); f.Code != wire.CodeValidation {
			t.Errorf("another user's upload: %+v", f)
		}
		if len(s.store.items) > 0 {
			t.Errorf("%d requests were accepted", len(s.store.items))
		}
	})
}
