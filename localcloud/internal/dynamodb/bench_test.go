package dynamodb_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

// benchmarkCall measures one call over the wire format, without the client.
func benchmarkCall(b *testing.B, operation string, body func(i int) string) {
	c := newCloud(b, dynamodb.Options{})
	c.table(b, dynamodb.TableSpec{Name: "items", Hash: "pk", Range: "sk", Stream: "NEW_IMAGE", Indexes: []dynamodb.IndexSpec{{Name: "byg", Hash: "g"}}})
	for i := range 1000 {
		c.put(b, "items", object{"pk": fmt.Sprint(i % 10), "sk": fmt.Sprint(i), "g": fmt.Sprint(i % 16), "n": n("1")})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body(i)))
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
		i++
	}
}

func BenchmarkPut(b *testing.B) {
	benchmarkCall(b, "PutItem", func(i int) string {
		return fmt.Sprintf(`{"TableName":"items","Item":{"pk":{"S":"%d"},"sk":{"S":"%d"},"g":{"S":"%d"},"n":{"N":"1"}}}`, i%10, i, i%16)
	})
}

func BenchmarkUpdate(b *testing.B) {
	benchmarkCall(b, "UpdateItem", func(i int) string {
		return fmt.Sprintf(`{"TableName":"items","Key":{"pk":{"S":"%d"},"sk":{"S":"%d"}},"UpdateExpression":"SET n = n + :one",`+
			`"ConditionExpression":"attribute_exists(pk)","ExpressionAttributeValues":{":one":{"N":"1"}}}`, i%10, i%1000)
	})
}

func BenchmarkQuery(b *testing.B) {
	benchmarkCall(b, "Query", func(i int) string {
		return fmt.Sprintf(`{"TableName":"items","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"%d"}},"Limit":50}`, i%10)
	})
}
