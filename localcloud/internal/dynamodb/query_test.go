package dynamodb_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

// numbers are texts of numbers of all magnitudes, no two of them equal.
func numbers(count int) []string {
	random := rand.New(rand.NewPCG(1, 2))
	seen, out := map[string]bool{}, []string{}
	for len(out) < count {
		digits := 1 + random.IntN(38)
		text := make([]byte, digits)
		for i := range text {
			text[i] = byte('0' + random.IntN(10))
		}
		sign := []string{"", "-"}[random.IntN(2)]
		number := fmt.Sprintf("%s%s.%sE%d", sign, text[:1], text[1:], random.IntN(80)-40)
		if digits == 1 {
			number = fmt.Sprintf("%s%sE%d", sign, text, random.IntN(80)-40)
		}
		r, ok := new(big.Rat).SetString(number)
		if !ok {
			panic("no number: " + number)
		}
		if key := r.RatString(); !seen[key] {
			seen[key] = true
			out = append(out, number)
		}
	}
	return out
}

func rat(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		panic("no number: " + text)
	}
	return r
}

// TestNumericRangeKeys pages through a partition and compares its order with
// that of exact arithmetic.
func TestNumericRangeKeys(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, dynamodb.TableSpec{Name: "items", Hash: "pk", Range: "sk", RangeType: "N"})
	want := numbers(300)
	for _, text := range want {
		c.put(t, "items", object{"pk": "p", "sk": n(text)})
	}
	slices.SortFunc(want, func(a, b string) int { return rat(a).Cmp(rat(b)) })
	for _, forward := range []bool{true, false} {
		pages := sdk.NewQueryPaginator(c.db, &sdk.QueryInput{
			TableName: aws.String("items"), KeyConditionExpression: aws.String("pk = :p"), Limit: aws.Int32(7),
			ExpressionAttributeValues: object{":p": "p"}.item(), ScanIndexForward: &forward,
		})
		var got []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range page.Items {
				got = append(got, it["sk"].(*types.AttributeValueMemberN).Value)
			}
		}
		if !forward {
			slices.Reverse(got)
		}
		if !slices.EqualFunc(got, want, func(a, b string) bool { return rat(a).Cmp(rat(b)) == 0 }) {
			t.Errorf("forward %v: order is %v, want %v", forward, got, want)
		}
	}
}

// TestArithmetic compares sums and differences with exact arithmetic; a result
// of more than 38 digits must be refused and no other.
func TestArithmetic(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("items"))
	all := numbers(400)
	for i := 0; i+1 < len(all); i += 2 {
		a, b := all[i], all[i+1]
		out, err := c.db.UpdateItem(t.Context(), &sdk.UpdateItemInput{
			TableName: aws.String("items"), Key: object{"pk": "a"}.item(), ReturnValues: types.ReturnValueUpdatedNew,
			UpdateExpression:          aws.String("SET d = :a - :b"),
			ExpressionAttributeValues: object{":a": n(a), ":b": n(b)}.item(),
		})
		want := new(big.Rat).Sub(rat(a), rat(b))
		if digits := significant(want); digits > 38 {
			wantError(t, err, "ValidationException", "more than 38 significant digits")
			continue
		}
		if err != nil {
			t.Fatalf("%s - %s: %v", a, b, err)
		}
		if got := out.Attributes["d"].(*types.AttributeValueMemberN).Value; rat(got).Cmp(want) != 0 {
			t.Errorf("%s - %s is %s, want %s", a, b, got, want.FloatString(60))
		}
	}
}

// significant is the number of significant digits of a decimal fraction.
func significant(r *big.Rat) int {
	text := strings.Replace(strings.TrimPrefix(r.FloatString(120), "-"), ".", "", 1)
	return len(strings.Trim(text, "0"))
}

