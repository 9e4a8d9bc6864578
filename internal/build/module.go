package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// Module returns the directory of the module that this program was compiled
// with. source is a file of that module as the compiler named it (runtime.Caller);
// a program that was built elsewhere, or with -trimpath, asks the go command, first
// what the program in dir uses and then the module cache.
func Module(ctx context.Context, module, source, dir string) (string, error) {
	for d := filepath.Dir(source); filepath.IsAbs(d) && d != filepath.Dir(d); d = filepath.Dir(d) {
		if declares(d, module) {
			return d, nil
		}
	}
	if out, _, err := ask(ctx, dir, "list", "-m", "-f", "{{.Dir}}", module); err == nil {
		if d := strings.TrimSpace(string(out)); d != "" && declares(d, module) {
			return d, nil
		}
	}
	version, ok := compiled(module)
	if !ok {
		return "", fmt.Errorf("find module %s: its source is neither at %s nor known to the go command in %s", module, source, dir)
	}
	return download(ctx, module+"@"+version)
}

// declares reports whether dir holds the go.mod of the module.
func declares(dir, module string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "module"); ok {
			return strings.Trim(strings.TrimSpace(rest), `"`) == module
		}
	}
	return false
}

// compiled returns the version of the module that is compiled into this program.
func compiled(module string) (string, bool) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", false
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module && strings.HasPrefix(m.Version, "v") {
			return m.Version, true
		}
	}
	return "", false
}

func download(ctx context.Context, query string) (string, error) {
	out, said, err := ask(ctx, "", "mod", "download", "-json", query)
	var answer struct{ Dir, Error string }
	if jerr := json.Unmarshal(out, &answer); jerr == nil && answer.Dir != "" {
		return answer.Dir, nil
	}
	if err == nil {
		err = errors.New("no directory")
	}
	return "", fmt.Errorf("download module %s: %w %s %s", query, err, answer.Error, strings.TrimSpace(said))
}
