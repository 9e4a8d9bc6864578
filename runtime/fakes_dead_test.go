package streamer_test

import (
	"maps"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// raw is an item as it is stored.
func (m *memory) raw(key string) request.Attrs {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.items[key])
}
