package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/admin"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

// development is a running "streamer dev" on a directory of its own, so that
// what it announces there is its own too.
type development struct {
	t    *testing.T
	dir  string // of the program
	cmd  *exec.Cmd
	conn *client.Conn
}

func develop(t *testing.T) *development {
	t.Helper()
	// Inside of the module, or the program finds none of its imports; a
	// directory that begins with _ is no package of ours.
	here, err := os.MkdirTemp(".", "_dead-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(here) }) // left behind, it is ignored
	for _, file := range []string{"infra/main.go", "infra/Pulumi.yaml", "app/cmd/handlers/main.go"} {
		raw, err := os.ReadFile(file)
		if err == nil {
			err = write(filepath.Join(here, file), raw)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d := &development{t: t}
	if d.dir, err = filepath.Abs(here); err != nil {
		t.Fatal(err)
	}
	bounded := streamer(t, "dev", "-json", "-user", "o/n call", "-tenant", "acme", d.dir)
	d.cmd = exec.Command(bounded.Path, bounded.Args[1:]...) // for as long as the test
	d.cmd.Dir, d.cmd.Env = bounded.Dir, bounded.Env
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() }) // it should have ended
	for lines := bufio.NewReader(stdout); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal("streamer dev ended before it was ready: ", err)
		}
		var e event
		if json.Unmarshal(line, &e) == nil && e.Type == "ready" {
			if d.conn, err = client.Dial(t.Context(), e.URL, e.Token, client.Options{}); err != nil {
				t.Fatal(err)
			}
			return d
		}
	}
}

// said is a line of streamer dead -json.
type said struct {
	Type, Text string
	Data       json.RawMessage
	Code       *int
}

// story is what list and show say of a request.
type story struct {
	Key        string          `json:"key"`
	ID         string          `json:"id"`
	Action     string          `json:"action"`
	Status     string          `json:"status"`
	Attempt    int             `json:"attempt"`
	Redrives   string          `json:"redrives"`
	RedrivenAs string          `json:"redriven_as"`
	Attempts   []admin.Attempt `json:"attempts"`
}

// dead runs the command with -json and wants that exit code. It returns what was
// said of each type, but for the exit.
func (d *development) dead(code int, args ...string) map[string][]said {
	d.t.Helper()
	return deadWith(d.t, nil, code, append(args, "-dir", d.dir)...)
}

