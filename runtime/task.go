package streamer

import (
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"unicode/utf8"

	"github.com/streamer-go/streamer/runtime/wire"
)

// Progress is a snapshot of how far a task is: the newest wins.
type Progress struct {
	// Percentage from 0 to 100.
	Percentage float64
	// Message is for people; what is over 4 KB of it is cut off.
	Message string
	// Metadata is marshalled to a JSON object of at most 4 KB; nil for none.
	Metadata any
}

const maxMessage = 4096

// Task is a background request in the hands of its handler. Its methods are
// safe for concurrent use and must not be called after the handler has returned.
type Task struct {
	call    Call
	dropped atomic.Bool // metadata was, and the log says so
	owner   *owner
	log     *slog.Logger
	journal *journal
}

// ID is the client's id of the request.
func (t *Task) ID() string { return t.call.ID }

// Attempt counts from 1.
func (t *Task) Attempt() int { return t.call.Attempt }

// IdempotencyKey is the same for every attempt at this request and no other's:
// give it to the systems that the handler changes, since attempts may repeat.
func (t *Task) IdempotencyKey() string { return t.owner.key }

// Progress reports. It never blocks: reports that come faster than the action's
// ProgressEvery are coalesced, and the last one is always sent. Metadata that
// is no JSON object or too large is dropped; the log says so once.
func (t *Task) Progress(p Progress) {
	meta, err := metadata(p.Metadata)
	if err != nil && t.dropped.CompareAndSwap(false, true) {
		t.log.Warn("progress metadata dropped", "request", t.owner.key, "error", err.Error())
	}
	t.owner.report(report{percentage: wire.Percentage(p.Percentage), message: cut(p.Message, maxMessage), metadata: meta})
}

func metadata(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := encode(v)
	switch {
	case err != nil:
		return nil, err
	case len(raw) > wire.MaxMetadata || raw[0] != '{':
		return nil, Invalid("metadata", "want a JSON object of at most 4 KB")
	}
	return raw, nil
}

// cut shortens s to at most n bytes, at a rune's boundary.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
