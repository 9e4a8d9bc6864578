package dynamodb

import (
	"time"
)

// TableSpec is what a table is to be. Key types are S, N or B ("" means S).
type TableSpec struct {
	Name               string
	Hash, HashType     string
	Range              string // "" for a table without range key
	RangeType          string
	Indexes            []IndexSpec
	Stream             string // view type such as NEW_IMAGE; "" for no stream
	TTL                string // attribute of the time to live; "" for none
	DeletionProtection bool
	Tags               map[string]string
}

// IndexSpec is a secondary index, global unless Local. Projection is KEYS_ONLY,
// INCLUDE or ALL ("" means ALL); Include names the attributes of INCLUDE.
type IndexSpec struct {
	// Local is an index with the table's hash key, which exists as long as the
	// table does.
	Local          bool
	Name           string
	Hash, HashType string
	Range          string
	RangeType      string
	Projection     string
	Include        []string

	throughput *throughput // of a call over the wire; nil: the table's
}

// TableInfo is what a table is.
type TableInfo struct {
	Name        string
	ARN         string
	StreamARN   string // of the enabled stream, "" for none
	StreamLabel string
	ItemCount   int
	SizeBytes   int
	Created     time.Time
	Spec        TableSpec
}

// key is the schema of a table or an index.
type key struct {
	hash, sort         string // names; sort "" for none
	hashKind, sortKind kind
}

func (k key) names() []string {
	if k.sort == "" {
		return []string{k.hash}
	}
	return []string{k.hash, k.sort}
}

func (k key) kindOf(name string) kind {
	switch name {
	case k.hash:
		return k.hashKind
	case k.sort:
		return k.sortKind
	}
	return ""
}

func (k key) has(name string) bool { return name == k.hash || k.sort != "" && name == k.sort }

// of is the part of an item that is its key.
func (k key) of(it item) item {
	out := make(item, 2)
	for _, name := range k.names() {
		if v, ok := it[name]; ok {
			out[name] = v
		}
	}
	return out
}

// table is one table; the service's lock guards all of it.
type table struct {
	spec       TableSpec
	arn        string
	id         string
	created    time.Time
	key        key
	items      *store
	indexes    []*index
	stream     *stream // the enabled one, nil for none
	ttl        ttl
	throughput *throughput // nil for a table on demand
	class      string      // "" as if STANDARD
	backups    int         // days of point-in-time recovery, 0 when it is off; there is nothing to recover here
}

// index is a secondary index.
type index struct {
	spec IndexSpec
	key  key
	rows *store
	keep map[string]bool // attributes of KEYS_ONLY and INCLUDE; nil for ALL
}

// rowOf makes the table's row of an item that has been checked.
func (t *table) rowOf(it item) *row {
	r := &row{hash: it[t.key.hash].text, item: it}
	if t.key.sort != "" {
		r.sort = it[t.key.sort].sortKey()
	}
	return r
}

func (t *table) get(k item) item {
	r := t.rowOf(k)
	return t.items.get(r.hash, r.sort)
}

func (t *table) index(name string) *index {
	for _, ix := range t.indexes {
		if ix.spec.Name == name {
			return ix
		}
	}
	return nil
}

func newIndex(spec IndexSpec, base key) *index {
	ix := &index{spec: spec, key: specKey(spec.Hash, spec.HashType, spec.Range, spec.RangeType), rows: newStore()}
	if spec.Projection == "ALL" {
		return ix
	}
	ix.keep = map[string]bool{}
	for _, names := range [][]string{base.names(), ix.key.names(), spec.Include} {
		for _, name := range names {
			ix.keep[name] = true
		}
	}
	return ix
}

func specKey(hash, hashType, sort, sortType string) key {
	return key{hash: hash, hashKind: kind(hashType), sort: sort, sortKind: kind(sortType)}
}

// rowOf is the index's row of an item, nil when the item lacks a key of the
// index: the index is sparse.
func (ix *index) rowOf(t *table, it item) *row {
	if it == nil {
		return nil
	}
	h, ok := it[ix.key.hash]
	if !ok {
		return nil
	}
	base := t.rowOf(it)
	r := &row{hash: h.text, base: base.hash + "\x00" + base.sort, item: it}
	if ix.key.sort != "" {
		s, ok := it[ix.key.sort]
		if !ok {
			return nil
		}
		r.sort = s.sortKey()
	}
	return r
}

func (ix *index) name() indexName { return indexName{ix.spec.Name, ix.spec.Local} }

// project is the part of an item that the index holds.
func (ix *index) project(it item) item {
	if ix.keep == nil {
		return it
	}
	out := make(item, len(ix.keep))
	for name := range ix.keep {
		if v, ok := it[name]; ok {
			out[name] = v
		}
	}
	return out
}

// apply replaces the old item by the new one (either may be nil) in the table
// and its indexes, and returns the write units of each index that changed.
func (t *table) apply(old, now item) map[indexName]float64 {
	if now != nil {
		t.items.put(t.rowOf(now))
	} else {
		t.items.remove(t.rowOf(old))
	}
	var units map[indexName]float64
	for _, ix := range t.indexes {
		if n := ix.apply(t, old, now); n > 0 {
			if units == nil {
				units = map[indexName]float64{}
			}
			units[ix.name()] = n
		}
	}
	return units
}

// apply follows the table's change. An entry that moves to another key costs a
// deletion and an insertion, one whose projected attributes stay costs nothing
// (DynamoDB guide, GSI: provisioned throughput considerations).
func (ix *index) apply(t *table, old, now item) float64 {
	was, is := ix.rowOf(t, old), ix.rowOf(t, now)
	var units float64
	moved := was != nil && is != nil && (was.hash != is.hash || was.sort != is.sort)
	switch {
	case was == nil && is == nil:
		return 0
	case was != nil && is != nil && !moved:
		before, after := ix.project(old), ix.project(now)
		if !before.equal(after) {
			units = writeUnits(max(before.size(), after.size()))
		}
	default:
		if was != nil {
			units += writeUnits(ix.project(old).size())
		}
		if is != nil {
			units += writeUnits(ix.project(now).size())
		}
	}
	if was != nil && (is == nil || moved) {
		ix.rows.remove(was)
	}
	if is != nil {
		ix.rows.put(is)
	}
	return units
}
