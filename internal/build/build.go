// Package build makes the zips that the functions run: it compiles a Go main
// package with the go command on PATH and packs it, reproducibly, so that the
// same source gives the same bytes. It also compiles the programs that declare
// them, for the host that runs those locally.
//
// Build may be called concurrently, also from several processes that share a
// cache directory. The package imports the standard library only.
package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Target is what a binary is built for.
type Target struct {
	GOOS, GOARCH string
	// Flags are further flags of go build, such as -cover. With any of them the
	// binary keeps its symbols; -race switches cgo on, which it needs.
	Flags []string
}

// Package is a main package.
type Package struct {
	// Dir is where the go command runs: a directory inside the package's module.
	Dir string
	// Path is the package, relative to Dir or as import path. Default ".".
	Path string
	// Own is true for a package that is built by its own go.mod alone: no
	// workspace, and nothing written to it.
	Own bool
}

// Error is a package that does not compile, or is none.
type Error struct {
	Package string
	// Output is what the go command said. File names in it can be opened from the
	// working directory of this process.
	Output string
}

func (e *Error) Error() string { return "build " + e.Package + ":\n" + e.Output }

// Build compiles p and returns the path of a zip that holds it as bootstrap. The
// zip lies in cache under the hash of the binary in it; the binary is kept beside
// it, so that building unchanged source again links and packs nothing. An *Error
// means that the source is at fault.
func Build(ctx context.Context, cache string, p Package, t Target) (string, error) {
	p, err := p.resolved()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", p.name(), err)
	}
	if info, err := os.Stat(p.Dir); err != nil || !info.IsDir() {
		return "", &Error{Package: p.name(), Output: "there is no directory " + relative(p.Dir)}
	}
	kept := filepath.Join(cache, "bin", key(p, t))
	if err := compile(ctx, kept, p, environment(p, t), arguments(p, t)); err != nil {
		return "", err
	}
	binary, err := os.ReadFile(kept)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", p.name(), err)
	}
	path := filepath.Join(cache, "zip", zipName(binary))
	if !used(path) {
		archive, err := pack(binary)
		if err != nil {
			return "", fmt.Errorf("pack %s: %w", p.name(), err)
		}
		if err := store(path, archive, 0o644); err != nil {
			return "", fmt.Errorf("store archive of %s: %w", p.name(), err)
		}
	}
	prune(filepath.Join(cache, "zip"))
	prune(filepath.Join(cache, "bin"))
	return path, nil
}

// first is held by builds of what was not built here before. Programs have most of
// their packages in common, and go commands that run at the same time would each
// compile all of them.
var first sync.Mutex

// Program compiles the main package in dir for this machine, as go build does
// without being told anything, and returns the path of the binary in cache. The
// next build of the same directory replaces it. An *Error means that the source is
// at fault.
func Program(ctx context.Context, cache, dir string) (string, error) {
	p := Package{Dir: dir, Path: "."}
	kept := filepath.Join(cache, "bin", key(p, Target{}))
	if err := compile(ctx, kept, p, os.Environ(), []string{"-buildvcs=false", "."}); err != nil {
		return "", err
	}
	prune(filepath.Join(cache, "bin"))
	return kept, nil
}

// compile runs go build on a copy of the binary that was built last (the go
// command then sees that nothing is to be linked), and puts the result in its
// place. The copy is what makes concurrent builds harmless.
func compile(ctx context.Context, kept string, p Package, env, args []string) error {
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return fmt.Errorf("build %s: %w", p.name(), err)
	}
	work, err := os.MkdirTemp(filepath.Dir(kept), "work-")
	if err != nil {
		return fmt.Errorf("build %s: %w", p.name(), err)
	}
	defer os.RemoveAll(work)
	out := filepath.Join(work, "bootstrap")
	if old, err := os.ReadFile(kept); err == nil {
		if err := os.WriteFile(out, old, 0o755); err != nil {
			return fmt.Errorf("build %s: %w", p.name(), err)
		}
	} else {
		first.Lock()
		defer first.Unlock()
	}
	cmd := goCommand(ctx, append([]string{"build", "-C", p.Dir, "-o", out}, args...)...)
	cmd.Env = env
	if os.Getenv("GOTMPDIR") == "" { // so that prune finds all that a killed build leaves
		cmd.Env = append(cmd.Env, "GOTMPDIR="+work)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := runGo(ctx, cmd); err != nil {
		return failure(ctx, err, p, said.String())
	}
	if isArchive(out) {
		return &Error{Package: p.name(), Output: "is not a main package: give the directory of the package main that calls Run"}
	}
	if err := os.Rename(out, kept); err != nil {
		return fmt.Errorf("build %s: %w", p.name(), err)
	}
	return nil
}

