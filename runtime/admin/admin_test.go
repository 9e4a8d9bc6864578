package admin_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/admin"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// deadItem is a dead request as the tables hold it.
func deadItem(key admin.Key, died int64, action string) map[string]types.AttributeValue {
	k := key.String()
	return map[string]types.AttributeValue{
		c.AttrPK: text(k), c.AttrState: text("FAILED"), c.AttrEpoch: number(2), c.AttrAction: text(action),
		c.AttrInput: &types.AttributeValueMemberB{Value: []byte{0}}, c.AttrLaneAt: number(died),
		c.AttrLane: text(keys.Dead(keys.DueShard(k, c.DueShards))), c.AttrMax: number(3), c.AttrAttempt: number(1),
		c.AttrCreatedAt: number(1000), c.AttrDeadline: number(9000), c.AttrRetained: number(1 << 40), c.AttrPrint: &types.AttributeValueMemberB{Value: []byte("p")},
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []admin.Key{{User: "u", ID: "r"}, {Tenant: "a/b", User: "é -", ID: "r:1"}} {
		if got, err := admin.ParseKey(key.String()); err != nil || got != key {
			t.Errorf("%s: %+v, %v", key, got, err)
		}
	}
	for _, bad := range []string{"", "r", "t/u", "-//r", "-/u/", "a/b/c/d"} {
		if _, err := admin.ParseKey(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// TestListInOrder: every page size shows every dead request once, the latest
// first, also where many died at once.
func TestListInOrder(t *testing.T) {
	t.Parallel()
	s := newSystem(t, nil)
	var want []request.Dead
	for n := range 330 {
		key := admin.Key{Tenant: fmt.Sprint("t", n%3), User: "u", ID: fmt.Sprint("r", n)}
		died := int64(1000 + rand.IntN(40)) // several of each shard in one millisecond
		if n%3 == 0 {
			died = 5000
		}
		s.put(tables.Requests, deadItem(key, died, fmt.Sprint("job", n%2)))
		want = append(want, request.Dead{Key: key.String(), At: died})
	}
	// Neither is dead: one was dropped, but the index does not know it yet, and one waits.
	item := deadItem(admin.Key{User: "u", ID: "waits"}, 1010, "job0")
	item[c.AttrLane], item[c.AttrState] = text(keys.Waiting("-")), text("PENDING")
	s.put(tables.Requests, item)
	slices.SortFunc(want, func(a, b request.Dead) int {
		if a.At != b.At {
			return int(b.At - a.At)
		}
		return strings.Compare(a.Key, b.Key)
	})
	var all []string
	for _, d := range want {
		all = append(all, d.Key)
	}
	for _, limit := range []int{1000, 331, 330, 329, 100, 37, 7} {
		var got []string
		f := admin.Filter{Limit: limit}
		for more := true; more; {
			page, err := s.admin.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Requests) > limit {
				t.Fatalf("%d requests, at most %d were wanted", len(page.Requests), limit)
			}
			for _, r := range page.Requests {
				got = append(got, r.Key.String())
			}
			f.After, more = page.After, page.After != ""
		}
		if !reflect.DeepEqual(got, all) {
			t.Errorf("in pages of %d: %d, want %d, or the order differs", limit, len(got), len(all))
		}
	}
	if got := s.list(admin.Filter{}); !reflect.DeepEqual(got, all[:50]) {
		t.Errorf("by default: %d", len(got))
	}
	filters := map[string]struct {
		f    admin.Filter
		want func(key string, died int64) bool
	}{
		"tenant":    {admin.Filter{Tenant: new("t1")}, func(k string, _ int64) bool { return strings.HasPrefix(k, "t1/") }},
		"no tenant": {admin.Filter{Tenant: new("")}, func(string, int64) bool { return false }},
		"since":     {admin.Filter{Since: time.UnixMilli(1020)}, func(_ string, at int64) bool { return at >= 1020 }},
		"action": {admin.Filter{Action: "job1"}, func(k string, _ int64) bool {
			n, _ := strconv.Atoi(k[strings.LastIndex(k, "/r")+2:])
			return n%2 == 1
		}},
		"all of them": {admin.Filter{Tenant: new("t0"), Action: "job0", Since: time.UnixMilli(5000)}, func(k string, _ int64) bool {
			n, _ := strconv.Atoi(k[strings.LastIndex(k, "/r")+2:])
			return n%6 == 0
		}},
	}
	for name, tt := range filters {
		var some []string
		for _, d := range want {
			if tt.want(d.Key, d.At) {
				some = append(some, d.Key)
			}
		}
		tt.f.Limit = 1000
		if got := s.list(tt.f); !reflect.DeepEqual(got, some) {
			t.Errorf("%s: %d, want %d", name, len(got), len(some))
		}
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	a := admin.New(nil, tables)
	for _, f := range []admin.Filter{{Limit: -1}, {Limit: 1001}, {After: "x"}, {After: "x|-/u/r"}} {
		if _, err := a.List(t.Context(), f); err == nil || !strings.HasPrefix(err.Error(), "list dead: ") {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := newSystem(t, nil)
	want := []admin.Key{{Tenant: "b", User: "u", ID: "r"}, {Tenant: "a", User: "u", ID: "r"}}
	for i, key := range append(want, admin.Key{User: "u", ID: "R"}, admin.Key{User: "r", ID: "u"}) {
		s.put(tables.Requests, deadItem(key, int64(100-i), "job"))
	}
	if got, err := s.admin.Find(t.Context(), "r"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := s.admin.Find(t.Context(), "none"); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// TestStoryOfADeadRequest: three attempts as they come, one of them silent.
func TestStoryOfADeadRequest(t *testing.T) {
	t.Parallel()
	n := 0
	s := newSystem(t, failing(func() error { n++; return fmt.Errorf("attempt %d: %w", n, errBoom) }, nil, streamer.Retry(3, streamer.Exponential(time.Second))))
	key := admin.Key{Tenant: "t", User: "u", ID: "r"}
	began := time.Now().Truncate(time.Millisecond)
	s.ask(key, "job", `{}`)
	s.run(key)
	s.offer(key)
	// The second is claimed, and then its function crashes.
	it := s.item(key)
	claimed := request.Claimed{Epoch: it.Epoch + 1, At: began.UnixMilli(), LogStream: "its stream", RequestID: "its invocation"}
	out, err := s.store.Do(t.Context(), request.Claim, key.String(), request.Attrs{
		request.PEpoch: it.Epoch, request.PNext: it.Epoch + 1, c.AttrLease: int64(1), c.AttrDueAt: int64(1), c.AttrBy: "crashes",
		c.AttrClaimed: claimed.Attrs(),
	})
	if err != nil || !out.OK || out.Before == nil || out.Before.Epoch != it.Epoch || out.Item.Epoch != it.Epoch+1 {
		t.Fatal(out, err)
	}
	second := admin.Attempt{Number: 2, Outcome: admin.Running, Began: time.UnixMilli(began.UnixMilli()).UTC(), LogStream: "its stream", Invocation: "its invocation",
		Function: "fn", LogGroup: "group"}
	if story, err := s.admin.Show(t.Context(), key); err != nil || story.Status != "PROCESSING" || story.Attempts[1] != second {
		t.Fatalf("%+v, %v, want %+v", story, err, second)
	}
	s.offer(key)
	s.run(key)
	got, err := s.admin.Show(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got.Key != key || got.Action != "job" || got.Status != "FAILED" || got.Attempt != 3 || got.Max != 3 || got.Died.Before(began) ||
		got.Created.Before(began) || got.Deadline.Sub(got.Created) != 24*time.Hour || got.Kept.Before(got.Deadline) {
		t.Errorf("%+v", got.Request)
	}
	if got.Error == nil || got.Error.Code != "INTERNAL_ERROR" || strings.Contains(got.Error.Message, "password") {
		t.Errorf("%+v", got.Error)
	}
	if len(got.Attempts) != 3 {
		t.Fatalf("%+v", got.Attempts)
	}
	for i, a := range got.Attempts {
		if i == 1 {
			second.Outcome, second.Function, second.LogGroup = admin.Silent, "fn", "group"
			if a != second {
				t.Errorf("%+v, want %+v", a, second)
			}
			continue
		}
		if a.Number != i+1 || a.Outcome != admin.Failed || a.Began.Before(began) || a.Ended.Before(a.Began) || a.Next.IsZero() != (i == 2) ||
			a.Code != "INTERNAL_ERROR" || !strings.Contains(a.Message, a.Reference) || a.Function != "fn" || a.LogGroup != "group" || a.LogStream != "stream" {
			t.Errorf("%+v", a)
		}
		if want := fmt.Sprintf("attempt %d: %v", i/2+1, errBoom); a.Text != want {
			t.Errorf("%q, want %q", a.Text, want)
		}
		if !strings.Contains(s.log.String(), a.Reference) {
			t.Errorf("the log has no %q", a.Reference)
		}
	}
	s.wantList(key.String())
}

// TestStories: what is made of what attempts have left.
func TestStories(t *testing.T) {
	t.Parallel()
	failed := func(n int64) request.Attempt { return request.Attempt{Number: n, Code: "X"} }
	postponed := func(n int64) request.Attempt { return request.Attempt{Number: n, Code: "X", Postponed: true} }
	tests := []struct {
		name    string
		state   request.State
		attempt int64
		left    []request.Attempt
		want    string
	}{
		{"accepted", request.Pending, 0, nil, ""},
		{"running", request.Processing, 1, nil, "1 running"},
		{"succeeded at once", request.Succeeded, 1, nil, "1 succeeded"},
		{"succeeded at last", request.Succeeded, 3, []request.Attempt{failed(1)}, "1 failed, 2 silent, 3 succeeded"},
		{"cancelled", request.Cancelled, 2, []request.Attempt{failed(1)}, "1 failed, 2 cancelled"},
		{"cancelled before it began again", request.Cancelled, 1, []request.Attempt{failed(1)}, "1 failed"},
		{"never a word", request.Failed, 3, nil, "1 silent, 2 silent, 3 silent"},
		{"waits for the next", request.Pending, 2, []request.Attempt{failed(1), failed(2)}, "1 failed, 2 failed"},
		{"postponed", request.Pending, 0, []request.Attempt{postponed(1), postponed(1)}, "1 postponed, 1 postponed"},
		{"postponed, then run", request.Processing, 1, []request.Attempt{postponed(1), postponed(1)}, "1 postponed, 1 postponed, 1 running"},
		{"postponed for good", request.Failed, 1, []request.Attempt{postponed(1), failed(1)}, "1 postponed, 1 failed"},
		{"postponed in between", request.Failed, 2, []request.Attempt{failed(1), postponed(2), failed(2)}, "1 failed, 2 postponed, 2 failed"},
		{"crashed, then postponed", request.Pending, 1, []request.Attempt{postponed(2)}, "1 silent, 2 postponed"},
	}
	s := newSystem(t, nil)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := s.with(t)
			key := admin.Key{User: "u", ID: fmt.Sprint("r", i)}
			item := deadItem(key, 1, "job")
			item[c.AttrState], item[c.AttrAttempt] = text(string(tt.state)), number(tt.attempt)
			s.put(tables.Requests, item)
			for epoch, a := range tt.left {
				raw, err := a.Encode()
				if err == nil {
					err = s.store.PutBlob(t.Context(), key.String(), keys.Attempt(int64(2*epoch+1)), raw, 1<<40)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.admin.Show(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, a := range got.Attempts {
				told = append(told, fmt.Sprint(a.Number, " ", a.Outcome))
			}
			if said := strings.Join(told, ", "); said != tt.want {
				t.Errorf("%s, want %s", said, tt.want)
			}
		})
	}
	if _, err := s.admin.Show(t.Context(), admin.Key{User: "u", ID: "none"}); !errors.Is(err, admin.ErrNotFound) {
		t.Error(err)
	}
}
