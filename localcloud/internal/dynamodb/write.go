package dynamodb

import (
	"context"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// writeInput is what PutItem, UpdateItem and DeleteItem have in common.
type writeInput struct {
	TableName                           string
	ConditionExpression                 *string
	ReturnValues                        string
	ReturnValuesOnConditionCheckFailure string
	ReturnConsumedCapacity              string
	ReturnItemCollectionMetrics         string
	Expected                            map[string]comparison
	ConditionalOperator                 string
	bindings
}

type putInput struct {
	writeInput
	Item item
}

type deleteInput struct {
	writeInput
	Key item
}

type updateInput struct {
	writeInput
	Key              item
	UpdateExpression *string
	AttributeUpdates map[string]attributeUpdate
}

type writeOutput struct {
	Attributes       item              `json:",omitempty"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

// write is one checked change of one item, ready to run against its table:
// of a call of its own, of a batch, or of a transaction.
type write struct {
	action    string // PutItem, UpdateItem, DeleteItem or ConditionCheck
	table     string
	key       item // nil for a put
	item      item // of a put
	update    *update
	condition *condition
	returnOld bool // the item, when the condition fails
}

// outcome is what a write did.
type outcome struct {
	old, now item
	cost     cost
}

// prepare parses the expressions of a write.
func (in *writeInput) prepare(w *write, updateText *string) error {
	legacy := []given{{"Expected", in.Expected != nil}, {"ConditionalOperator", in.ConditionalOperator != ""}}
	if err := notBoth(legacy, given{"UpdateExpression", updateText != nil}, given{"ConditionExpression", in.ConditionExpression != nil}); err != nil {
		return err
	}
	expressions := []expression{{"ConditionExpression", in.ConditionExpression}}
	if w.action == "UpdateItem" {
		expressions = append([]expression{{"UpdateExpression", updateText}}, expressions...)
	}
	sc, err := in.bindings.scope(nil, expressions...)
	if err != nil {
		return err
	}
	if w.update == nil {
		if w.update, err = parseUpdate(updateText, sc); err != nil {
			return err
		}
	}
	if w.condition, err = parseCondition("ConditionExpression", in.ConditionExpression, sc); err != nil {
		return err
	}
	if in.ConditionExpression == nil {
		if w.condition, err = legacyFilter("expected", in.Expected, in.ConditionalOperator); err != nil {
			return err
		}
	}
	w.table = shortName(in.TableName)
	w.returnOld = in.ReturnValuesOnConditionCheckFailure == "ALL_OLD"
	return sc.unused()
}

func (in *writeInput) check(returnValues ...string) error {
	if err := firstError(
		checkTableName(shortName(in.TableName)),
		oneOf("returnValues", in.ReturnValues, "ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"),
		oneOf("returnValuesOnConditionCheckFailure", in.ReturnValuesOnConditionCheckFailure, "ALL_OLD", "NONE"),
		oneOf("returnItemCollectionMetrics", in.ReturnItemCollectionMetrics, "SIZE", "NONE"),
		checkCapacityParameter(in.ReturnConsumedCapacity),
	); err != nil {
		return err
	}
	if oneOf("", in.ReturnValues, returnValues...) != nil {
		return validation("Return values set to invalid value")
	}
	return nil
}

func (s *Service) putItem(ctx context.Context, in *putInput) (any, error) {
	w := &write{action: "PutItem", item: in.Item}
	if in.Item == nil {
		return nil, constraint("null", "item", "not be null")
	}
	return s.writeOne(ctx, &in.writeInput, w, nil, "NONE", "ALL_OLD")
}

func (s *Service) deleteItem(ctx context.Context, in *deleteInput) (any, error) {
	w := &write{action: "DeleteItem", key: in.Key}
	if in.Key == nil {
		return nil, constraint("null", "key", "not be null")
	}
	return s.writeOne(ctx, &in.writeInput, w, nil, "NONE", "ALL_OLD")
}

func (s *Service) updateItem(ctx context.Context, in *updateInput) (any, error) {
	w := &write{action: "UpdateItem", key: in.Key}
	if in.Key == nil {
		return nil, constraint("null", "key", "not be null")
	}
	if in.AttributeUpdates != nil && in.UpdateExpression == nil {
		var err error
		if w.update, err = legacyUpdate(in.AttributeUpdates); err != nil {
			return nil, err
		}
	}
	if err := notBoth([]given{{"AttributeUpdates", in.AttributeUpdates != nil}}, given{"UpdateExpression", in.UpdateExpression != nil},
		given{"ConditionExpression", in.ConditionExpression != nil}); err != nil {
		return nil, err
	}
	return s.writeOne(ctx, &in.writeInput, w, in.UpdateExpression, "NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
}

func (s *Service) writeOne(ctx context.Context, in *writeInput, w *write, updateText *string, returnValues ...string) (any, error) {
	if err := s.authorizeItems(ctx, w.action, shortName(in.TableName), w.target()); err != nil {
		return nil, err
	}
	if err := in.check(returnValues...); err != nil {
		return nil, err
	}
	if err := in.prepare(w, updateText); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.lookup(w.table)
	if err != nil {
		return nil, err
	}
	if err := w.check(t); err != nil {
		return nil, err
	}
	done, err := s.run(t, w)
	s.count(account.MeterWriteUnits, done.cost.total())
	if err != nil {
		return nil, err
	}
	return &writeOutput{
		Attributes:       w.returned(in.ReturnValues, done),
		ConsumedCapacity: done.cost.report(w.table, in.ReturnConsumedCapacity),
	}, nil
}

// returned is the part of the item that ReturnValues asks for.
func (w *write) returned(asked string, done outcome) item {
	switch asked {
	case "ALL_OLD":
		return done.old
	case "ALL_NEW":
		return done.now
	case "UPDATED_OLD":
		return newPathTree(w.update.paths()).pick(done.old)
	case "UPDATED_NEW":
		return newPathTree(w.update.paths()).pick(done.now)
	}
	return nil
}

// check is what DynamoDB checks against the schema before it reads the item.
func (w *write) check(t *table) error {
	if w.key == nil {
		return t.checkItem(w.item)
	}
	if err := t.checkKey(w.key); err != nil {
		return err
	}
	if w.update == nil {
		return nil
	}
	for _, a := range w.update.actions {
		if t.key.has(a.path[0].name) {
			return invalidParameter("Cannot update attribute %s. This attribute is part of the key", a.path[0].name)
		}
	}
	return nil
}

// plan evaluates a checked write without doing it. The cost is set even when
// the condition fails, for AWS bills that too.
func (w *write) plan(t *table) (outcome, error) {
	var done outcome
	if w.key != nil {
		done.old = t.get(w.key)
	} else {
		done.old = t.get(w.item)
	}
	done.cost = cost{write: true, table: writeUnits(done.old.size())}
	if !w.condition.holds(done.old) {
		err := conditionFailed()
		if w.returnOld && done.old != nil {
			err.item = done.old
		}
		return done, err
	}
	var err error
	switch w.action {
	case "PutItem":
		done.now = w.item
	case "UpdateItem":
		done.now, err = w.updated(t, done.old)
	case "ConditionCheck":
		done.now = done.old
	}
	if err != nil {
		return done, err
	}
	done.cost.table = writeUnits(max(done.old.size(), done.now.size()))
	return done, nil
}

func (w *write) updated(t *table, old item) (item, error) {
	from := old
	if from == nil {
		from = w.key
	}
	now, err := w.update.apply(from)
	if err != nil {
		return nil, err
	}
	if now.size() > maxItem {
		return nil, validation("Item size to update has exceeded the maximum allowed size")
	}
	return now, w.checkUpdatedIndexKeys(t, now)
}

// checkUpdatedIndexKeys is checkIndexKeys with the texts of an update.
func (w *write) checkUpdatedIndexKeys(t *table, now item) error {
	for _, ix := range t.indexes {
		for _, name := range ix.key.names() {
			v, ok := now[name]
			switch {
			case !ok:
			case v.kind != ix.key.kindOf(name):
				return validation("The update expression attempted to update the secondary index key to unsupported type")
			case v.kind != kindNumber && v.text == "":
				return validation("One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. "+
					"The AttributeValue for a key attribute cannot contain an empty %s value.", v.kind.word())
			}
		}
	}
	return nil
}

// run plans and does a write.
func (s *Service) run(t *table, w *write) (outcome, error) {
	done, err := w.plan(t)
	if err != nil {
		return done, err
	}
	s.commit(t, &done, nil)
	return done, nil
}

// commit stores what a write planned, in the table, its indexes, its stream
// and its timer. What changes nothing leaves no trace.
func (s *Service) commit(t *table, done *outcome, by *identity) {
	if done.old == nil && done.now == nil || done.old != nil && done.now != nil && done.old.equal(done.now) {
		return
	}
	for name, units := range t.apply(done.old, done.now) {
		done.cost.addIndex(name, units)
	}
	if t.stream != nil {
		t.stream.append(t.key, done.old, done.now, by)
	}
	s.watchExpiry(t, done.old, done.now)
}
