package lambda

import "runtime"

// turns are a launcher whose instances start in turns, a few at a time. A start
// is work for the processor: of a thousand that begin together none is ready
// within the limit of an initialisation, and all of them would be killed and
// begun again. The limit counts from the turn.
type turns interface {
	// turn waits for one and returns what gives it back. When the service ends,
	// so does every launch, and with it the wait.
	turn() (done func())
}

// defaultStarts is for starts that wait for something now and then.
func defaultStarts() int { return 4 * runtime.NumCPU() }

// turn implements turns.
func (l *ProcessLauncher) turn() (done func()) {
	l.starts <- struct{}{}
	return func() { <-l.starts }
}
