package dynamodb_test

import (
	"errors"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

func TestPutGetKeepsEveryKind(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("items"))
	all := object{
		"pk": "a", "n": n("-12.5"), "b": []byte{0, 1, 255}, "t": true, "z": nil,
		"ss": []string{"x", "y"}, "l": []any{"s", n("1"), []any{}}, "m": object{"deep": object{"er": n("1")}}, "e": "",
	}
	c.put(t, "items", all)
	same(t, c.get(t, "items", object{"pk": "a"}), all)
	same(t, c.get(t, "items", object{"pk": "b"}), nil)
}

func TestReturnValues(t *testing.T) {
	t.Parallel()
	before := object{"pk": "a", "x": n("1"), "m": object{"k": n("1"), "l": n("1")}}
	tests := map[types.ReturnValue]object{
		types.ReturnValueNone:       nil,
		types.ReturnValueAllOld:     before,
		types.ReturnValueAllNew:     {"pk": "a", "x": n("2"), "m": object{"k": n("9"), "l": n("1")}, "y": n("9")},
		types.ReturnValueUpdatedOld: {"x": n("1"), "m": object{"k": n("1")}},
		types.ReturnValueUpdatedNew: {"x": n("2"), "m": object{"k": n("9")}, "y": n("9")},
	}
	for asked, want := range tests {
		t.Run(string(asked), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, dynamodb.Options{})
			c.table(t, hashTable("items"))
			c.put(t, "items", before)
			out, err := c.db.UpdateItem(t.Context(), &sdk.UpdateItemInput{
				TableName: aws.String("items"), Key: object{"pk": "a"}.item(), ReturnValues: asked,
				UpdateExpression:          aws.String("SET x = x + :one, m.k = :nine, y = :nine"),
				ExpressionAttributeValues: object{":one": n("1"), ":nine": n("9")}.item(),
			})
			if err != nil {
				t.Fatal(err)
			}
			same(t, out.Attributes, want)
		})
	}
}

func TestFailedConditionReturnsItem(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("items"))
	c.put(t, "items", object{"pk": "a", "epoch": n("7")})
	tests := map[string]struct {
		condition string
		asked     types.ReturnValuesOnConditionCheckFailure
		want      object
	}{
		"none":    {"epoch = :v", types.ReturnValuesOnConditionCheckFailureNone, nil},
		"all old": {"epoch = :v", types.ReturnValuesOnConditionCheckFailureAllOld, object{"pk": "a", "epoch": n("7")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.db.UpdateItem(t.Context(), &sdk.UpdateItemInput{
				TableName: aws.String("items"), Key: object{"pk": "a"}.item(),
				UpdateExpression: aws.String("SET epoch = epoch + :one"), ConditionExpression: &tt.condition,
				ExpressionAttributeValues:           object{":v": n("6"), ":one": n("1")}.item(),
				ReturnValuesOnConditionCheckFailure: tt.asked,
			})
			var failed *types.ConditionalCheckFailedException
			if !errors.As(err, &failed) {
				t.Fatalf("error is %v, want ConditionalCheckFailedException", err)
			}
			same(t, failed.Item, tt.want)
		})
	}
	same(t, c.get(t, "items", object{"pk": "a"}), object{"pk": "a", "epoch": n("7")})
}

func TestItemAndUpdateSizeLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("items"))
	fits := strings.Repeat("x", 400<<10-len("pka")-len("big"))
	c.put(t, "items", object{"pk": "a", "big": fits})
	_, err := c.db.PutItem(t.Context(), &sdk.PutItemInput{TableName: aws.String("items"), Item: object{"pk": "a", "big": fits + "x"}.item()})
	wantError(t, err, "ValidationException", "Item size has exceeded the maximum allowed size")
	_, err = c.db.UpdateItem(t.Context(), &sdk.UpdateItemInput{
		TableName: aws.String("items"), Key: object{"pk": "a"}.item(),
		UpdateExpression: aws.String("SET y = :v"), ExpressionAttributeValues: object{":v": "y"}.item(),
	})
	wantError(t, err, "ValidationException", "Item size to update has exceeded the maximum allowed size")
}

