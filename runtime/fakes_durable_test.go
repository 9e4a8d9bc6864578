package streamer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

func (m *memory) Steps(_ context.Context, key string) (steps []request.Step, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("steps"); err != nil {
		return nil, err
	}
	m.done = append(m.done, "steps")
	prefix := key + " " + keys.Steps
	for _, name := range slices.Sorted(maps.Keys(m.blobs)) {
		if strings.HasPrefix(name, prefix) {
			s, err := readStep(strings.TrimPrefix(name, prefix), m.blobs[name])
			if err != nil {
				return nil, err
			}
			steps = append(steps, s)
		}
	}
	return steps, nil
}

func (m *memory) PutStep(ctx context.Context, key string, epoch int64, s request.Step, expires int64) (request.Kept, error) {
	if m.hang != nil {
		if err := m.hang(ctx, "put step"); err != nil {
			return request.Kept{}, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fault := m.failing("put step")
	if fault != nil && !errors.Is(fault, errLost) {
		return request.Kept{}, fault
	}
	if expires == 0 {
		return request.Kept{}, errors.New("put step: it would never expire")
	}
	if it := request.Decode(m.items[key]); it.Epoch != epoch {
		return request.Kept{Lost: true, Item: it}, fault
	}
	name := key + " " + keys.Step(s.Name)
	if old, there := m.blobs[name]; there {
		kept, err := readStep(s.Name, old)
		return request.Kept{Step: kept}, errors.Join(err, fault)
	}
	m.blobs[name] = append(fmt.Appendf(nil, "%d %d\n", s.Partials, s.Bytes), s.Result...)
	m.done = append(m.done, "step")
	return request.Kept{Step: s}, fault
}

// readStep reads a step as PutStep holds it: where the log stood, then the result.
func readStep(name string, raw []byte) (s request.Step, err error) {
	head, result, _ := bytes.Cut(raw, []byte("\n"))
	s = request.Step{Name: name, Result: result}
	_, err = fmt.Sscan(string(head), &s.Partials, &s.Bytes)
	return s, err
}
