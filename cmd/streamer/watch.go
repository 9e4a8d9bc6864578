package main

import (
	"context"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"time"
)

// watchEvery is how often the sources are looked at.
const watchEvery = 500 * time.Millisecond

// watch calls changed each time when a source file under dir has come, gone or
// changed since it was seen so, and nothing has after that, until the context ends.
func watch(ctx context.Context, dir string, seen map[string]state, changed func()) {
	dirty := false
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := sources(dir)
		switch {
		case !maps.Equal(now, seen):
			seen, dirty = now, true // editors write in several steps: wait for the last
		case dirty:
			dirty = false
			changed()
		}
	}
}

// state of a file, as far as a change shows in it.
type state struct {
	modified time.Time
	size     int64
}

// unwatched are directories that hold what was built or fetched, not sources.
var unwatched = map[string]bool{"bin": true, "coverage": true, "node_modules": true, "reports-out": true, "vendor": true}

// sources lists what a program is built from. What it embeds is not known here,
// so that is every file but hidden ones.
func sources(dir string) map[string]state {
	files := map[string]state{}
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // a file that went away meanwhile
		}
		hidden := path != dir && strings.HasPrefix(entry.Name(), ".")
		switch {
		case entry.IsDir() && (hidden || unwatched[entry.Name()]):
			return fs.SkipDir
		case hidden:
			return nil
		}
		if entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				files[path] = state{info.ModTime(), info.Size()}
			}
		}
		return nil
	})
	return files
}
