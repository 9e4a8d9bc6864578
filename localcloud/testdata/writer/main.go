// Program writer is a Lambda function that puts its event into the table
// "items". It knows nothing of where it runs: the endpoint, region and
// credentials are those of its environment.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	db := dynamodb.NewFromConfig(cfg)
	lambda.Start(func(ctx context.Context, key string) (string, error) {
		_, err := db.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: aws.String("items"),
			Item:      map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: key}},
		})
		return "wrote " + key, err
	})
}
