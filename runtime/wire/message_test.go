package wire_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/streamer-go/streamer/runtime/wire"
)

func TestParse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 128)
	tests := []struct {
		in   string
		want wire.Message
	}{
		{`{"id":"1","action":"echo"}`, wire.Message{ID: "1", Action: "echo"}},
		{" {\r\n\t\"id\" : \"1\" , \"action\" : \"echo\" } \n", wire.Message{ID: "1", Action: "echo"}},
		{`{"metadata":{"a":1},"payload":[1, 2],"action":"$ping","id":"A-z.0_:9"}`, wire.Message{
			ID: "A-z.0_:9", Action: "$ping", Payload: raw(`[1, 2]`), Metadata: raw(`{"a":1}`),
		}},
		{`{"id":"` + long + `","action":"` + strings.Repeat("é", 128) + `","payload":null,"metadata":null}`, wire.Message{
			ID: long, Action: strings.Repeat("é", 128), Payload: raw(`null`),
		}},
		{`{"\u0069d":"\u0041","action":"a\/b\n"}`, wire.Message{ID: "A", Action: "a/b\n"}},
		{`{"id":"1","action":"a","payload":-0.5e+3}`, wire.Message{ID: "1", Action: "a", Payload: raw(`-0.5e+3`)}},
		{`{"id":"1","action":"a","payload":{"id":"2","id":3,"x":[{}, [], "\"}"]}}`, wire.Message{
			ID: "1", Action: "a", Payload: raw(`{"id":"2","id":3,"x":[{}, [], "\"}"]}`),
		}},
	}
	s := loadSchema(t)
	for _, tt := range tests {
		got, err := wire.Parse([]byte(tt.in))
		if err != nil {
			t.Errorf("Parse(%s): %v", tt.in, err)
			continue
		}
		if got.ID != tt.want.ID || got.Action != tt.want.Action || string(got.Payload) != string(tt.want.Payload) || string(got.Metadata) != string(tt.want.Metadata) {
			t.Errorf("Parse(%s) = %+v, want %+v", tt.in, got, tt.want)
		}
		if (got.Metadata == nil) != (tt.want.Metadata == nil) {
			t.Errorf("Parse(%s): metadata %q", tt.in, got.Metadata)
		}
		if err := s.check("message", []byte(tt.in)); err != nil {
			t.Errorf("the schema refuses %s: %v", tt.in, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, id string
		// Of the details, "path: reason" each; without any, what the message says.
		details []string
		text    string
		// beyond says that the schema has no word for it.
		beyond bool
	}{
		{in: ``, text: "not a JSON object: see byte 0"},
		{in: `hi`, text: "see byte 0"},
		{in: `[]`, text: "not a JSON object"},
		{in: `{"id":"1","action":"a"`, id: "1", text: "see byte 22"},
		{in: `{"id":"1","action":"a"}}`, id: "1", text: "see byte 23"},
		{in: `{"id":"1","action":"a"} {}`, id: "1", text: "see byte 24"},
		{in: `{"id":"1","action":"a",}`, id: "1", text: "see byte 23"},
		{in: `{"id":"1" "action":"a"}`, id: "1", text: "see byte 10"},
		{in: `{"id":"1","action":"a","payload":01}`, id: "1", text: "see byte 34"},
		{in: `{"id":"1","action":"a","payload":[1 2]}`, id: "1", text: "see byte 36"},
		{in: `{"id":"1","action":"a","payload":"` + "\n" + `"}`, id: "1", text: "see byte 34"},
		{in: `{"id":"1","action":"a","payload":"\x"}`, id: "1", text: "see byte 35"},
		{in: `{"id":"1","action":"a","payload":nul}`, id: "1", text: "see byte 36"},
		{in: `{"id":"1","action":"a","payload":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, id: "1", text: "deeper than 512 levels", beyond: true},
		{in: "{\"id\":\"1\",\"action\":\"\xff\"}", text: "not valid UTF-8", beyond: true},
		{in: `{}`, details: []string{"id: is required", "action: is required"}},
		{in: `{"action":"a"}`, details: []string{"id: is required"}},
		{in: `{"id":"1"}`, id: "1", details: []string{"action: is required"}},
		{in: `{"id":1,"action":null}`, details: []string{"id: expected string, got number", "action: expected string, got null"}},
		{in: `{"id":"","action":""}`, details: []string{"id: must be 1 to 128 characters of A-Z a-z 0-9 . _ : -", "action: must be 1 to 128 characters"}},
		{in: `{"id":"a/b","action":"a"}`, details: []string{"id: must be 1 to 128 characters of A-Z a-z 0-9 . _ : -"}},
		{in: `{"id":"` + strings.Repeat("x", 129) + `","action":"` + strings.Repeat("é", 129) + `"}`, details: []string{"id: must be 1 to 128 characters of A-Z a-z 0-9 . _ : -", "action: must be 1 to 128 characters"}},
		{in: `{"ID":"1","id":"1","action":"a","a b":{}}`, id: "1", details: []string{"ID: unknown field", `["a b"]: unknown field`}},
		{in: `{"id":"1","id":"2","action":"a"}`, details: []string{"id: is given twice"}, beyond: true},
		{in: `{"id":"1","\u0069d":"2","action":"a"}`, details: []string{"id: is given twice"}, beyond: true},
		{in: `{"id":"1","action":"a","payload":1,"payload":1}`, id: "1", details: []string{"payload: is given twice"}, beyond: true},
		{in: `{"id":"1","action":"a","metadata":[]}`, id: "1", details: []string{"metadata: expected object, got array"}},
		{in: `{"id":"1","action":"a","metadata":{"a":"` + strings.Repeat("x", 4090) + `"}}`, id: "1", details: []string{"metadata: has 4098 bytes, at most 4096 are allowed"}, beyond: true},
	}
	s := loadSchema(t)
	for _, tt := range tests {
		msg, err := wire.Parse([]byte(tt.in))
		if err == nil {
			t.Errorf("Parse(%.80s) = %+v", tt.in, msg)
			continue
		}
		if err.Code != wire.CodeValidation || err.Retryable || msg.ID != tt.id || msg.Action != "" || !strings.Contains(err.Message, tt.text) {
			t.Errorf("Parse(%.80s): id %q, %v", tt.in, msg.ID, err)
		}
		var details []string
		for _, d := range err.Details {
			details = append(details, d.Path+": "+d.Reason)
		}
		if !slices.Equal(details, tt.details) {
			t.Errorf("Parse(%.80s): details %q, want %q", tt.in, details, tt.details)
		}
		if s.check("message", []byte(tt.in)) == nil != tt.beyond {
			t.Errorf("the schema on %.80s: %v", tt.in, s.check("message", []byte(tt.in)))
		}
	}
}

func TestParseBounds(t *testing.T) {
	t.Parallel()
	body := func(n int) []byte {
		head := `{"id":"1","action":"a","payload":"`
		return []byte(head + strings.Repeat("x", n-len(head)-2) + `"}`)
	}
	if _, err := wire.Parse(body(wire.MaxMessage)); err != nil {
		t.Error(err)
	}
	if _, err := wire.Parse(body(wire.MaxMessage + 1)); err == nil || err.Code != wire.CodePayloadTooLarge {
		t.Errorf("%v", err)
	}
	var many strings.Builder
	for i := range 50 {
		fmt.Fprintf(&many, `"k%d":1,`, i)
	}
	_, err := wire.Parse([]byte(`{` + many.String() + `"id":"1","action":"a"}`))
	if err == nil || len(err.Details) != wire.MaxDetails {
		t.Errorf("%v", err)
	}
	if err := loadSchema(t).check("error", wire.AppendError(nil, "1", err, nil)); err != nil {
		t.Error(err)
	}
	deep := strings.Repeat("[", wire.MaxDepth-1) + strings.Repeat("]", wire.MaxDepth-1)
	if _, err := wire.Parse([]byte(`{"id":"1","action":"a","payload":` + deep + `}`)); err != nil {
		t.Errorf("%d levels: %v", wire.MaxDepth, err)
	}
}

// FuzzParse holds the scanner against encoding/json: both take the same texts,
// and the parts are what encoding/json finds.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","action":"echo","payload":{"a":[1,-2.5e3,true,null,"\u00e9\\"]},"metadata":{}}`,
		`{"\u0069d":"1","action":"a"}`, `{"id":"1","action":"a"} x`, `{"id":"1","id":"2"}`, `[`, `{"a":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		msg, err := wire.Parse(body)
		if msg.ID != "" && !wire.ValidID(msg.ID) {
			t.Fatalf("id %q", msg.ID)
		}
		if err != nil {
			if len(err.Details) > wire.MaxDetails || err.Message == "" {
				t.Fatalf("%+v", err)
			}
			refused(t, body, err)
			return
		}
		var want map[string]json.RawMessage
		if !utf8.Valid(body) || json.Unmarshal(body, &want) != nil {
			t.Fatalf("Parse took %q", body)
		}
		var action string
		if json.Unmarshal(want["action"], &action) != nil || action != msg.Action || string(want["payload"]) != string(msg.Payload) {
			t.Fatalf("Parse(%q) = %+v", body, msg)
		}
		if frame := wire.AppendResponse(nil, msg.ID, msg.Payload); !json.Valid(frame) {
			t.Fatalf("frame %q", frame)
		}
	})
}

// refused checks that a text was refused for a reason: a JSON object is called
// unreadable only when it is too deep or too long.
func refused(t *testing.T, body []byte, err *wire.Error) {
	t.Helper()
	var object map[string]json.RawMessage
	readable := json.Unmarshal(body, &object) == nil && object != nil
	if readable && strings.Contains(err.Message, "not a JSON object") {
		t.Fatalf("%q is JSON: %v", body, err)
	}
	if !readable && len(err.Details) > 0 {
		t.Fatalf("%q is not JSON: %v", body, err)
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(`{"id":"0b6a2c1e-7a55-4a3e-9d0c-3f3a1f3a9b10","action":"report.generate","payload":{"customer":"c-1042","rows":[1,2,3,4],"title":"Monthly sales","draft":false},"metadata":{"page":"dashboard","v":12}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseLarge(b *testing.B) {
	body := []byte(`{"id":"1","action":"a","payload":[` + strings.Repeat(`{"name":"some text","n":12345},`, 4000) + `0]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendProgress(b *testing.B) {
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		dst = wire.AppendProgress(dst[:0], "0b6a2c1e-7a55-4a3e-9d0c-3f3a1f3a9b10", wire.Cursor{Epoch: 1, Seq: 42}, 37.5, "reading rows", nil)
	}
}
