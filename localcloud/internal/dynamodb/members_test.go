package dynamodb_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
	"github.com/streamer-go/streamer/localcloud/internal/strictjson/strictjsontest"
)

// TestEveryMemberIsKnownOrRefused goes through what the SDK can send: what is
// not in the list is understood, what is in it is refused by its name.
func TestEveryMemberIsKnownOrRefused(t *testing.T) {
	t.Parallel()
	refused := []string{
		"CreateTable GlobalSecondaryIndexes.OnDemandThroughput",
		"CreateTable GlobalSecondaryIndexes.WarmThroughput",
		"CreateTable GlobalTableSettingsReplicationMode",
		"CreateTable GlobalTableSourceArn",
		"CreateTable OnDemandThroughput",
		"CreateTable ResourcePolicy",
		"CreateTable SSESpecification",
		"CreateTable VectorIndexes",
		"CreateTable WarmThroughput",
		"UpdateTable DisassociationProtectionEnabled",
		"UpdateTable GlobalSecondaryIndexUpdates.Create.OnDemandThroughput",
		"UpdateTable GlobalSecondaryIndexUpdates.Create.WarmThroughput",
		"UpdateTable GlobalSecondaryIndexUpdates.Update.OnDemandThroughput",
		"UpdateTable GlobalSecondaryIndexUpdates.Update.WarmThroughput",
		"UpdateTable GlobalTableSettingsReplicationMode",
		"UpdateTable GlobalTableWitnessUpdates",
		"UpdateTable MultiRegionConsistency",
		"UpdateTable OnDemandThroughput",
		"UpdateTable ReplicaUpdates",
		"UpdateTable SSESpecification",
		"UpdateTable VectorIndexUpdates",
		"UpdateTable WarmThroughput",
	}
	c := newCloud(t, dynamodb.Options{})
	var got []string
	for operation, in := range map[string]any{
		"DynamoDB.CreateTable": sdk.CreateTableInput{}, "DynamoDB.UpdateTable": sdk.UpdateTableInput{}, "DynamoDB.DescribeTable": sdk.DescribeTableInput{},
		"DynamoDB.DeleteTable": sdk.DeleteTableInput{}, "DynamoDB.ListTables": sdk.ListTablesInput{}, "DynamoDB.UpdateTimeToLive": sdk.UpdateTimeToLiveInput{},
		"DynamoDB.DescribeTimeToLive": sdk.DescribeTimeToLiveInput{}, "DynamoDB.DescribeContinuousBackups": sdk.DescribeContinuousBackupsInput{},
		"DynamoDB.UpdateContinuousBackups": sdk.UpdateContinuousBackupsInput{}, "DynamoDB.ListTagsOfResource": sdk.ListTagsOfResourceInput{},
		"DynamoDB.TagResource": sdk.TagResourceInput{}, "DynamoDB.UntagResource": sdk.UntagResourceInput{},
		"DynamoDB.GetItem": sdk.GetItemInput{}, "DynamoDB.PutItem": sdk.PutItemInput{}, "DynamoDB.UpdateItem": sdk.UpdateItemInput{}, "DynamoDB.DeleteItem": sdk.DeleteItemInput{},
		"DynamoDB.Query": sdk.QueryInput{}, "DynamoDB.Scan": sdk.ScanInput{}, "DynamoDB.BatchGetItem": sdk.BatchGetItemInput{}, "DynamoDB.BatchWriteItem": sdk.BatchWriteItemInput{},
		"DynamoDB.TransactGetItems": sdk.TransactGetItemsInput{}, "DynamoDB.TransactWriteItems": sdk.TransactWriteItemsInput{},
		"DynamoDBStreams.ListStreams": dynamodbstreams.ListStreamsInput{}, "DynamoDBStreams.DescribeStream": dynamodbstreams.DescribeStreamInput{},
		"DynamoDBStreams.GetShardIterator": dynamodbstreams.GetShardIteratorInput{}, "DynamoDBStreams.GetRecords": dynamodbstreams.GetRecordsInput{},
	} {
		for path, body := range strictjsontest.Members(reflect.TypeOf(in)) {
			data, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			name := path[strings.LastIndex(path, ".")+1:]
			answer := raw(c, operation, string(data))
			if strings.Contains(answer, "UnknownOperation") {
				t.Errorf("%s: %s", operation, answer)
			}
			if strings.Contains(answer, "The member "+name+" is not supported by the local cloud") {
				got = append(got, strings.TrimPrefix(operation, "DynamoDB.")+" "+path)
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, refused) {
		t.Errorf("refused are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(refused, "\n"))
	}
}
