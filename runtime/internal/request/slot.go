package request

// Slot lets one request of a tenant be worked off, where that is limited. It
// protects no state: one that is taken twice, or not given back, costs fairness
// until it expires, and nothing else.
type Slot struct {
	Number int
	// Holder is the key of the request that has it.
	Holder string
	// Epoch is the one at which that was offered.
	Epoch int64
	// Until is when it is free whatever happens, epoch seconds.
	Until int64
}
