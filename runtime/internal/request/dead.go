package request

// Dead is a request on the list of what is dead.
type Dead struct {
	Key string
	At  int64 // when it died, epoch milliseconds
}

// Repeated is what came of repeating a dead request. Not OK: Old is the dead
// one, which was not on the list, or Taken says that the new one's key was
// another's.
type Repeated struct {
	OK, Found, Taken bool
	Old              Item
}
