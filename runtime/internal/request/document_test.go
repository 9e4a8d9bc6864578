package request

import (
	"os"
	"strings"
	"testing"
)

// The table in the documentation is the one that runs. STREAMER_UPDATE=1 writes it.
func TestDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	const path = "../../../docs/architecture.md"
	const begin, end = "<!-- state table -->\n", "<!-- end of state table -->"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), begin)
	body, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the state table", path)
	}
	if body == Document() {
		return
	}
	if os.Getenv("STREAMER_UPDATE") == "" {
		t.Fatalf("the state table in %s is not the one in table.go: run this test with STREAMER_UPDATE=1", path)
	}
	if err := os.WriteFile(path, []byte(head+begin+Document()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
