package wire_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/runtime/wire"
)

func TestSchemaNamesWhatTheCodeDoes(t *testing.T) {
	t.Parallel()
	s := loadSchema(t)
	enum := func(def string) (out []string) {
		for _, v := range s.defs[def].(map[string]any)["enum"].([]any) {
			out = append(out, v.(string))
		}
		return out
	}
	var codes []string
	for _, c := range wire.Codes() {
		codes = append(codes, string(c))
	}
	if got := enum("code"); !slices.Equal(got, codes) {
		t.Errorf("codes of the schema %v, of the package %v", got, codes)
	}
	states := []string{wire.StatusPending, wire.StatusProcessing, wire.StatusSucceeded, wire.StatusFailed, wire.StatusCancelled}
	if got := enum("status"); !slices.Equal(got, states) {
		t.Errorf("states of the schema %v, of the package %v", got, states)
	}
	var types []string
	for _, ref := range s.defs["frame"].(map[string]any)["oneOf"].([]any) {
		def := strings.TrimPrefix(ref.(map[string]any)["$ref"].(string), "#/$defs/")
		kind := s.defs[def].(map[string]any)["properties"].(map[string]any)["type"].(map[string]any)["const"]
		if kind != def {
			t.Errorf("definition %s is of type %v", def, kind)
		}
		types = append(types, def)
	}
	want := []string{
		wire.TypeResponse, wire.TypeAcknowledgment, wire.TypeProgress, wire.TypePartial,
		wire.TypeComplete, wire.TypeError, wire.TypeEvent,
	}
	if !slices.Equal(types, want) {
		t.Errorf("types of the schema %v, of the package %v", types, want)
	}
	if s.root["title"] != wire.Protocol {
		t.Errorf("title %v, subprotocol %s", s.root["title"], wire.Protocol)
	}
	id := s.defs["id"].(map[string]any)
	if id["maxLength"] != float64(wire.MaxID) || s.defs["details"].(map[string]any)["maxItems"] != float64(wire.MaxDetails) {
		t.Error("limits of the schema are not those of the package")
	}
}

// TestSchemaKnowsEveryField holds Frame against the schema, both ways.
func TestSchemaKnowsEveryField(t *testing.T) {
	t.Parallel()
	s := loadSchema(t)
	schemaKeys := map[string]bool{}
	for _, def := range []string{"response", "acknowledgment", "progress", "partial", "complete", "error", "event", "gatewayFrame"} {
		for name := range s.defs[def].(map[string]any)["properties"].(map[string]any) {
			schemaKeys[name] = true
		}
	}
	delete(schemaKeys, "messageId") // of a refused model, which no API of ours has
	goKeys := map[string]bool{}
	for i := range reflect.TypeFor[wire.Frame]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[wire.Frame]().Field(i).Tag.Get("json"), ",")
		if name != "-" {
			goKeys[name] = true
		}
	}
	if a, b := slices.Sorted(maps.Keys(schemaKeys)), slices.Sorted(maps.Keys(goKeys)); !slices.Equal(a, b) {
		t.Errorf("schema %v\n  Frame %v", a, b)
	}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// nasty is text that breaks careless writers.
const nasty = "a\"b\\c\n\r\t\x00\x1f\x7f\u2028é😀\xff\xc3 </script>"

// clean is what a reader gets of it.
const clean = "a\"b\\c\n\r\t\x00\x1f\x7f\u2028é😀\ufffd\ufffd </script>"

