package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Sources asks the go command what the packages are built from, and returns what of
// it is edited here: packages of the main module, of a workspace, and of modules that
// a directory replaces. What comes from the module cache never changes. Of source
// that is at fault, what was found of it is returned with the error.
func Sources(ctx context.Context, packages ...Package) (Watched, error) {
	w := newWatched()
	var places []Package // without a path
	paths := map[Package][]string{}
	for _, p := range packages {
		p, err := p.resolved()
		if err != nil {
			return w, fmt.Errorf("list sources of %s: %w", p.name(), err)
		}
		place := Package{Dir: p.Dir, Own: p.Own}
		if paths[place] == nil {
			places = append(places, place)
		}
		if !slices.Contains(paths[place], p.Path) {
			paths[place] = append(paths[place], p.Path)
		}
	}
	var errs []error
	for _, place := range places {
		if err := w.list(ctx, place, paths[place]); err != nil {
			errs = append(errs, fmt.Errorf("list sources of %s: %w", place.name(), err))
		}
	}
	return w, errors.Join(errs...)
}

// list adds what the packages at paths are built from.
func (w Watched) list(ctx context.Context, p Package, paths []string) error {
	env := append(p.alone(os.Environ()), "PWD="+p.Dir) // it names what it lists as we do
	out, said, err := askIn(ctx, p.Dir, env, "env", "-json", "GOMODCACHE", "GOWORK")
	var known struct{ GOMODCACHE, GOWORK string }
	if err == nil {
		err = json.Unmarshal(out, &known)
	}
	if err != nil {
		w.local(p.Dir, paths)
		return complaint(err, said)
	}
	if known.GOMODCACHE != "" && strings.HasPrefix(p.Dir, known.GOMODCACHE+string(filepath.Separator)) {
		return nil // the main module of its own, but nobody edits it
	}
	w.local(p.Dir, paths)
	if filepath.IsAbs(known.GOWORK) { // or off
		w.files[known.GOWORK], w.files[known.GOWORK+".sum"] = true, true
	}
	out, said, err = askIn(ctx, p.Dir, env, append([]string{"list", "-e", "-deps", "-json=" + listedFields}, paths...)...)
	return errors.Join(w.read(out), complaint(err, said))
}

// local adds the directories of packages that are named by them, whether the go
// command can list those or not.
func (w Watched) local(dir string, paths []string) {
	for _, p := range paths {
		if p == "." || strings.HasPrefix(p, "./") || strings.HasPrefix(p, "../") {
			w.dirs[filepath.Join(dir, filepath.FromSlash(p))] = true
		}
	}
}

func complaint(err error, said string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s", err, strings.TrimSpace(said))
}

// listed is a package as go list prints it.
type listed struct {
	ImportPath, Dir string
	Standard        bool
	EmbedPatterns   []string
	Module          *listedModule
	Error           *struct{ Err string }
}

const listedFields = "ImportPath,Dir,Standard,EmbedPatterns,Module,Error"

type listedModule struct {
	Path, Version, Dir string
	Main               bool // also each one of a workspace
	Replace            *listedModule
}

// local is the directory of a module that is edited here, "" for one that is not.
func (m *listedModule) local() string {
	switch {
	case m == nil:
	case m.Main:
		return m.Dir
	case m.Replace != nil && m.Replace.Version == "":
		return m.Replace.Dir
	}
	return ""
}

// read adds the packages of go list's output.
func (w Watched) read(out []byte) error {
	modules := map[string]string{} // directories by path
	var missing []string
	var errs []error
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); err != nil {
			if !errors.Is(err, io.EOF) {
				errs = append(errs, err)
			}
			break
		}
		if l.Error != nil {
			errs = append(errs, fmt.Errorf("package %s: %s", l.ImportPath, l.Error.Err))
		}
		dir := l.Module.local()
		switch {
		case l.Standard:
		case l.Module == nil:
			missing = append(missing, l.ImportPath)
		case dir != "":
			modules[l.Module.Path] = dir
			w.dirs[l.Dir] = true
			w.files[filepath.Join(dir, "go.mod")], w.files[filepath.Join(dir, "go.sum")] = true, true
			for _, pattern := range l.EmbedPatterns {
				w.embed[embed{l.Dir, pattern}] = true
			}
		}
	}
	// What is imported may be written next.
	for _, name := range missing {
		for module, dir := range modules {
			if rest, ok := strings.CutPrefix(path.Clean(name), module+"/"); ok {
				w.dirs[filepath.Join(dir, filepath.FromSlash(rest))] = true
			}
		}
	}
	return errors.Join(errs...)
}
