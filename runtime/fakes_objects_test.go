package streamer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// The bucket is switched on by making objects a map.

func (m *memory) PutObject(_ context.Context, key, name string, data []byte, expires int64) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		return "", request.ErrTooLarge
	}
	if err := m.failing("put object"); err != nil {
		return "", err
	}
	object := fmt.Sprintf("b/%s/%s", key, name)
	m.objects[object] = slices.Clone(data)
	return object, nil
}

func (m *memory) GetObject(_ context.Context, object string, most int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failing("get object"); err != nil {
		return nil, err
	}
	data, ok := m.objects[object]
	switch {
	case !ok:
		return nil, fmt.Errorf("get object %s: %w", object, request.ErrNoBlob)
	case int64(len(data)) > most:
		return nil, request.ErrTooLarge
	}
	return data, nil
}

func (m *memory) ObjectURL(_ context.Context, object string) (string, time.Time, error) {
	return "https://bucket/" + object, time.Now().Add(time.Hour), nil
}

func (m *memory) UploadURL(_ context.Context, object string, size int64) (string, map[string]string, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		return "", nil, time.Time{}, request.ErrTooLarge
	}
	return "https://bucket/" + object, map[string]string{"Content-Length": fmt.Sprint(size)}, time.Now().Add(time.Hour), nil
}

// put uploads to a URL of UploadURL.
func (m *memory) put(url string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[strings.TrimPrefix(url, "https://bucket/")] = data
}
