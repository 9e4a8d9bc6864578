package build_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/internal/build"
)

// tree writes files of modules below a new directory, by their names.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(root, name), text)
	}
	return root
}

// names are the watched files, as seen from root.
func names(t *testing.T, root string, w build.Watched) []string {
	t.Helper()
	var out []string
	for file := range w.States() {
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, filepath.ToSlash(name))
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("watched are\n%q\nwant\n%q", got, want)
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"app/go.mod":            "module example.com/app\n\ngo 1.26\n\nrequire example.com/kit v0.0.0\n\nreplace example.com/kit => ../kit\n",
		"app/infra/main.go":     "package main\n\nimport _ \"example.com/app/both\"\n\nfunc main() {}\n",
		"app/infra/dev.log":     "",
		"app/infra/.hidden.go":  "package main\n",
		"app/cmd/x/main.go":     "package main\n\nimport (\n\t\"embed\"\n\t_ \"example.com/app/both\"\n\t_ \"example.com/kit/tool\"\n)\n\n//go:embed web text/*.txt\nvar _ embed.FS\n\nfunc main() {}\n",
		"app/cmd/x/web/a/b.css": "",
		"app/cmd/x/web/.swp":    "",
		"app/cmd/x/text/a.txt":  "",
		"app/cmd/x/text/a.log":  "",
		"app/cmd/x/dev.log":     "",
		"app/both/both.go":      "package both\n",
		"app/both/both_test.go": "package both\n",
		"app/both/fast.s":       "",
		"app/other/other.go":    "package other\n",
		"kit/go.mod":            "module example.com/kit\n\ngo 1.26\n",
		"kit/tool/tool.go":      "package tool\n",
		"kit/kit.go":            "package kit\n",
	})
	w, err := build.Sources(t.Context(), build.Package{Dir: filepath.Join(root, "app/infra")}, build.Package{Dir: filepath.Join(root, "app"), Path: "./cmd/x"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"app/go.mod", "app/infra/main.go", "app/cmd/x/main.go", "app/cmd/x/web/a/b.css", "app/cmd/x/text/a.txt",
		"app/both/both.go", "app/both/both_test.go", "app/both/fast.s", "kit/go.mod", "kit/tool/tool.go",
	}
	same(t, names(t, root, w), want...)
	for name, watched := range map[string]bool{
		"app/both/new.go": true, "kit/tool/new.h": true, "app/cmd/x/web/a/c/new.css": true, "app/cmd/x/text/new.txt": true,
		"app/go.sum": true, "app/infra/Pulumi.yaml": true,
		"app/infra/new.log": false, "app/cmd/x/web/_new": false, "app/other/new.go": false, "kit/new.go": false,
	} {
		write(t, filepath.Join(root, name), "")
		if watched {
			want = append(want, name)
		}
	}
	same(t, names(t, root, w.With(filepath.Join(root, "app/infra/Pulumi.yaml"))), want...)
}

func TestSourcesOfWorkspace(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"go.work":     "go 1.26\n\nuse (\n\t./app\n\t./kit\n)\n",
		"app/go.mod":  "module example.com/app\n\ngo 1.26\n",
		"app/main.go": "package main\n\nimport _ \"example.com/kit\"\n\nfunc main() {}\n",
		"kit/go.mod":  "module example.com/kit\n\ngo 1.26\n",
		"kit/kit.go":  "package kit\n",
	})
	w, err := build.Sources(t.Context(), build.Package{Dir: filepath.Join(root, "app")})
	if err != nil {
		t.Fatal(err)
	}
	same(t, names(t, root, w), "go.work", "app/go.mod", "app/main.go", "kit/go.mod", "kit/kit.go")
	w, err = build.Sources(t.Context(), build.Package{Dir: filepath.Join(root, "kit"), Own: true})
	if err != nil {
		t.Fatal(err)
	}
	same(t, names(t, root, w), "kit/go.mod", "kit/kit.go")
}

