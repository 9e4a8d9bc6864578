package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// What changes while a program is built for the first time is built once it is up;
// what was so before is not.
func TestWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		put("main.go", "one")
		seen := sources(dir)
		put("main.go", "one, edited during the build")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		changes := make(chan struct{}, 9)
		go watch(ctx, dir, seen, func() { changes <- struct{}{} })
		step := func(want int, name, text string) {
			t.Helper()
			if name != "" {
				put(name, text)
			}
			time.Sleep(10 * watchEvery) // in no time
			synctest.Wait()
			if got := len(changes); got != want {
				t.Errorf("%s %q: %d changes, want %d", name, text, got, want)
			}
			for range len(changes) {
				<-changes
			}
		}
		step(1, "", "")
		step(0, "", "")
		step(1, "sub/new.go", "new")
		step(0, ".hidden", "x")
		step(0, "bin/x", "x")
		step(1, "main.go", "two")
	})
}
