package dynamodb

import (
	"slices"
	"strconv"
	"strings"
)

// step is one part of a document path: a name, or an index of a list.
type step struct {
	name    string
	index   int
	isIndex bool
}

func (s step) String() string {
	if s.isIndex {
		return "[" + strconv.Itoa(s.index) + "]"
	}
	return s.name
}

// path is a document path; its first step is always a name.
type path []step

func (p path) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = s.String()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// at is the value that the path leads to.
func (it item) at(p path) (value, bool) {
	v, ok := it[p[0].name]
	for _, s := range p[1:] {
		if !ok {
			return value{}, false
		}
		v, ok = v.child(s)
	}
	return v, ok
}

func (v value) child(s step) (value, bool) {
	if s.isIndex {
		if v.kind != kindList || s.index >= len(v.list) {
			return value{}, false
		}
		return v.list[s.index], true
	}
	if v.kind != kindMap {
		return value{}, false
	}
	inner, ok := v.m[s.name]
	return inner, ok
}

// badPath is the refusal of an update whose path leads nowhere.
func badPath() *Error {
	return validation("The document path provided in the update expression is invalid for update")
}

// with returns a copy of v in which the path leads to now. What is not on the
// path is shared with v.
func (v value) with(p path, now value) (value, error) {
	if len(p) == 0 {
		return now, nil
	}
	s := p[0]
	if s.isIndex {
		if v.kind != kindList {
			return v, badPath()
		}
		if s.index >= len(v.list) {
			if len(p) > 1 {
				return v, badPath()
			}
			// A SET beyond the end appends.
			v.list = append(slices.Clone(v.list), now)
			return v, nil
		}
		inner, err := v.list[s.index].with(p[1:], now)
		if err != nil {
			return v, err
		}
		v.list = slices.Clone(v.list)
		v.list[s.index] = inner
		return v, nil
	}
	if v.kind != kindMap {
		return v, badPath()
	}
	old, ok := v.m[s.name]
	if !ok && len(p) > 1 {
		return v, badPath()
	}
	inner, err := old.with(p[1:], now)
	if err != nil {
		return v, err
	}
	v.m = v.m.clone()
	v.m[s.name] = inner
	return v, nil
}

// without returns a copy of v in which the path leads nowhere. A missing last
// step is no error, a missing parent is.
func (v value) without(p path) (value, error) {
	s := p[0]
	if s.isIndex && v.kind != kindList || !s.isIndex && v.kind != kindMap {
		return v, badPath()
	}
	inner, ok := v.child(s)
	if !ok {
		if len(p) > 1 {
			return v, badPath()
		}
		return v, nil
	}
	if len(p) > 1 {
		changed, err := inner.without(p[1:])
		if err != nil {
			return v, err
		}
		return v.with(p[:1], changed)
	}
	if s.isIndex {
		v.list = slices.Delete(slices.Clone(v.list), s.index, s.index+1)
		return v, nil
	}
	v.m = v.m.clone()
	delete(v.m, s.name)
	return v, nil
}

func (it item) clone() item {
	out := make(item, len(it)+1)
	for name, v := range it {
		out[name] = v
	}
	return out
}

// pathTree is a set of paths that share their beginnings.
type pathTree struct {
	whole    bool
	names    map[string]*pathTree
	elements map[int]*pathTree
}

func newPathTree(paths []path) *pathTree {
	root := &pathTree{}
	for _, p := range paths {
		at := root
		for _, s := range p {
			at = at.next(s)
		}
		at.whole = true
	}
	return root
}

func (t *pathTree) next(s step) *pathTree {
	if s.isIndex {
		if t.elements == nil {
			t.elements = map[int]*pathTree{}
		}
		if t.elements[s.index] == nil {
			t.elements[s.index] = &pathTree{}
		}
		return t.elements[s.index]
	}
	if t.names == nil {
		t.names = map[string]*pathTree{}
	}
	if t.names[s.name] == nil {
		t.names[s.name] = &pathTree{}
	}
	return t.names[s.name]
}

// pick is the part of an item that the paths name.
func (t *pathTree) pick(it item) item {
	out := item{}
	for name, sub := range t.names {
		if v, ok := it[name]; ok {
			if picked, ok := sub.pickValue(v); ok {
				out[name] = picked
			}
		}
	}
	return out
}

// pickValue closes the gaps of lists: the second and fifth element become the
// first and second.
func (t *pathTree) pickValue(v value) (value, bool) {
	if t.whole {
		return v, true
	}
	if t.names != nil && v.kind == kindMap {
		m := t.pick(v.m)
		return value{kind: kindMap, m: m}, len(m) > 0
	}
	if t.elements != nil && v.kind == kindList {
		out := value{kind: kindList}
		for i, e := range v.list {
			if sub := t.elements[i]; sub != nil {
				if picked, ok := sub.pickValue(e); ok {
					out.list = append(out.list, picked)
				}
			}
		}
		return out, len(out.list) > 0
	}
	return value{}, false
}
