// Package cost stands the whole system up in one process and in virtual time,
// runs requests of several kinds through it, and reads what the local cloud's
// meters say that AWS would bill: how much of it a request may cost at most is
// asserted, and what that is in dollars is written to docs/cost.md.
//
//	go test ./tests/cost                     # a request that got dearer fails
//	go test ./tests/cost -v                  # prints what each kind uses
//	STREAMER_UPDATE=1 go test ./tests/cost   # writes the tables to docs/cost.md
//
// The package may import every other one; nothing of it outlives its bubble.
package cost
