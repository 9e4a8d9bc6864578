package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/wire"
)

// A thousand long requests at once: none waits for another. No job ends before
// all are at work, so one that waited for the end of another would wait for
// ever, however fast or slow the machine is. It takes a process for each, some
// 15 GB of memory and a machine of its own, so a thousand run when
// STREAMER_LOAD says so; otherwise forty show the same.
func TestLongRequestsDoNotWaitForEachOther(t *testing.T) {
	jobs := 40
	if load := os.Getenv("STREAMER_LOAD"); load != "" {
		var err error
		if jobs, err = strconv.Atoi(load); err != nil {
			t.Fatal("STREAMER_LOAD: ", err)
		}
	}
	s := own(t, func(o *devhost.Options) { o.Cloud.Concurrency = 2*jobs + 100 })
	r := s.raw(t, "load")
	begun := time.Now()
	sent := make(chan error, 1)
	go func() {
		var err error
		for n := 0; n < jobs && err == nil; n++ {
			err = r.write(fmt.Sprintf(`{"id":"job-%d","action":"hold","payload":{"until":"released"}}`, n))
		}
		sent <- err
	}()
	working, ended, released := map[string]bool{}, map[string]bool{}, false
	for len(ended) < jobs {
		f := r.next()
		switch {
		case f.Type == wire.TypeProgress:
			working[f.RequestID] = true
			if len(working) == jobs && !released {
				t.Logf("all %d were at work after %s", jobs, time.Since(begun).Round(time.Millisecond))
				released = true
				if err := os.WriteFile(filepath.Join(s.dir, "released"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		case f.Type == wire.TypeComplete:
			if ended[f.RequestID] = true; !released {
				t.Fatalf("%s ended while only %d were at work", f.RequestID, len(working))
			}
		case f.Type == wire.TypeError, f.Gateway():
			t.Fatalf("after %s, with %d at work: %+v", time.Since(begun), len(working), f)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if !released {
		t.Errorf("progress came from %d of %d", len(working), jobs)
	}
	t.Logf("all had ended after %s", time.Since(begun).Round(time.Millisecond))
}
