package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/admin"
)

func TestParseDead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args string
		bad  bool
	}{
		{"list", false},
		{"list -json -tenant= -action a -since 24h -limit 7 -after 1|k", false},
		{"list r", true},
		{"list -all", true},
		{"list -since yesterday", true},
		{"list -requests a", true},
		{"list -requests a -history b", false},
		{"show", true},
		{"show r", false},
		{"show -json r -dir x s", false},
		{"show -all", true},
		{"show r -tenant t", true},
		{"redrive", true},
		{"redrive r", false},
		{"redrive -all", false},
		{"redrive -all -tenant t", false},
		{"redrive -all r", true},
		{"redrive r -action a", true},
		{"drop -all -limit 1", true},
		{"drop -x", true},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			_, err := parseDead(strings.Fields(tt.args), &said)
			if (err != nil) != tt.bad || tt.bad && said.Len() == 0 {
				t.Errorf("%v, said %q", err, said.String())
			}
		})
	}
	o, err := parseDead([]string{"redrive", "a", "-json", "b", "-stack", "prod", "c"}, io.Discard)
	if err != nil || strings.Join(o.requests, "") != "abc" || !o.json || o.stack != "prod" || o.dir != "." || o.filter.Tenant != nil {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parseDead([]string{"show", "-/dev/r1", "-json"}, io.Discard); err != nil || !o.json || len(o.requests) != 1 || o.requests[0] != "-/dev/r1" {
		t.Errorf("a request without tenant: %+v, %v", o, err)
	}
	if o, err = parseDead([]string{"list", "-tenant", ""}, io.Discard); err != nil || o.filter.Tenant == nil || *o.filter.Tenant != "" {
		t.Errorf("%+v, %v", o.filter, err)
	}
}

func TestDeadUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{"dead": exitUsage, "dead bury": exitUsage, "dead help": exitDone, "dead -h": exitDone, "dead list -h": exitDone} {
		var out bytes.Buffer
		if code := run(strings.Fields(args), &out, &out); code != want || !strings.Contains(out.String(), "streamer dead redrive") {
			t.Errorf("%s: exit code %d, want %d\n%s", args, code, want, out.String())
		}
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for text, want := range map[string]time.Time{"90m": now.Add(-90 * time.Minute), "2026-05-01T00:00:00Z": time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)} {
		if got, err := since(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

// Of several Streamers one has to be named; the error says how.
func TestSeveralStreamers(t *testing.T) {
	t.Parallel()
	r := &devhost.Running{Endpoint: "http://127.0.0.1:1", Region: "us-east-1", Streamers: []devhost.Names{
		{Router: "a-router", Requests: "a-requests", History: "a-history"}, {Router: "b-router", Requests: "b-requests", History: "b-history"},
	}}
	_, err := target{}.running(r)
	if err == nil || !strings.Contains(err.Error(), "b-router: AWS_ENDPOINT_URL=http://127.0.0.1:1 -requests b-requests -history b-history") {
		t.Error(err)
	}
	r.Streamers = r.Streamers[:1]
	if a, err := (target{}).running(r); a == nil || err != nil {
		t.Error(err)
	}
}

func TestTell(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	key := admin.Key{Tenant: "acme", User: "alice", ID: "r1"}
	got := tell(admin.Story{
		Request: admin.Request{
			Key: key, Action: "job", Status: "FAILED", Attempt: 2, Max: 2, Created: at, Deadline: at, Died: at, Kept: at, Redrives: "r0",
			Error: &admin.Failure{Code: "INTERNAL_ERROR", Message: "internal error, reference X"},
		},
		RedrivenAs: "r1-r1",
		Attempts: []admin.Attempt{
			{Number: 1, Outcome: admin.Silent, Began: at, LogStream: "stream", Invocation: "first"},
			{Number: 2, Outcome: admin.Failed, Began: at, Ended: at.Add(1500 * time.Millisecond), Code: "INTERNAL_ERROR", Message: "internal error, reference X",
				Text: "two\nlines\x1b[2J", Reference: "X", LogGroup: "group", LogStream: "stream", Invocation: "invocation"},
		},
	})
	want := `acme/alice/r1
  status     FAILED, action job
  created    2026-05-04 03:02:01, deadline 2026-05-04 03:02:01, kept until 2026-05-04 03:02:01
  died       2026-05-04 03:02:01
  error      INTERNAL_ERROR: internal error, reference X
  redrives   r0
  redriven   as r1-r1

  attempt 1 of 2: ended without a word
    began      2026-05-04 03:02:01
    log        stream, invocation first

  attempt 2 of 2: failed
    began      2026-05-04 03:02:01, took 1.5s
    error      INTERNAL_ERROR: internal error, reference X
    text       two
               lines�[2J
    reference  X
    log        group stream, invocation invocation
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
