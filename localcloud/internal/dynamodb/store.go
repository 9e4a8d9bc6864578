package dynamodb

import (
	"hash/fnv"
	"slices"
	"strings"
)

// row is one entry of a store: an item under its keys. An index's row points
// to the same item as the table's.
type row struct {
	hash string // text of the hash key
	sort string // byte-comparable range key, "" for none
	base string // in an index: the table's key, which tells equal keys apart
	item item
}

func (r *row) compare(o *row) int {
	if c := strings.Compare(r.sort, o.sort); c != 0 {
		return c
	}
	return strings.Compare(r.base, o.base)
}

// partition holds the rows of one hash key in the order of the range key.
type partition struct {
	hash string
	sum  uint64
	rows []*row
}

func (p *partition) compare(o *partition) int {
	if p.sum != o.sum {
		if p.sum < o.sum {
			return -1
		}
		return 1
	}
	return strings.Compare(p.hash, o.hash)
}

// store keeps rows by hash key, ordered within it. A scan goes through the
// partitions in the order of a hash of their keys, as DynamoDB does, so that
// nobody comes to rely on an order of hash keys. That order is sorted lazily:
// writes are common, scans are not.
type store struct {
	parts map[string]*partition
	order []*partition // sorted unless stale
	stale bool
	count int
	bytes int
}

func newStore() *store { return &store{parts: map[string]*partition{}} }

func (s *store) get(hash, sort string) item {
	p := s.parts[hash]
	if p == nil {
		return nil
	}
	if i, ok := p.find(&row{sort: sort}); ok {
		return p.rows[i].item
	}
	return nil
}

func (p *partition) find(r *row) (int, bool) {
	return slices.BinarySearchFunc(p.rows, r, (*row).compare)
}

// put adds the row or replaces the one with the same keys.
func (s *store) put(r *row) {
	p := s.parts[r.hash]
	if p == nil {
		h := fnv.New64a()
		h.Write([]byte(r.hash))
		p = &partition{hash: r.hash, sum: h.Sum64()}
		s.parts[r.hash] = p
		s.stale = true
	}
	s.bytes += r.item.size()
	i, found := p.find(r)
	if found {
		s.bytes -= p.rows[i].item.size()
		p.rows[i] = r
		return
	}
	p.rows = slices.Insert(p.rows, i, r)
	s.count++
}

func (s *store) remove(r *row) {
	p := s.parts[r.hash]
	if p == nil {
		return
	}
	i, found := p.find(r)
	if !found {
		return
	}
	s.bytes -= p.rows[i].item.size()
	p.rows = slices.Delete(p.rows, i, i+1)
	s.count--
	if len(p.rows) == 0 {
		delete(s.parts, r.hash)
		s.stale = true
	}
}

// partitions are all partitions in scan order.
func (s *store) partitions() []*partition {
	if s.stale {
		s.order = s.order[:0]
		for _, p := range s.parts {
			s.order = append(s.order, p)
		}
		slices.SortFunc(s.order, (*partition).compare)
		s.stale = false
	}
	return s.order
}
