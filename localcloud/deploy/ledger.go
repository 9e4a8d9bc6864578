package deploy

import (
	"fmt"
	"sync"
)

// ledger keeps the resources that exist in the local cloud by their declaration
// alone, such as log groups: no service of it acts on them. Safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	entries map[string]map[string]bool // by token, then id
}

func newLedger() *ledger { return &ledger{entries: map[string]map[string]bool{}} }

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
