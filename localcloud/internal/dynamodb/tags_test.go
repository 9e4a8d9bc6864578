package dynamodb_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

func tags(pairs ...string) []types.Tag {
	var out []types.Tag
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return out
}

// tagsOf lists a table's tags as "key=value key=value".
func (c *cloud) tagsOf(t *testing.T, arn string) string {
	t.Helper()
	out, err := c.db.ListTagsOfResource(t.Context(), &sdk.ListTagsOfResourceInput{ResourceArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, tag := range out.Tags {
		all = append(all, *tag.Key+"="+*tag.Value)
	}
	return strings.Join(all, " ")
}

// The tags of a table are those that it was made with, and what has been added
// and taken away since.
func TestTags(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t, dynamodb.Options{}), t.Context()
	create := localTable("items")
	create.LocalSecondaryIndexes, create.Tags = nil, tags("b", "1", "a", "2")
	create.AttributeDefinitions = definitions("pk", "S", "sk", "S")
	create.KeySchema = keySchema("pk", "sk")
	made, err := c.db.CreateTable(ctx, create)
	if err != nil {
		t.Fatal(err)
	}
	arn := *made.TableDescription.TableArn
	if got := c.tagsOf(t, arn); got != "a=2 b=1" {
		t.Errorf("created with %s", got)
	}
	if _, err := c.db.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &arn, Tags: tags("a", "3", "c", "")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.db.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"b", "none"}}); err != nil {
		t.Fatal(err)
	}
	if got := c.tagsOf(t, arn); got != "a=3 c=" {
		t.Errorf("changed to %s", got)
	}
	info, _ := c.Table("items")
	info.Spec.Tags = map[string]string{"only": "this"}
	if _, err := c.UpdateTable(info.Spec); err != nil {
		t.Fatal(err)
	}
	if got := c.tagsOf(t, arn); got != "only=this" {
		t.Errorf("changed in process to %s", got)
	}

	many := make([]string, 0, 100)
	for i := range 50 {
		many = append(many, fmt.Sprint(i), "")
	}
	for name, bad := range map[string][]types.Tag{
		"too many": tags(many...), "no key": tags("", "v"), "long key": tags(strings.Repeat("k", 129), "v"),
		"long value": tags("k", strings.Repeat("v", 257)), "AWS's own": tags("aws:k", "v"),
	} {
		_, err := c.db.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &arn, Tags: bad})
		if err == nil || !strings.Contains(err.Error(), "ValidationException") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := c.tagsOf(t, arn); got != "only=this" {
		t.Errorf("after what was refused: %s", got)
	}
	arn += "2"
	_, err = c.db.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &arn, Tags: tags("a", "b")})
	wantError(t, err, "ResourceNotFoundException", "Requested resource not found: ResourcArn: "+arn+" not found")
}

// Who makes a table with tags needs the right to tag it.
func TestCreateWithTagsNeedsTheRight(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{Authorizer: rules{"dynamodb:CreateTable " + itemsARN: true}})
	ctx := as(t.Context(), "worker")
	in := localTable("items")
	in.Tags = tags("a", "b")
	_, err := c.db.CreateTable(ctx, in)
	if err == nil || !strings.Contains(err.Error(), "dynamodb:TagResource on resource: "+itemsARN) {
		t.Errorf("with tags: %v", err)
	}
	in.Tags = nil
	if _, err := c.db.CreateTable(ctx, in); err != nil {
		t.Errorf("without tags: %v", err)
	}
}

// What is not supported of a table is refused, and what is kept is described.
func TestTableSettings(t *testing.T) {
	t.Parallel()
	c, ctx, name := newCloud(t, dynamodb.Options{}), t.Context(), aws.String("items")
	units := func(n int64) *types.ProvisionedThroughput {
		return &types.ProvisionedThroughput{ReadCapacityUnits: &n, WriteCapacityUnits: &n}
	}
	in := &sdk.CreateTableInput{
		TableName: name, BillingMode: types.BillingModeProvisioned, ProvisionedThroughput: units(5), TableClass: types.TableClassStandardInfrequentAccess,
		AttributeDefinitions: definitions("pk", "S", "g", "S"), KeySchema: keySchema("pk", ""),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("byg"), KeySchema: keySchema("g", ""), ProvisionedThroughput: units(7),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	}
	in.SSESpecification = &types.SSESpecification{Enabled: aws.Bool(true), SSEType: types.SSETypeKms}
	_, err := c.db.CreateTable(ctx, in)
	wantError(t, err, "ValidationException", "The member SSESpecification is not supported by the local cloud")
	in.SSESpecification = nil
	if _, err := c.db.CreateTable(ctx, in); err != nil {
		t.Fatal(err)
	}
	check := func(step string, class types.TableClass, table, index int64) {
		t.Helper()
		got, err := c.db.DescribeTable(ctx, &sdk.DescribeTableInput{TableName: name})
		if err != nil {
			t.Fatal(err)
		}
		if d := got.Table; d.TableClassSummary.TableClass != class || *d.ProvisionedThroughput.ReadCapacityUnits != table || *d.GlobalSecondaryIndexes[0].ProvisionedThroughput.WriteCapacityUnits != index {
			t.Errorf("%s: class %+v, throughput %+v, of the index %+v", step, d.TableClassSummary, d.ProvisionedThroughput, d.GlobalSecondaryIndexes[0].ProvisionedThroughput)
		}
	}
	check("created", types.TableClassStandardInfrequentAccess, 5, 7)
	update := func(in sdk.UpdateTableInput) error {
		in.TableName = name
		_, err := c.db.UpdateTable(ctx, &in)
		return err
	}
	index := func(name string, units *types.ProvisionedThroughput) []types.GlobalSecondaryIndexUpdate {
		return []types.GlobalSecondaryIndexUpdate{{Update: &types.UpdateGlobalSecondaryIndexAction{IndexName: &name, ProvisionedThroughput: units}}}
	}
	if err := update(sdk.UpdateTableInput{TableClass: types.TableClassStandard, GlobalSecondaryIndexUpdates: index("byg", units(9))}); err != nil {
		t.Fatal(err)
	}
	check("updated", types.TableClassStandard, 5, 9)
	wantError(t, update(sdk.UpdateTableInput{GlobalSecondaryIndexUpdates: index("none", units(9))}), "ResourceNotFoundException", "Requested resource not found")
	wantError(t, update(sdk.UpdateTableInput{TableClass: "COLD"}), "ValidationException", "COLD")
	wantError(t, update(sdk.UpdateTableInput{ReplicaUpdates: []types.ReplicationGroupUpdate{}}), "ValidationException", "The member ReplicaUpdates is not supported by the local cloud")
	if err := update(sdk.UpdateTableInput{BillingMode: types.BillingModePayPerRequest}); err != nil {
		t.Fatal(err)
	}
	check("on demand", types.TableClassStandard, 0, 0)
	wantError(t, update(sdk.UpdateTableInput{GlobalSecondaryIndexUpdates: index("byg", units(9))}), "ValidationException", "when BillingMode is PAY_PER_REQUEST")
}
