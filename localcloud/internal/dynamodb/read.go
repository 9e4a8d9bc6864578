package dynamodb

import (
	"context"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

type getInput struct {
	TableName                string
	Key                      item
	ConsistentRead           bool
	ProjectionExpression     *string
	AttributesToGet          []string
	ReturnConsumedCapacity   string
	ExpressionAttributeNames map[string]string
}

type getOutput struct {
	Item             item              `json:",omitempty"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

// projection parses an optional ProjectionExpression that is the only
// expression of its request, or the list of names that it replaced.
func projection(text *string, names map[string]string, legacy []string) (*pathTree, error) {
	if err := notBoth([]given{{"AttributesToGet", legacy != nil}}, given{"ProjectionExpression", text != nil}); err != nil {
		return nil, err
	}
	if legacy != nil && names == nil {
		return attributesToGet(legacy)
	}
	sc, err := bindings{ExpressionAttributeNames: names}.scope(text)
	if err != nil || text == nil {
		return nil, err
	}
	tree, err := parseProjection(*text, sc)
	if err != nil {
		return nil, err
	}
	return tree, sc.unused()
}

// project is the part of an item that is asked for; a nil tree asks for all.
func (t *pathTree) project(it item) item {
	if t == nil || it == nil {
		return it
	}
	return t.pick(it)
}

func (s *Service) getItem(ctx context.Context, in *getInput) (any, error) {
	name := shortName(in.TableName)
	if err := s.authorizeItems(ctx, "GetItem", name, in.Key); err != nil {
		return nil, err
	}
	if err := firstError(checkTableName(name), checkCapacityParameter(in.ReturnConsumedCapacity)); err != nil {
		return nil, err
	}
	if in.Key == nil {
		return nil, constraint("null", "key", "not be null")
	}
	tree, err := projection(in.ProjectionExpression, in.ExpressionAttributeNames, in.AttributesToGet)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	if err := t.checkKey(in.Key); err != nil {
		return nil, err
	}
	it := t.get(in.Key)
	c := cost{table: readUnits(it.size(), in.ConsistentRead)}
	s.count(account.MeterReadUnits, c.total())
	return &getOutput{tree.project(it), c.report(name, in.ReturnConsumedCapacity)}, nil
}
