package eventsource

import "encoding/json"

// Matches compiles a pattern and matches a record.
func Matches(pattern, record string) (bool, error) {
	f, err := compileFilters([]string{pattern})
	if err != nil {
		return false, err
	}
	return matchAny(f, json.RawMessage(record)), nil
}
