package conformance_test

import (
	"encoding/json"
	"strings"
	"testing"
)

const streams = "DynamoDBStreams_20120810."

// streamOf reads all records of the stream of table hash: one text each, in
// order, without what differs from run to run.
func streamOf(t *testing.T, from endpoint) []string {
	t.Helper()
	list := send(t, from, streams+"ListStreams", `{"TableName":"hash"}`)
	found, _ := list.body["Streams"].([]any)
	if len(found) != 1 {
		t.Fatalf("table hash has %d streams, want 1", len(found))
	}
	arn := found[0].(map[string]any)["StreamArn"].(string)
	described := send(t, from, streams+"DescribeStream", body(t, map[string]any{"StreamArn": arn}))
	description := described.body["StreamDescription"].(map[string]any)
	var out []string
	for _, s := range description["Shards"].([]any) {
		shard := s.(map[string]any)["ShardId"]
		got := send(t, from, streams+"GetShardIterator", body(t, map[string]any{
			"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
		}))
		out = append(out, recordsOf(t, from, got.body["ShardIterator"])...)
	}
	return out
}

// recordsOf reads a shard until it is closed and drained, or has nothing more.
func recordsOf(t *testing.T, from endpoint, iterator any) []string {
	t.Helper()
	var out []string
	for iterator != nil {
		page := send(t, from, streams+"GetRecords", body(t, map[string]any{"ShardIterator": iterator}))
		records, _ := page.body["Records"].([]any)
		for _, r := range records {
			record := r.(map[string]any)
			change := record["dynamodb"].(map[string]any)
			delete(change, "SequenceNumber")
			delete(change, "ApproximateCreationDateTime")
			out = append(out, record["eventName"].(string)+" "+canonical(change))
		}
		if len(records) == 0 {
			return out
		}
		iterator = page.body["NextShardIterator"]
	}
	return out
}

func body(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// compareStreams compares the records one by one. Items may lie in different
// shards there, so the order is compared for each key.
func compareStreams(t *testing.T, known map[string]difference, ours, theirs []string) {
	t.Helper()
	a, b := byKey(ours), byKey(theirs)
	for key := range b {
		if _, ok := a[key]; !ok {
			a[key] = nil
		}
	}
	for key := range a {
		name := "stream " + key
		d, listed := known[name]
		delete(known, name)
		x, y := strings.Join(a[key], "\n"), strings.Join(b[key], "\n")
		switch {
		case listed && x == y:
			t.Errorf("%s: listed as different, but both have\n%s", name, x)
		case listed && !strings.Contains(x, d.ours):
			t.Errorf("%s: ours\n%s\nlisted %s (%s)", name, x, d.ours, d.source)
		case !listed && x != y:
			t.Errorf("%s:\nours\n%s\ntheirs\n%s", name, x, y)
		}
	}
}

func byKey(records []string) map[string][]string {
	out := map[string][]string{}
	for _, r := range records {
		_, key, _ := strings.Cut(r, `"Keys":{"pk":{"S":"`)
		key, _, _ = strings.Cut(key, `"`)
		out[key] = append(out[key], r)
	}
	return out
}
