package dynamodb

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// Limits of transactions.
const (
	maxTransaction      = 100
	maxTransactionBytes = 4 << 20
	tokenLife           = 10 * time.Minute
)

// replay is what is remembered of a transaction with a token.
type replay struct {
	payload [sha256.Size]byte
	at      time.Time
	reads   costs // what looking up its items again costs
}

type transactMember struct {
	writeInput
	Key              item
	Item             item
	UpdateExpression *string
}

type transactItem struct {
	ConditionCheck, Put, Update, Delete *transactMember
}

type transactInput struct {
	TransactItems               []transactItem
	ClientRequestToken          string
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

type transactOutput struct {
	ConsumedCapacity []*consumedCapacity `json:",omitempty"`
}

// member is the one action of an item of the transaction, with its name.
func (ti transactItem) member() (*transactMember, string, error) {
	var found *transactMember
	var action string
	n := 0
	for name, m := range map[string]*transactMember{
		"ConditionCheck": ti.ConditionCheck, "PutItem": ti.Put, "UpdateItem": ti.Update, "DeleteItem": ti.Delete,
	} {
		if m != nil {
			found, action = m, name
			n++
		}
	}
	if n != 1 {
		return nil, "", validation("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	return found, action, nil
}

// permission is the action that IAM knows a member by.
func permission(action string) string {
	if action == "ConditionCheck" {
		return "ConditionCheckItem"
	}
	return action
}

func (s *Service) transactWriteItems(ctx context.Context, in *transactInput) (any, error) {
	if n := len(in.TransactItems); n == 0 || n > maxTransaction {
		return nil, constraint(numberOf(n).text, "transactItems", "have length less than or equal to 100, and greater than or equal to 1")
	}
	writes := make([]*write, len(in.TransactItems))
	for i, ti := range in.TransactItems {
		m, action, err := ti.member()
		if err != nil {
			return nil, err
		}
		if err := s.authorizeItems(ctx, permission(action), shortName(m.TableName), m.target(action)); err != nil {
			return nil, err
		}
		if writes[i], err = m.write(action); err != nil {
			return nil, err
		}
	}
	payload, err := json.Marshal(in.TransactItems)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known, err := s.replayed(in.ClientRequestToken, sha256.Sum256(payload))
	if err != nil {
		return nil, err
	}
	if known != nil {
		s.countReads(known)
		return known.output(in.ReturnConsumedCapacity), nil
	}
	out, err := s.transact(in, writes)
	if err != nil {
		return nil, err
	}
	if in.ClientRequestToken != "" {
		s.tokens[in.ClientRequestToken] = replay{sha256.Sum256(payload), time.Now(), s.lookUps(writes)}
		s.tokenAges = append(s.tokenAges, in.ClientRequestToken)
	}
	return out, nil
}

// target holds the key of the item that a member is about.
func (m *transactMember) target(action string) item {
	if action == "PutItem" {
		return m.Item
	}
	return m.Key
}

// write parses a member.
func (m *transactMember) write(action string) (*write, error) {
	w := &write{action: action, key: m.Key}
	switch {
	case action == "PutItem":
		w.key, w.item = nil, m.Item
		if m.Item == nil {
			return nil, constraint("null", "transactItems.1.member.put.item", "not be null")
		}
	case m.Key == nil:
		return nil, constraint("null", "transactItems.1.member.key", "not be null")
	case action == "ConditionCheck" && m.ConditionExpression == nil:
		return nil, constraint("null", "transactItems.1.member.conditionCheck.conditionExpression", "not be null")
	case action == "UpdateItem" && m.UpdateExpression == nil:
		return nil, constraint("null", "transactItems.1.member.update.updateExpression", "not be null")
	}
	if err := m.writeInput.check("NONE", "ALL_OLD"); err != nil {
		return nil, err
	}
	text := m.UpdateExpression
	if action != "UpdateItem" {
		text = nil
	}
	if err := m.prepare(w, text); err != nil {
		return nil, err
	}
	if action != "UpdateItem" {
		w.update = nil
	}
	return w, nil
}

// lookUps are the reads that repeating a transaction costs: its items are read
// and not written again (DynamoDB API, TransactWriteItems: ClientRequestToken).
func (s *Service) lookUps(writes []*write) costs {
	all := costs{}
	for _, w := range writes {
		if all[w.table] == nil {
			all[w.table] = &cost{twice: true}
		}
		all[w.table].table += 2 * readUnits(s.tables[w.table].get(w.target()).size(), true)
	}
	return all
}

func (s *Service) countReads(all costs) {
	for _, c := range all {
		s.count(account.MeterReadUnits, c.total())
	}
}

// replayed is what an earlier transaction with the same token costs now; nil
// when there was none.
func (s *Service) replayed(token string, payload [sha256.Size]byte) (costs, error) {
	for len(s.tokenAges) > 0 && time.Since(s.tokens[s.tokenAges[0]].at) > tokenLife {
		delete(s.tokens, s.tokenAges[0])
		s.tokenAges = s.tokenAges[1:]
	}
	r, ok := s.tokens[token]
	if token == "" || !ok {
		return nil, nil
	}
	if r.payload != payload {
		return nil, refuse("IdempotentParameterMismatchException", "The request uses the same client token as a previous, but non-identical request. Do not reuse a client token with different requests, unless the requests are identical")
	}
	return r.reads, nil
}

// transact plans all members and does them only when none is refused.
func (s *Service) transact(in *transactInput, writes []*write) (*transactOutput, error) {
	if err := s.checkTransaction(writes); err != nil {
		return nil, err
	}
	outcomes, reasons := make([]outcome, len(writes)), make([]reason, len(writes))
	failed, bytes := false, 0
	for i, w := range writes {
		t := s.tables[w.table]
		err := w.check(t)
		if err == nil {
			outcomes[i], err = w.plan(t)
		}
		reasons[i] = reasonOf(err)
		failed = failed || err != nil
		if w.action != "ConditionCheck" {
			bytes += max(outcomes[i].old.size(), outcomes[i].now.size())
		}
	}
	if failed {
		s.countTransaction(writes, outcomes)
		return nil, cancelled(reasons)
	}
	if bytes > maxTransactionBytes {
		return nil, validation("Collection size exceeds the limit of 4 MB in a transaction")
	}
	for i, w := range writes {
		if w.action != "ConditionCheck" {
			s.commit(s.tables[w.table], &outcomes[i], nil)
		}
	}
	return s.countTransaction(writes, outcomes).output(in.ReturnConsumedCapacity), nil
}

// checkTransaction finds the tables and refuses what is wrong at once and not
// a reason of a cancellation: an empty key, an item that occurs twice.
func (s *Service) checkTransaction(writes []*write) error {
	seen := map[string]bool{}
	for _, w := range writes {
		t, err := s.lookup(w.table)
		if err != nil {
			return err
		}
		target := w.target()
		whole := true
		for _, name := range t.key.names() {
			if v, ok := target[name]; !ok || v.kind != t.key.kindOf(name) {
				whole = false
			}
		}
		if !whole {
			continue
		}
		if err := t.key.checkSizes(target); err != nil {
			return err
		}
		id := w.table + "/" + t.identify(target)
		if seen[id] {
			return validation("Transaction request cannot include multiple operations on one item")
		}
		seen[id] = true
	}
	return nil
}

func reasonOf(err error) reason {
	if err == nil {
		return reason{Code: "None"}
	}
	e := asError(err)
	code := strings.TrimSuffix(e.Code, "Exception")
	if code == "Validation" {
		code = "ValidationError"
	}
	if code == "ConditionalCheckFailed" {
		return reason{code, e.Message, e.item}
	}
	return reason{Code: code, Message: e.Message}
}

func cancelled(reasons []reason) *Error {
	codes := make([]string, len(reasons))
	for i, r := range reasons {
		codes[i] = r.Code
	}
	e := refuse("TransactionCanceledException",
		"Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", "))
	e.reasons = reasons
	return e
}

// costs are the costs of a transaction by table.
type costs map[string]*cost

// countTransaction adds up and meters: everything costs twice.
func (s *Service) countTransaction(writes []*write, outcomes []outcome) costs {
	all := costs{}
	for i, w := range writes {
		c := outcomes[i].cost
		c.twice = true
		c.table *= 2
		for name := range c.indexes {
			c.indexes[name] *= 2
		}
		if all[w.table] == nil {
			all[w.table] = &cost{}
		}
		all[w.table].add(c)
		s.count(account.MeterWriteUnits, c.total())
	}
	return all
}

func (all costs) output(asked string) *transactOutput {
	out := &transactOutput{}
	for _, name := range sortedNames(all) {
		if report := all[name].report(name, asked); report != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, report)
		}
	}
	return out
}

type transactGetInput struct {
	TransactItems          []struct{ Get *getInput }
	ReturnConsumedCapacity string
}

type transactGetOutput struct {
	Responses        []getOutput
	ConsumedCapacity []*consumedCapacity `json:",omitempty"`
}

func (s *Service) transactGetItems(ctx context.Context, in *transactGetInput) (any, error) {
	trees, err := s.checkTransactGet(ctx, in)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	out, all := &transactGetOutput{}, costs{}
	reasons, failed := make([]reason, len(in.TransactItems)), false
	for i, ti := range in.TransactItems {
		name := shortName(ti.Get.TableName)
		t, err := s.lookup(name)
		if err != nil {
			return nil, err
		}
		err = t.checkKey(ti.Get.Key)
		reasons[i] = reasonOf(err)
		if err != nil {
			failed = true
			continue
		}
		id := name + "/" + t.identify(ti.Get.Key)
		if seen[id] {
			return nil, validation("Transaction request cannot include multiple operations on one item")
		}
		seen[id] = true
		it := t.get(ti.Get.Key)
		if all[name] == nil {
			all[name] = &cost{twice: true}
		}
		all[name].table += 2 * readUnits(it.size(), true)
		out.Responses = append(out.Responses, getOutput{Item: trees[i].project(it)})
	}
	if failed {
		return nil, cancelled(reasons)
	}
	s.countReads(all)
	out.ConsumedCapacity = all.output(in.ReturnConsumedCapacity).ConsumedCapacity
	return out, nil
}

func (s *Service) checkTransactGet(ctx context.Context, in *transactGetInput) ([]*pathTree, error) {
	if n := len(in.TransactItems); n == 0 || n > maxTransaction {
		return nil, constraint(numberOf(n).text, "transactItems", "have length less than or equal to 100, and greater than or equal to 1")
	}
	trees := make([]*pathTree, len(in.TransactItems))
	for i, ti := range in.TransactItems {
		if ti.Get == nil || ti.Get.Key == nil {
			return nil, constraint("null", "transactItems.1.member.get", "not be null")
		}
		if err := s.authorizeItems(ctx, "GetItem", shortName(ti.Get.TableName), ti.Get.Key); err != nil {
			return nil, err
		}
		var err error
		if trees[i], err = projection(ti.Get.ProjectionExpression, ti.Get.ExpressionAttributeNames, nil); err != nil {
			return nil, err
		}
	}
	return trees, checkCapacityParameter(in.ReturnConsumedCapacity)
}
