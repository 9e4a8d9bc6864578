package dynamodb

import (
	"cmp"
	"slices"
	"strconv"
)

func numberOf(n int) value { return value{kind: kindNumber, text: strconv.Itoa(n)} }

func sliceHas(set []string, member string) bool { return slices.Contains(set, member) }

func wrongOperand() *Error {
	return validation("An operand in the update expression has an incorrect data type")
}

// wrongOperand is the refusal in the words of the parameter.
func (u *update) wrongOperand(err error) error {
	if u.legacy && asError(err).Message == wrongOperand().Message {
		return validation("Type mismatch for attribute to update")
	}
	return err
}

// apply returns the item after the update; old is not changed. Every operand
// is read from old, so that the order of the actions does not matter.
func (u *update) apply(old item) (item, error) {
	root := value{kind: kindMap, m: old.clone()}
	for _, a := range u.ordered() {
		var err error
		switch a.verb {
		case "SET":
			var v value
			if v, err = a.value.evaluate(old); err == nil {
				root, err = root.with(a.path, v)
			}
		case "REMOVE":
			root, err = root.without(a.path)
		default:
			root, err = a.change(root, old)
		}
		if err != nil {
			return nil, u.wrongOperand(err)
		}
	}
	return root.m, nil
}

// ordered puts the actions in the order in which list indexes keep their
// meaning: elements are set from the lowest index on, since those beyond the
// end append, and removed from the highest on.
func (u *update) ordered() []action {
	out := slices.Clone(u.actions)
	rank := func(a action) int {
		if a.verb == "REMOVE" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b action) int {
		if c := cmp.Compare(rank(a), rank(b)); c != 0 {
			return c
		}
		x, y := a.path[len(a.path)-1], b.path[len(b.path)-1]
		if !x.isIndex || !y.isIndex {
			return 0
		}
		if a.verb == "REMOVE" {
			x, y = y, x
		}
		return cmp.Compare(x.index, y.index)
	})
	return out
}

// change is ADD and DELETE.
func (a action) change(root value, old item) (value, error) {
	operand := *a.value.value
	was, ok := old.at(a.path)
	if !ok {
		if a.verb == "DELETE" {
			// The parent must be there all the same.
			return root.without(a.path)
		}
		return root.with(a.path, operand)
	}
	switch {
	case was.kind != operand.kind:
		return root, wrongOperand()
	case a.verb == "ADD" && was.kind == kindNumber:
		sum, err := addNumbers(was, operand)
		if err != nil {
			return root, err
		}
		return root.with(a.path, sum)
	case !was.isSet():
		return root, wrongOperand()
	}
	set := slices.Clone(was.set)
	for _, member := range operand.set {
		i := slices.Index(set, member)
		switch {
		case a.verb == "ADD" && i < 0:
			set = append(set, member)
		case a.verb == "DELETE" && i >= 0:
			set = slices.Delete(set, i, i+1)
		}
	}
	if len(set) == 0 {
		return root.without(a.path)
	}
	return root.with(a.path, value{kind: was.kind, set: set})
}

func addNumbers(a, b value) (value, error) {
	sum := a.number().add(b.number())
	if err := sum.check(); err != nil {
		return value{}, err
	}
	return numberValue(sum), nil
}

// evaluate is the operand's value for the item before the update.
func (o operand) evaluate(it item) (value, error) {
	switch {
	case o.value != nil:
		return *o.value, nil
	case o.path != nil:
		v, ok := it.at(o.path)
		if !ok {
			return v, validation("The provided expression refers to an attribute that does not exist in the item")
		}
		return v, nil
	case o.call.name == "if_not_exists":
		if v, ok := it.at(o.call.args[0].path); ok {
			return v, nil
		}
		return o.call.args[1].evaluate(it)
	}
	left, err := o.call.args[0].evaluate(it)
	if err != nil {
		return left, err
	}
	right, err := o.call.args[1].evaluate(it)
	if err != nil {
		return right, err
	}
	return o.call.combine(left, right)
}

func (c *call) combine(left, right value) (value, error) {
	if c.name == "list_append" {
		if left.kind != kindList || right.kind != kindList {
			return value{}, wrongOperand()
		}
		return value{kind: kindList, list: append(slices.Clone(left.list), right.list...)}, nil
	}
	if left.kind != kindNumber || right.kind != kindNumber {
		return value{}, wrongOperand()
	}
	if c.name == "-" {
		right = numberValue(right.number().negate())
	}
	return addNumbers(left, right)
}