func TestFramesFitTheSchemaAndAreReadBack(t *testing.T) {
	t.Parallel()
	cur := wire.Cursor{Epoch: 3, Seq: 17}
	full := &wire.Error{
		Code: wire.CodeUnavailable, Message: nasty, Retryable: true, SameID: true,
		Details: []wire.Detail{{Path: "payload.rows[3].n", Reason: nasty}, {Path: "id", Reason: "is required"}},
	}
	fullBack := *full
	fullBack.Message = clean
	fullBack.Details = []wire.Detail{{Path: "payload.rows[3].n", Reason: clean}, {Path: "id", Reason: "is required"}}
	tests := map[string]struct {
		def   string
		frame []byte
		want  wire.Frame
	}{
		"response":      {"response", wire.AppendResponse(nil, "r-1", raw(`{"n":1}`)), wire.Frame{Type: "response", RequestID: "r-1", Data: raw(`{"n":1}`)}},
		"response null": {"response", wire.AppendResponse(nil, "r-1", nil), wire.Frame{Type: "response", RequestID: "r-1", Data: raw(`null`)}},
		"acknowledgment": {"acknowledgment", wire.AppendAcknowledgment(nil, "r-1", wire.StatusPending, 1763942400, wire.Cursor{}), wire.Frame{
			Type: "acknowledgment", RequestID: "r-1", Status: "PENDING", RetainedUntil: "2025-11-24T00:00:00Z", Placed: true,
		}},
		"progress": {"progress", wire.AppendProgress(nil, "r-1", cur, 12.5, nasty, raw(`{"a":[1]}`)), wire.Frame{
			Type: "progress", RequestID: "r-1", Percentage: 12.5, Message: clean, Metadata: raw(`{"a":[1]}`), Epoch: 3, Seq: 17, Placed: true,
		}},
		"progress bare": {"progress", wire.AppendProgress(nil, "r-1", cur, 0, "", nil), wire.Frame{
			Type: "progress", RequestID: "r-1", Epoch: 3, Seq: 17, Placed: true,
		}},
		"partial": {"partial", wire.AppendPartial(nil, "r-1", cur, 8, []json.RawMessage{raw(`"he"`), nil, raw(`[1]`)}), wire.Frame{
			Type: "partial", RequestID: "r-1", First: 8, Items: []json.RawMessage{raw(`"he"`), raw(`null`), raw(`[1]`)}, Epoch: 3, Seq: 17, Placed: true,
		}},
		"complete": {"complete", wire.AppendComplete(nil, "r-1", cur, wire.Result{Data: raw(`"x"`)}), wire.Frame{
			Type: "complete", RequestID: "r-1", Data: raw(`"x"`), Epoch: 3, Seq: 17, Placed: true,
		}},
		"error": {"error", wire.AppendError(nil, "r-1", full, &cur), wire.Frame{
			Type: "error", RequestID: "r-1", Code: fullBack.Code, Message: clean, Details: fullBack.Details, Retryable: true, SameID: true, Epoch: 3, Seq: 17, Placed: true,
		}},
		"error bare": {"error", wire.AppendError(nil, "", wire.NewError(wire.CodeForbidden, "no"), nil), wire.Frame{
			Type: "error", Code: wire.CodeForbidden, Message: "no",
		}},
		"error of a tombstone": {"error", wire.AppendError(nil, "r", wire.NewError(wire.CodeCancelled, ""), &wire.Cursor{}), wire.Frame{
			Type: "error", RequestID: "r", Code: wire.CodeCancelled, Placed: true,
		}},
		"event": {"event", wire.AppendEvent(nil, nasty, raw(`[]`)), wire.Frame{Type: "event", Topic: clean, Data: raw(`[]`)}},
		"gateway": {"gatewayFrame", []byte(`{"message": "Forbidden", "connectionId":"a=", "requestId":"b="}`), wire.Frame{
			Message: "Forbidden", ConnectionID: "a=", GatewayRequestID: "b=",
		}},
	}
	s := loadSchema(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, def := range []string{tt.def, ""} {
				if err := s.check(def, tt.frame); err != nil {
					t.Errorf("%s is not a %s of the schema: %v", tt.frame, def, err)
				}
			}
			var got wire.Frame
			if err := got.Decode(tt.frame); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s\n got %+v\nwant %+v", tt.frame, got, tt.want)
			}
			if terminal := got.Type == "complete" || got.Type == "error" && name != "error bare"; got.Terminal() != terminal {
				t.Errorf("Terminal() = %v", got.Terminal())
			}
			if got.Gateway() != (name == "gateway") {
				t.Errorf("Gateway() = %v", got.Gateway())
			}
			if name == "error" && !reflect.DeepEqual(got.Err(), &fullBack) {
				t.Errorf("Err() = %+v", got.Err())
			}
		})
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	dst := append(make([]byte, 0, 256), "before"...)
	if got := string(wire.AppendResponse(dst, "a", raw("1"))); got != `before{"type":"response","request_id":"a","data":1}` {
		t.Error(got)
	}
}

