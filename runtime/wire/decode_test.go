package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

type base struct {
	Tenant string `json:"tenant"`
	Hidden int    `json:"-"`
	Twice  int    `json:"twice"`
}

type row struct {
	N     int8           `json:"n"`
	Price float64        `json:"price"`
	Tags  []string       `json:"tags"`
	More  map[string]row `json:"more"`
}

type input struct {
	base
	*Deep
	Rows   []row               `json:"rows"`
	Count  uint16              `json:"count"`
	Flag   *bool               `json:"flag"`
	When   time.Time           `json:"when"`
	Blob   []byte              `json:"blob"`
	Any    any                 `json:"any"`
	Raw    json.RawMessage     `json:"raw"`
	Pair   [2]int              `json:"pair"`
	ByID   map[int]string      `json:"by_id"`
	ByAddr map[netip.Addr]bool `json:"by_addr"`
	Quoted int                 `json:"quoted,string"`
	Twice  string              `json:"twice"`
	Level  level               `json:"level"`
	Reader io.Reader           `json:"reader"`
	Number json.Number         `json:"number"`
	Func   func()              `json:"func"`
	Plain  string
}

type Deep struct {
	Depth float32 `json:"depth"`
}

type level int

func (l *level) UnmarshalText(b []byte) error {
	if i := slices.Index([]string{"low", "high"}, string(b)); i >= 0 {
		*l = level(i)
		return nil
	}
	return fmt.Errorf("%q is neither low nor high", b)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var got input
	in := `{"tenant":"t","depth":1.5,"rows":[{"n":-128,"more":{"a":{"n":1}}}],"count":65535,"flag":null,"when":"2026-01-02T03:04:05Z",
		"blob":"AQI=","any":{"x":[1]},"raw":{"y":2},"pair":[1,2],"by_id":{"7":"x"},"by_addr":{"::1":true},"quoted":"5","twice":"s",
		"level":"high","reader":null,"number":1.5,"pLAIN":"p"}`
	if err := wire.Decode(raw(in), &got); err != nil {
		t.Fatal(err)
	}
	if got.Tenant != "t" || got.Rows[0].More["a"].N != 1 || got.Level != 1 || got.Plain != "p" || got.Quoted != 5 || string(got.Raw) != `{"y":2}` {
		t.Errorf("%+v", got)
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want []string
	}{
		{`{"rows":[{},{},{},{"n":"3"}]}`, []string{"payload.rows[3].n: expected integer, got string"}},
		{`{"rows":[{"n":1.5},{"n":128},{"n":-1e2}]}`, []string{
			"payload.rows[0].n: expected integer, got 1.5", "payload.rows[1].n: expected integer of 8 bits, got 128", "payload.rows[2].n: expected integer, got -1e2",
		}},
		{`{"count":-1,"depth":1e99,"extra":{},"Hidden":1}`, []string{
			"payload.count: expected integer of 0 or more, got -1", "payload.depth: expected number of 32 bits, got 1e99",
			"payload.extra: unknown field", "payload.Hidden: unknown field",
		}},
		{`{"rows":{"n":1},"flag":0,"tenant":[],"pair":true}`, []string{
			"payload.rows: expected array, got object", "payload.flag: expected boolean, got number",
			"payload.tenant: expected string, got array", "payload.pair: expected array, got boolean",
		}},
		{`{"when":"tomorrow"}`, []string{"payload.when: expected time (RFC 3339)"}},
		{`{"when":12,"blob":"*","level":"mid"}`, []string{
			"payload.when: expected time (RFC 3339), got number", "payload.blob: expected string of base64", `payload.level: "mid" is neither low nor high`,
		}},
		{`{"blob":{},"level":3,"reader":{},"number":"x"}`, []string{
			"payload.blob: expected string of base64, got object", "payload.level: unexpected number",
			"payload.reader: cannot be given", "payload.number: ",
		}},
		{`{"by_id":{"x":"a","1":2},"by_addr":{"here":true},"quoted":5,"twice":1}`, []string{
			"payload.by_id.x: as a key: expected integer, got x", `payload.by_id["1"]: expected string, got number`,
			"payload.by_addr.here: ", "payload.quoted: expected string, got number", "payload.twice: expected string, got number",
		}},
		{`{"QUOTED":"true","":1}`, []string{"payload.QUOTED: expected integer, got boolean", `payload[""]: unknown field`}},
		{`{"pair":[1,"x","beyond"],"any":{"x":[1]},"depth":"x"}`, []string{"payload.pair[1]: expected integer, got string", "payload.depth: expected number, got string"}},
		{`{"number":true,"func":1}`, []string{"payload.number: expected string, got boolean", "payload.func: cannot be given"}},
		{`{"quoted":"x"}`, []string{"payload.quoted: expected a value within the string"}},
		{`{"rows":[{"more":{"a b":{"tags":["x",null,7]}}}]}`, []string{`payload.rows[0].more["a b"].tags[2]: expected string, got number`}},
		{`[1]`, []string{"payload: expected object, got array"}},
		{`{"tenant":"x"} {}`, []string{"payload: is not valid JSON: see byte 15"}},
		{`{"tenant":`, []string{"payload: is not valid JSON: see byte 10"}},
		{`{"` + strings.Repeat("é", 60) + `":1}`, []string{`payload["` + strings.Repeat("é", 32) + `…"]: unknown field`}},
	}
	for _, tt := range tests {
		var got input
		err := wire.Decode(raw(tt.in), &got)
		if err == nil {
			t.Errorf("Decode(%s) = %+v", tt.in, got)
			continue
		}
		if err.Code != wire.CodeValidation || len(err.Details) != len(tt.want) {
			t.Errorf("Decode(%s): %v, want %q", tt.in, err, tt.want)
			continue
		}
		for i, d := range err.Details {
			line := d.Path + ": " + d.Reason
			if line != tt.want[i] && !(strings.HasSuffix(tt.want[i], ": ") && strings.HasPrefix(line, tt.want[i]) && d.Reason != "") {
				t.Errorf("Decode(%s): %q, want %q", tt.in, line, tt.want[i])
			}
		}
	}
}

