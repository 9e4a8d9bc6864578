// Package imports_test keeps the parts of the module apart: it reads the
// imports of every package and checks who may use whom, directly or through
// others.
package imports_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/streamer-go/streamer"

// graph holds, by package, what its files import: without and with its tests.
// Packages of this module are named by their directory, from / on.
type graph struct{ code, all map[string][]string }

// load parses the import clauses of every package of the module.
func load(t *testing.T) graph {
	t.Helper()
	root := filepath.Join("..", "..")
	g := graph{map[string][]string{}, map[string][]string{}}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			nested := file != root && exists(filepath.Join(file, "go.mod"))
			if file != root && (name == "testdata" || nested || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		pkg := "/" + filepath.ToSlash(rel)
		g.all[pkg] = append(g.all[pkg], []string{}...) // a package may import nothing
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			p = strings.TrimPrefix(p, module)
			g.all[pkg] = append(g.all[pkg], p)
			if !strings.HasSuffix(name, "_test.go") {
				g.code[pkg] = append(g.code[pkg], p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

// under says whether a package of this module is that directory or below it.
func under(pkg string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(pkg+"/", "/"+d+"/") })
}

// standard says whether an import is of the standard library: its first part
// has no dot, and it is not ours.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".") && !ours(p)
}

func ours(p string) bool { return p == "" || p[0] == '/' }

// path finds the first chain of imports from a package to one that is bad.
func (g graph) path(from string, bad func(string) bool) []string {
	type step struct {
		pkg string
		way []string
	}
	seen, queue := map[string]bool{from: true}, []step{{from, []string{from}}}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for _, p := range g.code[s.pkg] {
			way := append(slices.Clone(s.way), p)
			if bad(p) {
				return way
			}
			if !seen[p] && ours(p) {
				seen[p] = true
				queue = append(queue, step{p, way})
			}
		}
	}
	return nil
}

func pulumi(p string) bool { return strings.HasPrefix(p, "github.com/pulumi/") }

// rules say, for each part of the module, what it may not reach. A part that has
// no package is a mistake of the rule.
var rules = []struct {
	name string
	who  func(pkg string) bool
	bad  func(p string) bool
}{
	{
		"runtime/wire is the standard library's only",
		func(p string) bool { return under(p, "runtime/wire") },
		func(p string) bool { return !standard(p) },
	},
	{
		"internal/contract is the standard library's only",
		func(p string) bool { return under(p, "internal/contract") },
		func(p string) bool { return !standard(p) },
	},
	{
		"runtime uses itself and internal/contract",
		func(p string) bool { return under(p, "runtime") },
		func(p string) bool {
			return pulumi(p) || ours(p) && !under(p, "runtime", "internal/contract")
		},
	},
	{
		"lambdas use the runtime",
		func(p string) bool { return under(p, "lambdas") },
		func(p string) bool {
			return pulumi(p) || ours(p) && !under(p, "runtime", "lambdas", "internal/contract")
		},
	},
	{
		"the component uses what is internal to the module, neither runtime nor local cloud",
		func(p string) bool { return under(p, "component") },
		func(p string) bool { return ours(p) && !under(p, "component", "internal") },
	},
	{
		"the local cloud knows nothing of what runs on it",
		func(p string) bool { return under(p, "localcloud") },
		func(p string) bool {
			return under(p, "runtime", "component", "internal/contract", "lambdas", "examples")
		},
	},
	{
		"only localcloud/deploy speaks Pulumi there",
		func(p string) bool { return under(p, "localcloud") && !under(p, "localcloud/deploy") },
		func(p string) bool { return pulumi(p) },
	},
	{
		"handlers of examples do not use Pulumi, nor what users cannot",
		func(p string) bool { return under(p, "examples") && path.Base(p) != "infra" },
		func(p string) bool { return pulumi(p) || under(p, "component", "localcloud") },
	},
	{
		"nobody uses programs",
		func(string) bool { return true },
		func(p string) bool { return under(p, "lambdas", "cmd", "tests") },
	},
}

func TestImportDirections(t *testing.T) {
	t.Parallel()
	g := load(t)
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			for _, pkg := range slices.Sorted(maps.Keys(g.all)) {
				if !rule.who(pkg) {
					continue
				}
				n++
				own := func(p string) bool { return rule.bad(p) && !sibling(pkg, p) }
				if way := g.path(pkg, own); way != nil {
					t.Errorf("%s", strings.Join(way, " → "))
				}
			}
			if n == 0 {
				t.Error("the rule is about no package")
			}
		})
	}
}

// sibling: a program may be of several packages.
func sibling(pkg, p string) bool {
	top, _, _ := strings.Cut(pkg[1:], "/")
	return slices.Contains([]string{"cmd", "tests"}, top) && under(p, top)
}

// TestExamplesUseWhatUsersCan: an example imports nothing that a module of its
// own could not.
func TestExamplesUseWhatUsersCan(t *testing.T) {
	t.Parallel()
	g := load(t)
	for pkg, imports := range g.all {
		if !under(pkg, "examples") {
			continue
		}
		for _, p := range imports {
			if ours(p) && !under(p, "examples") && (under(p, "internal") || strings.Contains(p, "/internal/")) {
				t.Errorf("%s imports %s", pkg, p)
			}
		}
	}
}

// TestTestsOfTheLocalCloudDoNotNeedStreamer: it is of use to others.
func TestTestsOfTheLocalCloudDoNotNeedStreamer(t *testing.T) {
	t.Parallel()
	g := load(t)
	for pkg, imports := range g.all {
		if !under(pkg, "localcloud") || under(pkg, "localcloud/deploy") {
			continue
		}
		for _, p := range imports {
			if under(p, "runtime", "component", "internal/contract", "lambdas", "examples") {
				t.Errorf("%s imports %s", pkg, p)
			}
		}
	}
}

// TestRulesSeeAChain: the search finds what is reached through others.
func TestRulesSeeAChain(t *testing.T) {
	t.Parallel()
	g := graph{code: map[string][]string{"/a": {"fmt", "/b"}, "/b": {"/c"}, "/c": {"github.com/pulumi/x"}}}
	if way := strings.Join(g.path("/a", pulumi), " "); way != "/a /b /c github.com/pulumi/x" {
		t.Errorf("%q", way)
	}
	if way := g.path("/a", func(p string) bool { return p == "/d" }); way != nil {
		t.Errorf("%v", way)
	}
	if !standard("net/http") || standard("/runtime") || !standard("runtime") || standard("github.com/x/y") {
		t.Error("standard")
	}
}
