package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Steps lists what is remembered of a request's steps, in the order of their
// names.
func (s *Store) Steps(ctx context.Context, key string) ([]request.Step, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.tables.History, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:   aws.String("#k = :k AND begins_with(#s, :s)"),
		ExpressionAttributeNames: map[string]string{"#k": c.AttrPK, "#s": c.AttrSK},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":k": &types.AttributeValueMemberS{Value: key}, ":s": &types.AttributeValueMemberS{Value: keys.Steps},
		},
	}
	var steps []request.Step
	for {
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("query steps of %s: %w", key, classify(err))
		}
		for _, item := range out.Items {
			steps = append(steps, stepOf(item))
		}
		if len(out.LastEvaluatedKey) == 0 {
			return steps, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func stepOf(item map[string]types.AttributeValue) request.Step {
	a := unmarshal(item)
	name, _ := a[c.AttrSK].(string)
	return request.DecodeStep(strings.TrimPrefix(name, keys.Steps), a)
}

// PutStep remembers a step until expires (seconds), once, and only while the
// request has that epoch: both in one transaction.
func (s *Store) PutStep(ctx context.Context, key string, epoch int64, step request.Step, expires int64) (request.Kept, error) {
	fence := request.Fence(epoch)
	values, err := marshalAll(fence.Values)
	if err != nil {
		return request.Kept{}, err
	}
	item, err := marshalAll(step.Attrs(key, keys.Step(step.Name), expires))
	if err != nil {
		return request.Kept{}, err
	}
	_, err = s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{ConditionCheck: &types.ConditionCheck{
			TableName: &s.tables.Requests, Key: requestKey(key), ConditionExpression: aws.String(fence.Condition),
			ExpressionAttributeNames: fence.Names, ExpressionAttributeValues: values,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}},
		{Put: &types.Put{
			TableName: &s.tables.History, Item: item, ConditionExpression: aws.String("attribute_not_exists(#k)"),
			ExpressionAttributeNames:            map[string]string{"#k": c.AttrPK},
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}},
	}})
	if err == nil {
		return request.Kept{Step: step}, nil
	}
	kept, err := refusedStep(err)
	if err != nil {
		err = fmt.Errorf("put step %q of %s: %w", step.Name, key, err)
	}
	return kept, err
}

// refusedStep reads why a transaction did not happen: its reasons are in the
// order of its items.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func refusedStep(err error) (request.Kept, error) {
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) != 2 {
		return request.Kept{}, classify(err)
	}
	owner, step := cancelled.CancellationReasons[0], cancelled.CancellationReasons[1]
	switch {
	case aws.ToString(owner.Code) == conditionFailed:
		return request.Kept{Lost: true, Item: request.Decode(unmarshal(owner.Item))}, nil
	case aws.ToString(step.Code) == conditionFailed:
		return request.Kept{Step: stepOf(step.Item)}, nil
	case aws.ToString(step.Code) == "ValidationError", aws.ToString(owner.Code) == "ValidationError":
		return request.Kept{}, fmt.Errorf("%w: %w", request.ErrRefused, err)
	}
	return request.Kept{}, err // a conflict or a throttle: nothing was done
}

const conditionFailed = "ConditionalCheckFailed"
