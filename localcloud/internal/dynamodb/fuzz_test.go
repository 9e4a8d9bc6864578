package dynamodb_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

// fuzzed sends one call as JSON and returns the error's type and message, ""
// for none. Anything but success and a ValidationException or a failed
// condition ends the test.
func fuzzed(t *testing.T, s *dynamodb.Service, operation string, body map[string]any) (code, message string) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(data))
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var answer struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("answer is no JSON: %v: %s", err, w.Body)
	}
	_, code, _ = strings.Cut(answer.Type, "#")
	if code != "" && code != "ValidationException" && code != "ConditionalCheckFailedException" {
		t.Fatalf("answer is %d %s: %s", w.Code, code, answer.Message)
	}
	return code, answer.Message
}

func fuzzTarget(t *testing.T) (*dynamodb.Service, map[string]any) {
	t.Helper()
	s := dynamodb.New(dynamodb.Options{})
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.CreateTable(dynamodb.TableSpec{Name: "items", Hash: "pk"}); err != nil {
		t.Fatal(err)
	}
	it := map[string]any{
		"pk": map[string]any{"S": "a"}, "n": map[string]any{"N": "5"}, "s": map[string]any{"S": "hello"},
		"l": map[string]any{"L": []any{map[string]any{"N": "1"}, map[string]any{"S": "x"}}},
		"m": map[string]any{"M": map[string]any{"k": map[string]any{"N": "1"}}}, "ss": map[string]any{"SS": []string{"p", "q"}},
	}
	if code, message := fuzzed(t, s, "PutItem", map[string]any{"TableName": "items", "Item": it}); code != "" {
		t.Fatal(message)
	}
	return s, it
}

func fuzzValues() map[string]any {
	return map[string]any{":n": map[string]any{"N": "5"}, ":s": map[string]any{"S": "he"}, ":l": map[string]any{"L": []any{}}, ":ss": map[string]any{"SS": []string{"p"}}}
}

// used makes a value and a name of each placeholder used, so that none is
// refused as unused.
const used = "attribute_exists(#n) OR n = :n OR s = :s OR l = :l OR ss = :ss OR "

// FuzzCondition parses and evaluates conditions: a condition and its negation
// must either both be refused, or exactly one of them holds.
func FuzzCondition(f *testing.F) {
	f.Fuzz(func(t *testing.T, expression string) {
		if !utf8.ValidString(expression) {
			t.Skip("JSON cannot carry it")
		}
		s, it := fuzzTarget(t)
		ask := func(condition string) (string, string) {
			return fuzzed(t, s, "PutItem", map[string]any{
				"TableName": "items", "Item": it, "ConditionExpression": condition,
				"ExpressionAttributeNames": map[string]string{"#n": "n"}, "ExpressionAttributeValues": fuzzValues(),
			})
		}
		// Alone, for the parser; most are refused for unused placeholders.
		ask(expression)
		yes, why := ask("NOT (" + used + "n = :n) OR (" + expression + ")")
		if yes == "ValidationException" {
			return
		}
		no, message := ask("NOT (" + used + "n = :n) OR NOT (" + expression + ")")
		if no == "ValidationException" {
			t.Fatalf("%q is accepted (%s), its negation is not: %s", expression, why, message)
		}
		// The parentheses of an expression that closes them itself belong to
		// something else, so the two are no negations of each other.
		if closesItself(expression) {
			return
		}
		if (yes == "") == (no == "") {
			t.Errorf("%q and its negation both answer %q", expression, yes)
		}
	})
}

// closesItself is true when a parenthesis closes that was not opened before.
func closesItself(expression string) bool {
	depth := 0
	for _, c := range expression {
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return true
			}
		}
	}
	return false
}

// FuzzUpdate parses and applies updates: what is refused changes nothing, and
// the key stays.
func FuzzUpdate(f *testing.F) {
	f.Fuzz(func(t *testing.T, expression string) {
		if !utf8.ValidString(expression) {
			t.Skip("JSON cannot carry it")
		}
		s, _ := fuzzTarget(t)
		for _, values := range []map[string]any{nil, {":n": fuzzValues()[":n"]}, {":l": fuzzValues()[":l"]}, {":ss": fuzzValues()[":ss"]}} {
			body := map[string]any{
				"TableName": "items", "Key": map[string]any{"pk": map[string]any{"S": "a"}}, "UpdateExpression": expression,
			}
			if values != nil {
				body["ExpressionAttributeValues"] = values
			}
			before, _ := s.Table("items")
			code, message := fuzzed(t, s, "UpdateItem", body)
			after, _ := s.Table("items")
			if after.ItemCount != 1 {
				t.Fatalf("table has %d items after %q", after.ItemCount, expression)
			}
			if code != "" && (before.SizeBytes != after.SizeBytes || message == "") {
				t.Errorf("%q was refused (%s: %s) and changed the item", expression, code, message)
			}
		}
	})
}
