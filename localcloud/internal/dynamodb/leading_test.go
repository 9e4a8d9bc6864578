package dynamodb_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

// narrowed is a cloud whose role "worker" may do everything under a condition.
func narrowed(t *testing.T, condition string) *cloud {
	t.Helper()
	roles := iam.New()
	c := newCloud(t, dynamodb.Options{Authorizer: roles})
	if err := roles.PutRole("worker", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}]}`); err != nil {
		t.Fatal(err)
	}
	if err := roles.PutPolicy("worker", "p", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{`+condition+`}}]}`); err != nil {
		t.Fatal(err)
	}
	spec := hashTable("items")
	spec.Indexes = []dynamodb.IndexSpec{{Name: "all", Hash: "g"}}
	c.table(t, spec)
	c.table(t, dynamodb.TableSpec{Name: "numbers", Hash: "k", HashType: "N"})
	c.table(t, dynamodb.TableSpec{Name: "bytes", Hash: "k", HashType: "B"})
	return c
}

// The calls that know which items they are about are refused for another's.
func TestLeadingKeys(t *testing.T) {
	t.Parallel()
	type keyed func(ctx context.Context, c *cloud, key object) error
	name := aws.String("items")
	for action, call := range map[string]keyed{
		"GetItem": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.GetItem(ctx, &sdk.GetItemInput{TableName: name, Key: key.item()})
			return err
		},
		"PutItem": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.PutItem(ctx, &sdk.PutItemInput{TableName: name, Item: key.item()})
			return err
		},
		"UpdateItem": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: name, Key: key.item()})
			return err
		},
		"DeleteItem": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: name, Key: key.item()})
			return err
		},
		"Query": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.Query(ctx, &sdk.QueryInput{
				TableName: name, KeyConditionExpression: aws.String("pk = :v"), ExpressionAttributeValues: object{":v": key["pk"]}.item(),
			})
			return err
		},
		"Query of an index": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.Query(ctx, &sdk.QueryInput{
				TableName: name, IndexName: aws.String("all"),
				KeyConditionExpression: aws.String(":v = #g"), ExpressionAttributeNames: map[string]string{"#g": "g"},
				ExpressionAttributeValues: object{":v": key["pk"]}.item(),
			})
			return err
		},
		"Query by conditions": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.Query(ctx, &sdk.QueryInput{TableName: name, KeyConditions: map[string]types.Condition{
				"pk": {ComparisonOperator: types.ComparisonOperatorEq, AttributeValueList: []types.AttributeValue{attribute(key["pk"])}},
			}})
			return err
		},
		"BatchGetItem": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
				"items": {Keys: []map[string]types.AttributeValue{object{"pk": "mine/0"}.item(), key.item()}},
			}})
			return err
		},
		"BatchWriteItem, put": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
				"items": {{DeleteRequest: &types.DeleteRequest{Key: object{"pk": "mine/0"}.item()}}, {PutRequest: &types.PutRequest{Item: key.item()}}},
			}})
			return err
		},
		"BatchWriteItem, delete": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
				"items": {{PutRequest: &types.PutRequest{Item: object{"pk": "mine/0"}.item()}}, {DeleteRequest: &types.DeleteRequest{Key: key.item()}}},
			}})
			return err
		},
		"TransactWriteItems": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
				{Put: &types.Put{TableName: name, Item: object{"pk": "mine/0"}.item()}},
				{ConditionCheck: &types.ConditionCheck{TableName: name, Key: key.item(), ConditionExpression: aws.String("attribute_not_exists(pk)")}},
			}})
			return err
		},
		"TransactWriteItems, put": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
				{Put: &types.Put{TableName: name, Item: key.item()}},
			}})
			return err
		},
		"TransactGetItems": func(ctx context.Context, c *cloud, key object) error {
			_, err := c.db.TransactGetItems(ctx, &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
				{Get: &types.Get{TableName: name, Key: key.item()}},
			}})
			return err
		},
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			c := narrowed(t, `"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["mine/*","ours"]}`)
			for _, key := range []string{"mine/1", "ours"} {
				if err := call(as(t.Context(), "worker"), c, object{"pk": key}); err != nil {
					t.Errorf("own item %s: %v", key, err)
				}
			}
			for _, key := range []string{"mine", "theirs/1", "OURS"} {
				wantError(t, call(as(t.Context(), "worker"), c, object{"pk": key}), "AccessDeniedException", "table/items")
			}
			same(t, c.get(t, "items", object{"pk": "theirs/1"}), nil)
		})
	}
}

// Numbers are compared as DynamoDB writes them, binaries in base64.
func TestLeadingKeysOfOtherKinds(t *testing.T) {
	t.Parallel()
	c := narrowed(t, `"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["12","QUJD"]}`)
	get := func(table string, key any) error {
		_, err := c.db.GetItem(as(t.Context(), "worker"), &sdk.GetItemInput{TableName: &table, Key: object{"k": key}.item()})
		return err
	}
	for _, err := range []error{get("numbers", n("12.0")), get("bytes", []byte("ABC"))} {
		if err != nil {
			t.Error(err)
		}
	}
	wantError(t, get("numbers", n("13")), "AccessDeniedException", "table/numbers")
	wantError(t, get("bytes", []byte("ABCD")), "AccessDeniedException", "table/bytes")
}

// A call without a hash key passes ForAllValues, and no operator else: a policy
// has to leave out Scan.
func TestLeadingKeysOfNone(t *testing.T) {
	t.Parallel()
	scan := func(c *cloud) error {
		_, err := c.db.Scan(as(t.Context(), "worker"), &sdk.ScanInput{TableName: aws.String("items")})
		return err
	}
	if err := scan(narrowed(t, `"ForAllValues:StringLike":{"dynamodb:LeadingKeys":"mine"}`)); err != nil {
		t.Error(err)
	}
	wantError(t, scan(narrowed(t, `"ForAnyValue:StringLike":{"dynamodb:LeadingKeys":"*"}`)), "AccessDeniedException", "dynamodb:Scan")
	wantError(t, scan(narrowed(t, `"Null":{"dynamodb:LeadingKeys":"false"}`)), "AccessDeniedException", "dynamodb:Scan")
	// Who may not ask is not told what is wrong with the question.
	c := narrowed(t, `"ForAnyValue:StringLike":{"dynamodb:LeadingKeys":"*"}`)
	_, err := c.db.Query(as(t.Context(), "worker"), &sdk.QueryInput{TableName: aws.String("items"), KeyConditionExpression: aws.String("pk >")})
	wantError(t, err, "AccessDeniedException", "dynamodb:Query")
}
