package deploy

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// record is what is known of one resource between runs.
type record struct {
	urn, token, name string
	id               string
	kind             *kind // nil for components and providers
	inputs, outputs  resource.PropertyMap
	needs            []string // URNs: dependencies and parent
	protect, retain  bool
	dir              string // of the program that registered it
	order            int    // of creation
}

// stack is the state of one project and stack.
type stack struct {
	running sync.Mutex // held by the one run that is under way

	mu      sync.Mutex // guards everything below
	records map[string]*record
	// replaced are resources whose successor exists, to be deleted at the next
	// good end.
	replaced []*record
	created  int
}

func newStack() *stack { return &stack{records: map[string]*record{}} }

func (s *stack) get(urn string) *record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[urn]
}

// put stores the record; was is the URN that it had before, "" or the same.
func (s *stack) put(r *record, was string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was != "" && was != r.urn {
		delete(s.records, was)
		s.renamed(was, r.urn)
	}
	if r.order == 0 {
		s.created++
		r.order = s.created
	}
	s.records[r.urn] = r
}

// renamed makes what depends on a resource find it under its new URN.
func (s *stack) renamed(was, urn string) {
	for _, list := range [][]*record{mapValues(s.records), s.replaced} {
		for _, r := range list {
			for i, need := range r.needs {
				if need == was {
					r.needs[i] = urn
				}
			}
		}
	}
}

// replace sets the record aside for a successor, which may have another URN.
func (s *stack) replace(old *record, urn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, old.urn)
	if old.urn != urn {
		s.renamed(old.urn, urn)
		old.urn = urn
	}
	s.replaced = append(s.replaced, old)
}

// forget drops a record that has been deleted.
func (s *stack) forget(r *record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[r.urn] == r {
		delete(s.records, r.urn)
	}
	s.replaced = slices.DeleteFunc(s.replaced, func(o *record) bool { return o == r })
}

// leftovers are the resources to delete when keep has the URNs to be kept,
// dependents before what they depend on.
func (s *stack) leftovers(keep map[string]bool) []*record {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := slices.Clone(s.replaced)
	for _, r := range s.records {
		if !keep[r.urn] {
			gone = append(gone, r)
		}
	}
	return dependentsFirst(gone)
}

// dependentsFirst orders the records so that each comes before all it needs;
// among the free ones the last created comes first.
func dependentsFirst(records []*record) []*record {
	slices.SortFunc(records, func(a, b *record) int { return cmp.Compare(b.order, a.order) })
	byURN := map[string][]*record{}
	for _, r := range records {
		byURN[r.urn] = append(byURN[r.urn], r)
	}
	var out []*record
	done := map[*record]bool{}
	var visit func(*record)
	visit = func(r *record) {
		if done[r] {
			return
		}
		done[r] = true
		for _, need := range r.needs {
			for _, needed := range byURN[need] {
				visit(needed)
			}
		}
		out = append(out, r)
	}
	for i := len(records) - 1; i >= 0; i-- {
		visit(records[i])
	}
	slices.Reverse(out)
	return out
}

func mapValues(m map[string]*record) []*record {
	out := make([]*record, 0, len(m))
	for _, r := range m {
		out = append(out, r)
	}
	return out
}

// stackType is the type of the resource that stands for the stack itself.
const stackType = "pulumi:pulumi:Stack"

// urnOf builds the URN of a resource. The stack does not appear among the
// parents' types (Pulumi docs, "Resource names: URNs").
func urnOf(stackName, project, parent, token, name string) string {
	qualified := token
	if parent != "" {
		if parentType := qualifiedType(parent); parentType != stackType {
			qualified = parentType + "$" + token
		}
	}
	return "urn:pulumi:" + stackName + "::" + project + "::" + qualified + "::" + name
}

func qualifiedType(urn string) string {
	parts := strings.SplitN(urn, "::", 4)
	if len(parts) < 4 {
		return ""
	}
	return parts[2]
}

// aliasOf normalises an alias: the SDK writes the stack into the parents' types.
func aliasOf(urn string) string { return strings.Replace(urn, "::"+stackType+"$", "::", 1) }