func TestDecodeListsAtMostTen(t *testing.T) {
	t.Parallel()
	var got []int
	if err := wire.Decode(raw(`[`+strings.Repeat(`"x",`, 50)+`1]`), &got); err == nil || len(err.Details) != wire.MaxDetails {
		t.Errorf("%v", err)
	}
}

func TestDecodeAbsent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		into     any
		want     any
		required bool
	}{
		"struct":      {new(row), row{}, false},
		"map":         {new(map[string]int), map[string]int{}, false},
		"pointer":     {new(*row), (*row)(nil), false},
		"any":         {new(any), nil, false},
		"raw":         {new(json.RawMessage), raw("null"), false},
		"integer":     {new(int), nil, true},
		"text":        {new(string), nil, true},
		"array":       {new([]int), nil, true},
		"unmarshaler": {new(strict), nil, true},
	}
	for name, tt := range tests {
		for _, payload := range []json.RawMessage{nil, raw(""), raw(" null ")} {
			into := reflect.New(reflect.TypeOf(tt.into).Elem())
			err := wire.Decode(payload, into.Interface())
			if tt.required != (err != nil) {
				t.Errorf("%s of %q: %v", name, payload, err)
			}
			if got := into.Elem().Interface(); !tt.required && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s of %q: %#v", name, payload, got)
			}
			if err != nil && !reflect.DeepEqual(err.Details, []wire.Detail{{Path: "payload", Reason: "is required"}}) {
				t.Errorf("%s of %q: %v", name, payload, err)
			}
		}
	}
}

type strict struct{ N int }

func (s *strict) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return fmt.Errorf("an object, please")
	}
	return nil
}

