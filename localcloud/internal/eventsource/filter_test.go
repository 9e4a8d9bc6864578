package eventsource_test

import (
	"strings"
	"testing"

	"github.com/streamer-go/streamer/localcloud/internal/eventsource"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	const record = `{"eventName":"MODIFY","userIdentity":{"type":"Service"},"dynamodb":{"SizeBytes":15,"NewImage":{"state":{"S":"PENDING"},"n":{"N":"5"},"e":{"S":""},"ok":{"BOOL":true},"tags":{"SS":["a","b"]}}},"none":null,"price":9.5}`
	for _, tc := range []struct {
		pattern string
		want    bool
	}{
		{`{"eventName":["MODIFY"]}`, true},
		{`{"eventName":["INSERT","MODIFY"]}`, true},
		{`{"eventName":["modify"]}`, false},
		{`{"eventName":["MODIFY"],"price":[1]}`, false},
		{`{"price":[9.5]}`, true},
		{`{"price":[9.50]}`, false},
		{`{"none":[null]}`, true},
		{`{"absent":[null]}`, false},
		{`{"dynamodb":{"NewImage":{"e":{"S":[""]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"ok":{"BOOL":[true]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"tags":{"SS":["b"]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"state":{"S":[{"prefix":"PEN"}]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"state":{"S":[{"prefix":"pen"}]}}}}`, false},
		{`{"dynamodb":{"NewImage":{"state":{"S":[{"suffix":"ING"}]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"state":{"S":[{"equals-ignore-case":"pending"}]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"state":{"S":[{"anything-but":["DONE","FAILED"]}]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"state":{"S":[{"anything-but":["PENDING"]}]}}}}`, false},
		{`{"dynamodb":{"NewImage":{"state":{"S":[{"anything-but":{"prefix":"PEN"}}]}}}}`, false},
		{`{"dynamodb":{"NewImage":{"absent":{"S":[{"anything-but":["x"]}]}}}}`, false},
		{`{"dynamodb":{"SizeBytes":[{"numeric":[">",10,"<=",15]}]}}`, true},
		{`{"dynamodb":{"SizeBytes":[{"numeric":["<",15]}]}}`, false},
		{`{"dynamodb":{"NewImage":{"n":{"N":[{"numeric":["=",5]}]}}}}`, false}, // text, not a number
		{`{"dynamodb":{"NewImage":{"n":{"N":["5"]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"start":{"N":[{"exists":false}]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"n":{"N":[{"exists":true}]}}}}`, true},
		{`{"dynamodb":{"NewImage":{"n":[{"exists":true}]}}}`, false}, // leaves only
		{`{"dynamodb":{"OldImage":{"n":{"N":[{"exists":true}]}}}}`, false},
	} {
		got, err := eventsource.Matches(tc.pattern, record)
		if err != nil || got != tc.want {
			t.Errorf("%s: %v, %v, want %v", tc.pattern, got, err, tc.want)
		}
	}
	for _, bad := range []string{
		``, `[]`, `{}`, `"x"`, `{"a":1}`, `{"a":[]}`, `{"a":{}}`, `{"a":[[1]]}`, `{"a":[{"prefix":1}]}`, `{"a":[{"exists":"yes"}]}`,
		`{"a":[{"numeric":[">"]}]}`, `{"a":[{"numeric":["~",1]}]}`, `{"a":[{"numeric":[">","1"]}]}`, `{"a":[{"unknown":1}]}`,
		`{"a":[{"anything-but":[]}]}`, `{"a":[{"anything-but":[null]}]}`, `{"a":[{"prefix":"x","suffix":"y"}]}`, `{"a":[1]} x`,
		`{"a":["` + strings.Repeat("x", 4096) + `"]}`,
	} {
		if _, err := eventsource.Matches(bad, record); err == nil {
			t.Errorf("%.60s: no error", bad)
		}
	}
}
