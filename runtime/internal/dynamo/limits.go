package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
)

// Open counts the open requests of a tenant, as keys.Tenant returns it, or of
// one of its users when user is not empty. It stops at most: what is beyond is
// not read. The index is behind the table by a moment.
func (s *Store) Open(ctx context.Context, tenant, user string, most int) (int, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.tables.Requests, IndexName: aws.String(c.IndexOpen), Select: types.SelectCount,
		KeyConditionExpression:    aws.String("#o = :o"),
		ExpressionAttributeNames:  map[string]string{"#o": c.AttrOpen},
		ExpressionAttributeValues: map[string]types.AttributeValue{":o": text(tenant)},
	}
	if user != "" {
		in.KeyConditionExpression = aws.String("#o = :o AND begins_with(#a, :u)")
		in.ExpressionAttributeNames["#a"] = c.AttrOpenAt
		in.ExpressionAttributeValues[":u"] = text(keys.OpenOf(user))
	}
	for n := 0; ; {
		in.Limit = aws.Int32(int32(most - n))
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return 0, fmt.Errorf("count open requests of %s: %w", tenant, classify(err))
		}
		if n += int(out.Count); n >= most || len(out.LastEvaluatedKey) == 0 {
			return n, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// CountMessage counts one message of a tenant in a window that begins at start
// (epoch seconds) and is kept until expires, unless most were counted: then it
// returns false.
func (s *Store) CountMessage(ctx context.Context, tenant string, start, expires, most int64) (bool, error) {
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.tables.Connections,
		Key: map[string]types.AttributeValue{
			c.AttrPK: text(keys.Rate(tenant)), c.AttrSK: text(strconv.FormatInt(start, 10)),
		},
		UpdateExpression:         aws.String("SET #x = :x ADD #n :one"),
		ConditionExpression:      aws.String("attribute_not_exists(#n) OR #n < :most"),
		ExpressionAttributeNames: map[string]string{"#n": c.AttrCount, "#x": c.AttrExpires},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":one": number(1), ":most": number(most), ":x": number(expires),
		},
	})
	return held("count message of "+tenant, err)
}

// held reads the error of a write with a condition: false for one that did not
// hold.
func held(what string, err error) (bool, error) {
	var refused *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &refused):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("%s: %w", what, classify(err))
	}
	return true, nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func seconds(t time.Time) types.AttributeValue { return number(t.Unix()) }