// FuzzDecode: whatever comes, either it is decoded as encoding/json does, or
// there is a path and a reason.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"rows":[{"n":"3"}]}`, `{"when":"x","blob":"*"}`, `{"by_id":{"x":1},"quoted":"\u0031"}`, `[]`, `{"rows":[{"more":{"a":{"tags":[1]}}}]}`, `nul`, `{"number":"1e"}`,
	} {
		f.Add([]byte(seed))
	}
	s := loadSchema(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		var got, want input
		err := wire.Decode(payload, &got)
		if err == nil {
			if len(bytes.TrimSpace(payload)) > 0 && json.Unmarshal(payload, &want) != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("Decode(%q) = %+v, want %+v", payload, got, want)
			}
			return
		}
		if len(err.Details) == 0 {
			t.Fatalf("Decode(%q): no details", payload)
		}
		for _, d := range err.Details {
			if !strings.HasPrefix(d.Path, "payload") || d.Reason == "" {
				t.Fatalf("Decode(%q): %+v", payload, d)
			}
		}
		if bad := s.check("error", wire.AppendError(nil, "1", err, nil)); bad != nil {
			t.Fatal(bad)
		}
	})
}

// FuzzFrame writes frames from anything and reads them back.
func FuzzFrame(f *testing.F) {
	f.Add("r-1", "text", "payload.a", int64(1), int64(2), 12.5, true)
	f.Add("", nasty, "\x00", int64(-1), int64(1)<<62, -1.0, false)
	s := loadSchema(f)
	f.Fuzz(func(t *testing.T, id, text, path string, epoch, seq int64, percentage float64, flag bool) {
		if !wire.ValidID(id) {
			id = "r"
		}
		epoch, seq = max(epoch, 0), max(seq, 0)
		c := wire.Cursor{Epoch: epoch, Seq: seq}
		quoted := wire.AppendString(nil, text)
		var back string
		if err := json.Unmarshal(quoted, &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") && len(back) < len(text) {
			t.Fatalf("AppendString(%q) = %s: %v", text, quoted, err)
		}
		e := &wire.Error{Code: wire.CodeInternal, Message: text, Retryable: flag, SameID: flag, Details: []wire.Detail{{Path: path, Reason: text}}}
		for _, frame := range [][]byte{
			wire.AppendProgress(nil, id, c, percentage, text, quoted),
			wire.AppendError(nil, id, e, &c),
			wire.AppendComplete(nil, id, c, wire.Result{Data: quoted, Partials: 3}),
			wire.AppendPartial(nil, id, c, 1, []json.RawMessage{quoted}),
		} {
			if err := s.check("frame", frame); err != nil {
				t.Fatalf("%s: %v", frame, err)
			}
			var got wire.Frame
			if err := got.Decode(frame); err != nil || got.RequestID != id || got.Cursor() != c || !got.Placed {
				t.Fatalf("%s: %+v %v", frame, got, err)
			}
			if got.Type != wire.TypeComplete && got.Type != wire.TypePartial && got.Message != back {
				t.Fatalf("%s: message %q, want %q", frame, got.Message, back)
			}
			if e := got.Err(); e != nil && (e.Details[0].Reason != back || e.Retryable != flag || e.SameID != flag) {
				t.Fatalf("%s: %+v", frame, e)
			}
		}
	})
}

type left struct {
	Both   int
	Tagged int
}

type right struct {
	Both int
	T    int `json:"Tagged"`
}

// TestDecodeOfEmbeddedNames: of two equal names at one depth encoding/json takes
// the tagged one, or none, and the explanation has to agree.
func TestDecodeOfEmbeddedNames(t *testing.T) {
	t.Parallel()
	var got struct {
		left
		right
	}
	if err := wire.Decode(raw(`{"Tagged":5}`), &got); err != nil || got.T != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	err := wire.Decode(raw(`{"Both":1,"Tagged":"x"}`), &got)
	want := []wire.Detail{{Path: "payload.Both", Reason: "unknown field"}, {Path: "payload.Tagged", Reason: "expected integer, got string"}}
	if err == nil || !reflect.DeepEqual(err.Details, want) {
		t.Errorf("%v", err)
	}
}
