package dynamodb

import (
	"context"
	"slices"
	"strings"
)

type tableInput struct{ TableName string }

type keyElement struct{ AttributeName, KeyType string }

type attributeDefinition struct{ AttributeName, AttributeType string }

type projectionOutput struct {
	ProjectionType   string   `json:",omitempty"`
	NonKeyAttributes []string `json:",omitempty"`
}

type indexInput struct {
	IndexName             string
	KeySchema             []keyElement
	Projection            projectionOutput
	ProvisionedThroughput *throughput
}

type streamSpecification struct {
	StreamEnabled  bool
	StreamViewType string `json:",omitempty"`
}

type createInput struct {
	TableName                 string
	AttributeDefinitions      []attributeDefinition
	KeySchema                 []keyElement
	GlobalSecondaryIndexes    []indexInput
	LocalSecondaryIndexes     []indexInput
	StreamSpecification       *streamSpecification
	DeletionProtectionEnabled bool
	BillingMode               string
	ProvisionedThroughput     *throughput
	TableClass                string
	Tags                      []tag
}

func (k key) schema() []keyElement {
	out := []keyElement{{k.hash, "HASH"}}
	if k.sort != "" {
		out = append(out, keyElement{k.sort, "RANGE"})
	}
	return out
}

// keyNames takes the names out of a key schema.
func keyNames(schema []keyElement) (hash, sort string, err error) {
	for i, e := range schema {
		switch {
		case i == 0 && e.KeyType == "HASH":
			hash = e.AttributeName
		case i == 1 && e.KeyType == "RANGE":
			sort = e.AttributeName
		case i == 0:
			return "", "", validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
		default:
			return "", "", validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
		}
	}
	if hash == "" {
		return "", "", constraint("null", "keySchema", "not be null")
	}
	return hash, sort, nil
}

// types looks up attribute definitions and remembers which were used.
type types struct {
	defined map[string]string
	used    map[string]bool
}

func newTypes(definitions []attributeDefinition) *types {
	t := &types{map[string]string{}, map[string]bool{}}
	for _, d := range definitions {
		t.defined[d.AttributeName] = d.AttributeType
	}
	return t
}

func (t *types) of(names ...string) error {
	for _, name := range names {
		if name == "" {
			continue
		}
		if t.defined[name] == "" {
			return invalidParameter("Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]",
				name, strings.Join(sortedNames(t.defined), ", "))
		}
		t.used[name] = true
	}
	return nil
}

func (in indexInput) spec(t *types) (IndexSpec, error) {
	hash, sort, err := keyNames(in.KeySchema)
	if err != nil {
		return IndexSpec{}, err
	}
	if err := t.of(hash, sort); err != nil {
		return IndexSpec{}, err
	}
	if in.Projection.ProjectionType == "" {
		return IndexSpec{}, invalidParameter("Unknown ProjectionType: null")
	}
	return IndexSpec{
		Name: in.IndexName, Hash: hash, HashType: t.defined[hash], Range: sort, RangeType: t.defined[sort],
		Projection: in.Projection.ProjectionType, Include: in.Projection.NonKeyAttributes,
		throughput: in.ProvisionedThroughput,
	}, nil
}

