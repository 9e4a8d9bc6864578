package request

// Batch is a piece of the log of partials as history holds it.
type Batch struct {
	Epoch int64  // of the attempt that emitted it
	First int64  // the number of its first item, from 1
	Items []byte // JSON array
}

// Listed is a request in the index owner.
type Listed struct {
	Key     string
	Created string // its place there
}
