package build_test

import (
	"archive/zip"
	"context"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamer-go/streamer/internal/build"
)

func linux(arch string, flags ...string) build.Target {
	return build.Target{GOOS: "linux", GOARCH: arch, Flags: flags}
}

func mustBuild(t *testing.T, cache string, p build.Package, target build.Target) string {
	t.Helper()
	path, err := build.Build(t.Context(), cache, p, target)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// unpack returns the zip's one file, which must be an executable bootstrap.
func unpack(t *testing.T, path string) string {
	t.Helper()
	r, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if len(r.File) != 1 || r.File[0].Name != "bootstrap" || r.File[0].Mode() != 0o755 {
		t.Fatalf("zip holds %v, want an executable bootstrap alone", r.File)
	}
	f, err := r.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "bootstrap")
	to, err := os.OpenFile(out, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, f); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// module writes a module of one main package and returns its directory.
func module(t *testing.T, says string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	write(t, filepath.Join(dir, "go.mod"), "module example.com/app\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { print(\""+says+"\") }\n")
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	// Two caches and two directories: nothing of either may be in the bytes.
	first := mustBuild(t, t.TempDir(), build.Package{Dir: module(t, "same")}, linux("arm64"))
	second := mustBuild(t, t.TempDir(), build.Package{Dir: module(t, "same")}, linux("arm64"))
	if mustRead(t, first) != mustRead(t, second) {
		t.Error("the same source gave two different archives")
	}
	if filepath.Base(first) != filepath.Base(second) {
		t.Errorf("names %s and %s differ for the same content", first, second)
	}
	other := mustBuild(t, t.TempDir(), build.Package{Dir: module(t, "other")}, linux("arm64"))
	if mustRead(t, first) == mustRead(t, other) {
		t.Error("different source gave the same archive")
	}
}

func TestBuildFollowsTheSource(t *testing.T) {
	t.Parallel()
	cache, dir := t.TempDir(), module(t, "one")
	before := mustBuild(t, cache, build.Package{Dir: dir}, linux("amd64"))
	again := mustBuild(t, cache, build.Package{Dir: dir}, linux("amd64"))
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { print(\"two\") }\n")
	after := mustBuild(t, cache, build.Package{Dir: dir}, linux("amd64"))
	if before != again {
		t.Errorf("unchanged source went from %s to %s", before, again)
	}
	if before == after {
		t.Error("an edit did not reach the archive")
	}
}

func TestBuildRuns(t *testing.T) {
	t.Parallel()
	target := build.Target{GOOS: runtime.GOOS, GOARCH: runtime.GOARCH}
	binary := unpack(t, mustBuild(t, t.TempDir(), build.Package{Dir: "testdata/hello"}, target))
	out, err := exec.CommandContext(t.Context(), binary).CombinedOutput()
	if err != nil || string(out) != "hello\n" {
		t.Errorf("bootstrap said %q, %v", out, err)
	}
}

func TestBuildTarget(t *testing.T) {
	t.Parallel()
	for arch, machine := range map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64} {
		f, err := elf.Open(unpack(t, mustBuild(t, t.TempDir(), build.Package{Dir: "testdata/hello"}, linux(arch))))
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != machine {
			t.Errorf("%s: binary is for %s", arch, f.Machine)
		}
		if f.Section(".symtab") != nil {
			t.Errorf("%s: binary has symbols", arch)
		}
		_ = f.Close()
	}
}

func TestBuildFlagsKeepSymbols(t *testing.T) {
	t.Parallel()
	f, err := elf.Open(unpack(t, mustBuild(t, t.TempDir(), build.Package{Dir: "testdata/hello"}, linux("amd64", "-cover"))))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Section(".symtab") == nil {
		t.Error("binary with -cover is stripped")
	}
}

func TestProgram(t *testing.T) {
	t.Parallel()
	cache, dir := t.TempDir(), module(t, "one")
	says := func() string {
		path, err := build.Program(t.Context(), cache, dir)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), path).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := says(); got != "one" {
		t.Errorf("it says %q", got)
	}
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { print(\"two\") }\n")
	if got := says(); got != "two" {
		t.Errorf("after an edit it says %q", got)
	}
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { nothing() }\n")
	var source *build.Error
	if _, err := build.Program(t.Context(), cache, dir); !errors.As(err, &source) || !strings.Contains(err.Error(), "main.go:3:15") {
		t.Errorf("got %v, want an *Error", err)
	}
}

func TestBuildConcurrently(t *testing.T) {
	t.Parallel()
	cache, dir := t.TempDir(), module(t, "same")
	paths := make([]string, 4)
	var wg sync.WaitGroup
	for i := range paths {
		wg.Go(func() {
			path, err := build.Build(t.Context(), cache, build.Package{Dir: dir}, linux("amd64"))
			if err != nil {
				t.Error(err)
			}
			paths[i] = path
		})
	}
	wg.Wait()
	for _, path := range paths {
		if path != paths[0] {
			t.Errorf("concurrent builds gave %v", paths)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "bin", "work-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBuildRemovesWhatIsOld(t *testing.T) {
	t.Parallel()
	cache, dir := t.TempDir(), module(t, "one")
	first := mustBuild(t, cache, build.Package{Dir: dir}, linux("amd64"))
	const day = 24 * time.Hour
	unused, killed, running := filepath.Join(cache, "zip", "unused.zip"), filepath.Join(cache, "bin", "work-1"), filepath.Join(cache, "bin", "work-2")
	binary := filepath.Join(cache, "bin", "work-0123456789abcdef") // of a directory that is named work
	write(t, unused, "old")
	write(t, filepath.Join(killed, "go-build1", "b001", "main.a"), "half")
	write(t, filepath.Join(running, "bootstrap"), "half")
	write(t, binary, "whole")
	for path, age := range map[string]time.Duration{first: 31 * day, unused: 31 * day, killed: 25 * time.Hour, running: 23 * time.Hour, binary: 29 * day} {
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	mustBuild(t, cache, build.Package{Dir: dir}, linux("amd64"))
	for path, stays := range map[string]bool{first: true, unused: false, killed: false, running: true, binary: true} {
		if _, err := os.Stat(path); os.IsNotExist(err) == stays {
			t.Errorf("%s stays: %v", path, err)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ dir, want string }{
		"compile error": {"testdata/broken", "build testdata/broken:\ntestdata/broken/main.go:5:2: undefined: undefinedHere"},
		"no main":       {"testdata/library", "build testdata/library:\nis not a main package: give the directory of the package main that calls Run"},
		"no directory":  {"testdata/absent", "build testdata/absent:\nthere is no directory testdata/absent"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := build.Build(t.Context(), t.TempDir(), build.Package{Dir: tt.dir}, linux("amd64"))
			var source *build.Error
			if !errors.As(err, &source) || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	t.Run("no go file", func(t *testing.T) {
		t.Parallel()
		_, err := build.Build(t.Context(), t.TempDir(), build.Package{Dir: t.TempDir()}, linux("amd64"))
		var source *build.Error
		if !errors.As(err, &source) {
			t.Errorf("got %v, want an *Error", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := build.Build(ctx, t.TempDir(), build.Package{Dir: "testdata/hello"}, linux("amd64"))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

func TestModule(t *testing.T) {
	t.Parallel()
	_, source, _, _ := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(filepath.Dir(source)))
	tests := map[string]string{
		"by the compiler's file": source,
		"by the go command":      "github.com/streamer-go/streamer/internal/build/build_test.go",
	}
	for name, file := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := build.Module(t.Context(), "github.com/streamer-go/streamer", file, ".")
			if err != nil || dir != root {
				t.Errorf("got %s, %v, want %s", dir, err, root)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		_, err := build.Module(t.Context(), "example.com/nowhere", "nowhere.go", ".")
		if err == nil || !strings.HasPrefix(err.Error(), "find module example.com/nowhere: ") {
			t.Errorf("got %v", err)
		}
	})
}
