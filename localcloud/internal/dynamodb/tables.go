package dynamodb

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// CreateTable makes a table, which is active at once. The errors are those of
// the API, as *Error.
func (s *Service) CreateTable(spec TableSpec) (TableInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.create(spec)
	if err != nil {
		return TableInfo{}, err
	}
	return t.info(), nil
}

// UpdateTable brings an existing table to the spec: indexes, stream, TTL, tags
// and deletion protection. Keys cannot change. A stream whose view type changes is
// replaced by a new one, an index that changes is built anew.
func (s *Service) UpdateTable(spec TableSpec) (TableInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, err := spec.normal()
	if err != nil {
		return TableInfo{}, err
	}
	t := s.tables[spec.Name]
	if t == nil {
		return TableInfo{}, tableNotFound(spec.Name)
	}
	if specKey(spec.Hash, spec.HashType, spec.Range, spec.RangeType) != t.key {
		return TableInfo{}, validation("The key schema of table %s cannot be changed", spec.Name)
	}
	t.setIndexes(spec.Indexes)
	if spec.Stream != t.spec.Stream {
		t.closeStream()
		if spec.Stream != "" {
			s.openStream(t, spec.Stream)
		}
	}
	s.setTTL(t, spec.TTL)
	t.spec.DeletionProtection, t.spec.Tags = spec.DeletionProtection, spec.Tags
	return t.info(), nil
}

// DeleteTable removes a table; its stream stays readable for the retention.
func (s *Service) DeleteTable(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.drop(name)
	return err
}

func (s *Service) create(spec TableSpec) (*table, error) {
	spec, err := spec.normal()
	if err != nil {
		return nil, err
	}
	if s.tables[spec.Name] != nil {
		return nil, refuse("ResourceInUseException", "Table already exists: %s", spec.Name)
	}
	s.requests++
	t := &table{
		spec: spec, arn: tableARN(spec.Name), created: time.Now(), items: newStore(),
		id:  fmt.Sprintf("00000000-0000-4000-8000-%012d", s.requests),
		key: specKey(spec.Hash, spec.HashType, spec.Range, spec.RangeType),
	}
	t.setIndexes(spec.Indexes)
	s.tables[spec.Name] = t
	if spec.Stream != "" {
		s.openStream(t, spec.Stream)
	}
	t.ttl.attribute = spec.TTL
	return t, nil
}

