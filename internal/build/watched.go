package build

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Watched is what programs are built from, as far as it is edited here: files that
// are there and places where further ones would be built as well. Its zero value is
// nothing.
type Watched struct {
	files map[string]bool
	dirs  map[string]bool // of packages
	embed map[embed]bool
}

// embed is a pattern of a package in dir.
type embed struct{ dir, pattern string }

// State of a file, as far as a change shows in it.
type State struct {
	Modified time.Time
	Size     int64
}

func newWatched() Watched {
	return Watched{files: map[string]bool{}, dirs: map[string]bool{}, embed: map[embed]bool{}}
}

// With returns w and files that need not be there.
func (w Watched) With(files ...string) Watched {
	sum := w.And(Watched{})
	for _, file := range files {
		sum.files[file] = true
	}
	return sum
}

// And returns what is in one of the two.
func (w Watched) And(other Watched) Watched {
	sum := newWatched()
	for _, part := range []Watched{w, other} {
		maps.Copy(sum.files, part.files)
		maps.Copy(sum.dirs, part.dirs)
		maps.Copy(sum.embed, part.embed)
	}
	return sum
}

// States are those of the files that are there now, by path.
func (w Watched) States() map[string]State {
	states := map[string]State{}
	add := func(file string) {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			states[file] = State{info.ModTime(), info.Size()}
		}
	}
	for file := range w.files {
		add(file)
	}
	for dir := range w.dirs {
		entries, _ := os.ReadDir(dir) // where there is none, one may come
		for _, entry := range entries {
			if compiles(entry.Name()) {
				add(filepath.Join(dir, entry.Name()))
			}
		}
	}
	for e := range w.embed {
		e.each(add)
	}
	return states
}

// extensions are those of files that go build compiles ("go help packages" and the
// file lists of "go help list").
var extensions = map[string]bool{
	".go": true, ".s": true, ".S": true, ".sx": true, ".syso": true,
	".c": true, ".cc": true, ".cpp": true, ".cxx": true, ".m": true, ".h": true, ".hh": true, ".hpp": true, ".hxx": true,
	".f": true, ".F": true, ".for": true, ".f90": true, ".swig": true, ".swigcxx": true,
}

// compiles says whether go build looks at a file of that name. It does at tests: one
// without a package clause fails the build.
func compiles(name string) bool { return extensions[filepath.Ext(name)] && !ignored(name) }

// ignored says whether the go command passes over a file or directory of that name.
func ignored(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// each calls add with every file that matches now, as package embed says it.
func (e embed) each(add func(string)) {
	pattern, all := strings.CutPrefix(e.pattern, "all:")
	root := os.DirFS(e.dir)
	matches, _ := fs.Glob(root, pattern) // what is no pattern fails the build
	for _, match := range matches {
		_ = fs.WalkDir(root, match, func(file string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil: // it went away meanwhile
			case file != match && !all && ignored(path.Base(file)):
				if entry.IsDir() {
					return fs.SkipDir
				}
			case !entry.IsDir():
				add(filepath.Join(e.dir, filepath.FromSlash(file)))
			}
			return nil
		})
	}
}