func TestSparseIndex(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, dynamodb.TableSpec{Name: "items", Hash: "pk", Indexes: []dynamodb.IndexSpec{
		{Name: "due", Hash: "grp", Range: "due_at", RangeType: "N", Projection: "KEYS_ONLY"},
		{Name: "some", Hash: "grp", Projection: "INCLUDE", Include: []string{"x"}},
	}})
	for i := range 6 {
		o := object{"pk": fmt.Sprint(i), "grp": "07", "due_at": n(fmt.Sprint(100 - i/2)), "x": "x", "y": "y"}
		if i%3 == 0 {
			delete(o, "due_at")
		}
		c.put(t, "items", o)
	}
	query := func(index, condition string, values object) []map[string]types.AttributeValue {
		pages := sdk.NewQueryPaginator(c.db, &sdk.QueryInput{
			TableName: aws.String("items"), IndexName: &index, KeyConditionExpression: &condition,
			ExpressionAttributeValues: values.item(), Limit: aws.Int32(1),
		})
		var all []map[string]types.AttributeValue
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, page.Items...)
		}
		return all
	}
	// Of due_at = 100, 99 and 98, items 1 and 2, 4 and 5 are in the index.
	due := query("due", "grp = :s AND due_at <= :t", object{":s": "07", ":t": n("99")})
	if len(due) != 3 {
		t.Fatalf("index due holds %d items up to 99, want 3", len(due))
	}
	for i, at := range []n{"98", "98", "99"} {
		pk := due[i]["pk"].(*types.AttributeValueMemberS).Value
		same(t, due[i], object{"pk": pk, "grp": "07", "due_at": at})
	}
	for _, it := range query("some", "grp = :s", object{":s": "07"}) {
		pk := it["pk"].(*types.AttributeValueMemberS).Value
		same(t, it, object{"pk": pk, "grp": "07", "x": "x"})
	}
	if _, err := c.db.UpdateItem(t.Context(), &sdk.UpdateItemInput{
		TableName: aws.String("items"), Key: object{"pk": "4"}.item(), UpdateExpression: aws.String("REMOVE grp, due_at"),
	}); err != nil {
		t.Fatal(err)
	}
	if rest := query("due", "grp = :s", object{":s": "07"}); len(rest) != 3 {
		t.Errorf("index due holds %d items after a removal, want 3", len(rest))
	}
}

func TestScanSegmentsCoverTheTable(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, dynamodb.TableSpec{Name: "items", Hash: "pk", Range: "sk"})
	for i := range 200 {
		c.put(t, "items", object{"pk": fmt.Sprint(i % 50), "sk": fmt.Sprint(i)})
	}
	seen := map[string]int{}
	for segment := range int32(3) {
		pages := sdk.NewScanPaginator(c.db, &sdk.ScanInput{
			TableName: aws.String("items"), Segment: &segment, TotalSegments: aws.Int32(3), Limit: aws.Int32(7),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range page.Items {
				seen[show(map[string]types.AttributeValue{"sk": it["sk"]})]++
			}
		}
	}
	if len(seen) != 200 {
		t.Errorf("segments hold %d items, want 200", len(seen))
	}
	for key, times := range seen {
		if times != 1 {
			t.Errorf("%s was read %d times", key, times)
		}
	}
}

func TestQueryPagesEndAtOneMegabyte(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, dynamodb.TableSpec{Name: "items", Hash: "pk", Range: "sk", RangeType: "N"})
	for i := range 5 {
		c.put(t, "items", object{"pk": "p", "sk": n(fmt.Sprint(i)), "x": strings.Repeat("x", 300<<10)})
	}
	out, err := c.db.Query(t.Context(), &sdk.QueryInput{
		TableName: aws.String("items"), KeyConditionExpression: aws.String("pk = :p"),
		ExpressionAttributeValues: object{":p": "p"}.item(), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
	if err != nil {
		t.Fatal(err)
	}
	if out.Count != 4 {
		t.Errorf("page holds %d items, want the 4 that reach 1 MB", out.Count)
	}
	same(t, out.LastEvaluatedKey, object{"pk": "p", "sk": n("3")})
	if units := *out.ConsumedCapacity.CapacityUnits; units < 150 || units > 151 {
		t.Errorf("page cost %v units, want 150 to 151", units)
	}
}
