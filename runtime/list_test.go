package streamer_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
	"github.com/streamer-go/streamer/runtime/wire"
)

type listOf struct {
	Requests []struct {
		ID       string `json:"request_id"`
		Action   string
		Status   string
		Waiting  string
		Redrives string
		Result   any
		Error    *wire.Error
	}
	After string
}

func (l *listOf) ids() (ids []string) {
	for _, r := range l.Requests {
		ids = append(ids, r.ID)
	}
	return ids
}

// all asks for as long as there is an after.
func (s *system) all(who client, payload string) (ids []string, pages int) {
	s.t.Helper()
	for after := ""; ; {
		var l listOf
		s.asks(who, "$list", strings.Replace(payload, "}", after+"}", 1), &l)
		ids = append(ids, l.ids()...)
		if pages++; l.After == "" || pages > 50 {
			return ids, pages
		}
		after = fmt.Sprintf(`,"after":%q`, l.After)
	}
}

func TestListIsNewestFirst(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		var want []string
		for i := range 45 {
			id := fmt.Sprintf("r%02d", i)
			s.accept(id, "task", `{}`)
			want = append([]string{id}, want...)
			<-time.After(time.Second)
		}
		bob := client{"bob", "acme", "c3", `[]`, time.Hour}
		s.says(bob, `{"id":"bobs","action":"task","payload":{}}`)
		s.cancels(alice, "never-sent")
		for _, tt := range []struct {
			payload string
			pages   int
		}{{`{"limit":50}`, 1}, {`{"open":false}`, 3}, {`{"limit":7}`, 7}} {
			if got, pages := s.all(alice, tt.payload); !slices.Equal(got, want) || pages != tt.pages {
				t.Errorf("%s: %q in %d pages", tt.payload, got, pages)
			}
		}
		if got, _ := s.all(bob, `{"limit":1}`); !slices.Equal(got, []string{"bobs"}) {
			t.Errorf("another user's: %q", got)
		}
	})
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		states := []string{"PENDING", "PROCESSING", "SUCCEEDED", "FAILED", "CANCELLED"}
		for i := range 600 { // most of what is looked at is not wanted
			id := fmt.Sprintf("r%03d", i)
			key := s.accept(id, "task", `{}`)
			s.store.edit(key, func(a request.Attrs) {
				a[c.AttrState] = "SUCCEEDED"
				if i < 5 {
					a[c.AttrState], a[c.AttrWaiting], a[c.AttrRedrives] = states[i], "paused", "old"
				}
			})
			<-time.After(time.Second)
		}
		for payload, want := range map[string][]string{
			`{"open":true}`: {"r001", "r000"}, `{"status":"FAILED"}`: {"r003"}, `{"open":true,"status":"PENDING"}`: {"r000"},
			`{"open":true,"status":"FAILED"}`: nil,
		} {
			if got, pages := s.all(alice, payload); !slices.Equal(got, want) || pages != 2 {
				t.Errorf("%s: %q in %d pages", payload, got, pages)
			}
		}
		var l listOf
		s.asks(alice, "$list", `{"limit":2,"after":"`+keys.Created(s.store.item("acme/alice/r004").CreatedAt, "r004")+`"}`, &l)
		if len(l.Requests) != 2 || l.Requests[0].Error == nil || l.Requests[0].Waiting != "paused" || l.Requests[0].Redrives != "old" || l.Requests[1].Result != nil {
			t.Errorf("%+v", l)
		}
	})
}

func TestListWhereTheStoreFails(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"owned", "batch"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			bubble(t, handlers(), func(t *testing.T, s *system) {
				s.accept("r1", "task", `{}`)
				s.store.fault = func(what string) error {
					if what == call {
						return errDown
					}
					return nil
				}
				if f := s.says(alice, `{"id":"l","action":"$list"}`); f.Code != wire.CodeUnavailable {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

// TestGetNamesALargeResult: what does not fit into the answer is to be fetched.
func TestGetNamesALargeResult(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		s.store.edit(s.accept("r1", "task", `{}`), func(a request.Attrs) {
			a[c.AttrState], a[c.AttrEpoch], a[c.AttrPartials] = "SUCCEEDED", int64(2), int64(7)
			a[c.AttrOutput] = append([]byte{0}, `"`+strings.Repeat("x", 130_000)+`"`...)
		})
		var st struct {
			Ref      *wire.Ref
			Result   any
			Partials int64
		}
		s.asks(alice, "$get", `{"request_id":"r1"}`, &st)
		if st.Ref == nil || st.Ref.Size != 130_002 || st.Ref.Parts != 3 || st.Result != nil || st.Partials != 7 {
			t.Errorf("%+v", st)
		}
	})
}

// What no function is free for says so.
func TestWaitsForCapacity(t *testing.T) {
	t.Parallel()
	bubble(t, handlers(), func(t *testing.T, s *system) {
		key := s.accept("r1", "task", `{}`)
		waiting := func() string {
			var st struct {
				Waiting string `json:"waiting"`
			}
			f := s.says(alice, `{"id":"g","action":"$get","payload":{"request_id":"r1"}}`)
			if err := json.Unmarshal(f.Data, &st); err != nil {
				t.Fatal(err)
			}
			return st.Waiting
		}
		if got := waiting(); got != "" {
			t.Errorf("at once: %q", got)
		}
		<-time.After(5 * time.Second)
		if got := waiting(); got != "capacity" {
			t.Errorf("after five seconds: %q", got)
		}
		<-time.After(10 * time.Minute)
		s.offer(key)
		if got := waiting(); got != "" {
			t.Errorf("offered again: %q", got)
		}
		<-time.After(5 * time.Second)
		if got := waiting(); got != "capacity" {
			t.Errorf("and not taken: %q", got)
		}
		s.mustRun(key, 0)
		if got := waiting(); got != "" {
			t.Errorf("ended: %q", got)
		}
	})
}
