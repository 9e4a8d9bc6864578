// Package blobs is what items hold for data: the data itself while it is small,
// else the name under which history holds it, or that of an object. Pure but for
// the store that it is given; safe for concurrent use where that is.
package blobs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/streamer-go/streamer/runtime/internal/request"
)

// A blob is a tag, and then the data itself, or the name under which history
// holds it, or its size and the name of an object.
const (
	Inline  = 0
	History = 1
	Object  = 2
)

const (
	// MaxInline keeps an item under one kilobyte, which is what a write is paid for.
	MaxInline = 256
	// MaxHistory leaves room for the rest of an item, which may have 400 KB.
	MaxHistory = 350 << 10
	// MaxObject bounds what is read into memory.
	MaxObject = 256 << 20
)

// Store is where blobs are.
type Store interface {
	PutBlob(ctx context.Context, key, name string, data []byte, expires int64) error
	// GetBlob returns request.ErrNoBlob when there is none.
	GetBlob(ctx context.Context, key, name string) ([]byte, error)
	// PutObject returns the name of the object, or request.ErrTooLarge.
	PutObject(ctx context.Context, key, name string, data []byte, expires int64) (string, error)
	GetObject(ctx context.Context, object string, most int64) ([]byte, error)
}

// Put returns what the item holds for data, until expires (seconds).
// request.ErrTooLarge says that it can be held nowhere.
func Put(ctx context.Context, store Store, key, name string, data []byte, expires int64) ([]byte, error) {
	switch {
	case len(data) <= MaxInline:
		return append([]byte{Inline}, data...), nil
	case len(data) <= MaxHistory:
		if err := store.PutBlob(ctx, key, name, data, expires); err != nil {
			return nil, err
		}
		return append([]byte{History}, name...), nil
	case len(data) > MaxObject:
		return nil, fmt.Errorf("store %s of %s: %w", name, key, request.ErrTooLarge)
	}
	object, err := store.PutObject(ctx, key, name, data, expires)
	if err != nil {
		return nil, err
	}
	return append(binary.AppendUvarint([]byte{Object}, uint64(len(data))), object...), nil
}

// Load is the other way.
func Load(ctx context.Context, store Store, key string, blob []byte) ([]byte, error) {
	if len(blob) == 0 {
		return nil, nil
	}
	switch blob[0] {
	case Inline:
		return blob[1:], nil
	case History:
		return store.GetBlob(ctx, key, string(blob[1:]))
	case Object:
		_, object, err := Parse(blob)
		if err != nil {
			return nil, fmt.Errorf("load blob of %s: %w", key, err)
		}
		return store.GetObject(ctx, object, MaxObject)
	default:
		return nil, fmt.Errorf("load blob of %s: tag %d is not known", key, blob[0])
	}
}

// Parse reads a blob that is an object; size is 0 for any other.
func Parse(blob []byte) (size int64, object string, err error) {
	if len(blob) == 0 || blob[0] != Object {
		return 0, "", nil
	}
	n, read := binary.Uvarint(blob[1:])
	if read <= 0 {
		return 0, "", errors.New("its size is not readable")
	}
	return int64(n), string(blob[1+read:]), nil
}
