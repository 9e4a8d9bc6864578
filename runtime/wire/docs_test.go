package wire_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/runtime/wire"
)

// example is a block of JSON in the documentation. Its first line names the
// definition that it is of and, for built-in actions, the one of its inner part.
type example struct{ def, inner, body string }

func readProtocol(t *testing.T) (text string, examples []example) {
	t.Helper()
	body, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```(\\S*) ?(.*?)$\n(.*?)^```$").FindAllStringSubmatch(string(body), -1)
	for _, b := range blocks {
		if b[1] == "json" {
			def, inner, _ := strings.Cut(b[2], " ")
			examples = append(examples, example{def, inner, b[3]})
		} else if b[1] != "" {
			t.Errorf("a block of %q is not checked", b[1])
		}
	}
	return string(body), examples
}

func TestDocumentedExamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	s := loadSchema(t)
	_, examples := readProtocol(t)
	shown := map[string]bool{}
	for i, e := range examples {
		shown[e.def], shown[e.inner] = true, true
		if err := checkExample(s, e); err != nil {
			t.Errorf("example %d (%s %s): %v\n%s", i+1, e.def, e.inner, err, e.body)
		}
	}
	for _, def := range []string{
		"message", "response", "acknowledgment", "progress", "partial", "complete", "error", "event",
		"gatewayFrame", "helloData", "pingData", "getPayload", "getData", "cancelPayload", "cancelData",
		"resumePayload", "resumeData", "syncPayload", "syncData", "listPayload", "listData", "fetchPayload", "fetchData", "uploadPayload", "uploadData",
	} {
		if !shown[def] {
			t.Errorf("there is no example of %s", def)
		}
	}
}

func checkExample(s *schema, e example) error {
	if err := s.check(e.def, []byte(e.body)); err != nil {
		return err
	}
	var whole struct{ Action, Payload, Data json.RawMessage }
	if err := json.Unmarshal([]byte(e.body), &whole); err != nil {
		return err
	}
	if e.def == "message" {
		m, bad := wire.Parse([]byte(e.body))
		if bad != nil {
			return bad
		}
		if name, builtin := strings.CutPrefix(m.Action, "$"); builtin && m.Payload != nil {
			return s.check(name+"Payload", m.Payload)
		}
		return nil
	}
	var f wire.Frame
	if err := f.Decode([]byte(e.body)); err != nil {
		return err
	}
	if e.inner != "" {
		return s.check(e.inner, whole.Data)
	}
	return nil
}

func TestDocumentationNamesEverything(t *testing.T) {
	t.Parallel()
	s := loadSchema(t)
	text, _ := readProtocol(t)
	var missing []string
	need := func(names ...string) {
		for _, n := range names {
			if !strings.Contains(text, n) {
				missing = append(missing, n)
			}
		}
	}
	for _, c := range wire.Codes() {
		row := fmt.Sprintf("| `%s` |", c)
		need(row)
		rest, _, _ := strings.Cut(text[strings.Index(text, row)+len(row):], "\n")
		if yes := strings.HasPrefix(strings.Split(rest, " | ")[1], "yes"); yes != c.Retryable() {
			t.Errorf("%s: the documentation says retryable %v", c, yes)
		}
	}
	for def, body := range s.defs {
		properties, _ := body.(map[string]any)["properties"].(map[string]any)
		for name := range properties {
			if def != "gatewayFrame" {
				need("`" + name + "`")
			}
		}
	}
	for _, action := range []string{
		wire.ActionHello, wire.ActionPing, wire.ActionGet, wire.ActionCancel, wire.ActionResume, wire.ActionSync, wire.ActionList, wire.ActionFetch, wire.ActionUpload,
	} {
		need("### `" + action + "`")
	}
	need("`" + wire.Protocol + "`")
	for _, n := range []int{wire.MaxMessage, wire.MaxFrame, wire.MaxMetadata, wire.MaxID, wire.MaxDepth, wire.MaxDetails} {
		need(fmt.Sprint(n))
	}
	need("| 1000 |", "| 1001 |", "| 1003 |", "| 1009 |", "| 1005, 1006 |")
	if len(missing) > 0 {
		t.Errorf("not in the documentation: %q", missing)
	}
	for _, link := range regexp.MustCompile(`\]\((#[^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(anchors(text), link[1]+"\n") {
			t.Errorf("%s leads nowhere", link[1])
		}
	}
}

// anchors lists the anchors that GitHub gives the headings.
func anchors(text string) string {
	var b strings.Builder
	for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		slug := regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(strings.ToLower(h[1]), "")
		b.WriteString("#" + strings.ReplaceAll(slug, " ", "-") + "\n")
	}
	return b.String()
}
