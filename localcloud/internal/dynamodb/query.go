package dynamodb

import (
	"context"
	"slices"
)

// maxPage is how many bytes a Query or Scan reads, before any filter.
const maxPage = 1 << 20

// readInput is what Query and Scan have in common.
type readInput struct {
	TableName              string
	IndexName              string
	ConsistentRead         bool
	Limit                  *int
	Select                 string
	ExclusiveStartKey      item
	FilterExpression       *string
	ProjectionExpression   *string
	ReturnConsumedCapacity string
	AttributesToGet        []string
	ConditionalOperator    string
	bindings
}

type queryInput struct {
	readInput
	KeyConditions, QueryFilter map[string]comparison
	KeyConditionExpression     *string
	ScanIndexForward           *bool
}

type readOutput struct {
	Items            []item `json:",omitzero"`
	Count            int
	ScannedCount     int
	LastEvaluatedKey item              `json:",omitempty"`
	ConsumedCapacity *consumedCapacity `json:",omitempty"`
}

// source is a table or one of its indexes, as Query and Scan read it.
type source struct {
	table *table
	index *index // nil for the table
	fetch bool   // from the table, what a local index does not hold
}

func (src source) key() key {
	if src.index != nil {
		return src.index.key
	}
	return src.table.key
}

func (src source) rows() *store {
	if src.index != nil {
		return src.index.rows
	}
	return src.table.items
}

// held is what the source holds of an item.
func (src source) held(it item) item {
	if src.index != nil && !src.fetch {
		return src.index.project(it)
	}
	return it
}

// position is the key that a page ends with.
func (src source) position(it item) item {
	out := src.table.key.of(it)
	if src.index != nil {
		for name, v := range src.index.key.of(it) {
			out[name] = v
		}
	}
	return out
}

