package localcloud_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/streamer-go/streamer/localcloud"
)

// A test of any program that uses DynamoDB: start a cloud, point the SDK at it.
func Example() {
	cloud, err := localcloud.Start(localcloud.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer cloud.Close()

	ctx, keys := context.Background(), cloud.Credentials()
	db := dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(cloud.Endpoint()),
		Credentials:  credentials.NewStaticCredentialsProvider(keys.AccessKeyID, keys.SecretAccessKey, keys.SessionToken),
	})

	_, err = db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            aws.String("songs"),
		BillingMode:          types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
	})
	if err != nil {
		log.Fatal(err)
	}
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "42"}}
	item := map[string]types.AttributeValue{
		"id":    key["id"],
		"title": &types.AttributeValueMemberS{Value: "So What"},
	}
	if _, err = db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("songs"), Item: item}); err != nil {
		log.Fatal(err)
	}
	got, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("songs"), Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Item["title"].(*types.AttributeValueMemberS).Value)
	fmt.Println(cloud.Bill())
	// Output:
	// So What
	// map[dynamodb.read-units:1 dynamodb.write-units:1]
}
