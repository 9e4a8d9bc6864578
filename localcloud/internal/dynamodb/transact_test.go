package dynamodb_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

func add(pk, by string) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{
		TableName: aws.String("items"), Key: object{"pk": pk}.item(),
		UpdateExpression: aws.String("ADD n :v"), ExpressionAttributeValues: object{":v": n(by)}.item(),
	}}
}

// TestTransactionTokens replays a transaction within and after ten minutes.
func TestTransactionTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, dynamodb.Options{})
		c.table(t, hashTable("items"))
		run := func(by string) error {
			_, err := c.db.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{
				ClientRequestToken: aws.String("token"), TransactItems: []types.TransactWriteItem{add("a", by)},
			})
			return err
		}
		for range 3 {
			if err := run("1"); err != nil {
				t.Fatal(err)
			}
		}
		same(t, c.get(t, "items", object{"pk": "a"}), object{"pk": "a", "n": n("1")})
		wantError(t, run("2"), "IdempotentParameterMismatchException", "same client token")
		time.Sleep(10*time.Minute + time.Second)
		if err := run("2"); err != nil {
			t.Fatal(err)
		}
		same(t, c.get(t, "items", object{"pk": "a"}), object{"pk": "a", "n": n("3")})
	})
}

// TestTransfersKeepTheSum moves amounts between items from many goroutines
// while others read all of them: a reader never sees half of a transfer.
func TestTransfersKeepTheSum(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("items"))
	names := []string{"a", "b", "c"}
	var gets []types.TransactGetItem
	for _, name := range names {
		c.put(t, "items", object{"pk": name, "n": n("100")})
		gets = append(gets, types.TransactGetItem{Get: &types.Get{TableName: aws.String("items"), Key: object{"pk": name}.item()}})
	}
	var wait sync.WaitGroup
	for g := range 6 {
		wait.Go(func() {
			for i := range 20 {
				from, to := names[(g+i)%3], names[(g+i+1)%3]
				_, err := c.db.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{
					TransactItems: []types.TransactWriteItem{add(from, "-1"), add(to, "1")},
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		wait.Go(func() {
			for range 20 {
				out, err := c.db.TransactGetItems(t.Context(), &sdk.TransactGetItemsInput{TransactItems: gets})
				if err != nil {
					t.Error(err)
					return
				}
				sum := 0
				for _, r := range out.Responses {
					var one int
					if _, err := fmt.Sscan(r.Item["n"].(*types.AttributeValueMemberN).Value, &one); err != nil {
						t.Error(err)
					}
					sum += one
				}
				if sum != 300 {
					t.Errorf("sum is %d, want 300", sum)
				}
			}
		})
	}
	wait.Wait()
}

func TestTransactionLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("items"))
	many := make([]types.TransactWriteItem, 101)
	for i := range many {
		many[i] = add(fmt.Sprint(i), "1")
	}
	_, err := c.db.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: many})
	wantError(t, err, "ValidationException", "less than or equal to 100")
	if _, err := c.db.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: many[:100]}); err != nil {
		t.Error(err)
	}
	var large []types.TransactWriteItem
	for i := range 11 {
		large = append(large, types.TransactWriteItem{Put: &types.Put{
			TableName: aws.String("items"), Item: object{"pk": fmt.Sprint("large", i), "x": strings.Repeat("x", 399<<10)}.item(),
		}})
	}
	_, err = c.db.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: large})
	wantError(t, err, "ValidationException", "4 MB")
	same(t, c.get(t, "items", object{"pk": "large0"}), nil)
}

// TestFailedTransactionChangesNothing cancels at each position in turn.
func TestFailedTransactionChangesNothing(t *testing.T) {
	t.Parallel()
	for position := range 3 {
		t.Run(fmt.Sprint(position), func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, dynamodb.Options{})
			c.table(t, dynamodb.TableSpec{Name: "items", Hash: "pk", Indexes: []dynamodb.IndexSpec{{Name: "byn", Hash: "n", HashType: "N"}}})
			items := []types.TransactWriteItem{add("a", "1"), add("b", "1"), add("c", "1")}
			items[position].Update.ConditionExpression = aws.String("attribute_exists(pk)")
			_, err := c.db.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: items})
			var cancelled *types.TransactionCanceledException
			if !errors.As(err, &cancelled) {
				t.Fatalf("error is %v, want a cancellation", err)
			}
			for i, r := range cancelled.CancellationReasons {
				want := "None"
				if i == position {
					want = "ConditionalCheckFailed"
				}
				if *r.Code != want || (r.Message == nil) != (want == "None") {
					t.Errorf("reason %d is %s, want %s", i, *r.Code, want)
				}
			}
			out, err := c.db.Scan(t.Context(), &sdk.ScanInput{TableName: aws.String("items"), IndexName: aws.String("byn")})
			if info, _ := c.Table("items"); err != nil || info.ItemCount != 0 || out.Count != 0 {
				t.Errorf("cancelled transaction left %d items, %d in the index (%v)", info.ItemCount, out.Count, err)
			}
		})
	}
}

func TestBatchLimits(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t, dynamodb.Options{}), t.Context()
	c.table(t, hashTable("items"))
	var keys []map[string]types.AttributeValue
	var writes []types.WriteRequest
	for i := range 101 {
		keys = append(keys, object{"pk": fmt.Sprint(i)}.item())
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: keys[i]}})
	}
	_, err := c.db.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"items": {Keys: keys}}})
	wantError(t, err, "ValidationException", "Too many items requested for the BatchGetItem call")
	_, err = c.db.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{"items": writes[:26]}})
	wantError(t, err, "ValidationException", "Too many items requested for the BatchWriteItem call")
	if info, _ := c.Table("items"); info.ItemCount != 0 {
		t.Errorf("refused batch left %d items", info.ItemCount)
	}
	large := strings.Repeat("x", 399<<10)
	for i := range 50 {
		c.put(t, "items", object{"pk": fmt.Sprint(i), "x": large})
	}
	read, rest := 0, map[string]types.KeysAndAttributes{"items": {Keys: keys[:50]}}
	rounds := 0
	for ; len(rest) > 0; rounds++ {
		out, err := c.db.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: rest})
		if err != nil {
			t.Fatal(err)
		}
		read, rest = read+len(out.Responses["items"]), out.UnprocessedKeys
	}
	if read != 50 || rounds != 2 {
		t.Errorf("read %d items in %d rounds, want 50 in 2, for a page holds 16 MB", read, rounds)
	}
}
