package dynamodb

import (
	"context"
	"hash/fnv"
	"iter"
	"slices"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// page reads rows up to the limit or 1 MB, then filters and projects.
func (s *Service) page(src source, in *readInput, r *reading, rows []*row) *readOutput {
	return s.pageOf(src, in, r, slices.Values(rows))
}

func (s *Service) pageOf(src source, in *readInput, r *reading, rows iter.Seq[*row]) *readOutput {
	out := &readOutput{}
	if !r.count {
		out.Items = []item{}
	}
	bytes, fetched := 0, 0.0
	var last *row
	for row := range rows {
		if out.ScannedCount == r.limit || bytes >= maxPage {
			break
		}
		held := src.held(row.item)
		size := held.size()
		if src.fetch {
			size = src.index.project(row.item).size()
			fetched += readUnits(held.size(), r.strong)
		}
		bytes += size
		out.ScannedCount++
		last = row
		if !r.filter.holds(held) {
			continue
		}
		out.Count++
		if !r.count {
			out.Items = append(out.Items, r.tree.project(held))
		}
	}
	// DynamoDB does not look ahead: a page that ends at its limit has a next
	// one even when nothing follows.
	if last != nil && (out.ScannedCount == r.limit || bytes >= maxPage) {
		out.LastEvaluatedKey = src.position(last.item)
	}
	units := readUnits(bytes, r.strong)
	var c cost
	if src.index != nil {
		c.table = fetched
		c.addIndex(src.index.name(), units)
	} else {
		c.table = units
	}
	s.count(account.MeterReadUnits, c.total())
	out.ConsumedCapacity = c.report(src.table.spec.Name, in.ReturnConsumedCapacity)
	return out
}

type scanInput struct {
	readInput
	Segment, TotalSegments *int
	ScanFilter             map[string]comparison
}

func (s *Service) scan(ctx context.Context, in *scanInput) (any, error) {
	if err := s.authorize(ctx, "Scan", shortName(in.TableName), in.IndexName); err != nil {
		return nil, err
	}
	if err := firstError(in.check(), in.checkSegments(), in.legacy(given{"ScanFilter", in.ScanFilter != nil}, nil)); err != nil {
		return nil, err
	}
	sc, err := in.bindings.scope(in.ProjectionExpression, expression{"FilterExpression", in.FilterExpression})
	if err != nil {
		return nil, err
	}
	r, err := in.prepare(sc, "scanFilter", in.ScanFilter)
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
	var start *row
	if in.ExclusiveStartKey != nil {
		if start, err = src.rowAt(in.ExclusiveStartKey); err != nil {
			return nil, err
		}
	}
	return s.pageOf(src, &in.readInput, r, in.rows(src.rows(), start)), nil
}

func (in *scanInput) checkSegments() error {
	switch {
	case in.Segment == nil && in.TotalSegments == nil:
		return nil
	case in.Segment == nil:
		return validation("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case in.TotalSegments == nil:
		return validation("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case *in.Segment < 0:
		return constraint(numberOf(*in.Segment).text, "segment", "have value greater than or equal to 0")
	case *in.TotalSegments < 1:
		return constraint(numberOf(*in.TotalSegments).text, "totalSegments", "have value greater than or equal to 1")
	case *in.Segment >= *in.TotalSegments:
		return validation("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *in.Segment, *in.TotalSegments)
	}
	return nil
}

// rows goes through the partitions of the scan's segment, after start.
func (in *scanInput) rows(all *store, start *row) iter.Seq[*row] {
	parts := all.partitions()
	skip := 0
	if start != nil {
		h := fnv.New64a()
		h.Write([]byte(start.hash))
		at := &partition{hash: start.hash, sum: h.Sum64()}
		skip, _ = slices.BinarySearchFunc(parts, at, (*partition).compare)
	}
	return func(yield func(*row) bool) {
		for _, p := range parts[skip:] {
			if in.TotalSegments != nil && p.sum%uint64(*in.TotalSegments) != uint64(*in.Segment) {
				continue
			}
			for _, r := range p.rows {
				if start != nil && p.hash == start.hash && r.compare(start) <= 0 {
					continue
				}
				if !yield(r) {
					return
				}
			}
		}
	}
}
