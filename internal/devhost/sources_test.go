package devhost

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
)

// The program says which handlers it builds, here one that does no more than that.
// It fails, and what it has said counts all the same, as long as it says no better.
func TestSources(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	const (
		module = "module example.com/app\n\ngo 1.26\n"
		says   = "package main\n\nimport (\n\t\"os\"\n\t\"path/filepath\"\n\t\"fmt\"\n)\n\nfunc main() {\n\tdir, _ := filepath.Abs(\"../handlers\")\n\tf, _ := os.OpenFile(os.Getenv(\"STREAMER_BUILD_LIST\"), os.O_APPEND|os.O_WRONLY, 0)\n\tfmt.Fprintf(f, \"{\\\"Dir\\\":%q}\\n\", dir)\n}\n"
		silent = "package main\n\nfunc main() {}\n"
		broken = "package main\n\nfunc main() { x }\n"
	)
	for name, text := range map[string]string{
		"Pulumi.yaml":      "name: app\nruntime: go\nmain: infra\n",
		"Pulumi.dev.yaml":  "",
		"Pulumi.prod.yaml": "",
		"dev.log":          "",
		"go.mod":           module,
		"infra/main.go":    says,
		"handlers/main.go": "package main\n\nimport _ \"example.com/app/kit\"\n\nfunc main() {}\n",
		"kit/kit.go":       "package kit\n",
	} {
		put(t, filepath.Join(root, name), text)
	}
	s, err := Start(t.Context(), Options{Dir: root, Cloud: localcloud.Config{}})
	var program *deploy.Error
	if !errors.As(err, &program) { // it registers nothing
		t.Fatal(err)
	}
	watched := func(what string) {
		t.Helper()
		states := s.Sources(t.Context()).States()
		for _, name := range []string{"Pulumi.yaml", "Pulumi.dev.yaml", "go.mod", "infra/main.go", "handlers/main.go", "kit/kit.go"} {
			if _, ok := states[filepath.Join(root, name)]; !ok {
				t.Errorf("%s: %s is not watched", what, name)
			}
		}
		if len(states) != 6 {
			t.Errorf("%s: watched are %v", what, states)
		}
	}
	watched("at first")
	put(t, filepath.Join(root, "infra/main.go"), broken)
	if err := s.Update(t.Context()); err == nil {
		t.Error("what does not compile is up")
	}
	watched("after an update that does not compile")
	put(t, filepath.Join(root, "infra/main.go"), silent)
	if err := s.Update(t.Context()); !errors.As(err, &program) {
		t.Error(err)
	}
	watched("after an update that built nothing")
	put(t, filepath.Join(root, "go.mod"), "module (\n")
	watched("without a module")
}
