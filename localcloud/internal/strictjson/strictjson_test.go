package strictjson_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/streamer-go/streamer/localcloud/internal/strictjson"
)

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	type inner struct{ B int }
	type outer struct {
		A     int
		Inner inner
		List  []inner
		Raw   json.RawMessage
	}
	for text, want := range map[string]string{
		`{"A":1,"Inner":{"B":2},"List":[{"B":3}],"Raw":{"any":1}}`: "",
		` {"A":1} `:                   "",
		`{"C":1}`:                     "C",
		`{"A":1,"c\"d":null}`:         `c"d`,
		`{"Inner":{"A":1}}`:           "A",
		`{"List":[{"B":1},{"Z":[]}]}`: "Z",
	} {
		var unknown *strictjson.UnknownMember
		err := strictjson.Unmarshal([]byte(text), new(outer))
		if errors.As(err, &unknown) != (want != "") || want != "" && unknown.Name != want || want == "" && err != nil {
			t.Errorf("%s: %v, want %q named", text, err, want)
		}
	}
	for _, text := range []string{"", " ", "{", `{"A":1}{`, `{"A":1} x`, `{"A":"1"}`, "[]"} {
		var unknown *strictjson.UnknownMember
		if err := strictjson.Unmarshal([]byte(text), new(outer)); err == nil || errors.As(err, &unknown) {
			t.Errorf("%q: %v", text, err)
		}
	}
	var typ *json.UnmarshalTypeError
	if err := strictjson.Unmarshal([]byte(`{"A":"1"}`), new(outer)); !errors.As(err, &typ) {
		t.Errorf("a type that does not fit: %v", err)
	}
}
