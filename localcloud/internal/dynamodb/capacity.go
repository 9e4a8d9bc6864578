package dynamodb

import "math"

// Bytes that one unit covers.
const (
	writeUnitBytes = 1 << 10
	readUnitBytes  = 4 << 10
)

// writeUnits is what a write of so many bytes costs: one per started KB.
func writeUnits(bytes int) float64 {
	return max(1, math.Ceil(float64(bytes)/writeUnitBytes))
}

// readUnits is what a read of so many bytes costs: one per started 4 KB when
// strongly consistent, half of it otherwise.
func readUnits(bytes int, consistent bool) float64 {
	units := max(1, math.Ceil(float64(bytes)/readUnitBytes))
	if !consistent {
		units /= 2
	}
	return units
}

// cost is what a call used of one table.
type cost struct {
	write   bool
	twice   bool // a transaction: read and write units are told apart
	table   float64
	indexes map[indexName]float64
}

// indexName tells an index in the sums of a call, where the two kinds stand apart.
type indexName struct {
	name  string
	local bool
}

func (c *cost) add(o cost) {
	c.write, c.twice = o.write, o.twice
	c.table += o.table
	for name, units := range o.indexes {
		c.addIndex(name, units)
	}
}

func (c *cost) addIndex(name indexName, units float64) {
	if c.indexes == nil {
		c.indexes = map[indexName]float64{}
	}
	c.indexes[name] += units
}

func (c *cost) total() float64 {
	sum := c.table
	for _, units := range c.indexes {
		sum += units
	}
	return sum
}

type capacityUnits struct {
	CapacityUnits      float64
	ReadCapacityUnits  *float64 `json:",omitempty"`
	WriteCapacityUnits *float64 `json:",omitempty"`
}

type consumedCapacity struct {
	TableName string
	capacityUnits
	Table                  *capacityUnits           `json:",omitempty"`
	GlobalSecondaryIndexes map[string]capacityUnits `json:",omitempty"`
	LocalSecondaryIndexes  map[string]capacityUnits `json:",omitempty"`
}

func (c *cost) units(n float64) capacityUnits {
	u := capacityUnits{CapacityUnits: n}
	if c.twice && c.write {
		u.WriteCapacityUnits = &n
	} else if c.twice {
		u.ReadCapacityUnits = &n
	}
	return u
}

// report is the ConsumedCapacity of a response, nil when not asked for.
func (c *cost) report(table, asked string) *consumedCapacity {
	if asked == "" || asked == "NONE" {
		return nil
	}
	out := &consumedCapacity{TableName: table, capacityUnits: c.units(c.total())}
	if asked == "INDEXES" {
		own := c.units(c.table)
		out.Table = &own
		for ix, units := range c.indexes {
			kind := &out.GlobalSecondaryIndexes
			if ix.local {
				kind = &out.LocalSecondaryIndexes
			}
			if *kind == nil {
				*kind = map[string]capacityUnits{}
			}
			(*kind)[ix.name] = c.units(units)
		}
	}
	return out
}
