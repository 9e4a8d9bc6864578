package streamer

import (
	"context"
	"fmt"
	"time"

	"github.com/streamer-go/streamer/runtime/internal/blobs"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	tagInline  = blobs.Inline
	tagHistory = blobs.History
	maxHistory = blobs.MaxHistory
)

// blobStore is where blobs are, and where clients can read them.
type blobStore interface {
	blobs.Store
	ObjectURL(ctx context.Context, object string) (url string, until time.Time, err error)
}

// storeBlob returns what the item holds for data, until expires (seconds).
// request.ErrTooLarge says that it can be held nowhere.
func storeBlob(ctx context.Context, store blobStore, key, name string, data []byte, expires int64) ([]byte, error) {
	return blobs.Put(ctx, store, key, name, data, expires)
}

// storable is what bounds data of that length that storeBlob cannot hold: what an
// object may have; else there is no bucket, or none that keeps it for as long.
func storable(n int) int {
	if n > blobs.MaxObject {
		return blobs.MaxObject
	}
	return maxHistory
}

// loadBlob is the other way.
func loadBlob(ctx context.Context, store blobStore, key string, blob []byte) ([]byte, error) {
	return blobs.Load(ctx, store, key, blob)
}

// parseObject reads a blob that is an object; size is 0 for any other.
func parseObject(blob []byte) (size int64, object string, err error) { return blobs.Parse(blob) }

// resultOf is the result of a request that succeeded, as a message can carry it:
// the data, or where it is; room is what the message has for it.
func resultOf(ctx context.Context, store blobStore, it request.Item, room int) (wire.Result, error) {
	size, object, err := parseObject(it.Output)
	if err != nil {
		return wire.Result{}, fmt.Errorf("read output of %s: %w", it.Key, err)
	}
	if size > 0 {
		url, until, err := store.ObjectURL(ctx, object)
		return wire.Result{Ref: &wire.Ref{Size: size, URL: url, ExpiresAt: stamp(until)}, Partials: it.Partials}, err
	}
	data, err := loadBlob(ctx, store, it.Key, it.Output)
	return inParts(data, it.Partials, room), err
}

// inParts is a result that no object holds.
func inParts(data []byte, partials int64, room int) wire.Result {
	if len(data) > room {
		ref := &wire.Ref{Size: int64(len(data)), Parts: int64(len(cutParts(data)))}
		return wire.Result{Ref: ref, Partials: partials}
	}
	return wire.Result{Data: data, Partials: partials}
}

// envelope is more than a frame has around its data; room, what is left for it.
const (
	envelope = 1 << 10
	room     = wire.MaxMessage - envelope
)

// terminalFrame is the last frame of a request that has ended.
func terminalFrame(ctx context.Context, store blobStore, it request.Item) ([]byte, error) {
	_, _, id, err := keys.Parse(it.Key)
	if err != nil {
		return nil, err
	}
	cursor := wire.Cursor{Epoch: it.Epoch}
	if it.State != request.Succeeded {
		return wire.AppendError(nil, id, storedError(it), &cursor), nil
	}
	res, err := resultOf(ctx, store, it, room)
	if err != nil {
		return nil, err
	}
	return wire.AppendComplete(nil, id, cursor, res), nil
}

// partSize is what of a result one answer to $fetch carries: escaped as a string
// it is at most twice as long.
const partSize = 60_000

// cutParts cuts a JSON text for $fetch, between characters.
func cutParts(data []byte) (parts [][]byte) {
	for len(data) > partSize {
		n := partSize
		for n > partSize-4 && data[n]&0xC0 == 0x80 {
			n--
		}
		parts = append(parts, data[:n])
		data = data[n:]
	}
	return append(parts, data)
}
