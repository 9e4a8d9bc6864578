package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Batch reads up to 100 requests, consistently, by their keys, none of which may
// be there twice. What is not there is not in the map.
func (s *Store) Batch(ctx context.Context, keys []string) (map[string]request.Item, error) {
	found := make(map[string]request.Item, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	want := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	for _, k := range keys {
		want.Keys = append(want.Keys, requestKey(k))
	}
	left := map[string]types.KeysAndAttributes{s.tables.Requests: want}
	// What exceeded the table's throughput comes back, to be asked for again.
	for wait := 50 * time.Millisecond; len(left) > 0; wait *= 2 {
		out, err := s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: left})
		if err != nil {
			return nil, fmt.Errorf("get %d requests: %w", len(keys), classify(err))
		}
		for _, item := range out.Responses[s.tables.Requests] {
			it := request.Decode(unmarshal(item))
			found[it.Key] = it
		}
		if left = out.UnprocessedKeys; len(left) == 0 {
			break
		}
		if wait > time.Second {
			return nil, fmt.Errorf("get %d requests: %d were not processed", len(keys), len(left[s.tables.Requests].Keys))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("get %d requests: %w", len(keys), ctx.Err())
		case <-time.After(wait):
		}
	}
	return found, nil
}

// Owned lists an owner's requests, the newest first, those before a place in the
// list, or from the newest on when it is empty. Fewer than limit are the last.
// The index lags behind the table by a moment.
func (s *Store) Owned(ctx context.Context, owner, before string, limit int) ([]request.Listed, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.tables.Requests, IndexName: aws.String(c.IndexOwner),
		KeyConditionExpression:    aws.String("#o = :o"),
		ExpressionAttributeNames:  map[string]string{"#o": c.AttrOwner},
		ExpressionAttributeValues: map[string]types.AttributeValue{":o": &types.AttributeValueMemberS{Value: owner}},
		ScanIndexForward:          aws.Bool(false),
		Limit:                     aws.Int32(int32(limit)),
	}
	if before != "" {
		*in.KeyConditionExpression += " AND #c < :c"
		in.ExpressionAttributeNames["#c"] = c.AttrCreated
		in.ExpressionAttributeValues[":c"] = &types.AttributeValueMemberS{Value: before}
	}
	out, err := s.db.Query(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("list requests of %s: %w", owner, classify(err))
	}
	all := make([]request.Listed, 0, len(out.Items))
	for _, item := range out.Items {
		a := unmarshal(item)
		key, _ := a[c.AttrPK].(string)
		created, _ := a[c.AttrCreated].(string)
		all = append(all, request.Listed{Key: key, Created: created})
	}
	return all, nil
}

// pageOfPartials is how many batches are read at a time.
const pageOfPartials = 100

// Partials lists the batches of a request's log, consistently, in the order of
// their keys: from the one of that epoch and first on, or from a page on; next
// is nil after the last.
func (s *Store) Partials(ctx context.Context, key string, epoch, first int64, page any) (all []request.Batch, next any, err error) {
	in := s.between(key, keys.Partial(epoch, first), keys.Partials+"~")
	in.Limit = aws.Int32(pageOfPartials)
	in.ExclusiveStartKey, _ = page.(map[string]types.AttributeValue)
	out, err := s.db.Query(ctx, in)
	if err != nil {
		return nil, nil, fmt.Errorf("list partials of %s: %w", key, classify(err))
	}
	if len(out.LastEvaluatedKey) > 0 {
		next = out.LastEvaluatedKey
	}
	return batches(out.Items), next, nil
}

// LastPartial is the last batch of that epoch that begins at number or before;
// found is false for none.
func (s *Store) LastPartial(ctx context.Context, key string, epoch, number int64) (b request.Batch, found bool, err error) {
	in := s.between(key, keys.Partial(epoch, 0), keys.Partial(epoch, number))
	in.Limit, in.ScanIndexForward = aws.Int32(1), aws.Bool(false)
	out, err := s.db.Query(ctx, in)
	if err != nil {
		return b, false, fmt.Errorf("get partials of %s: %w", key, classify(err))
	}
	if all := batches(out.Items); len(all) > 0 {
		return all[0], true, nil
	}
	return b, false, nil
}

func (s *Store) between(key, from, to string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &s.tables.History, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:   aws.String("#p = :p AND #s BETWEEN :from AND :to"),
		ExpressionAttributeNames: map[string]string{"#p": c.AttrPK, "#s": c.AttrSK},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":p":    &types.AttributeValueMemberS{Value: key},
			":from": &types.AttributeValueMemberS{Value: from},
			":to":   &types.AttributeValueMemberS{Value: to},
		},
	}
}

func batches(items []map[string]types.AttributeValue) []request.Batch {
	all := make([]request.Batch, 0, len(items))
	for _, item := range items {
		sk, _ := item[c.AttrSK].(*types.AttributeValueMemberS)
		data, _ := item["data"].(*types.AttributeValueMemberB)
		if sk == nil || data == nil {
			continue
		}
		if epoch, first, ok := keys.ParsePartial(sk.Value); ok {
			all = append(all, request.Batch{Epoch: epoch, First: first, Items: data.Value})
		}
	}
	return all
}
