package dynamo

// The tests put items as they are, beside the table of transitions.
var (
	MarshalAll = marshalAll
	Unmarshal  = unmarshal
)