// Nothing of the module cache changes, also where a module of it is built by itself.
func TestSourcesOfModuleCache(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	w, err := build.Sources(t.Context(), build.Package{Dir: root, Path: "./lambdas/connect", Own: true})
	if err != nil {
		t.Fatal(err)
	}
	got := names(t, root, w)
	if !slices.Contains(got, "lambdas/connect/main.go") || !slices.Contains(got, "internal/contract/contract.go") || slices.ContainsFunc(got, func(name string) bool { return strings.HasPrefix(name, "..") }) {
		t.Errorf("watched are %q", got)
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	w, err = build.Sources(t.Context(), build.Package{Dir: strings.TrimSpace(string(out)), Path: "./lambda", Own: true})
	if states := w.States(); err != nil || len(states) > 0 {
		t.Errorf("watched are %d files, %v", len(states), err)
	}
}

// What does not compile is what will be edited.
func TestSourcesAtFault(t *testing.T) {
	t.Parallel()
	const mod, main = "module example.com/app\n\ngo 1.26\n", "package main\n\nfunc main() {}\n"
	tests := map[string]struct {
		files map[string]string
		added string
		want  []string // without added
	}{
		"syntax": {
			map[string]string{"go.mod": mod, "main.go": "package main\n\nimport (\n"}, "",
			[]string{"go.mod", "main.go"},
		},
		"missing package": {
			map[string]string{"go.mod": mod, "main.go": "package main\n\nimport (\n\t_ \"example.com/app/new\"\n\t_ \"example.com/app/old\"\n)\n\nfunc main() {}\n", "old/old.go": "package old\n"}, "new/new.go",
			[]string{"go.mod", "main.go", "old/old.go"},
		},
		"missing embedded file": {
			map[string]string{"go.mod": mod, "main.go": "package main\n\nimport _ \"embed\"\n\n//go:embed all:web/*.txt\nvar s string\n\nfunc main() {}\n"}, "web/a.txt",
			[]string{"go.mod", "main.go"},
		},
		"go.mod":       {map[string]string{"go.mod": "module (\n", "main.go": main}, "", []string{"main.go"}},
		"no module":    {map[string]string{"main.go": main}, "", []string{"main.go"}},
		"no directory": {nil, "main.go", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(tree(t, nil), "app")
			for name, text := range tt.files {
				write(t, filepath.Join(root, name), text)
			}
			w, err := build.Sources(t.Context(), build.Package{Dir: root})
			// A pattern is watched whether a file matches it or not.
			if (err == nil) != (name == "missing embedded file") {
				t.Errorf("error is %v", err)
			}
			same(t, names(t, root, w), tt.want...)
			if tt.added != "" {
				write(t, filepath.Join(root, tt.added), "")
				same(t, names(t, root, w), append(tt.want, tt.added)...)
			}
		})
	}
}

func TestWatchedAnd(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"a": "", "b": ""})
	a := build.Watched{}.With(filepath.Join(root, "a"))
	both := a.And(build.Watched{}.With(filepath.Join(root, "b"), filepath.Join(root, "c")))
	same(t, names(t, root, a), "a")
	same(t, names(t, root, both), "a", "b")
	before := both.States()
	write(t, filepath.Join(root, "a"), "longer")
	if maps.Equal(before, both.States()) {
		t.Error("an edit does not show")
	}
}

func TestNote(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "list")
	own, handlers := build.Package{Dir: "/own", Path: "./lambdas/connect", Own: true}, build.Package{Dir: "../handlers"}
	if err := build.Note("", own); err != nil {
		t.Error(err)
	}
	for _, p := range []build.Package{own, handlers} {
		if err := build.Note(list, p); err != nil {
			t.Fatal(err)
		}
	}
	handlers.Dir, _ = filepath.Abs(handlers.Dir)
	want := []build.Package{own, handlers}
	if got, err := build.Noted(list); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	f, err := os.OpenFile(list, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"Dir":"/ha`); err != nil {
		t.Fatal(err)
	}
	if got, err := build.Noted(list); err != nil || !slices.Equal(got, want) {
		t.Errorf("after a line that was cut off: got %+v, %v", got, err)
	}
	write(t, list, "nonsense")
	if _, err := build.Noted(list); err == nil || !strings.Contains(err.Error(), list) {
		t.Error(err)
	}
}
