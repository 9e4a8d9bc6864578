package main

import (
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamer-go/streamer/internal/build"
)

// disk is files in memory, some of which are sources.
type disk struct {
	mu      sync.Mutex
	states  map[string]build.State
	sources map[string]bool
	built   []time.Duration // since begin
	begin   time.Time
}

func newDisk(sources ...string) *disk {
	d := &disk{states: map[string]build.State{}, sources: map[string]bool{}, begin: time.Now()}
	d.source(sources...)
	return d
}

func (d *disk) source(names ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		d.sources[name] = true
	}
}

func (d *disk) put(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.states[name] = build.State{Modified: time.Now()}
}

func (d *disk) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.states, name)
}

// find is what the sources are now.
func (d *disk) find() look {
	d.mu.Lock()
	defer d.mu.Unlock()
	sources := maps.Clone(d.sources)
	return func() map[string]build.State {
		d.mu.Lock()
		defer d.mu.Unlock()
		states := maps.Clone(d.states)
		maps.DeleteFunc(states, func(name string, _ build.State) bool { return !sources[name] })
		return states
	}
}

// watch watches the disk; a build takes a while and does something at its end.
func (d *disk) watch(ctx context.Context, began time.Time, build func()) {
	go watch(ctx, began, d.find, func() {
		d.mu.Lock()
		d.built = append(d.built, time.Since(d.begin))
		d.mu.Unlock()
		time.Sleep(time.Second)
		build()
	})
}

// wants checks how many builds have begun since it was asked last.
func (d *disk) wants(t *testing.T, what string, builds int) {
	t.Helper()
	time.Sleep(10 * watchEvery) // in no time
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.built) != builds {
		t.Errorf("%s: built at %v, want %d times", what, d.built, builds)
	}
	d.built = nil
}

// What changes while a program is built is built once that is done; what was so
// before is not.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk("main.go", "sub/new.go", "old.go")
		d.put("old.go")
		time.Sleep(time.Minute)
		began := time.Now()
		time.Sleep(time.Second)
		d.put("main.go")
		during := func() {}
		d.watch(t.Context(), began, func() { during() })
		d.wants(t, "edited during the first build", 1)
		d.wants(t, "nothing", 0)
		d.put("sub/new.go")
		d.wants(t, "new file", 1)
		d.put("dev.log")
		d.wants(t, "no source", 0)
		d.remove("sub/new.go")
		d.wants(t, "removed", 1)
		for name, change := range map[string]func(){
			"edited":  func() { d.put("main.go") },
			"removed": func() { d.remove("old.go") },
			"new":     func() { d.put("sub/new.go") },
		} {
			during = sync.OnceFunc(change)
			d.put("main.go")
			d.wants(t, name+" during the build", 2)
		}
	})
}

// A build may say that there are further sources. Those are as old as they are.
func TestWatchFindsSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk("main.go")
		d.put("main.go")
		d.put("old.go")
		d.put("late.go")
		time.Sleep(time.Minute)
		first := true
		d.watch(t.Context(), time.Now(), func() {
			if first {
				d.put("late.go")
				d.source("late.go", "old.go")
			}
			first = false
		})
		d.wants(t, "nothing", 0)
		d.put("late.go")
		d.wants(t, "not yet a source", 0)
		d.put("main.go")
		d.wants(t, "imports more, of which one file is newer than the build", 2)
		d.put("old.go")
		d.wants(t, "a source by now", 1)
	})
}

// Several edits are one build, and there is one although there is no end of them.
func TestWatchWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDisk("main.go", "noise.go")
		d.put("main.go")
		time.Sleep(time.Minute)
		d.watch(t.Context(), time.Now(), func() {})
		for range 3 {
			time.Sleep(watchEvery * 3 / 4) // never when it looks
			d.put("main.go")
		}
		d.wants(t, "three edits", 1)
		d.begin = time.Now()
		d.put("main.go")
		noisy, quiet := context.WithCancel(t.Context())
		go func() {
			for noisy.Err() == nil {
				d.put("noise.go")
				time.Sleep(watchEvery / 5)
			}
		}()
		time.Sleep(longestWait + 2*watchEvery)
		d.mu.Lock()
		if len(d.built) != 1 || d.built[0] > longestWait+watchEvery {
			t.Errorf("built at %v, want once, %v after the edit", d.built, longestWait)
		}
		d.mu.Unlock()
		quiet()
		d.wants(t, "the noise during the build", 2)
	})
}