func (s *Service) drop(name string) (*table, error) {
	t := s.tables[name]
	if t == nil {
		return nil, tableNotFound(name)
	}
	if t.spec.DeletionProtection {
		return nil, validation("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	t.ttl.stop()
	t.closeStream()
	delete(s.tables, name)
	return t, nil
}

// setIndexes makes the table's indexes those of the specs; one that stays as
// it is keeps its rows.
func (t *table) setIndexes(specs []IndexSpec) {
	indexes := make([]*index, 0, len(specs))
	for _, spec := range specs {
		ix := t.index(spec.Name)
		if ix == nil || !ix.spec.same(spec) {
			ix = newIndex(spec, t.key)
			ix.fill(t)
		}
		ix.spec.throughput = spec.throughput
		indexes = append(indexes, ix)
	}
	t.indexes = indexes
	t.spec.Indexes = slices.Clone(specs)
}

// fill enters the items that are already there. Items whose attributes have
// other types than the index's keys are left out, as AWS does.
func (ix *index) fill(t *table) {
	for _, p := range t.items.parts {
		for _, r := range p.rows {
			if ix.fits(r.item) {
				ix.rows.put(ix.rowOf(t, r.item))
			}
		}
	}
}

func (ix *index) fits(it item) bool {
	for _, name := range ix.key.names() {
		v, ok := it[name]
		if !ok || v.kind != ix.key.kindOf(name) || v.kind != kindNumber && v.text == "" {
			return false
		}
	}
	return true
}

func (i IndexSpec) same(o IndexSpec) bool {
	return i.Local == o.Local && i.Hash == o.Hash && i.HashType == o.HashType && i.Range == o.Range && i.RangeType == o.RangeType &&
		i.Projection == o.Projection && slices.Equal(i.Include, o.Include)
}

// The numbers of global and of local secondary indexes of a table.
const (
	maxIndexes      = 20
	maxLocalIndexes = 5
)

// normal fills in the defaults and checks the spec.
func (spec TableSpec) normal() (TableSpec, error) {
	if err := checkTableName(spec.Name); err != nil {
		return spec, err
	}
	types := map[string]string{}
	var err error
	if spec.HashType, spec.RangeType, err = normalKey(types, spec.Hash, spec.HashType, spec.Range, spec.RangeType); err != nil {
		return spec, err
	}
	if err := spec.checkIndexCounts(); err != nil {
		return spec, err
	}
	spec.Indexes, spec.Tags = slices.Clone(spec.Indexes), maps.Clone(spec.Tags)
	seen := map[string]bool{}
	for i := range spec.Indexes {
		ix := &spec.Indexes[i]
		if seen[ix.Name] {
			return spec, invalidParameter("Duplicate index name: %s", ix.Name)
		}
		seen[ix.Name] = true
		if err := ix.normal(types); err != nil {
			return spec, err
		}
	}
	views := []string{"NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"}
	return spec, oneOf("streamSpecification.streamViewType", spec.Stream, views...)
}

func (spec TableSpec) checkIndexCounts() error {
	local := 0
	for _, ix := range spec.Indexes {
		if !ix.Local {
			continue
		}
		local++
		switch {
		case spec.Range == "":
			return invalidParameter("Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
		case ix.Hash != spec.Hash:
			return invalidParameter("Index KeySchema does not have the same leading hash key as table KeySchema for index: %s. index hash key: %s, table hash key: %s", ix.Name, ix.Hash, spec.Hash)
		case ix.Range == "":
			return invalidParameter("Index KeySchema does not have a range key for index: %s", ix.Name)
		}
	}
	if local > maxLocalIndexes {
		return invalidParameter("Number of LocalSecondaryIndexes exceeds per-table limit of %d", maxLocalIndexes)
	}
	if len(spec.Indexes)-local > maxIndexes {
		return refuse("LimitExceededException", "GlobalSecondaryIndex count exceeds the per-table limit of %d", maxIndexes)
	}
	return nil
}

func (i *IndexSpec) normal(types map[string]string) (err error) {
	if len(i.Name) < 3 || len(i.Name) > 255 {
		return validation("IndexName must be at least 3 characters long and at most 255 characters long")
	}
	if i.HashType, i.RangeType, err = normalKey(types, i.Hash, i.HashType, i.Range, i.RangeType); err != nil {
		return err
	}
	if i.Projection == "" {
		i.Projection = "ALL"
	}
	if err := oneOf("globalSecondaryIndexes.1.member.projection.projectionType", i.Projection, "ALL", "INCLUDE", "KEYS_ONLY"); err != nil {
		return err
	}
	switch {
	case i.Projection == "INCLUDE" && len(i.Include) == 0:
		return invalidParameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
	case i.Projection != "INCLUDE" && len(i.Include) > 0:
		return invalidParameter("ProjectionType is %s, but NonKeyAttributes is specified", i.Projection)
	}
	return nil
}

// normalKey gives the types of a key's attributes. types collects them, since
// an attribute has one type in all keys of a table.
func normalKey(types map[string]string, hash, hashType, sort, sortType string) (string, string, error) {
	if hash == "" {
		return "", "", invalidParameter("No Hash Key specified in schema.  All Dynamo DB tables must have exactly one hash key")
	}
	if hash == sort {
		return "", "", validation("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	var err error
	if hashType, err = normalType(types, hash, hashType); err != nil || sort == "" {
		return hashType, "", err
	}
	sortType, err = normalType(types, sort, sortType)
	return hashType, sortType, err
}

func normalType(types map[string]string, name, typ string) (string, error) {
	if typ == "" {
		typ = types[name]
	}
	if typ == "" {
		typ = "S"
	}
	if known := types[name]; known != "" && known != typ {
		return "", invalidParameter("Attribute %s is defined with the types %s and %s", name, known, typ)
	}
	types[name] = typ
	return typ, oneOf("attributeDefinitions.1.member.attributeType", typ, "B", "N", "S")
}
