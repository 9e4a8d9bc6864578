package dynamodb

import (
	"context"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Limits of the batches.
const (
	maxBatchGet      = 100
	maxBatchWrite    = 25
	maxBatchGetBytes = 16 << 20
)

type keysAndAttributes struct {
	Keys                     []item
	ConsistentRead           bool              `json:",omitempty"`
	ProjectionExpression     *string           `json:",omitempty"`
	ExpressionAttributeNames map[string]string `json:",omitempty"`
	AttributesToGet          []string          `json:",omitempty"`
}

type batchGetInput struct {
	RequestItems           map[string]keysAndAttributes
	ReturnConsumedCapacity string
}

type batchGetOutput struct {
	Responses        map[string][]item
	UnprocessedKeys  map[string]keysAndAttributes
	ConsumedCapacity []*consumedCapacity `json:",omitempty"`
}

func (s *Service) batchGetItem(ctx context.Context, in *batchGetInput) (any, error) {
	trees, err := s.checkBatchGet(ctx, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range sortedNames(in.RequestItems) {
		t, err := s.lookup(shortName(name))
		if err != nil {
			return nil, err
		}
		if err := t.checkKeys(in.RequestItems[name].Keys); err != nil {
			return nil, err
		}
	}
	out := &batchGetOutput{Responses: map[string][]item{}, UnprocessedKeys: map[string]keysAndAttributes{}}
	bytes := 0
	for _, name := range sortedNames(in.RequestItems) {
		asked := in.RequestItems[name]
		t := s.tables[shortName(name)]
		found, c := []item{}, cost{}
		for i, k := range asked.Keys {
			it := t.get(k)
			if bytes += it.size(); bytes > maxBatchGetBytes {
				rest := asked
				rest.Keys = asked.Keys[i:]
				out.UnprocessedKeys[name] = rest
				break
			}
			c.table += readUnits(it.size(), asked.ConsistentRead)
			if it != nil {
				found = append(found, trees[name].project(it))
			}
		}
		out.Responses[name] = found
		s.count(account.MeterReadUnits, c.total())
		if report := c.report(t.spec.Name, in.ReturnConsumedCapacity); report != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, report)
		}
	}
	return out, nil
}

func (s *Service) checkBatchGet(ctx context.Context, in *batchGetInput) (map[string]*pathTree, error) {
	if len(in.RequestItems) == 0 {
		return nil, emptyBatch("BatchGetItem")
	}
	trees, keys := map[string]*pathTree{}, 0
	for _, name := range sortedNames(in.RequestItems) {
		asked := in.RequestItems[name]
		if err := s.authorizeItems(ctx, "BatchGetItem", shortName(name), asked.Keys...); err != nil {
			return nil, err
		}
		if len(asked.Keys) == 0 {
			return nil, constraint("[]", "requestItems."+name+".member.keys", "have length greater than or equal to 1")
		}
		keys += len(asked.Keys)
		tree, err := projection(asked.ProjectionExpression, asked.ExpressionAttributeNames, asked.AttributesToGet)
		if err != nil {
			return nil, err
		}
		trees[name] = tree
	}
	if keys > maxBatchGet {
		return nil, validation("Too many items requested for the BatchGetItem call")
	}
	return trees, checkCapacityParameter(in.ReturnConsumedCapacity)
}

func emptyBatch(operation string) *Error {
	return validation("The requestItems parameter is required for %s", operation)
}

// checkKeys checks the keys of a batch, which must all differ.
func (t *table) checkKeys(keys []item) error {
	seen := map[string]bool{}
	for _, k := range keys {
		if err := t.checkKey(k); err != nil {
			return err
		}
		id := t.identify(k)
		if seen[id] {
			return validation("Provided list of item keys contains duplicates")
		}
		seen[id] = true
	}
	return nil
}

// identify is a text that only this key has.
func (t *table) identify(it item) string {
	r := t.rowOf(it)
	return numberOf(len(r.hash)).text + ":" + r.hash + r.sort
}

type writeRequest struct {
	PutRequest    *struct{ Item item } `json:",omitempty"`
	DeleteRequest *struct{ Key item }  `json:",omitempty"`
}

type batchWriteInput struct {
	RequestItems                map[string][]writeRequest
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

type batchWriteOutput struct {
	UnprocessedItems map[string][]writeRequest
	ConsumedCapacity []*consumedCapacity `json:",omitempty"`
}

// batchWriteItem checks all members before it does the first, so that a bad
// one leaves no half of a batch behind.
func (s *Service) batchWriteItem(ctx context.Context, in *batchWriteInput) (any, error) {
	if len(in.RequestItems) == 0 {
		return nil, emptyBatch("BatchWriteItem")
	}
	if err := s.checkBatchWrite(ctx, in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	planned := map[string][]*write{}
	for _, name := range sortedNames(in.RequestItems) {
		t, err := s.lookup(shortName(name))
		if err != nil {
			return nil, err
		}
		if planned[name], err = t.batch(in.RequestItems[name]); err != nil {
			return nil, err
		}
	}
	out := &batchWriteOutput{UnprocessedItems: map[string][]writeRequest{}}
	for _, name := range sortedNames(planned) {
		t, sum := s.tables[shortName(name)], cost{}
		for _, w := range planned[name] {
			done, err := s.run(t, w)
			if err != nil {
				return nil, err
			}
			sum.add(done.cost)
		}
		s.count(account.MeterWriteUnits, sum.total())
		if report := sum.report(t.spec.Name, in.ReturnConsumedCapacity); report != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, report)
		}
	}
	return out, nil
}

func (s *Service) checkBatchWrite(ctx context.Context, in *batchWriteInput) error {
	members := 0
	for _, name := range sortedNames(in.RequestItems) {
		if err := s.authorizeItems(ctx, "BatchWriteItem", shortName(name), targets(in.RequestItems[name])...); err != nil {
			return err
		}
		members += len(in.RequestItems[name])
		if len(in.RequestItems[name]) == 0 {
			return constraint("[]", "requestItems."+name+".member", "have length greater than or equal to 1")
		}
		for _, r := range in.RequestItems[name] {
			switch {
			case r.PutRequest != nil && r.DeleteRequest != nil:
				return validation("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
			case r.PutRequest == nil && r.DeleteRequest == nil:
				return validation("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
			}
		}
	}
	if members > maxBatchWrite {
		return validation("Too many items requested for the BatchWriteItem call")
	}
	return checkCapacityParameter(in.ReturnConsumedCapacity)
}

// batch makes checked writes of the requests for one table.
func (t *table) batch(requests []writeRequest) ([]*write, error) {
	var writes []*write
	seen := map[string]bool{}
	for _, r := range requests {
		w := &write{table: t.spec.Name}
		if r.PutRequest != nil {
			w.action, w.item = "PutItem", r.PutRequest.Item
		} else {
			w.action, w.key = "DeleteItem", r.DeleteRequest.Key
		}
		if err := w.check(t); err != nil {
			return nil, err
		}
		id := t.identify(w.target())
		if seen[id] {
			return nil, validation("Provided list of item keys contains duplicates")
		}
		seen[id] = true
		writes = append(writes, w)
	}
	return writes, nil
}

// targets hold the keys of the items that are written.
func targets(requests []writeRequest) (all []item) {
	for _, r := range requests {
		if r.PutRequest != nil {
			all = append(all, r.PutRequest.Item)
		}
		if r.DeleteRequest != nil {
			all = append(all, r.DeleteRequest.Key)
		}
	}
	return all
}

// target holds the key of the item that is written.
func (w *write) target() item {
	if w.key != nil {
		return w.key
	}
	return w.item
}
