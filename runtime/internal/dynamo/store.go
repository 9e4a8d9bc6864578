package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/connect"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// Tables names the tables; a function is given only those it may use.
type Tables struct{ Requests, History, Connections string }

// Store is the three tables.
type Store struct {
	db     *dynamodb.Client
	tables Tables
}

// New makes a store.
func New(db *dynamodb.Client, tables Tables) *Store { return &Store{db: db, tables: tables} }

// Do carries out a transition. The outcome is OK when it happened, also when it
// had happened already and only the reply was lost: then the item shows the
// nonce of this write. Otherwise it holds the item that refused it.
func (s *Store) Do(ctx context.Context, t request.Transition, key string, p request.Attrs) (request.Outcome, error) {
	w, err := t.Write(key, p)
	if err != nil {
		return request.Outcome{}, err
	}
	var got map[string]types.AttributeValue
	if w.Item != nil {
		got, err = s.put(ctx, w)
	} else {
		got, err = s.update(ctx, key, w, t.Before())
	}
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) {
		old := unmarshal(refused.Item)
		out := request.Outcome{Found: old != nil, Item: request.Decode(old)}
		nonce, _ := p[c.AttrBy].(string)
		out.OK = nonce != "" && out.Item.By == nonce
		return out, nil
	}
	if err != nil {
		return request.Outcome{}, fmt.Errorf("%s request %s: %w", t.Name, key, classify(err))
	}
	if !t.Before() {
		return request.Outcome{OK: true, Found: true, Item: request.Decode(unmarshal(got))}, nil
	}
	was := unmarshal(got)
	before := request.Decode(was)
	is, _ := t.Apply(was, key, p) // DynamoDB has done the same
	return request.Outcome{OK: true, Found: true, Item: request.Decode(is), Before: &before}, nil
}

func (s *Store) put(ctx context.Context, w request.Write) (map[string]types.AttributeValue, error) {
	item, err := marshalAll(w.Item)
	if err != nil {
		return nil, err
	}
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.tables.Requests, Item: item,
		ConditionExpression: aws.String(w.Condition), ExpressionAttributeNames: w.Names,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	return item, err
}

func (s *Store) update(ctx context.Context, key string, w request.Write, before bool) (map[string]types.AttributeValue, error) {
	values, err := marshalAll(w.Values)
	if err != nil {
		return nil, err
	}
	which := types.ReturnValueAllNew
	if before {
		which = types.ReturnValueAllOld
	}
	out, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.tables.Requests, Key: requestKey(key),
		UpdateExpression: aws.String(w.Update), ConditionExpression: aws.String(w.Condition),
		ExpressionAttributeNames: w.Names, ExpressionAttributeValues: values,
		ReturnValues:                        which,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// classify marks what will be refused again. The codes are those of
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
func classify(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "AccessDeniedException", "ResourceNotFoundException", "SerializationException", "ValidationException":
			return fmt.Errorf("%w: %w", request.ErrRefused, err)
		}
	}
	return err
}

func requestKey(key string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{c.AttrPK: &types.AttributeValueMemberS{Value: key}}
}

// Get reads a request, consistently; found is false for none.
func (s *Store) Get(ctx context.Context, key string) (it request.Item, found bool, err error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.tables.Requests, Key: requestKey(key), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return it, false, fmt.Errorf("get request %s: %w", key, classify(err))
	}
	return request.Decode(unmarshal(out.Item)), out.Item != nil, nil
}

// Due lists the keys of one shard that are due at or before that time (epoch
// milliseconds), oldest first, from a page on; next is nil after the last.
func (s *Store) Due(ctx context.Context, shard string, before int64, page any) (due []string, next any, err error) {
	in := &dynamodb.QueryInput{
		TableName: &s.tables.Requests, IndexName: aws.String(c.IndexDue),
		KeyConditionExpression:   aws.String("#s = :s AND #d <= :d"),
		ExpressionAttributeNames: map[string]string{"#s": c.AttrDueShard, "#d": c.AttrDueAt},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":s": &types.AttributeValueMemberS{Value: shard},
			":d": &types.AttributeValueMemberN{Value: strconv.FormatInt(before, 10)},
		},
		Limit: aws.Int32(100),
	}
	in.ExclusiveStartKey, _ = page.(map[string]types.AttributeValue)
	out, err := s.db.Query(ctx, in)
	if err != nil {
		return nil, nil, fmt.Errorf("query due shard %s: %w", shard, classify(err))
	}
	for _, item := range out.Items {
		if pk, ok := item[c.AttrPK].(*types.AttributeValueMemberS); ok {
			due = append(due, pk.Value)
		}
	}
	if len(out.LastEvaluatedKey) > 0 {
		next = out.LastEvaluatedKey
	}
	return due, next, nil
}

// PutBlob stores what is too large for the request until expires (seconds).
func (s *Store) PutBlob(ctx context.Context, key, name string, data []byte, expires int64) error {
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.tables.History,
		Item: map[string]types.AttributeValue{
			c.AttrPK: &types.AttributeValueMemberS{Value: key}, c.AttrSK: &types.AttributeValueMemberS{Value: name},
			"data":        &types.AttributeValueMemberB{Value: data},
			c.AttrExpires: &types.AttributeValueMemberN{Value: strconv.FormatInt(expires, 10)},
		},
	})
	if err != nil {
		return fmt.Errorf("put blob %s of %s: %w", name, key, classify(err))
	}
	return nil
}

// GetBlob reads a blob; request.ErrNoBlob when there is none.
func (s *Store) GetBlob(ctx context.Context, key, name string) ([]byte, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.tables.History, ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{
			c.AttrPK: &types.AttributeValueMemberS{Value: key}, c.AttrSK: &types.AttributeValueMemberS{Value: name},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("get blob %s of %s: %w", name, key, classify(err))
	}
	data, ok := out.Item["data"].(*types.AttributeValueMemberB)
	if !ok {
		return nil, fmt.Errorf("get blob %s of %s: %w", name, key, request.ErrNoBlob)
	}
	return data.Value, nil
}

var _ connect.Connections = (*Store)(nil)

// Put stores a connection.
func (s *Store) Put(ctx context.Context, conn connect.Connection) error {
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.tables.Connections,
		Item: map[string]types.AttributeValue{
			c.AttrPK:        &types.AttributeValueMemberS{Value: keys.Owner(conn.Tenant, conn.User)},
			c.AttrSK:        &types.AttributeValueMemberS{Value: keys.Connection(conn.ID)},
			c.AttrCreatedAt: &types.AttributeValueMemberN{Value: strconv.FormatInt(conn.ConnectedAt.UnixMilli(), 10)},
			c.AttrExpires:   &types.AttributeValueMemberN{Value: strconv.FormatInt(conn.ExpiresAt.Unix(), 10)},
		},
	})
	if err != nil {
		return fmt.Errorf("put connection %s: %w", conn.ID, err)
	}
	return nil
}

// Delete removes a connection; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, tenant, user, id string) error {
	_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.tables.Connections,
		Key: map[string]types.AttributeValue{
			c.AttrPK: &types.AttributeValueMemberS{Value: keys.Owner(tenant, user)},
			c.AttrSK: &types.AttributeValueMemberS{Value: keys.Connection(id)},
		},
	})
	if err != nil {
		return fmt.Errorf("delete connection %s: %w", id, err)
	}
	return nil
}
