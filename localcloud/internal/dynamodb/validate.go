package dynamodb

import (
	"maps"
	"slices"
	"strings"
)

// Limits of keys and items, in bytes.
const (
	maxItem = 400 << 10
	maxHash = 2048
	maxSort = 1024
)

// checkKey checks the Key parameter: exactly the key attributes, of their types.
func (t *table) checkKey(k item) error {
	if len(k) != len(t.key.names()) {
		return validation("The provided key element does not match the schema")
	}
	for _, name := range t.key.names() {
		v, ok := k[name]
		if !ok || v.kind != t.key.kindOf(name) {
			return validation("The provided key element does not match the schema")
		}
	}
	return t.key.checkSizes(k)
}

// checkSizes refuses empty and oversize key attributes.
func (k key) checkSizes(it item) error {
	for _, name := range k.names() {
		v := it[name]
		if v.kind != kindNumber && v.text == "" {
			return validation("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", v.kind.word(), name)
		}
	}
	if len(it[k.hash].text) > maxHash {
		return invalidParameter("Size of hashkey has exceeded the maximum size limit of2048 bytes")
	}
	if k.sort != "" && len(it[k.sort].text) > maxSort {
		return invalidParameter("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	}
	return nil
}

// checkItem checks an item that is to be stored.
func (t *table) checkItem(it item) error {
	for _, name := range t.key.names() {
		v, ok := it[name]
		if !ok {
			return invalidParameter("Missing the key %s in the item", name)
		}
		if v.kind != t.key.kindOf(name) {
			return invalidParameter("Type mismatch for key %s expected: %s actual: %s", name, t.key.kindOf(name), v.kind)
		}
	}
	if err := t.key.checkSizes(it); err != nil {
		return err
	}
	if err := t.checkIndexKeys(it); err != nil {
		return err
	}
	if it.size() > maxItem {
		return validation("Item size has exceeded the maximum allowed size")
	}
	return nil
}

// checkIndexKeys checks the attributes that are keys of indexes, where present.
func (t *table) checkIndexKeys(it item) error {
	for _, ix := range t.indexes {
		for _, name := range ix.key.names() {
			v, ok := it[name]
			if !ok {
				continue
			}
			if want := ix.key.kindOf(name); v.kind != want {
				return invalidParameter("Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", name, want, v.kind, ix.spec.Name)
			}
			if v.kind != kindNumber && v.text == "" {
				return validation("One or more parameter values are not valid. A value specified for a secondary index key is not supported. "+
					"The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", v.kind.word(), ix.spec.Name, name)
			}
		}
	}
	return nil
}

// constraint refuses a parameter that breaks the service's model.
func constraint(shown, member, rule string) *Error {
	if shown != "null" {
		shown = "'" + shown + "'"
	}
	return validation("1 validation error detected: Value %s at '%s' failed to satisfy constraint: Member must %s", shown, member, rule)
}

// oneOf checks an enumerated parameter; "" is not given.
func oneOf(member, given string, allowed ...string) error {
	if given == "" || slices.Contains(allowed, given) {
		return nil
	}
	return constraint(given, member, "satisfy enum value set: ["+strings.Join(allowed, ", ")+"]")
}

func checkCapacityParameter(given string) error {
	return oneOf("returnConsumedCapacity", given, "INDEXES", "TOTAL", "NONE")
}

// firstError is the first of several checks that fails.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTableName checks the parameter TableName.
func checkTableName(name string) error {
	if name == "" {
		return constraint("null", "tableName", "not be null")
	}
	if len(name) < 3 || len(name) > 255 {
		return validation("TableName must be at least 3 characters long and at most 255 characters long")
	}
	for i := range len(name) {
		if c := name[i]; !isPart(c) && c != '.' && c != '-' {
			return constraint(name, "tableName", "satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
		}
	}
	return nil
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// shortName takes the name out of a table's ARN, which calls may use in its place.
func shortName(name string) string {
	if rest, ok := strings.CutPrefix(name, tableARN("")); ok {
		return rest
	}
	return name
}
