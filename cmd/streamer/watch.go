package main

import (
	"context"
	"maps"
	"time"

	"github.com/streamer-go/streamer/internal/build"
)

const (
	// watchEvery is how often the sources are looked at.
	watchEvery = 500 * time.Millisecond
	// longestWait is how long a change waits for an end of changes: a file may change
	// all the time.
	longestWait = 3 * time.Second
)

// look returns the states of the files that are sources.
type look func() map[string]build.State

// watcher knows what has changed since the sources were built.
type watcher struct {
	find  func() look // what the sources are is known anew after each build
	look  look
	seen  map[string]build.State
	dirty time.Time // since then, zero for not at all
}

// watch calls changed when a source has come, gone or changed since the build that
// began at that time, and nothing has after that, until the context ends.
func watch(ctx context.Context, began time.Time, find func() look, changed func()) {
	w := &watcher{find: find, look: func() map[string]build.State { return nil }}
	w.built(began)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if w.due() {
			began := time.Now()
			changed()
			w.built(began)
			tick.Reset(watchEvery) // no tick is left of the time that it took
		}
	}
}

// built takes in what the sources are after a build that began at that time. What
// has changed meanwhile may not be in it.
func (w *watcher) built(began time.Time) {
	before, again := w.seen, w.look
	w.look = w.find()
	w.seen = w.look()
	dirty := !maps.Equal(before, again())
	for file, state := range w.seen {
		if _, ok := before[file]; !ok && state.Modified.After(began) {
			dirty = true // what it was before the build is not known
		}
	}
	w.dirty = time.Time{}
	if dirty {
		w.dirty = time.Now()
	}
}

// due looks at the sources, and says whether it is time to build them.
func (w *watcher) due() bool {
	now := w.look()
	quiet := maps.Equal(now, w.seen) // editors write in several steps: wait for the last
	w.seen = now
	if !quiet && w.dirty.IsZero() {
		w.dirty = time.Now()
	}
	return !w.dirty.IsZero() && (quiet || time.Since(w.dirty) >= longestWait)
}