func (in *createInput) spec() (TableSpec, error) {
	if err := checkTableName(in.TableName); err != nil {
		return TableSpec{}, err
	}
	if err := checkBilling(in.BillingMode, in.ProvisionedThroughput); err != nil {
		return TableSpec{}, err
	}
	if err := checkClass(in.TableClass); err != nil {
		return TableSpec{}, err
	}
	hash, sort, err := keyNames(in.KeySchema)
	if err != nil {
		return TableSpec{}, err
	}
	t := newTypes(in.AttributeDefinitions)
	if err := t.of(hash, sort); err != nil {
		return TableSpec{}, err
	}
	spec := TableSpec{
		Name: in.TableName, Hash: hash, HashType: t.defined[hash], Range: sort, RangeType: t.defined[sort],
		DeletionProtection: in.DeletionProtectionEnabled,
	}
	if spec.Tags, err = withTags(nil, in.Tags); err != nil {
		return spec, err
	}
	if spec.Indexes, err = in.indexes(t); err != nil {
		return spec, err
	}
	if len(t.used) < len(t.defined) {
		return spec, invalidParameter("Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	if in.StreamSpecification != nil && in.StreamSpecification.StreamEnabled {
		if spec.Stream = in.StreamSpecification.StreamViewType; spec.Stream == "" {
			return spec, invalidParameter("StreamEnabled is true, but StreamViewType is not specified")
		}
	}
	return spec, nil
}

// indexes are the specs of both kinds of indexes. An empty list is refused,
// for AWS wants none or some.
func (in *createInput) indexes(t *types) ([]IndexSpec, error) {
	if in.LocalSecondaryIndexes != nil && len(in.LocalSecondaryIndexes) == 0 {
		return nil, invalidParameter("List of LocalSecondaryIndexes is empty")
	}
	if in.GlobalSecondaryIndexes != nil && len(in.GlobalSecondaryIndexes) == 0 {
		return nil, invalidParameter("List of GlobalSecondaryIndexes is empty")
	}
	var out []IndexSpec
	for i, ix := range slices.Concat(in.LocalSecondaryIndexes, in.GlobalSecondaryIndexes) {
		spec, err := ix.spec(t)
		if err != nil {
			return nil, err
		}
		spec.Local = i < len(in.LocalSecondaryIndexes)
		if spec.throughput != nil {
			if err := checkBilling(in.BillingMode, spec.throughput); err != nil {
				return nil, err
			}
		}
		out = append(out, spec)
	}
	return out, nil
}

func (s *Service) createTable(ctx context.Context, in *createInput) (any, error) {
	if err := s.authorize(ctx, "CreateTable", shortName(in.TableName), ""); err != nil {
		return nil, err
	}
	if in.Tags != nil { // also for none: https://github.com/hashicorp/terraform-provider-aws/issues/10943
		if err := s.authorize(ctx, "TagResource", shortName(in.TableName), ""); err != nil {
			return nil, err
		}
	}
	spec, err := in.spec()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.create(spec)
	if err != nil {
		return nil, err
	}
	t.throughput, t.class = in.ProvisionedThroughput, in.TableClass
	return map[string]any{"TableDescription": t.describe("CREATING")}, nil
}

func (s *Service) describeTable(ctx context.Context, in *tableInput) (any, error) {
	name := shortName(in.TableName)
	if err := s.authorize(ctx, "DescribeTable", name, ""); err != nil {
		return nil, err
	}
	if err := checkTableName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[name]
	if t == nil {
		return nil, tableNotFound(name)
	}
	return map[string]any{"Table": t.describe("ACTIVE")}, nil
}

func (s *Service) deleteTable(ctx context.Context, in *tableInput) (any, error) {
	name := shortName(in.TableName)
	if err := s.authorize(ctx, "DeleteTable", name, ""); err != nil {
		return nil, err
	}
	if err := checkTableName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.drop(name)
	if err != nil {
		return nil, err
	}
	return map[string]any{"TableDescription": t.describe("DELETING")}, nil
}

type listTablesInput struct {
	ExclusiveStartTableName string
	Limit                   *int
}

func (s *Service) listTables(ctx context.Context, in *listTablesInput) (any, error) {
	if err := s.allow(ctx, "ListTables", tableARN("*")); err != nil {
		return nil, err
	}
	limit := 100
	if in.Limit != nil {
		if limit = *in.Limit; limit < 1 || limit > 100 {
			return nil, validation("Limit must be between 1 and 100")
		}
	}
	names, out := []string{}, map[string]any{}
	for _, name := range s.Tables() {
		if name <= in.ExclusiveStartTableName {
			continue
		}
		if len(names) == limit {
			out["LastEvaluatedTableName"] = names[limit-1]
			break
		}
		names = append(names, name)
	}
	out["TableNames"] = names
	return out, nil
}

// describe is the TableDescription of a table.
func (t *table) describe(status string) map[string]any {
	mode := "PAY_PER_REQUEST"
	if t.throughput != nil {
		mode = "PROVISIONED"
	}
	out := map[string]any{
		"TableName": t.spec.Name, "TableArn": t.arn, "TableId": t.id, "TableStatus": status,
		"CreationDateTime": float64(t.created.UnixMilli()) / 1000, "KeySchema": t.key.schema(),
		"AttributeDefinitions": t.definitions(), "ProvisionedThroughput": t.throughput.describe(),
		"ItemCount": t.items.count, "TableSizeBytes": t.items.bytes,
		"BillingModeSummary":        map[string]any{"BillingMode": mode},
		"DeletionProtectionEnabled": t.spec.DeletionProtection,
	}
	if t.class != "" {
		out["TableClassSummary"] = map[string]any{"TableClass": t.class}
	}
	if t.stream != nil {
		out["LatestStreamArn"], out["LatestStreamLabel"] = t.stream.arn, t.stream.label
		out["StreamSpecification"] = streamSpecification{true, t.stream.view}
	}
	var global, local []map[string]any
	for _, ix := range t.indexes {
		one := map[string]any{
			"IndexName": ix.spec.Name, "IndexArn": t.arn + "/index/" + ix.spec.Name,
			"KeySchema": ix.key.schema(), "ItemCount": ix.rows.count, "IndexSizeBytes": ix.bytes(),
			"Projection": projectionOutput{ix.spec.Projection, ix.spec.Include},
		}
		if ix.spec.Local {
			local = append(local, one)
			continue
		}
		units := t.throughput
		if units != nil && ix.spec.throughput != nil {
			units = ix.spec.throughput
		}
		one["IndexStatus"], one["ProvisionedThroughput"] = status, units.describe()
		global = append(global, one)
	}
	if global != nil {
		out["GlobalSecondaryIndexes"] = global
	}
	if local != nil {
		out["LocalSecondaryIndexes"] = local
	}
	return out
}

// bytes is the size of what the index holds.
func (ix *index) bytes() int {
	if ix.keep == nil {
		return ix.rows.bytes
	}
	n := 0
	for _, p := range ix.rows.parts {
		for _, r := range p.rows {
			n += ix.project(r.item).size()
		}
	}
	return n
}

// definitions are the key attributes: the table's, then those of its indexes.
func (t *table) definitions() []attributeDefinition {
	keys := []key{t.key}
	for _, ix := range t.indexes {
		keys = append(keys, ix.key)
	}
	var out []attributeDefinition
	for _, k := range keys {
		for _, name := range k.names() {
			if one := (attributeDefinition{name, string(k.kindOf(name))}); !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	}
	return out
}