func TestUnknownOperationIsNamed(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	_, err := c.db.ListBackups(t.Context(), &sdk.ListBackupsInput{})
	wantError(t, err, "UnknownOperationException", "ListBackups")
}

func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	ids := map[string]bool{}
	for _, target := range []string{"DynamoDB_20120810.ListTables", "DynamoDB_20120810.Nothing", "DynamoDBStreams_20120810.ListStreams"} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.Header.Set("X-Amz-Target", target)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r.WithContext(account.WithCaller(r.Context(), account.Root())))
		sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(w.Body.Bytes())), 10)
		if got := w.Header().Get("X-Amz-Crc32"); got != sum {
			t.Errorf("%s: X-Amz-Crc32 is %s, want %s", target, got, sum)
		}
		if got := w.Header().Get("Content-Type"); got != "application/x-amz-json-1.0" {
			t.Errorf("%s: Content-Type is %s", target, got)
		}
		ids[w.Header().Get("X-Amzn-Requestid")] = true
	}
	if len(ids) != 3 || ids[""] {
		t.Errorf("request ids are %v, want three different ones", ids)
	}
}

func TestBodyOverLimit(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat(" ", 16<<20+1)))
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge || w.Body.Len() != 0 {
		t.Errorf("answer is %d with %d bytes, want an empty 413", w.Code, w.Body.Len())
	}
}

func TestExactMetering(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, dynamodb.TableSpec{Name: "items", Hash: "pk", Indexes: []dynamodb.IndexSpec{
		{Name: "all", Hash: "g"}, {Name: "keys", Hash: "g", Projection: "KEYS_ONLY"},
	}})
	kb := strings.Repeat("x", 1024)
	update := func(expression string, values object) func() error {
		return func() error {
			in := &sdk.UpdateItemInput{TableName: aws.String("items"), Key: object{"pk": "a"}.item(), UpdateExpression: &expression}
			if values != nil {
				in.ExpressionAttributeValues = values.item()
			}
			_, err := c.db.UpdateItem(t.Context(), in)
			return err
		}
	}
	steps := []struct {
		name        string
		call        func() error
		write, read float64
	}{
		{"small item outside the indexes", update("SET x = :v", object{":v": "1"}), 1, 0},
		{"nothing changes", update("SET x = x", nil), 1, 0},
		{"enters both indexes", update("SET g = :v", object{":v": "g1"}), 3, 0},
		{"changes what one index holds", update("SET x = :v", object{":v": "2"}), 2, 0},
		{"grows over 1 KB", update("SET x = :v", object{":v": kb}), 4, 0},
		{"moves in the indexes", update("SET g = :v", object{":v": "g2"}), 2 + 4 + 2, 0},
		{"leaves the indexes", update("REMOVE g", nil), 2 + 2 + 1, 0},
		{"condition fails", func() error {
			_, err := c.db.DeleteItem(t.Context(), &sdk.DeleteItemInput{
				TableName: aws.String("items"), Key: object{"pk": "a"}.item(), ConditionExpression: aws.String("attribute_not_exists(pk)"),
			})
			wantError(t, err, "ConditionalCheckFailedException", "The conditional request failed")
			return nil
		}, 2, 0},
		{"eventual read", func() error {
			_, err := c.db.GetItem(t.Context(), &sdk.GetItemInput{TableName: aws.String("items"), Key: object{"pk": "a"}.item()})
			return err
		}, 0, 0.5},
		{"transaction doubles", func() error {
			_, err := c.db.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
				{Put: &types.Put{TableName: aws.String("items"), Item: object{"pk": "t", "g": "g1"}.item()}},
			}})
			return err
		}, 2 * 3, 0},
	}
	for _, step := range steps {
		if err := step.call(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if w, r := c.meter.take(account.MeterWriteUnits), c.meter.take(account.MeterReadUnits); w != step.write || r != step.read {
			t.Errorf("%s: counted %v write and %v read units, want %v and %v", step.name, w, r, step.write, step.read)
		}
	}
}
