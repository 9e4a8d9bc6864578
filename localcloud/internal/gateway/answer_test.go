package gateway_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/localcloud/internal/gateway"
)

func TestPlainBody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		payload, want string
		plain         bool
	}{
		{`{"statusCode":200,"body":"hello"}`, "hello", true},
		{`{"statusCode":200,"body":"hello"}` + "\n", "hello", true},
		{`{"statusCode":200,"body":"{\"a\":\"ä\\\\\n\/\"}"}`, `{"a":"ä\\` + "\n" + `/"}`, true},
		{`{"statusCode":200,"body":"\u003ca\u003e"}`, "", false},
		{`{"statusCode":200,"body":""}`, "", false},
		{`{"statusCode":200,"body":"a","isBase64Encoded":true}`, "", false},
		{`{"statusCode":200,"body":"a\"}`, "", false},
		{`{"statusCode":200,"body":"a"} "}`, "", false},
		{`{"statusCode":201,"body":"a"}`, "", false},
		{`{"statusCode":200,"body":"` + "a\xff" + `"}`, "", false},
		{`{"statusCode":200,"body":"` + strings.Repeat("a", 128<<10+1) + `"}`, "", false},
		{``, "", false},
	} {
		body, plain := gateway.PlainBody([]byte(tc.payload))
		if plain != tc.plain || string(body) != tc.want {
			t.Errorf("%.60q: %q, %v; want %q, %v", tc.payload, body, plain, tc.want, tc.plain)
		}
	}
}

// FuzzPlainBody holds the quick way of reading answers against the general one.
func FuzzPlainBody(f *testing.F) {
	for _, s := range []string{`hello`, `{\"a\":\"b\\n\"}`, `a"`, `\`, `\"`, `a","body":"b`, `ä`, "a\tb", `\/`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, inside string) {
		payload := []byte(`{"statusCode":200,"body":"` + inside + `"}`)
		got, plain := gateway.PlainBody(payload)
		if !plain {
			return
		}
		want, err := gateway.GeneralBody(payload)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %q, want %q, %v", payload, got, want, err)
		}
	})
}
