package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	sdkstreams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"github.com/streamer-go/streamer/localcloud/internal/account"
	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

// rules is an Authorizer: root may do everything, a role what is listed as
// "action resource".
type rules map[string]bool

func (r rules) Authorize(ctx context.Context, action, resource string) error {
	caller, ok := account.CallerFrom(ctx)
	if ok && (caller.Root || r[action+" "+resource]) {
		return nil
	}
	return &account.Denied{Caller: caller, Action: action, Resource: resource}
}

const itemsARN = "arn:aws:dynamodb:us-east-1:000000000000:table/items"

// authorized is a call with the action and resource that it needs.
type authorized struct {
	action, resource string
	call             func(ctx context.Context, c *cloud) error
}

func itemCalls() []authorized {
	name, key := aws.String("items"), object{"pk": "a"}.item()
	condition, values := aws.String("pk = :v"), object{":v": "a"}.item()
	return []authorized{
		{"GetItem", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.GetItem(ctx, &sdk.GetItemInput{TableName: name, Key: key})
			return err
		}},
		{"PutItem", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.PutItem(ctx, &sdk.PutItemInput{TableName: name, Item: key})
			return err
		}},
		{"UpdateItem", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: name, Key: key})
			return err
		}},
		{"DeleteItem", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: name, Key: key})
			return err
		}},
		{"Query", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.Query(ctx, &sdk.QueryInput{TableName: name, KeyConditionExpression: condition, ExpressionAttributeValues: values})
			return err
		}},
		{"Query", itemsARN + "/index/all", func(ctx context.Context, c *cloud) error {
			_, err := c.db.Query(ctx, &sdk.QueryInput{
				TableName: name, IndexName: aws.String("all"), KeyConditionExpression: aws.String("g = :v"), ExpressionAttributeValues: values,
			})
			return err
		}},
	}
}

func otherCalls() []authorized {
	name, key := aws.String("items"), object{"pk": "a"}.item()
	return []authorized{
		{"Scan", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.Scan(ctx, &sdk.ScanInput{TableName: name})
			return err
		}},
		{"BatchGetItem", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
				"items": {Keys: []map[string]types.AttributeValue{key}},
			}})
			return err
		}},
		{"BatchWriteItem", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
				"items": {{DeleteRequest: &types.DeleteRequest{Key: key}}},
			}})
			return err
		}},
		{"ConditionCheckItem", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
				{ConditionCheck: &types.ConditionCheck{TableName: name, Key: key, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
			}})
			return err
		}},
		{"GetItem", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.TransactGetItems(ctx, &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
				{Get: &types.Get{TableName: name, Key: key}},
			}})
			return err
		}},
		{"DescribeTable", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.DescribeTable(ctx, &sdk.DescribeTableInput{TableName: name})
			return err
		}},
		{"ListTagsOfResource", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.ListTagsOfResource(ctx, &sdk.ListTagsOfResourceInput{ResourceArn: aws.String(itemsARN)})
			return err
		}},
		{"TagResource", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: aws.String(itemsARN), Tags: tags("a", "b")})
			return err
		}},
		{"UntagResource", itemsARN, func(ctx context.Context, c *cloud) error {
			_, err := c.db.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: aws.String(itemsARN), TagKeys: []string{"a"}})
			return err
		}},
		{"ListStreams", itemsARN + "/stream/*", func(ctx context.Context, c *cloud) error {
			_, err := c.streams.ListStreams(ctx, &sdkstreams.ListStreamsInput{TableName: name})
			return err
		}},
	}
}

