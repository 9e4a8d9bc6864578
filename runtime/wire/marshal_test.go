package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/streamer-go/streamer/runtime/wire"
)

// A frame that was read and is written again is the same.
func TestFrameMarshalsAsItCame(t *testing.T) {
	t.Parallel()
	for _, body := range [][]byte{
		wire.AppendAcknowledgment(nil, "r", "PENDING", 1, wire.Cursor{}),
		wire.AppendProgress(nil, "r", wire.Cursor{Epoch: 1, Seq: 1}, 0, "", nil),
		wire.AppendComplete(nil, "r", wire.Cursor{Epoch: 2}, wire.Result{Data: []byte(`{"n":0}`)}),
		wire.AppendComplete(nil, "r", wire.Cursor{Epoch: 2}, wire.Result{Ref: &wire.Ref{Size: 400_000, Parts: 7}, Partials: 2}),
		wire.AppendError(nil, "r", wire.NewError(wire.CodeConflict, "taken"), nil),
		wire.AppendResponse(nil, "r", []byte(`null`)),
	} {
		var f wire.Frame
		if err := f.Decode(body); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]any
		if json.Unmarshal(body, &want) != nil || json.Unmarshal(again, &got) != nil {
			t.Fatalf("%s, %s", body, again)
		}
		for k, v := range want {
			if w, _ := json.Marshal(v); string(w) != mustJSON(t, got[k]) {
				t.Errorf("%s became %s", body, again)
			}
		}
		if len(want) != len(got) {
			t.Errorf("%s became %s", body, again)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