// rowAt is the place of an ExclusiveStartKey. The item may be gone.
func (src source) rowAt(start item) (*row, error) {
	names := src.table.key.names()
	if src.index != nil {
		names = append(slices.Clone(names), src.index.key.names()...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	bad := validation("The provided starting key is invalid")
	if len(names) != len(start) {
		return nil, bad
	}
	for _, name := range names {
		v, ok := start[name]
		want := src.table.key.kindOf(name)
		if want == "" {
			want = src.index.key.kindOf(name)
		}
		if !ok || v.kind != want {
			return nil, validation("The provided starting key is invalid: The provided key element does not match the schema")
		}
	}
	if src.index != nil {
		return src.index.rowOf(src.table, start), nil
	}
	return src.table.rowOf(start), nil
}

// reading is a checked Query or Scan.
type reading struct {
	filter *condition
	tree   *pathTree
	limit  int
	count  bool // only the count is asked for
	strong bool
	legacy bool // the filter is a QueryFilter
}

func (in *readInput) check() error {
	if err := firstError(
		checkTableName(shortName(in.TableName)),
		oneOf("select", in.Select, "SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"),
		checkCapacityParameter(in.ReturnConsumedCapacity),
	); err != nil {
		return err
	}
	if in.Limit != nil && *in.Limit < 1 {
		return constraint(numberOf(*in.Limit).text, "limit", "have value greater than or equal to 1")
	}
	switch {
	case in.AttributesToGet != nil && in.Select != "" && in.Select != "SPECIFIC_ATTRIBUTES":
		return validation("Cannot specify the AttributesToGet when choosing to get %s", selected(in.Select))
	case in.ProjectionExpression != nil && in.Select != "" && in.Select != "SPECIFIC_ATTRIBUTES":
		return validation("Cannot specify the ProjectionExpression when choosing to get %s", selected(in.Select))
	case in.Select == "SPECIFIC_ATTRIBUTES" && in.ProjectionExpression == nil && in.AttributesToGet == nil:
		return validation("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case in.Select == "ALL_PROJECTED_ATTRIBUTES" && in.IndexName == "":
		return validation("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	}
	return nil
}

// selected is how messages call a Select.
func selected(name string) string {
	if name == "COUNT" {
		return "only the Count"
	}
	return name
}

// legacy refuses expressions beside the parameters that they replaced.
func (in *readInput) legacy(filter given, others []given, expressions ...given) error {
	old := append([]given{
		{"AttributesToGet", in.AttributesToGet != nil}, filter, {"ConditionalOperator", in.ConditionalOperator != ""},
	}, others...)
	return notBoth(old, append([]given{
		{"ProjectionExpression", in.ProjectionExpression != nil}, {"FilterExpression", in.FilterExpression != nil},
	}, expressions...)...)
}

// prepare parses the filter and the projection. old is the parameter that the
// filter replaced.
func (in *readInput) prepare(sc *scope, name string, old map[string]comparison) (*reading, error) {
	r := &reading{limit: 1 << 62, count: in.Select == "COUNT", strong: in.ConsistentRead}
	if in.Limit != nil {
		r.limit = *in.Limit
	}
	var err error
	if r.filter, err = parseCondition("FilterExpression", in.FilterExpression, sc); err != nil {
		return nil, err
	}
	if in.FilterExpression == nil {
		r.legacy = true
		if r.filter, err = legacyFilter(name, old, in.ConditionalOperator); err != nil {
			return nil, err
		}
	}
	if r.tree, err = attributesToGet(in.AttributesToGet); err != nil {
		return nil, err
	}
	if in.ProjectionExpression != nil {
		if r.tree, err = parseProjection(*in.ProjectionExpression, sc); err != nil {
			return nil, err
		}
	}
	return r, sc.unused()
}

// source finds the table and index.
func (s *Service) source(in *readInput) (source, error) {
	t, err := s.lookup(shortName(in.TableName))
	if err != nil || in.IndexName == "" {
		return source{table: t}, err
	}
	src := source{table: t, index: t.index(in.IndexName)}
	switch {
	case src.index == nil:
		return src, validation("The table does not have the specified index: %s", in.IndexName)
	case src.index.spec.Local:
		return src, nil
	case in.ConsistentRead:
		return src, validation("Consistent reads are not supported on global secondary indexes")
	case in.Select == "ALL_ATTRIBUTES" && src.index.keep != nil:
		return src, invalidParameter("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", in.IndexName)
	}
	return src, nil
}

// fetches is true when a local index lacks attributes that are asked for: the
// table is read too (DynamoDB guide, LSI: fetches).
func (in *readInput) fetches(src source, r *reading) bool {
	if src.index == nil || !src.index.spec.Local || src.index.keep == nil || r.count {
		return false
	}
	if r.tree == nil {
		return in.Select == "ALL_ATTRIBUTES"
	}
	for name := range r.tree.names {
		if !src.index.keep[name] {
			return true
		}
	}
	return false
}

func (s *Service) query(ctx context.Context, in *queryInput) (any, error) {
	sc, terms, mistake := in.read()
	if err := s.authorizeQuery(ctx, in, terms); err != nil {
		return nil, err
	}
	if mistake != nil { // only who may ask is told
		return nil, mistake
	}
	r, err := in.prepare(sc, "queryFilter", in.QueryFilter)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src, err := s.source(&in.readInput)
	if err != nil {
		return nil, err
	}
	src.fetch = in.fetches(src, r)
	rows, err := in.rows(src, terms, r)
	if err != nil {
		return nil, err
	}
	return s.page(src, &in.readInput, r, rows), nil
}

// read parses the key condition.
func (in *queryInput) read() (*scope, []keyTerm, error) {
	if err := firstError(in.check(), in.mixed()); err != nil {
		return nil, nil, err
	}
	sc, err := in.bindings.scope(in.ProjectionExpression,
		expression{"FilterExpression", in.FilterExpression}, expression{"KeyConditionExpression", in.KeyConditionExpression})
	if err != nil {
		return nil, nil, err
	}
	terms, err := in.terms(sc)
	return sc, terms, err
}

// mixed refuses expressions beside what they replaced. KeyConditions may stand
// beside expressions other than its own.
func (in *queryInput) mixed() error {
	keyed := in.KeyConditionExpression != nil
	return in.legacy(given{"QueryFilter", in.QueryFilter != nil},
		[]given{{"KeyConditions", keyed && in.KeyConditions != nil}}, given{"KeyConditionExpression", keyed})
}

// terms are the key condition, in whichever form it is given.
func (in *queryInput) terms(sc *scope) ([]keyTerm, error) {
	switch {
	case in.KeyConditionExpression != nil:
		return parseKeyCondition(*in.KeyConditionExpression, sc)
	case in.KeyConditions != nil:
		return legacyKeyCondition(in.KeyConditions)
	}
	return nil, validation("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
}

// rows are the rows that the key condition selects, from the start key on and
// in the direction asked for.
func (in *queryInput) rows(src source, terms []keyTerm, r *reading) ([]*row, error) {
	k := src.key()
	want, err := k.bind(terms)
	if err != nil {
		return nil, err
	}
	if err := noKeys(r, k); err != nil {
		return nil, err
	}
	var rows []*row
	if p := src.rows().parts[want.hash.text]; p != nil {
		from, to := want.span(p.rows)
		rows = p.rows[from:to]
	}
	backward := in.ScanIndexForward != nil && !*in.ScanIndexForward
	if in.ExclusiveStartKey != nil {
		start, err := src.rowAt(in.ExclusiveStartKey)
		if err != nil {
			return nil, err
		}
		if start.hash != want.hash.text {
			return nil, validation("The provided starting key is outside query boundaries based on provided conditions")
		}
		i, found := slices.BinarySearchFunc(rows, start, (*row).compare)
		if backward {
			rows = rows[:i]
		} else {
			if found {
				i++
			}
			rows = rows[i:]
		}
	}
	if backward {
		rows = slices.Clone(rows)
		slices.Reverse(rows)
	}
	return rows, nil
}

// noKeys refuses a query's filter that names a key attribute.
func noKeys(r *reading, k key) error {
	var bad string
	r.filter.mentions(func(p path) {
		if bad == "" && k.has(p[0].name) {
			bad = p[0].name
		}
	})
	switch {
	case bad != "" && r.legacy:
		return validation("QueryFilter can only contain non-primary key attributes: Primary key attribute: %s", bad)
	case bad != "":
		return validation("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", bad)
	}
	return nil
}
