package conformance_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

var update = flag.Bool("update", false, "write our answers to testdata/dynamodb.answers; only after TestDynamoDBLocal has passed")

const answersFile = "testdata/dynamodb.answers"

// TestRecordedAnswers runs the calls without DynamoDB Local and compares with
// the answers that TestDynamoDBLocal has agreed to, so that a change shows
// where there is no Java too.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	service := dynamodb.New(dynamodb.Options{})
	t.Cleanup(func() { _ = service.Close() })
	ours := inProcess(service)
	var lines []string
	for _, c := range readCalls(t) {
		got := send(t, ours, "DynamoDB_20120810."+c.operation, c.body)
		lines = append(lines, c.name+" | "+got.text(c.operation))
	}
	for _, record := range streamOf(t, ours) {
		lines = append(lines, "stream | "+record)
	}
	if *update {
		if err := os.WriteFile(answersFile, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) != len(want) {
		t.Errorf("there are %d answers, want %d", len(lines), len(want))
	}
	for i := range min(len(lines), len(want)) {
		if lines[i] != want[i] {
			t.Errorf("\ngot  %s\nwant %s", lines[i], want[i])
		}
	}
}
