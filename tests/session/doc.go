// Package session runs the Go client's Session against the whole system, the
// production code of all four functions and the local cloud, in one process and
// in virtual time: connections are cut at any byte, tokens end, functions
// refuse, pushes get lost, and what a caller is told of its request still has to
// be one story.
//
//	go test ./tests/session                                     three seeds of an hour each, and the rest
//	STREAMER_SESSION_SEED=7 go test -run Weather ./tests/session     one seed
//
// Chance is drawn from the seed, but in the order in which goroutines come: two
// runs of a seed have the same weather, not the same story. The package may
// import every other one; nothing of it outlives its bubble.
package session
