package dynamodb

import (
	"context"
	"encoding/base64"

	"github.com/streamer-go/streamer/localcloud/internal/iam"
)

// leadingKeys is the condition key that holds the hash keys of the items that a
// call is about; for a query of an index, the index's. A scan has none, so that
// ForAllValues lets it pass, as DynamoDB does (Amazon DynamoDB developer guide,
// "Using IAM policy conditions for fine-grained access control").
const leadingKeys = "dynamodb:LeadingKeys"

// authorizeItems checks one action on items of a table, which it may know by
// their keys alone. An item without a hash key adds nothing: the schema refuses
// it afterwards.
func (s *Service) authorizeItems(ctx context.Context, action, tableName string, items ...item) error {
	var values []string
	if hash := s.hashOf(tableName, ""); hash != "" {
		for _, it := range items {
			if v, ok := it[hash]; ok {
				values = append(values, v.conditionText())
			}
		}
	}
	return s.authorize(withLeading(ctx, values), action, tableName, "")
}

// authorizeQuery checks a query with that key condition.
func (s *Service) authorizeQuery(ctx context.Context, in *queryInput, terms []keyTerm) error {
	name := shortName(in.TableName)
	var values []string
	hash := s.hashOf(name, in.IndexName)
	for _, t := range terms {
		if t.name == hash && t.op == "=" {
			values = append(values, t.values[0].conditionText())
		}
	}
	return s.authorize(withLeading(ctx, values), "Query", name, in.IndexName)
}

func withLeading(ctx context.Context, values []string) context.Context {
	if len(values) == 0 {
		return ctx
	}
	return iam.WithValues(ctx, map[string][]string{leadingKeys: values})
}

// hashOf is the name of the hash key of a table or one of its indexes, "" where
// there is none or nobody asks.
func (s *Service) hashOf(tableName, index string) string {
	if s.options.Authorizer == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[tableName]
	if t == nil {
		return ""
	}
	if index == "" {
		return t.key.hash
	}
	if ix := t.index(index); ix != nil {
		return ix.key.hash
	}
	return ""
}

// conditionText is a key as policies write it.
func (v value) conditionText() string {
	if v.kind == kindBinary {
		return base64.StdEncoding.EncodeToString([]byte(v.text))
	}
	return v.text
}
