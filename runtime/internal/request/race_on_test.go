//go:build race

package request

// raced says that the race detector is on. It finds nothing in a search that has
// one goroutine, and makes it take many minutes.
const raced = true
