package e2e_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/wire"
)

// A thousand long requests at once: none waits for another. It takes a process
// for each, some 15 GB of memory and a machine of its own, so it runs when
// STREAMER_LOAD says how many; otherwise forty show the same.
func TestLongRequestsDoNotWaitForEachOther(t *testing.T) {
	jobs, length, within := 40, 8*time.Second, 8*time.Second
	if load := os.Getenv("STREAMER_LOAD"); load != "" {
		var err error
		if jobs, err = strconv.Atoi(load); err != nil {
			t.Fatal("STREAMER_LOAD: ", err)
		}
		length, within = 45*time.Second, 45*time.Second
	}
	s := own(t, func(o *devhost.Options) { o.Cloud.Concurrency = jobs + 100 })
	r := s.raw(t, "load")
	begun := time.Now()
	go func() {
		for n := range jobs {
			r.send(fmt.Sprintf(`{"id":"job-%d","action":"sleep","payload":{"ms":%d,"steps":3}}`, n, length.Milliseconds()))
		}
	}()
	working, ended := map[string]bool{}, map[string]bool{}
	var all time.Duration
	for len(ended) < jobs {
		f := r.next()
		switch {
		case f.Type == wire.TypeProgress:
			working[f.RequestID] = true
			if len(working) == jobs && all == 0 {
				all = time.Since(begun)
				t.Logf("all %d were at work after %s, %d had ended", jobs, all.Round(time.Millisecond), len(ended))
				if all > within || len(ended) > 0 {
					t.Errorf("all were at work after %s, %d had ended; want within %s, and none", all, len(ended), within)
				}
			}
		case f.Type == wire.TypeComplete:
			ended[f.RequestID] = true
		case f.Type == wire.TypeError, f.Gateway():
			t.Fatalf("after %s: %+v", time.Since(begun), f)
		}
	}
	if all == 0 {
		t.Errorf("progress came from %d of %d", len(working), jobs)
	}
}
