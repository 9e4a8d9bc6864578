package devhost

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamer-go/streamer/localcloud"
)

func TestAnnounce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	home := filepath.Join(dir, ".streamer")
	if _, err := LoadKeys(home); err != nil {
		t.Fatal(err)
	}
	if r, err := FindRunning(t.Context(), dir); r != nil || err != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	start := func() *System {
		cloud, err := localcloud.Start(localcloud.Config{})
		if err != nil {
			t.Fatal(err)
		}
		s := &System{Cloud: cloud, URL: "ws://x", home: home}
		t.Cleanup(func() { _ = s.Close() }) // it should have been
		if err := s.Announce(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := start()
	r, err := FindRunning(t.Context(), dir)
	if err != nil || r == nil || r.Endpoint != first.Cloud.Endpoint() || r.PID != os.Getpid() || r.AccessKeyID == "" || r.URL != "ws://x" {
		t.Fatalf("%+v, %v", r, err)
	}
	path := filepath.Join(home, "dev.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	// Another one on the same directory is the one that is found; the end of the
	// first does not take that away.
	second := start()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := FindRunning(t.Context(), dir); err != nil || r == nil || r.Endpoint != second.Cloud.Endpoint() {
		t.Errorf("%+v, %v", r, err)
	}
	// One that was killed leaves its file behind.
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) != 2 { // the key, and .gitignore
		t.Errorf("%v, %v", left, err)
	}
	put(t, path, string(raw))
	if r, err := FindRunning(t.Context(), dir); r != nil || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	// Its port may be another one's by now.
	for _, other := range []string{start().Cloud.Endpoint(), web(t, http.NotFound)} {
		put(t, path, strings.Replace(string(raw), second.Cloud.Endpoint(), other, 1))
		if r, err := FindRunning(t.Context(), dir); r != nil || err != nil {
			t.Errorf("at %s: %+v, %v", other, r, err)
		}
	}
	agrees := web(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	put(t, path, `{"endpoint":"`+agrees+`","region":"us-east-1","access_key_id":"a","secret_access_key":"b","streamers":[{"requests_table":"requests"}]}`)
	if r, err := FindRunning(t.Context(), dir); r != nil || err != nil {
		t.Errorf("what agrees to everything is taken for %+v, %v", r, err)
	}
	put(t, path, "{")
	if _, err := FindRunning(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Error(err)
	}
}

// web is the address of a program that is no cloud.
func web(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL
}
