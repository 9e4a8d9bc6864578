package deploy

import (
	"fmt"
	"sync"
)

// ledger keeps the resources that exist in the local cloud by their declaration
// alone, such as log groups: no service of it acts on them. Safe for concurrent use.
type ledger struct {
	mu      sync.Mutex                 // guards the rest
	entries map[string]map[string]bool // by token, then id
	making  map[string]bool            // token and name of what is being made
}

func newLedger() *ledger {
	return &ledger{entries: map[string]map[string]bool{}, making: map[string]bool{}}
}

// create makes what has a name of its own, unless it is there: two resources of
// one name, which may be registered at the same time, would overwrite each other.
func (l *ledger) create(token, name string, exists func() bool, taken error, put func() error) error {
	key := token + " " + name
	l.mu.Lock()
	making := l.making[key]
	l.making[key] = true
	l.mu.Unlock()
	if making {
		return taken
	}
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.making, key)
	}()
	if exists() {
		return taken
	}
	return put()
}

// add enters the id; an id that is there already is an error, as on AWS.
func (l *ledger) add(token, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[token][id] {
		return fmt.Errorf("create %s: ResourceAlreadyExistsException: it exists already", id)
	}
	if l.entries[token] == nil {
		l.entries[token] = map[string]bool{}
	}
	l.entries[token][id] = true
	return nil
}

// note enters the id, which may be there already.
func (l *ledger) note(token, id string) { _ = l.add(token, id) }

func (l *ledger) has(token, id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries[token][id]
}

func (l *ledger) remove(token, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries[token], id)
}
