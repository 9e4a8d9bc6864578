package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Dead lists what died in one shard between two times (epoch milliseconds, both
// included), the newest first, from a page on; next is nil after the last. The
// index lags behind the table by a moment.
func (s *Store) Dead(ctx context.Context, shard string, since, until int64, page any) (dead []request.Dead, next any, err error) {
	in := &dynamodb.QueryInput{
		TableName: &s.tables.Requests, IndexName: aws.String(c.IndexLane),
		KeyConditionExpression:   aws.String("#l = :l AND #a BETWEEN :since AND :until"),
		ExpressionAttributeNames: map[string]string{"#l": c.AttrLane, "#a": c.AttrLaneAt},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":l":     &types.AttributeValueMemberS{Value: keys.Dead(shard)},
			":since": &types.AttributeValueMemberN{Value: strconv.FormatInt(since, 10)},
			":until": &types.AttributeValueMemberN{Value: strconv.FormatInt(until, 10)},
		},
		ScanIndexForward: aws.Bool(false), Limit: aws.Int32(100),
	}
	in.ExclusiveStartKey, _ = page.(map[string]types.AttributeValue)
	out, err := s.db.Query(ctx, in)
	if err != nil {
		return nil, nil, fmt.Errorf("query dead of shard %s: %w", shard, classify(err))
	}
	for _, item := range out.Items {
		a := unmarshal(item)
		key, _ := a[c.AttrPK].(string)
		at, _ := a[c.AttrLaneAt].(int64)
		dead = append(dead, request.Dead{Key: key, At: at})
	}
	if len(out.LastEvaluatedKey) > 0 {
		next = out.LastEvaluatedKey
	}
	return dead, next, nil
}

// Attempts lists how attempts at a request failed, in the order of their epochs.
func (s *Store) Attempts(ctx context.Context, key string) (epochs []int64, attempts []request.Attempt, err error) {
	in := &dynamodb.QueryInput{
		TableName: &s.tables.History, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:   aws.String("#k = :k AND begins_with(#s, :s)"),
		ExpressionAttributeNames: map[string]string{"#k": c.AttrPK, "#s": c.AttrSK},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":k": &types.AttributeValueMemberS{Value: key}, ":s": &types.AttributeValueMemberS{Value: keys.Attempts},
		},
	}
	for {
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return nil, nil, fmt.Errorf("query attempts of %s: %w", key, classify(err))
		}
		for _, item := range out.Items {
			a := unmarshal(item)
			name, _ := a[c.AttrSK].(string)
			data, _ := a["data"].([]byte)
			epoch, ok := keys.ParseAttempt(name)
			attempt, err := request.DecodeAttempt(data)
			if !ok || err != nil {
				return nil, nil, fmt.Errorf("read attempt %s of %s: %w", name, key, errors.Join(err, errUnreadable))
			}
			epochs, attempts = append(epochs, epoch), append(attempts, attempt)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return epochs, attempts, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

var errUnreadable = errors.New("it is not readable")

// Repeat takes a dead request off the list and puts the one that repeats it, in
// one transaction: item is as for request.Accept.
func (s *Store) Repeat(ctx context.Context, old, key string, item request.Attrs) (request.Repeated, error) {
	settle, err := request.Settle.Write(old, nil)
	if err != nil {
		return request.Repeated{}, err
	}
	accept, err := request.Accept.Write(key, item)
	if err != nil {
		return request.Repeated{}, err
	}
	values, err := marshalAll(settle.Values)
	if err != nil {
		return request.Repeated{}, err
	}
	put, err := marshalAll(accept.Item)
	if err != nil {
		return request.Repeated{}, err
	}
	_, err = s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Update: &types.Update{
			TableName: &s.tables.Requests, Key: requestKey(old),
			UpdateExpression: aws.String(settle.Update), ConditionExpression: aws.String(settle.Condition),
			ExpressionAttributeNames: settle.Names, ExpressionAttributeValues: values,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}},
		{Put: &types.Put{
			TableName: &s.tables.Requests, Item: put, ConditionExpression: aws.String(accept.Condition),
			ExpressionAttributeNames: accept.Names,
		}},
	}})
	if err == nil {
		return request.Repeated{OK: true, Found: true}, nil
	}
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) && len(cancelled.CancellationReasons) == 2 {
		was, taken := cancelled.CancellationReasons[0], cancelled.CancellationReasons[1]
		if aws.ToString(was.Code) == conditionFailed {
			return request.Repeated{Found: was.Item != nil, Old: request.Decode(unmarshal(was.Item))}, nil
		}
		if aws.ToString(taken.Code) == conditionFailed {
			return request.Repeated{Found: true, Taken: true}, nil
		}
	}
	return request.Repeated{}, fmt.Errorf("repeat request %s: %w", old, classify(err))
}
