package dynamo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

func slotKey(tenant string, n int) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{c.AttrPK: text(keys.Slots(tenant)), c.AttrSK: text(fmt.Sprintf("%05d", n))}
}

// Slots lists the slots of a tenant, as keys.Tenant returns it, that somebody
// has, also those that are past.
func (s *Store) Slots(ctx context.Context, tenant string) (all []request.Slot, err error) {
	in := &dynamodb.QueryInput{
		TableName: &s.tables.Connections, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("#p = :p"),
		ExpressionAttributeNames:  map[string]string{"#p": c.AttrPK},
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": text(keys.Slots(tenant))},
	}
	for {
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list slots of %s: %w", tenant, classify(err))
		}
		for _, item := range out.Items {
			a := unmarshal(item)
			sk, _ := a[c.AttrSK].(string)
			n, err := strconv.Atoi(sk)
			if err != nil {
				return nil, fmt.Errorf("list slots of %s: %q is no number", tenant, sk)
			}
			slot := request.Slot{Number: n}
			slot.Holder, _ = a[c.AttrHolder].(string)
			slot.Epoch, _ = a[c.AttrEpoch].(int64)
			slot.Until, _ = a[c.AttrExpires].(int64)
			all = append(all, slot)
		}
		if len(out.LastEvaluatedKey) == 0 {
			return all, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// TakeSlot gives the slot to its new holder when nobody has it, it is past, it
// is the holder's own from an earlier epoch, or from has it, for no later epoch:
// then the slot is handed on. It returns false when somebody else has it.
//
// That a condition reads a clock here is no danger: see request.Slot.
func (s *Store) TakeSlot(ctx context.Context, tenant string, slot, from request.Slot, now time.Time) (bool, error) {
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.tables.Connections, Key: slotKey(tenant, slot.Number),
		UpdateExpression:         aws.String("SET #h = :h, #e = :e, #x = :x"),
		ConditionExpression:      aws.String("attribute_not_exists(#h) OR #x < :now OR (#h = :h AND #e <= :e) OR (#h = :f AND #e <= :fe)"),
		ExpressionAttributeNames: map[string]string{"#h": c.AttrHolder, "#e": c.AttrEpoch, "#x": c.AttrExpires},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":h": text(slot.Holder), ":e": number(slot.Epoch), ":x": number(slot.Until), ":now": seconds(now),
			":f": text(from.Holder), ":fe": number(from.Epoch),
		},
	})
	return held(fmt.Sprintf("take slot %d of %s for %s", slot.Number, tenant, slot.Holder), err)
}

// FreeSlot gives a slot back that its holder has for an epoch up to the slot's;
// one that somebody else has is left alone.
func (s *Store) FreeSlot(ctx context.Context, tenant string, slot request.Slot) error {
	_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &s.tables.Connections, Key: slotKey(tenant, slot.Number),
		ConditionExpression:      aws.String("#h = :h AND #e <= :e"),
		ExpressionAttributeNames: map[string]string{"#h": c.AttrHolder, "#e": c.AttrEpoch},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":h": text(slot.Holder), ":e": number(slot.Epoch),
		},
	})
	_, err = held(fmt.Sprintf("free slot %d of %s", slot.Number, tenant), err)
	return err
}

// Waiting lists the keys of the requests that wait for their tenant, the oldest
// first, at most so many. The index is behind the table by a moment.
func (s *Store) Waiting(ctx context.Context, tenant string, most int) (waiting []string, err error) {
	out, err := s.db.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.tables.Requests, IndexName: aws.String(c.IndexLane), Limit: aws.Int32(int32(most)),
		KeyConditionExpression:    aws.String("#l = :l"),
		ExpressionAttributeNames:  map[string]string{"#l": c.AttrLane},
		ExpressionAttributeValues: map[string]types.AttributeValue{":l": text(keys.Waiting(tenant))},
	})
	if err != nil {
		return nil, fmt.Errorf("list what waits for %s: %w", tenant, classify(err))
	}
	for _, item := range out.Items {
		if key, ok := item[c.AttrPK].(*types.AttributeValueMemberS); ok {
			waiting = append(waiting, key.Value)
		}
	}
	return waiting, nil
}