// isArchive says whether the go command has written a package that is no main.
func isArchive(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 7)
	_, _ = io.ReadFull(f, head)
	return string(head) == "!<arch>"
}

func arguments(p Package, t Target) []string {
	args := []string{"-trimpath", "-buildvcs=false", "-tags", "lambda.norpc"}
	if p.Own {
		args = append(args, "-mod=readonly")
	}
	if len(t.Flags) == 0 {
		args = append(args, "-ldflags", "-s -w")
	}
	return append(append(args, t.Flags...), p.Path)
}

func environment(p Package, t Target) []string {
	cgo := "CGO_ENABLED=0"
	if slices.Contains(t.Flags, "-race") {
		cgo = "CGO_ENABLED=1"
	}
	return p.alone(append(os.Environ(), "GOOS="+t.GOOS, "GOARCH="+t.GOARCH, cgo))
}

// alone is the environment in which the go command sees nothing but the package's
// go.mod, for one that is built so.
func (p Package) alone(env []string) []string {
	if p.Own {
		env = append(env, "GOWORK=off", "GOFLAGS=")
	}
	return env
}

func failure(ctx context.Context, err error, p Package, said string) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("build %s: %w", p.name(), context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("build %s: the go command is not on PATH", p.name())
	case !errors.As(err, &exit):
		return fmt.Errorf("build %s: %w", p.name(), err)
	}
	return &Error{Package: p.name(), Output: locate(said, p.Dir)}
}

// CacheDir is where binaries and archives are kept for this user. The path of an
// archive is not part of what Pulumi compares.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		// A build container may have no home. The working directory is the program's.
		wd, werr := os.Getwd()
		if werr != nil {
			return "", fmt.Errorf("find cache directory: %w", errors.Join(err, werr))
		}
		return filepath.Join(wd, ".streamer", "build"), nil
	}
	return filepath.Join(base, "streamer"), nil
}

// zipName names the zip of a binary. What compresses it is part of the name.
func zipName(binary []byte) string {
	h := sha256.New()
	_, _ = io.WriteString(h, runtime.Version()+"\x00")
	_, _ = h.Write(binary)
	return hex.EncodeToString(h.Sum(nil)[:16]) + ".zip"
}

// used says whether the file is there, and marks it as in use, see prune.
func used(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if now := time.Now(); now.After(info.ModTime()) { // a test's own clock may be behind
		_ = os.Chtimes(path, now, now) // at worst it is made again
	}
	return true
}

// store writes a file whose name says what is in it. Others see it whole or not
// at all.
func store(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it is gone when it was renamed
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// keep is how long what nobody has built again stays in the cache, and keepWork the
// directory that a killed process has built in: no build takes so long.
const (
	keep     = 30 * 24 * time.Hour
	keepWork = 24 * time.Hour
)

// prune removes what is old. It is no error when it cannot: another process may do
// the same.
func prune(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		age := keep
		if e.IsDir() {
			age = keepWork
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > age {
			_ = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// resolved is the package with an absolute Dir, and a Path.
func (p Package) resolved() (Package, error) {
	if p.Path == "" {
		p.Path = "."
	}
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return p, err
	}
	p.Dir = dir
	return p, nil
}

func (p Package) name() string {
	if p.Path == "." || p.Path == "" {
		return relative(p.Dir)
	}
	return p.Path
}

// key names the binary of a package and target.
func key(p Package, t Target) string {
	h := sha256.New()
	for _, part := range append([]string{p.Dir, p.Path, t.GOOS, t.GOARCH}, t.Flags...) {
		_, _ = io.WriteString(h, part+"\x00")
	}
	return strings.ToLower(filepath.Base(p.Dir)) + "-" + hex.EncodeToString(h.Sum(nil)[:8])
}
