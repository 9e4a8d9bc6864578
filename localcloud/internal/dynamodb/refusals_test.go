package dynamodb_test

import (
	"bufio"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

// TestRefusals sends calls as they would be on the wire, most of them such as
// an SDK would not let through, and looks for a part of the answer.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("plain"))
	info := c.table(t, dynamodb.TableSpec{
		Name: "items", Hash: "pk", Range: "sk", RangeType: "N", Stream: "KEYS_ONLY",
		Indexes: []dynamodb.IndexSpec{
			{Name: "keys", Hash: "g", Projection: "KEYS_ONLY"},
			{Name: "near", Local: true, Hash: "pk", Range: "at"},
		},
	})
	c.put(t, "items", object{"pk": "seed", "sk": n("1")})
	names := strings.NewReplacer("<STREAM>", info.StreamARN, "<SHARD>", *c.shards(t, info.StreamARN)[0].ShardId)

	f, err := os.Open("testdata/refusals.calls")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.SplitN(line, " | ", 3)
		if len(parts) != 3 {
			t.Fatalf("line is not operation | body | answer: %s", line)
		}
		if got := raw(c, parts[0], names.Replace(parts[1])); !strings.Contains(got, parts[2]) {
			t.Errorf("%s %s\ngot  %s\nwant %s", parts[0], parts[1], got, parts[2])
		}
		calls++
	}
	if calls == 0 {
		t.Error("there are no calls")
	}
}

// raw sends a body to service.operation, as root, and returns the answer's.
// Characters that JSON escapes for HTML's sake are as they were.
func raw(c *cloud, operation, body string) string {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", strings.Replace(operation, ".", "_20120810.", 1))
	if strings.HasPrefix(operation, "Kinesis") {
		r.Header.Set("X-Amz-Target", operation)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r.WithContext(account.WithCaller(r.Context(), account.Root())))
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(w.Body.String())
}
