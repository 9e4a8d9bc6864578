// Package conformance_test compares parts of the local cloud with what Amazon
// itself ships of them.
package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

// call is one line of testdata/dynamodb.calls.
type call struct{ name, operation, body string }

// answer is what a call got: the document, and for an error its type without
// namespace and its message.
type answer struct {
	status int
	body   map[string]any
}

// endpoint sends one call of either DynamoDB service.
type endpoint func(target string, body []byte) (*http.Response, error)

// TestDynamoDBLocal runs the same calls against our DynamoDB and Amazon's
// DynamoDB Local and compares results, errors and stream records. Differences
// that are known stand in the table knownDifferences, with their source; any
// other fails, and so does one that is listed but is none.
func TestDynamoDBLocal(t *testing.T) {
	t.Parallel()
	theirs := startDynamoDBLocal(t)
	service := dynamodb.New(dynamodb.Options{})
	t.Cleanup(func() { _ = service.Close() })
	ours := inProcess(service)

	known := knownDifferences()
	for _, c := range readCalls(t) {
		t.Run(c.name, func(t *testing.T) {
			target := "DynamoDB_20120810." + c.operation
			compare(t, known, c, send(t, ours, target, c.body), send(t, theirs, target, c.body))
		})
	}
	t.Run("stream", func(t *testing.T) {
		compareStreams(t, known, streamOf(t, ours), streamOf(t, theirs))
	})
	for name := range known {
		t.Errorf("listed difference %q is no call", name)
	}
}

func inProcess(service http.Handler) endpoint {
	return func(target string, body []byte) (*http.Response, error) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", target)
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r.WithContext(account.WithCaller(r.Context(), account.Root())))
		return w.Result(), nil
	}
}

func send(t *testing.T, to endpoint, target, body string) answer {
	t.Helper()
	res, err := to(target, []byte(body))
	if err != nil {
		t.Fatalf("send %s: %v", target, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read answer of %s: %v", target, err)
	}
	a := answer{status: res.StatusCode}
	if err := json.Unmarshal(data, &a.body); err != nil {
		t.Fatalf("answer of %s is not JSON: %v: %s", target, err, data)
	}
	return a
}

// text is the answer in a form that can be compared and read.
func (a answer) text(operation string) string {
	if a.status != http.StatusOK {
		kind, _ := a.body["__type"].(string)
		_, kind, _ = strings.Cut(kind, "#")
		message, _ := a.body["message"].(string)
		if m, ok := a.body["Message"].(string); ok {
			message = m
		}
		out := kind + ": " + message
		for _, extra := range []string{"Item", "CancellationReasons"} {
			if v, ok := a.body[extra]; ok {
				out += " " + extra + "=" + canonical(v)
			}
		}
		return out
	}
	body := any(a.body)
	switch operation {
	case "CreateTable", "UpdateTable":
		description, _ := a.body["TableDescription"].(map[string]any)
		body = only(description, "TableName", "KeySchema", "AttributeDefinitions", "StreamSpecification")
	case "Scan":
		sortJSON(a.body["Items"])
	case "BatchGetItem", "BatchWriteItem", "TransactGetItems":
		sortJSON(a.body["ConsumedCapacity"])
		responses, _ := a.body["Responses"].(map[string]any)
		for _, items := range responses {
			sortJSON(items)
		}
	}
	return canonical(body)
}

func only(m map[string]any, names ...string) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		if v, ok := m[name]; ok {
			out[name] = v
			sortJSON(v)
		}
	}
	return out
}

// sortJSON sorts an array whose order means nothing.
func sortJSON(v any) {
	if list, ok := v.([]any); ok {
		sort.Slice(list, func(i, j int) bool { return canonical(list[i]) < canonical(list[j]) })
	}
}

// canonical is JSON with sorted keys and sorted sets.
func canonical(v any) string {
	sortSets(v)
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func sortSets(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if slices.Contains([]string{"SS", "NS", "BS"}, name) {
				sortJSON(inner)
			}
			sortSets(inner)
		}
	case []any:
		for _, inner := range v {
			sortSets(inner)
		}
	}
}

func compare(t *testing.T, known map[string]difference, c call, ours, theirs answer) {
	t.Helper()
	a, b := ours.text(c.operation), theirs.text(c.operation)
	d, listed := known[c.name]
	delete(known, c.name)
	switch {
	case listed && a == b:
		t.Errorf("listed as different, but both answer %s", a)
	case listed && !strings.Contains(a, d.ours):
		t.Errorf("ours answers %s\nlisted      %s (%s)", a, d.ours, d.source)
	case !listed && a != b:
		t.Errorf("\nours   %s\ntheirs %s", a, b)
	}
}

func readCalls(t *testing.T) []call {
	t.Helper()
	f, err := os.Open("testdata/dynamodb.calls")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var calls []call
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.SplitN(line, " | ", 3)
		if len(parts) != 3 {
			t.Fatalf("line is not name | operation | body: %s", line)
		}
		calls = append(calls, call{parts[0], parts[1], parts[2]})
	}
	if err := errors.Join(lines.Err(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return calls
}
