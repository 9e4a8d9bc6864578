package dynamodb_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	sdkstreams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

func keySchema(hash, sort string) []types.KeySchemaElement {
	out := []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}}
	if sort != "" {
		out = append(out, types.KeySchemaElement{AttributeName: &sort, KeyType: types.KeyTypeRange})
	}
	return out
}

func definitions(pairs ...string) []types.AttributeDefinition {
	var out []types.AttributeDefinition
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.AttributeDefinition{AttributeName: &pairs[i], AttributeType: types.ScalarAttributeType(pairs[i+1])})
	}
	return out
}

// TestTableLifeOverTheWire creates, describes, changes and deletes a table as
// a deployment tool does, waiters included.
func TestTableLifeOverTheWire(t *testing.T) {
	t.Parallel()
	c, ctx, name := newCloud(t, dynamodb.Options{}), t.Context(), aws.String("items")
	created, err := c.db.CreateTable(ctx, &sdk.CreateTableInput{
		TableName: name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: definitions("pk", "S", "sk", "N", "g", "S"), KeySchema: keySchema("pk", "sk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("byg"), KeySchema: keySchema("g", "sk"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"x"}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if created.TableDescription.TableStatus != types.TableStatusCreating {
		t.Errorf("status is %s, want CREATING", created.TableDescription.TableStatus)
	}
	if err := sdk.NewTableExistsWaiter(c.db).Wait(ctx, &sdk.DescribeTableInput{TableName: name}, time.Minute); err != nil {
		t.Fatal(err)
	}
	c.put(t, "items", object{"pk": "a", "sk": n("1"), "late": "x"})
	c.put(t, "items", object{"pk": "b", "sk": n("1"), "late": n("7")})
	addIndex(t, c)
	updated, err := c.db.UpdateTable(ctx, &sdk.UpdateTableInput{TableName: name, DeletionProtectionEnabled: aws.Bool(true), StreamSpecification: &types.StreamSpecification{
		StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage,
	}})
	if err != nil || updated.TableDescription.LatestStreamArn == nil || updated.TableDescription.TableStatus != types.TableStatusUpdating {
		t.Fatalf("update gave %v, %v, want UPDATING with a stream", updated, err)
	}
	_, err = c.db.DeleteTable(ctx, &sdk.DeleteTableInput{TableName: name})
	wantError(t, err, "ValidationException", "protected against deletion")
	if _, err := c.db.UpdateTable(ctx, &sdk.UpdateTableInput{TableName: name, DeletionProtectionEnabled: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	deleted, err := c.db.DeleteTable(ctx, &sdk.DeleteTableInput{TableName: name})
	if err != nil || deleted.TableDescription.TableStatus != types.TableStatusDeleting {
		t.Fatalf("delete gave %v, %v", deleted, err)
	}
	if err := sdk.NewTableNotExistsWaiter(c.db).Wait(ctx, &sdk.DescribeTableInput{TableName: name}, time.Minute); err != nil {
		t.Error(err)
	}
	// The stream outlives its table, closed.
	out, err := c.streams.DescribeStream(ctx, &sdkstreams.DescribeStreamInput{StreamArn: updated.TableDescription.LatestStreamArn})
	if err != nil || out.StreamDescription.StreamStatus != "DISABLED" {
		t.Errorf("stream of the deleted table is %v, %v", out, err)
	}
}

// addIndex adds an index to a table with items; the one whose attribute has
// another type than the key stays out.
func addIndex(t *testing.T, c *cloud) {
	t.Helper()
	_, err := c.db.UpdateTable(t.Context(), &sdk.UpdateTableInput{
		TableName: aws.String("items"), AttributeDefinitions: definitions("late", "S"),
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Create: &types.CreateGlobalSecondaryIndexAction{
			IndexName: aws.String("bylate"), KeySchema: keySchema("late", ""), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	described, err := c.db.DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: aws.String("items")})
	if err != nil {
		t.Fatal(err)
	}
	for _, ix := range described.Table.GlobalSecondaryIndexes {
		if want := map[string]int64{"byg": 0, "bylate": 1}[*ix.IndexName]; *ix.ItemCount != want || ix.IndexStatus != types.IndexStatusActive {
			t.Errorf("index %s has %d items and is %s, want %d and ACTIVE", *ix.IndexName, *ix.ItemCount, ix.IndexStatus, want)
		}
	}
	if n := len(described.Table.GlobalSecondaryIndexes); n != 2 || *described.Table.ItemCount != 2 {
		t.Errorf("table has %d indexes and %d items, want 2 and 2", n, *described.Table.ItemCount)
	}
}

func TestCreateTableRefusals(t *testing.T) {
	t.Parallel()
	base := func() dynamodb.TableSpec { return dynamodb.TableSpec{Name: "items", Hash: "pk"} }
	tests := map[string]struct {
		change func(*dynamodb.TableSpec)
		code   string
	}{
		"short name":    {func(s *dynamodb.TableSpec) { s.Name = "ab" }, "ValidationException"},
		"bad character": {func(s *dynamodb.TableSpec) { s.Name = "a b c" }, "ValidationException"},
		"no hash key":   {func(s *dynamodb.TableSpec) { s.Hash = "" }, "ValidationException"},
		"same keys":     {func(s *dynamodb.TableSpec) { s.Range = "pk" }, "ValidationException"},
		"bad type":      {func(s *dynamodb.TableSpec) { s.HashType = "BOOL" }, "ValidationException"},
		"bad view":      {func(s *dynamodb.TableSpec) { s.Stream = "ALL" }, "ValidationException"},
		"bad projection": {func(s *dynamodb.TableSpec) {
			s.Indexes = []dynamodb.IndexSpec{{Name: "abc", Hash: "g", Projection: "SOME"}}
		}, "ValidationException"},
		"include of nothing": {func(s *dynamodb.TableSpec) {
			s.Indexes = []dynamodb.IndexSpec{{Name: "abc", Hash: "g", Projection: "INCLUDE"}}
		}, "ValidationException"},
		"two types": {func(s *dynamodb.TableSpec) {
			s.Indexes = []dynamodb.IndexSpec{{Name: "abc", Hash: "pk", HashType: "N"}}
		}, "ValidationException"},
		"two indexes of a name": {func(s *dynamodb.TableSpec) {
			s.Indexes = []dynamodb.IndexSpec{{Name: "abc", Hash: "g"}, {Name: "abc", Hash: "h"}}
		}, "ValidationException"},
		"too many indexes": {func(s *dynamodb.TableSpec) {
			for i := range 21 {
				s.Indexes = append(s.Indexes, dynamodb.IndexSpec{Name: fmt.Sprintf("index%d", i), Hash: "g"})
			}
		}, "LimitExceededException"},
		"exists": {func(s *dynamodb.TableSpec) { s.Name = "there" }, "ResourceInUseException"},
	}
	c := newCloud(t, dynamodb.Options{})
	c.table(t, hashTable("there"))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := base()
			tt.change(&spec)
			_, err := c.CreateTable(spec)
			wantServiceError(t, err, tt.code)
		})
	}
}

func TestUpdateTableInProcess(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	spec := dynamodb.TableSpec{Name: "items", Hash: "pk", Indexes: []dynamodb.IndexSpec{{Name: "one", Hash: "g"}, {Name: "two", Hash: "g"}}}
	before := c.table(t, spec)
	c.put(t, "items", object{"pk": "a", "g": "x"})
	spec.Indexes = []dynamodb.IndexSpec{{Name: "one", Hash: "g", Projection: "KEYS_ONLY"}, {Name: "three", Hash: "h"}}
	after, err := c.UpdateTable(spec)
	if err != nil || after.ARN != before.ARN || after.ItemCount != 1 {
		t.Fatalf("update gave %v, %v", after, err)
	}
	var names []string
	for _, ix := range after.Spec.Indexes {
		names = append(names, ix.Name)
	}
	if !slices.Equal(names, []string{"one", "three"}) {
		t.Errorf("indexes are %v, want one and three", names)
	}
	_, err = c.db.Scan(t.Context(), &sdk.ScanInput{TableName: aws.String("items"), IndexName: aws.String("two")})
	wantError(t, err, "ValidationException", "The table does not have the specified index: two")
	spec.Hash = "other"
	_, err = c.UpdateTable(spec)
	wantServiceError(t, err, "ValidationException")
	spec.Name = "missing"
	_, err = c.UpdateTable(spec)
	wantServiceError(t, err, "ResourceNotFoundException")
	wantServiceError(t, c.DeleteTable("missing"), "ResourceNotFoundException")
	if names := c.Tables(); !slices.Equal(names, []string{"items"}) {
		t.Errorf("tables are %v", names)
	}
}

func TestTimeToLiveOverTheWire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ctx := newCloud(t, dynamodb.Options{TTLDelay: time.Minute}), t.Context()
		c.table(t, hashTable("items"))
		c.put(t, "items", object{"pk": "a", "ttl": n(fmt.Sprint(time.Now().Unix() - 10))})
		change := func(enabled bool) error {
			_, err := c.db.UpdateTimeToLive(ctx, &sdk.UpdateTimeToLiveInput{TableName: aws.String("items"), TimeToLiveSpecification: &types.TimeToLiveSpecification{
				AttributeName: aws.String("ttl"), Enabled: &enabled,
			}})
			return err
		}
		if err := change(true); err != nil {
			t.Fatal(err)
		}
		out, err := c.db.DescribeTimeToLive(ctx, &sdk.DescribeTimeToLiveInput{TableName: aws.String("items")})
		if err != nil || out.TimeToLiveDescription.TimeToLiveStatus != types.TimeToLiveStatusEnabled || *out.TimeToLiveDescription.AttributeName != "ttl" {
			t.Errorf("description is %v, %v", out, err)
		}
		wantError(t, change(true), "ValidationException", "TimeToLive is already enabled")
		wantError(t, change(false), "ValidationException", "modified multiple times")
		// What was there before is deleted too.
		time.Sleep(time.Minute)
		synctest.Wait()
		same(t, c.get(t, "items", object{"pk": "a"}), nil)
		time.Sleep(time.Hour)
		if err := change(false); err != nil {
			t.Error(err)
		}
		c.put(t, "items", object{"pk": "b", "ttl": n("1000000000")})
		time.Sleep(time.Hour)
		synctest.Wait()
		if info, _ := c.Table("items"); info.ItemCount != 1 {
			t.Errorf("table has %d items, want the one that expires no more", info.ItemCount)
		}
	})
}

