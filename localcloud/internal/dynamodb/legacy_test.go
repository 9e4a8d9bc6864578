package dynamodb_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

func ptr[T any](v T) *T { return &v }

func compared(op types.ComparisonOperator, values ...any) types.Condition {
	c := types.Condition{ComparisonOperator: op}
	for _, v := range values {
		c.AttributeValueList = append(c.AttributeValueList, attribute(v))
	}
	return c
}

func TestLegacyKeyConditionsAndFilters(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, dynamodb.TableSpec{Name: "items", Hash: "pk", Range: "sk", RangeType: "N"})
	for sk, color := range map[n]string{"1": "red", "2": "blue", "3": "reddish", "4": ""} {
		it := object{"pk": "a", "sk": sk, "tags": []string{"t" + string(sk)}}
		if color != "" {
			it["color"] = color
		}
		c.put(t, "items", it)
	}
	cases := map[string]struct {
		sort     *types.Condition
		filter   map[string]types.Condition
		operator types.ConditionalOperator
		want     []n
	}{
		"all":         {want: []n{"1", "2", "3", "4"}},
		"less":        {sort: ptr(compared("LT", n("2"))), want: []n{"1"}},
		"at most":     {sort: ptr(compared("LE", n("2"))), want: []n{"1", "2"}},
		"more":        {sort: ptr(compared("GT", n("3"))), want: []n{"4"}},
		"between":     {sort: ptr(compared("BETWEEN", n("2"), n("3"))), want: []n{"2", "3"}},
		"begins":      {filter: map[string]types.Condition{"color": compared("BEGINS_WITH", "red")}, want: []n{"1", "3"}},
		"in":          {filter: map[string]types.Condition{"color": compared("IN", "red", "blue")}, want: []n{"1", "2"}},
		"missing":     {filter: map[string]types.Condition{"color": compared("NULL")}, want: []n{"4"}},
		"there":       {filter: map[string]types.Condition{"color": compared("NOT_NULL")}, want: []n{"1", "2", "3"}},
		"unequal":     {filter: map[string]types.Condition{"color": compared("NE", "red")}, want: []n{"2", "3", "4"}},
		"contains":    {filter: map[string]types.Condition{"tags": compared("CONTAINS", "t2")}, want: []n{"2"}},
		"without":     {filter: map[string]types.Condition{"color": compared("NOT_CONTAINS", "red")}, want: []n{"2", "4"}},
		"both":        {filter: map[string]types.Condition{"color": compared("CONTAINS", "red"), "tags": compared("CONTAINS", "t3")}, want: []n{"3"}},
		"one of them": {filter: map[string]types.Condition{"color": compared("EQ", "blue"), "tags": compared("CONTAINS", "t3")}, operator: "OR", want: []n{"2", "3"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &sdk.QueryInput{
				TableName: aws.String("items"), KeyConditions: map[string]types.Condition{"pk": compared("EQ", "a")},
				QueryFilter: tc.filter, ConditionalOperator: tc.operator, AttributesToGet: []string{"sk"},
			}
			if tc.sort != nil {
				in.KeyConditions["sk"] = *tc.sort
			}
			out, err := c.db.Query(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Items) != len(tc.want) {
				t.Fatalf("there are %d items, want %d", len(out.Items), len(tc.want))
			}
			for i, sk := range tc.want {
				same(t, out.Items[i], object{"sk": sk})
			}
			if tc.sort != nil {
				return
			}
			scanned, err := c.db.Scan(t.Context(), &sdk.ScanInput{TableName: aws.String("items"), ScanFilter: tc.filter, ConditionalOperator: tc.operator})
			if err != nil {
				t.Fatal(err)
			}
			if int(scanned.Count) != len(tc.want) {
				t.Errorf("the scan finds %d items, want %d", scanned.Count, len(tc.want))
			}
		})
	}
}

func TestLegacyUpdatesAndExpectations(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("items"))
	name, key := aws.String("items"), object{"pk": "a"}.item()
	update := func(changes map[string]types.AttributeValueUpdate, expected map[string]types.ExpectedAttributeValue) (map[string]types.AttributeValue, error) {
		out, err := c.db.UpdateItem(t.Context(), &sdk.UpdateItemInput{
			TableName: name, Key: key, AttributeUpdates: changes, Expected: expected, ReturnValues: "ALL_NEW",
		})
		if err != nil {
			return nil, err
		}
		return out.Attributes, nil
	}
	got, err := update(map[string]types.AttributeValueUpdate{
		"s": {Value: attribute("x")}, "n": {Action: "ADD", Value: attribute(n("2"))},
		"l": {Action: "ADD", Value: attribute([]any{"p"})}, "none": {Action: "DELETE"},
	}, map[string]types.ExpectedAttributeValue{"s": {Exists: aws.Bool(false)}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, object{"pk": "a", "s": "x", "n": n("2"), "l": []any{"p"}})

	changes := map[string]types.AttributeValueUpdate{"s": {Action: "DELETE"}, "n": {Action: "ADD", Value: attribute(n("3"))}, "l": {Action: "ADD", Value: attribute([]any{"q"})}}
	_, err = update(changes, map[string]types.ExpectedAttributeValue{"s": {Value: attribute("y")}})
	wantError(t, err, "ConditionalCheckFailedException", "The conditional request failed")
	if got, err = update(changes, map[string]types.ExpectedAttributeValue{"n": {ComparisonOperator: "LT", Value: attribute(n("3"))}}); err != nil {
		t.Fatal(err)
	}
	same(t, got, object{"pk": "a", "n": n("5"), "l": []any{"p", "q"}})

	_, err = update(map[string]types.AttributeValueUpdate{"l": {Action: "ADD", Value: attribute(n("3"))}}, nil)
	wantError(t, err, "ValidationException", "Type mismatch for attribute to update")
	same(t, c.get(t, "items", object{"pk": "a"}), object{"pk": "a", "n": n("5"), "l": []any{"p", "q"}})

	out, err := c.db.BatchGetItem(t.Context(), &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		"items": {Keys: []map[string]types.AttributeValue{key}, AttributesToGet: []string{"n"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, out.Responses["items"][0], object{"n": n("5")})
}

// A repeated transaction reads its items and is billed for that, not for
// writes.
func TestRepeatedTransactionCostsReads(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("items"))
	in := &sdk.TransactWriteItemsInput{
		ClientRequestToken: aws.String("token"), ReturnConsumedCapacity: "TOTAL",
		TransactItems: []types.TransactWriteItem{{Put: &types.Put{TableName: aws.String("items"), Item: object{"pk": "a"}.item()}}},
	}
	for _, want := range []struct{ read, write float64 }{{0, 2}, {2, 0}} {
		out, err := c.db.TransactWriteItems(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		used := out.ConsumedCapacity[0]
		if r, w := aws.ToFloat64(used.ReadCapacityUnits), aws.ToFloat64(used.WriteCapacityUnits); r != want.read || w != want.write {
			t.Errorf("the call used %v read and %v write units, want %v and %v", r, w, want.read, want.write)
		}
		if r, w := c.meter.take("dynamodb.read-units"), c.meter.take("dynamodb.write-units"); r != want.read || w != want.write {
			t.Errorf("the call is metered as %v read and %v write units, want %v and %v", r, w, want.read, want.write)
		}
	}
}
