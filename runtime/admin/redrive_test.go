package admin_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	streamer "github.com/streamer-go/streamer/runtime"
	"github.com/streamer-go/streamer/runtime/admin"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// TestRedriveRepeats: the new request is what the router would have made, but
// that it names the old one and nobody watches it; the handler sees the same.
func TestRedriveRepeats(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{"small": `{"text":"a"}`, "in history": `{"text":"` + strings.Repeat("é", 5000) + `"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			var calls []streamer.Call
			var inputs []string
			app := failing(func() error {
				if broken.Load() {
					return always()
				}
				return nil
			}, func(ctx context.Context, in Job) {
				calls, inputs = append(calls, streamer.CallFrom(ctx)), append(inputs, in.Text)
			}, streamer.Retry(7, streamer.Exponential(time.Second)), streamer.Deadline(3*time.Hour))
			s := newSystem(t, app)
			broken.Store(true)
			key := admin.Key{Tenant: "ac/me", User: "alice", ID: "r1"}
			s.ask(key, "job", payload)
			accepted := s.stored(key)
			s.run(key)
			before := time.Now()
			next, err := s.admin.Redrive(t.Context(), key)
			if err != nil || next != (admin.Key{Tenant: "ac/me", User: "alice", ID: "r1-r1"}) {
				t.Fatal(next, err)
			}
			repeated := s.stored(next)
			want := append(slices.Collect(maps.Keys(accepted)), c.AttrRedrives)
			if got := slices.Sorted(maps.Keys(repeated)); !reflect.DeepEqual(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("attributes %v\nwant       %v", got, want)
			}
			for _, same := range []string{c.AttrAction, c.AttrMax, c.AttrPrint, c.AttrState, c.AttrStart, c.AttrEpoch, c.AttrAttempt, c.AttrOwner} {
				if !reflect.DeepEqual(accepted[same], repeated[same]) {
					t.Errorf("%s: %v, was %v", same, repeated[same], accepted[same])
				}
			}
			was, is := s.item(key), s.item(next)
			if is.Redrives != "r1" || len(is.Watchers) != 0 || is.Deadline-is.CreatedAt != 3*time.Hour.Milliseconds() ||
				is.Retained-is.Deadline/1000 != was.Retained-was.Deadline/1000 || is.CreatedAt < before.UnixMilli() || is.By == was.By {
				t.Errorf("%+v\nwas %+v", is, was)
			}
			s.wantList()
			broken.Store(false)
			if it := s.run(next); it.State != request.Succeeded {
				t.Fatalf("%s %+v", it.State, it.Failure)
			}
			first, second := calls[0], calls[1]
			first.ID, first.Deadline = second.ID, second.Deadline
			if second.ID != "r1-r1" || !reflect.DeepEqual(first, second) || inputs[0] != inputs[1] {
				t.Errorf("the handler saw %+v\nand then         %+v", calls[0], second)
			}
		})
	}
}

// However many try at once, it is redriven once.
func TestRedriveOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t, failing(always, nil))
	key := s.dies(admin.Key{Tenant: "t", User: "u", ID: "r"})
	var wg sync.WaitGroup
	var mu sync.Mutex // guards next
	var next []string
	for range 8 {
		wg.Go(func() {
			k, err := s.admin.Redrive(t.Context(), key)
			if err == nil {
				mu.Lock()
				next = append(next, k.ID)
				mu.Unlock()
			} else if !errors.Is(err, admin.ErrNotDead) && !strings.Contains(err.Error(), "TransactionConflict") {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if !reflect.DeepEqual(next, []string{"r-r1"}) {
		t.Fatalf("redriven as %q", next)
	}
	_, err := s.admin.Redrive(t.Context(), key)
	if !errors.Is(err, admin.ErrNotDead) || !strings.Contains(err.Error(), "redriven as r-r1") {
		t.Error(err)
	}
	if err := s.admin.Drop(t.Context(), key); !errors.Is(err, admin.ErrNotDead) || !strings.Contains(err.Error(), "redriven as r-r1") {
		t.Error(err)
	}
	story, err := s.admin.Show(t.Context(), key)
	if err != nil || story.RedrivenAs != "r-r1" || !story.Died.IsZero() {
		t.Errorf("%+v, %v", story, err)
	}
}

// What dies again is redriven again, and each names the one before.
func TestRedriveAgain(t *testing.T) {
	t.Parallel()
	s := newSystem(t, failing(always, nil))
	key := s.dies(admin.Key{User: "u", ID: "r-r7"}) // an id like ours, of a client
	for _, want := range []string{"r-r7-r1", "r-r7-r2", "r-r7-r3"} {
		next, err := s.admin.Redrive(t.Context(), key)
		if err != nil || next.ID != want {
			t.Fatalf("%s: %s, %v", key, next, err)
		}
		if it := s.run(next); it.Redrives != key.ID || it.State != request.Failed {
			t.Fatalf("%+v", it)
		}
		key = next
	}
	s.wantList(key.String())
}

// Ids that clients have used are left alone.
func TestRedriveWhereTheIDIsTaken(t *testing.T) {
	t.Parallel()
	s := newSystem(t, failing(always, nil))
	s.ask(admin.Key{User: "u", ID: "r-r1"}, "job", `{}`)
	key := s.dies(admin.Key{User: "u", ID: "r"})
	next, err := s.admin.Redrive(t.Context(), key)
	if err != nil || !strings.HasPrefix(next.ID, "r-r1.") || len(next.ID) != len("r-r1.")+12 {
		t.Fatal(next, err)
	}
	if story, err := s.admin.Show(t.Context(), key); err != nil || story.RedrivenAs != next.ID {
		t.Errorf("%q, %v", story.RedrivenAs, err)
	}
	s.run(next)
	again, err := s.admin.Redrive(t.Context(), next)
	if err != nil || again.ID != "r-r2" {
		t.Error(again, err)
	}
}

func TestRedriveLongIDs(t *testing.T) {
	t.Parallel()
	s := newSystem(t, failing(always, nil))
	for n := 124; n <= 128; n++ {
		key := s.dies(admin.Key{User: "u", ID: strings.Repeat("x", n)})
		other := s.dies(admin.Key{User: "u", ID: strings.Repeat("x", n-1) + "y"})
		for range 3 {
			next, err := s.admin.Redrive(t.Context(), key)
			if err != nil || len(next.ID) > 128 {
				t.Fatalf("%d: %s, %v", n, next, err)
			}
			twin, err := s.admin.Redrive(t.Context(), other)
			if err != nil || twin == next {
				t.Fatalf("%d: %s, %v", n, twin, err)
			}
			s.run(next)
			s.run(twin)
			key, other = next, twin
		}
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	s := newSystem(t, failing(always, nil))
	key := s.dies(admin.Key{User: "u", ID: "r"})
	other := s.dies(admin.Key{User: "u", ID: "other"})
	for range 2 { // the second finds it done
		if err := s.admin.Drop(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		s.wantList(other.String())
	}
	if it := s.item(key); it.State != request.Failed || it.Failure == nil || it.Expires == 0 {
		t.Errorf("its owner cannot ask for it: %+v", it)
	}
	if _, err := s.admin.Redrive(t.Context(), key); !errors.Is(err, admin.ErrNotDead) || !strings.Contains(err.Error(), "it was dropped") {
		t.Error(err)
	}
}

// What is not dead is neither redriven nor dropped, and is as it was.
func TestTheLivingAreLeftAlone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		state request.State
		more  map[string]types.AttributeValue
		want  error
	}{
		"pending":    {request.Pending, nil, admin.ErrNotDead},
		"waiting":    {request.Pending, map[string]types.AttributeValue{c.AttrLane: text("W/t"), c.AttrLaneAt: number(1), c.AttrWaiting: text("tenant")}, admin.ErrNotDead},
		"processing": {request.Processing, nil, admin.ErrNotDead},
		"succeeded":  {request.Succeeded, nil, admin.ErrNotDead},
		"cancelled":  {request.Cancelled, nil, admin.ErrNotDead},
		"tombstone":  {request.Cancelled, map[string]types.AttributeValue{c.AttrAction: &types.AttributeValueMemberNULL{Value: true}}, admin.ErrNotFound},
		"none":       {"", nil, admin.ErrNotFound},
	}
	s := newSystem(t, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.with(t)
			key := admin.Key{Tenant: "t", User: "u", ID: name}
			if tt.state != "" {
				item := map[string]types.AttributeValue{c.AttrPK: text(key.String()), c.AttrState: text(string(tt.state)), c.AttrEpoch: number(1), c.AttrAction: text("job")}
				maps.Copy(item, tt.more)
				s.put(tables.Requests, item)
			}
			if _, err := s.admin.Redrive(t.Context(), key); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), key.String()) {
				t.Error("redrive:", err)
			}
			if err := s.admin.Drop(t.Context(), key); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), key.String()) {
				t.Error("drop:", err)
			}
			if name == "waiting" && s.stored(key)[c.AttrLane] == nil {
				t.Error("it does not wait any more")
			}
			out, err := s.db.Scan(t.Context(), &dynamodb.ScanInput{TableName: &tables.Requests})
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range out.Items {
				if item[c.AttrRedrives] != nil {
					t.Errorf("it was redriven: %v", item)
				}
			}
		})
	}
}

func TestRedriveWithoutInput(t *testing.T) {
	t.Parallel()
	s := newSystem(t, nil)
	for name, blob := range map[string][]byte{"history": []byte("\x01B#input#gone"), "object": []byte("\x02\x05b/2/gone")} {
		key := admin.Key{User: "u", ID: name}
		item := deadItem(key, 5, "job")
		item[c.AttrInput] = &types.AttributeValueMemberB{Value: blob}
		s.put(tables.Requests, item)
		if _, err := s.admin.Redrive(t.Context(), key); !errors.Is(err, admin.ErrNoInput) {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Contains(s.list(admin.Filter{}), key.String()) {
			t.Errorf("%s left the list", name)
		}
	}
}

// The rights in the package's documentation are enough, and none is too much.
func TestRights(t *testing.T) {
	t.Parallel()
	statement := func(actions, resource string) string {
		return fmt.Sprintf(`{"Effect":"Allow","Action":["dynamodb:%s"],"Resource":["arn:aws:dynamodb:us-east-1:000000000000:table/%s"]}`,
			strings.ReplaceAll(actions, " ", `","dynamodb:`), resource)
	}
	all := []struct{ actions, resource string }{
		{"GetItem BatchGetItem UpdateItem PutItem", "requests"}, {"Query", "requests/index/lane"}, {"Query GetItem PutItem", "history"},
	}
	operate := func(t *testing.T, s *system, rights []string) error {
		t.Helper()
		roles := s.cloud.Services().Roles
		err := roles.PutRole("operator", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
		if err == nil {
			err = roles.PutPolicy("operator", "rights", `{"Version":"2012-10-17","Statement":[`+strings.Join(rights, ",")+`]}`)
		}
		if err != nil {
			t.Fatal(err)
		}
		keys, err := s.cloud.RoleCredentials("operator", "test")
		if err != nil {
			t.Fatal(err)
		}
		a := admin.New(s.client(keys), tables)
		key := admin.Key{User: "u", ID: "r"}
		_, err = a.List(t.Context(), admin.Filter{Action: "job"})
		for _, do := range []func() error{
			func() error { _, err := a.Show(t.Context(), key); return err },
			func() error { _, err := a.Redrive(t.Context(), key); return err },
			func() error { return a.Drop(t.Context(), admin.Key{User: "u", ID: "other"}) },
		} {
			if err == nil {
				err = do()
			}
		}
		return err
	}
	without := []string{""}
	for _, r := range all {
		without = append(without, strings.Fields(r.actions)...)
	}
	for i, w := range without {
		t.Run("without "+w, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, failing(always, nil))
			s.ask(admin.Key{User: "u", ID: "r"}, "job", `{"text":"`+strings.Repeat("x", 1000)+`"}`)
			s.run(admin.Key{User: "u", ID: "r"})
			s.dies(admin.Key{User: "u", ID: "other"})
			var rights []string
			n := 0
			for _, r := range all {
				var left []string
				for _, a := range strings.Fields(r.actions) {
					if n++; n != i {
						left = append(left, a)
					}
				}
				if len(left) > 0 {
					rights = append(rights, statement(strings.Join(left, " "), r.resource))
				}
			}
			err := operate(t, s, rights)
			if denied := err != nil && strings.Contains(err.Error(), "AccessDenied"); denied != (i > 0) {
				t.Errorf("without %q: %v", w, err)
			}
		})
	}
}