func TestSmallTableOperations(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t, dynamodb.Options{}), t.Context()
	info := c.table(t, hashTable("items"))
	for _, days := range []int32{35, 7, 0} {
		set := &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(days > 0)}
		if days == 7 { // 35 are the default
			set.RecoveryPeriodInDays = &days
		}
		_, err := c.db.UpdateContinuousBackups(ctx, &sdk.UpdateContinuousBackupsInput{TableName: aws.String("items"), PointInTimeRecoverySpecification: set})
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.db.DescribeContinuousBackups(ctx, &sdk.DescribeContinuousBackupsInput{TableName: aws.String("items")})
		if err != nil {
			t.Fatal(err)
		}
		got := out.ContinuousBackupsDescription.PointInTimeRecoveryDescription
		if (got.PointInTimeRecoveryStatus == types.PointInTimeRecoveryStatusEnabled) != (days > 0) || aws.ToInt32(got.RecoveryPeriodInDays) != days {
			t.Errorf("recovery is %+v after it was set to %d days", got, days)
		}
	}
	if _, err := c.db.ListTagsOfResource(ctx, &sdk.ListTagsOfResourceInput{ResourceArn: &info.ARN}); err != nil {
		t.Error(err)
	}
	_, err := c.db.DescribeContinuousBackups(ctx, &sdk.DescribeContinuousBackupsInput{TableName: aws.String("missing")})
	wantError(t, err, "TableNotFoundException", "missing")
	for i := range 5 {
		c.table(t, hashTable(fmt.Sprintf("table%d", i)))
	}
	var names []string
	pages := sdk.NewListTablesPaginator(c.db, &sdk.ListTablesInput{Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, page.TableNames...)
	}
	if want := []string{"items", "table0", "table1", "table2", "table3", "table4"}; !slices.Equal(names, want) {
		t.Errorf("tables are %v, want %v", names, want)
	}
	// A table's ARN may stand for its name.
	if got := c.get(t, info.ARN, object{"pk": "a"}); got != nil {
		t.Errorf("item is %v, want none", got)
	}
}