func TestEveryCallIsAuthorized(t *testing.T) {
	t.Parallel()
	for _, tt := range append(itemCalls(), otherCalls()...) {
		t.Run(tt.action+strings.TrimPrefix(tt.resource, itemsARN), func(t *testing.T) {
			t.Parallel()
			allowed := rules{"dynamodb:" + tt.action + " " + tt.resource: true}
			spec := streamTable("items", "NEW_IMAGE")
			spec.Indexes = []dynamodb.IndexSpec{{Name: "all", Hash: "g"}}
			c := newCloud(t, dynamodb.Options{Authorizer: allowed})
			c.table(t, spec)
			if err := tt.call(as(t.Context(), "worker"), c); err != nil {
				t.Errorf("allowed call: %v", err)
			}
			for rule := range allowed {
				delete(allowed, rule)
			}
			err := tt.call(as(t.Context(), "worker"), c)
			wantError(t, err, "AccessDeniedException", "User: arn:aws:sts::000000000000:assumed-role/worker/session is not authorized to perform: dynamodb:"+
				tt.action+" on resource: "+tt.resource)
		})
	}
}

func TestTransactionMembersAreAuthorizedOneByOne(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{Authorizer: rules{"dynamodb:PutItem " + itemsARN: true}})
	c.table(t, hashTable("items"))
	_, err := c.db.TransactWriteItems(as(t.Context(), "worker"), &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: aws.String("items"), Item: object{"pk": "a"}.item()}},
		{Delete: &types.Delete{TableName: aws.String("items"), Key: object{"pk": "b"}.item()}},
	}})
	wantError(t, err, "AccessDeniedException", "dynamodb:DeleteItem")
	same(t, c.get(t, "items", object{"pk": "a"}), nil)
}

func TestReaderIsAuthorizedAsItsCaller(t *testing.T) {
	t.Parallel()
	allowed := rules{}
	c := newCloud(t, dynamodb.Options{Authorizer: allowed})
	info := c.table(t, streamTable("items", "NEW_IMAGE"))
	c.put(t, "items", object{"pk": "a"})
	reader, err := c.OpenStream(info.StreamARN, "TRIM_HORIZON")
	if err != nil {
		t.Fatal(err)
	}
	var denied *account.Denied
	if _, err := reader.Next(as(t.Context(), "mapping"), 1); !errors.As(err, &denied) {
		t.Fatalf("error is %v, want a denial", err)
	}
	for _, action := range []string{"DescribeStream", "GetShardIterator", "GetRecords"} {
		allowed["dynamodb:"+action+" "+info.StreamARN] = true
	}
	allowed["dynamodb:ListStreams "+itemsARN+"/stream/*"] = true
	if records, err := reader.Next(as(t.Context(), "mapping"), 1); err != nil || len(records) != 1 {
		t.Errorf("reader returned %v, %v, want one record", records, err)
	}
}

// TestConditionalIncrements has many goroutines count up one item, each only
// from the value it has read: no increment may be lost, none done twice.
func TestConditionalIncrements(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	info := c.table(t, streamTable("items", "NEW_IMAGE"))
	c.put(t, "items", object{"pk": "a", "n": n("0")})
	const goroutines, each = 16, 25
	var wait sync.WaitGroup
	for range goroutines {
		wait.Go(func() {
			for done := 0; done < each; {
				read := c.get(t, "items", object{"pk": "a"})["n"]
				_, err := c.db.UpdateItem(t.Context(), &sdk.UpdateItemInput{
					TableName: aws.String("items"), Key: object{"pk": "a"}.item(),
					UpdateExpression: aws.String("SET n = n + :one"), ConditionExpression: aws.String("n = :read"),
					ExpressionAttributeValues: map[string]types.AttributeValue{":one": attribute(n("1")), ":read": read},
				})
				var failed *types.ConditionalCheckFailedException
				switch {
				case err == nil:
					done++
				case !errors.As(err, &failed):
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	want := fmt.Sprint(goroutines * each)
	same(t, c.get(t, "items", object{"pk": "a"}), object{"pk": "a", "n": n(want)})
	if got := len(c.records(t, info.StreamARN)); got != goroutines*each+1 {
		t.Errorf("stream has %d records, want %d", got, goroutines*each+1)
	}
}
