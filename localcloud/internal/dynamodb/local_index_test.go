package dynamodb_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

func localTable(name string) *sdk.CreateTableInput {
	define := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	schema := func(sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	return &sdk.CreateTableInput{
		TableName: &name, KeySchema: schema("sk"),
		AttributeDefinitions:  []types.AttributeDefinition{define("pk", "S"), define("sk", "S"), define("at", "N")},
		ProvisionedThroughput: &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(3), WriteCapacityUnits: aws.Int64(4)},
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
			IndexName: aws.String("byAt"), KeySchema: schema("at"), Projection: &types.Projection{ProjectionType: "INCLUDE", NonKeyAttributes: []string{"kept"}},
		}},
	}
}

func TestLocalSecondaryIndex(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	if _, err := c.db.CreateTable(t.Context(), localTable("local")); err != nil {
		t.Fatal(err)
	}
	c.put(t, "local", object{"pk": "a", "sk": "x", "at": n("2"), "kept": "k", "more": "two"})
	c.put(t, "local", object{"pk": "a", "sk": "y", "at": n("1"), "more": "one"})
	c.put(t, "local", object{"pk": "a", "sk": "z"})

	in := &sdk.QueryInput{
		TableName: aws.String("local"), IndexName: aws.String("byAt"), KeyConditionExpression: aws.String("pk = :p"),
		ExpressionAttributeValues: object{":p": "a"}.item(), ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: "INDEXES",
	}
	out, err := c.db.Query(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Items) != 2 {
		t.Fatalf("the index has %d items, want 2", len(out.Items))
	}
	same(t, out.Items[0], object{"pk": "a", "sk": "y", "at": n("1")})
	same(t, out.Items[1], object{"pk": "a", "sk": "x", "at": n("2"), "kept": "k"})
	if used := out.ConsumedCapacity; aws.ToFloat64(used.Table.CapacityUnits) != 0 || aws.ToFloat64(used.LocalSecondaryIndexes["byAt"].CapacityUnits) != 1 {
		t.Errorf("the query used %v of the table and %v of the index", *used.Table.CapacityUnits, used.LocalSecondaryIndexes)
	}

	in.Select = types.SelectAllAttributes
	if out, err = c.db.Query(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	same(t, out.Items[0], object{"pk": "a", "sk": "y", "at": n("1"), "more": "one"})
	if used := *out.ConsumedCapacity.Table.CapacityUnits; used != 2 {
		t.Errorf("fetching two items from the table used %v units, want 2", used)
	}

	scanned, err := c.db.Scan(t.Context(), &sdk.ScanInput{
		TableName: aws.String("local"), IndexName: aws.String("byAt"), ProjectionExpression: aws.String("more"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if scanned.Count != 2 || len(scanned.Items[0]) != 1 {
		t.Errorf("the scan finds %d items, the first %v", scanned.Count, scanned.Items[0])
	}
}

func TestLocalSecondaryIndexIsDescribedAndStays(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	if _, err := c.db.CreateTable(t.Context(), localTable("local")); err != nil {
		t.Fatal(err)
	}
	out, err := c.db.DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: aws.String("local")})
	if err != nil {
		t.Fatal(err)
	}
	if ixs := out.Table.LocalSecondaryIndexes; len(ixs) != 1 || *ixs[0].IndexName != "byAt" || len(out.Table.GlobalSecondaryIndexes) != 0 {
		t.Errorf("local indexes are %v, global ones %v", ixs, out.Table.GlobalSecondaryIndexes)
	}
	if p := out.Table.ProvisionedThroughput; *p.ReadCapacityUnits != 3 || *p.WriteCapacityUnits != 4 || out.Table.BillingModeSummary.BillingMode != "PROVISIONED" {
		t.Errorf("throughput is %v/%v, billing %s", *p.ReadCapacityUnits, *p.WriteCapacityUnits, out.Table.BillingModeSummary.BillingMode)
	}
	_, err = c.db.UpdateTable(t.Context(), &sdk.UpdateTableInput{TableName: aws.String("local"), GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{
		{Delete: &types.DeleteGlobalSecondaryIndexAction{IndexName: aws.String("byAt")}},
	}})
	wantError(t, err, "ResourceNotFoundException", "Requested resource not found")

	updated, err := c.db.UpdateTable(t.Context(), &sdk.UpdateTableInput{
		TableName: aws.String("local"), ProvisionedThroughput: &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(5), WriteCapacityUnits: aws.Int64(6)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := updated.TableDescription.ProvisionedThroughput; *p.ReadCapacityUnits != 5 {
		t.Errorf("after the update there are %d read units, want 5", *p.ReadCapacityUnits)
	}
	if updated, err = c.db.UpdateTable(t.Context(), &sdk.UpdateTableInput{TableName: aws.String("local"), BillingMode: "PAY_PER_REQUEST"}); err != nil {
		t.Fatal(err)
	}
	if mode := updated.TableDescription.BillingModeSummary.BillingMode; mode != "PAY_PER_REQUEST" {
		t.Errorf("billing is %s after it was switched to PAY_PER_REQUEST", mode)
	}
	_, err = c.db.UpdateTable(t.Context(), &sdk.UpdateTableInput{TableName: aws.String("local"), BillingMode: "PROVISIONED"})
	wantError(t, err, "ValidationException", "must both be specified when BillingMode is PROVISIONED")
}
