package dynamo_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/dynamo"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

func TestOpenIsCounted(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	for i := range 30 {
		user := []string{"al", "alice", "a/l"}[i%3]
		key := keys.Request("acme", user, fmt.Sprint(i))
		put(t, db, request.Attrs{
			c.AttrPK: key, c.AttrState: "PENDING", c.AttrEpoch: int64(0), c.AttrOpen: keys.Tenant(key), c.AttrOpenAt: keys.OpenAt(user, 5, fmt.Sprint(i)),
		})
	}
	// What was accepted while the limits were off, and another tenant's.
	put(t, db, request.Attrs{c.AttrPK: keys.Request("acme", "al", "old"), c.AttrState: "PENDING", c.AttrEpoch: int64(0)})
	other := keys.Request("", "al", "other")
	put(t, db, request.Attrs{c.AttrPK: other, c.AttrOpen: keys.Tenant(other), c.AttrOpenAt: keys.OpenAt("al", 5, "other")})
	acme := keys.Tenant(keys.Owner("acme", "x"))
	tests := []struct {
		tenant, user string
		most, want   int
	}{
		{acme, "", 100, 30},
		{acme, "", 30, 30},
		{acme, "", 7, 7},
		{acme, "al", 100, 10},
		{acme, "alice", 100, 10},
		{acme, "a/l", 3, 3},
		{acme, "nobody", 3, 0},
		{keys.Tenant(other), "", 9, 1},
		{"none", "", 9, 0},
	}
	for _, tt := range tests {
		if got, err := store.Open(t.Context(), tt.tenant, tt.user, tt.most); got != tt.want || err != nil {
			t.Errorf("%s %s: %d, %v, want %d", tt.tenant, tt.user, got, err, tt.want)
		}
	}
	// What ends is not counted any more.
	key := keys.Request("acme", "al", "0")
	out, err := store.Do(t.Context(), request.End, key, request.Attrs{
		request.PEpoch: int64(0), request.PNext: int64(1), request.PState: "SUCCEEDED", c.AttrExpires: int64(1), c.AttrBy: "n",
	})
	if err != nil || !out.OK {
		t.Fatal(out, err)
	}
	if got, err := store.Open(t.Context(), acme, "al", 100); got != 9 || err != nil {
		t.Errorf("%d, %v after one has ended", got, err)
	}
}

// Of messages that come at once, exactly as many as may pass.
func TestMessagesAreCounted(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards passed
	passed := map[string]int{}
	for i := range 40 {
		tenant := fmt.Sprint("t", i%2)
		wg.Go(func() {
			ok, err := store.CountMessage(t.Context(), tenant, 1000, 1060, 12)
			if err != nil {
				t.Error(err)
			}
			if ok {
				mu.Lock()
				passed[tenant]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if passed["t0"] != 12 || passed["t1"] != 12 {
		t.Errorf("%v passed, want 12 of each", passed)
	}
	if ok, err := store.CountMessage(t.Context(), "t0", 1010, 1070, 12); !ok || err != nil {
		t.Errorf("the next window: %v, %v", ok, err)
	}
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("connections"), Key: map[string]types.AttributeValue{
		c.AttrPK: &types.AttributeValueMemberS{Value: keys.Rate("t0")}, c.AttrSK: &types.AttributeValueMemberS{Value: "1010"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if a := dynamo.Unmarshal(out.Item); a[c.AttrExpires] != int64(1070) || a[c.AttrCount] != int64(1) {
		t.Errorf("%v: it has to expire", a)
	}
}

func TestWaitingIsOldestFirst(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	tenant := keys.Tenant(keys.Owner("acme", "u"))
	for i := range 9 {
		put(t, db, request.Attrs{
			c.AttrPK: keys.Request("acme", "u", strconv.Itoa(i)), c.AttrLane: keys.Waiting(tenant), c.AttrLaneAt: int64(1000 - i),
		})
	}
	put(t, db, request.Attrs{c.AttrPK: "dead", c.AttrLane: keys.Dead("01"), c.AttrLaneAt: int64(1)})
	put(t, db, request.Attrs{c.AttrPK: "other", c.AttrLane: keys.Waiting("other"), c.AttrLaneAt: int64(1)})
	got, err := store.Waiting(t.Context(), tenant, 3)
	if err != nil || fmt.Sprint(got) != "[acme/u/8 acme/u/7 acme/u/6]" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := store.Waiting(t.Context(), tenant, 100); len(got) != 9 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}