func deadWith(t *testing.T, env []string, code int, args ...string) map[string][]said {
	t.Helper()
	cmd := streamer(t, append([]string{"dead"}, append(args, "-json")...)...)
	cmd.Env = append(cmd.Env, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	got := map[string][]said{}
	for line := range bytes.Lines(out) {
		var s said
		read(t, line, &s)
		got[s.Type] = append(got[s.Type], s)
	}
	if n := cmd.ProcessState.ExitCode(); n != code || code != 2 && (len(got["exit"]) != 1 || *got["exit"][0].Code != code) {
		t.Fatalf("dead %v: exit code %d, want %d\n%s%s", args, n, code, out, stderr.Bytes())
	}
	delete(got, "exit")
	return got
}

func stories(t *testing.T, said []said) []story {
	t.Helper()
	all := make([]story, len(said))
	for i, s := range said {
		read(t, s.Data, &all[i])
	}
	return all
}

// wantDead waits for the list to be that; the index is a moment behind.
func (d *development) wantDead(want ...string) (list []story) {
	d.t.Helper()
	eventually(d.t, "the list is "+strings.Join(want, ", "), patience, func() bool {
		list = stories(d.t, d.dead(0, "list")["request"])
		var got []string
		for _, r := range list {
			got = append(got, r.ID)
		}
		return strings.Join(got, " ") == strings.Join(want, " ")
	})
	return list
}

// TestDead: a request that fails for good is listed, shown with its story,
// redriven, and dropped.
func TestDead(t *testing.T) {
	t.Parallel()
	d, repaired := develop(t), filepath.Join(t.TempDir(), "repaired")
	d.wantDead()
	for _, id := range []string{"first", "second"} {
		refused(t, d.conn, client.Message{ID: id, Action: "broken", Payload: app.Broken{Until: repaired}}, wire.CodeInternal)
	}
	list := d.wantDead("second", "first")
	if r := list[1]; r.Key != "acme/o%2Fn%20call/first" || r.Action != "broken" || r.Status != "FAILED" || r.Attempt != 2 {
		t.Errorf("%+v", r)
	}
	shown := stories(t, d.dead(0, "show", "first")["story"])
	if len(shown) != 1 || len(shown[0].Attempts) != 2 {
		t.Fatalf("%+v", shown)
	}
	for i, a := range shown[0].Attempts {
		if a.Number != i+1 || a.Outcome != admin.Failed || !strings.Contains(a.Text, app.Secret) || strings.Contains(a.Message, app.Secret) ||
			a.LogStream == "" || a.Invocation == "" || a.Reference == "" || a.Began.IsZero() || a.Ended.Before(a.Began) {
			t.Errorf("attempt %+v", a)
		}
	}
	// Still broken: it dies again, and names the one before.
	if got := d.dead(0, "redrive", "first")["redriven"]; len(got) != 1 || !strings.Contains(string(got[0].Data), `"id":"first-r1"`) {
		t.Fatalf("%+v", got)
	}
	d.wantDead("first-r1", "second")
	if s := stories(t, d.dead(0, "show", list[1].Key)["story"])[0]; s.RedrivenAs != "first-r1" {
		t.Errorf("%+v", s)
	}
	if got := d.dead(1, "redrive", list[1].Key)["failed"]; len(got) != 1 || !strings.Contains(got[0].Text, "redriven as first-r1") {
		t.Errorf("%+v", got)
	}
	// Repaired: all of them work.
	if err := os.WriteFile(repaired, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := d.dead(0, "redrive", "-all", "-action", "broken")["redriven"]; len(got) != 2 {
		t.Errorf("%+v", got)
	}
	d.wantDead()
	for id, redrives := range map[string]string{"first-r2": "first-r1", "second-r1": "second"} {
		eventually(t, id+" succeeds", patience, func() bool { return get(t, d.conn, id).Status == wire.StatusSucceeded })
		s := stories(t, d.dead(0, "show", "acme/o%2Fn%20call/"+id)["story"])[0]
		if s.Redrives != redrives || len(s.Attempts) != 1 || s.Attempts[0].Outcome != admin.Succeeded {
			t.Errorf("%+v", s)
		}
	}
	refused(t, d.conn, client.Message{ID: "third", Action: "panic.long", Payload: struct{}{}}, wire.CodeInternal)
	d.wantDead("third")
	d.dead(0, "drop", "third")
	d.wantDead()
	if s := get(t, d.conn, "third"); s.Status != wire.StatusFailed {
		t.Errorf("its owner finds it %s", s.Status)
	}
	if got := d.dead(1, "redrive", "third")["failed"]; len(got) != 1 || !strings.Contains(got[0].Text, "no dead request has that id") {
		t.Errorf("%+v", got)
	}
	d.otherWays()
	d.ends()
}

// otherWays: the tables can be named, and found in the outputs of a stack.
func (d *development) otherWays() {
	d.t.Helper()
	running, err := devhost.FindRunning(d.t.Context(), d.dir)
	if err != nil || running == nil || len(running.Streamers) != 1 {
		d.t.Fatalf("%+v, %v", running, err)
	}
	if info, err := os.Stat(filepath.Join(d.dir, ".streamer", "dev.json")); err != nil || info.Mode().Perm() != 0o600 {
		d.t.Errorf("%v, %v", info, err)
	}
	refused(d.t, d.conn, client.Message{ID: "fourth", Action: "panic.long", Payload: struct{}{}}, wire.CodeInternal)
	d.wantDead("fourth")
	env := []string{
		"AWS_ENDPOINT_URL=" + running.Endpoint, "AWS_REGION=" + running.Region,
		"AWS_ACCESS_KEY_ID=" + running.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + running.SecretAccessKey,
	}
	names := running.Streamers[0]
	bin := d.t.TempDir()
	script := "#!/bin/sh\n[ \"$*\" = 'stack output --json --stack prod --non-interactive' ] || exit 9\n" +
		`echo '{"requestsTable":"` + names.Requests + `","history_table_name":"` + names.History + "\",\"n\":1}'\n"
	if err := os.WriteFile(filepath.Join(bin, "pulumi"), []byte(script), 0o700); err != nil {
		d.t.Fatal(err)
	}
	stack := append(env, "PATH="+bin+":"+os.Getenv("PATH"))
	for _, got := range []map[string][]said{
		deadWith(d.t, env, 0, "list", "-requests", names.Requests, "-history", names.History),
		deadWith(d.t, stack, 0, "list", "-stack", "prod", "-dir", d.dir),
	} {
		if list := stories(d.t, got["request"]); len(list) != 1 || list[0].ID != "fourth" {
			d.t.Errorf("%+v", list)
		}
	}
	wrong := append(env, "AWS_SECRET_ACCESS_KEY=wrong")
	if got := deadWith(d.t, wrong, 1, "list", "-requests", names.Requests, "-history", names.History)["failed"]; len(got) != 1 {
		d.t.Errorf("%+v", got)
	}
}

// ends: with the system goes what it has announced.
func (d *development) ends() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		d.t.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Error("streamer dev:", err)
	}
	if _, err := os.Stat(filepath.Join(d.dir, ".streamer", "dev.json")); !errors.Is(err, os.ErrNotExist) {
		d.t.Errorf("what was announced is still there: %v", err)
	}
	got := deadWith(d.t, []string{"PATH=" + d.t.TempDir(), "AWS_REGION=us-east-1"}, 1, "list", "-dir", d.dir)["failed"]
	if len(got) != 1 || !strings.Contains(got[0].Text, "nothing runs in "+d.dir) {
		d.t.Errorf("%+v", got)
	}
}