func TestPercentage(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]float64{
		-1: 0, 0: 0, 1e-300: 0, 33.333333: 33.333, 99.9999: 100, 100: 100, 1e300: 100, math.Inf(1): 100, math.Inf(-1): 0,
	} {
		if got := wire.Percentage(in); got != want {
			t.Errorf("Percentage(%v) = %v, want %v", in, got, want)
		}
	}
	if got := wire.Percentage(math.NaN()); got != 0 {
		t.Errorf("Percentage(NaN) = %v", got)
	}
}

func TestFrameDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{``, `1`, `{}`, `{"type":3}`, `{"request_id":"a"}`, `{"type":"progress","epoch":"1"}`} {
		var f wire.Frame
		if err := f.Decode([]byte(in)); err == nil {
			t.Errorf("Decode(%s) = %+v", in, f)
		}
	}
	var f wire.Frame
	if err := f.Decode([]byte(`{"type":"of later","more":{}}`)); err != nil || f.Type != "of later" {
		t.Errorf("a frame of a later version: %v %+v", err, f)
	}
}

func TestCursorCompare(t *testing.T) {
	t.Parallel()
	ordered := []wire.Cursor{{}, {Seq: 1}, {Seq: 9}, {Epoch: 1}, {Epoch: 1, Seq: 1}, {Epoch: 2}, {Epoch: 10, Seq: 3}}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := a.Compare(b), min(1, max(-1, i-j)); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	e := wire.NewError(wire.CodeValidation, "bad", wire.Detail{Path: "a", Reason: "x"}, wire.Detail{Path: "b", Reason: "y"})
	if got := e.Error(); got != "VALIDATION_ERROR: bad (a: x; b: y)" {
		t.Error(got)
	}
	retryable := map[wire.Code]bool{wire.CodeRateLimited: true, wire.CodeTimeout: true, wire.CodeUnavailable: true, wire.CodeInternal: true}
	for _, c := range wire.Codes() {
		if got := wire.NewError(c, "").Retryable; got != retryable[c] {
			t.Errorf("%s retryable = %v", c, got)
		}
	}
}

func TestSchemaIsOneDocument(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("schema.json")
	if err != nil || !json.Valid(body) {
		t.Fatal(err)
	}
	// Every definition is used or is one of those that stand for themselves.
	s := loadSchema(t)
	for name := range s.defs {
		if strings.HasSuffix(name, "Payload") || strings.HasSuffix(name, "Data") {
			continue
		}
		if !strings.Contains(string(body), `"#/$defs/`+name+`"`) {
			t.Errorf("definition %s is not used", name)
		}
	}
}

// However much of an error has to be escaped, its frame can be sent.
func TestErrorFrameFitsIntoAMessage(t *testing.T) {
	t.Parallel()
	worst := strings.Repeat("\x01", 5000)
	e := &wire.Error{Code: wire.CodeValidation, Message: worst}
	for range 20 {
		e.Details = append(e.Details, wire.Detail{Path: worst, Reason: worst})
	}
	frame := wire.AppendError([]byte("before"), strings.Repeat("x", 128), e, &wire.Cursor{Epoch: 1, Seq: 2})
	rest, ok := strings.CutPrefix(string(frame), "before")
	var f wire.Frame
	if err := f.Decode([]byte(rest)); !ok || err != nil || len(rest) > wire.MaxMessage || len(f.Details) == 0 || !f.Placed {
		t.Errorf("%d bytes, %d details, %v", len(rest), len(f.Details), err)
	}
}
