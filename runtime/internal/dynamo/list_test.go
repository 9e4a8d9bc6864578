package dynamo_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

func TestBatchReadsWhatIsThere(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	var names []string
	for i := range 100 {
		k := keys.Request("t", "u", fmt.Sprint("r", i))
		names = append(names, k)
		if i%2 == 0 {
			put(t, db, request.Attrs{c.AttrPK: k, c.AttrState: "PENDING", c.AttrEpoch: int64(i)})
		}
	}
	got, err := store.Batch(t.Context(), names)
	if err != nil || len(got) != 50 {
		t.Fatalf("%d requests, %v", len(got), err)
	}
	for i, k := range names {
		if it, found := got[k]; found != (i%2 == 0) || it.Epoch != int64(i)*map[bool]int64{true: 1}[found] {
			t.Errorf("%s: %v %+v", k, found, it)
		}
	}
	if got, err := store.Batch(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("of none: %v, %v", got, err)
	}
}

func TestOwnedIsNewestFirst(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	owner := keys.Owner("t", "u")
	for i := range 7 {
		id := fmt.Sprint("r", i)
		put(t, db, request.Attrs{c.AttrPK: keys.Request("t", "u", id), c.AttrOwner: owner, c.AttrCreated: keys.Created(int64(1000+i), id)})
	}
	other := keys.Owner("t", "u2")
	put(t, db, request.Attrs{c.AttrPK: keys.Request("t", "u2", "x"), c.AttrOwner: other, c.AttrCreated: keys.Created(2000, "x")})
	var all []string
	for after := ""; ; {
		page, err := store.Owned(t.Context(), owner, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			_, _, id, err := keys.Parse(l.Key)
			if err != nil {
				t.Fatal(err)
			}
			all, after = append(all, id), l.Created
		}
		if len(page) < 3 {
			break
		}
	}
	if want := []string{"r6", "r5", "r4", "r3", "r2", "r1", "r0"}; !slices.Equal(all, want) {
		t.Errorf("%q", all)
	}
}

func TestPartialsAreInOrder(t *testing.T) {
	t.Parallel()
	store, _ := database(t)
	key, expires := "t/u/r", time.Now().Add(time.Hour).Unix()
	batch := func(epoch, first int64) {
		t.Helper()
		if err := store.PutBlob(t.Context(), key, keys.Partial(epoch, first), []byte(fmt.Sprintf(`[%d]`, first)), expires); err != nil {
			t.Fatal(err)
		}
	}
	for n := range int64(150) {
		batch(1, 1+2*n)
	}
	batch(3, 9)
	for _, other := range []string{keys.Output(1), keys.Step("s"), keys.Attempt(1)} {
		if err := store.PutBlob(t.Context(), key, other, []byte(`[0]`), expires); err != nil {
			t.Fatal(err)
		}
	}
	var all []request.Batch
	for page := any(nil); ; {
		batches, next, err := store.Partials(t.Context(), key, 1, 3, page)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, batches...)
		if page = next; page == nil {
			break
		}
	}
	if len(all) != 150 || all[0].First != 3 || all[148].First != 299 || all[149].Epoch != 3 || !json.Valid(all[149].Items) {
		t.Errorf("%d batches: %+v", len(all), all)
	}
	for _, tt := range []struct{ epoch, number, want int64 }{{1, 1, 1}, {1, 2, 1}, {1, 4, 3}, {1, 1000, 299}, {3, 8, 0}, {3, 9, 9}, {2, 100, 0}} {
		b, found, err := store.LastPartial(t.Context(), key, tt.epoch, tt.number)
		if err != nil || found != (tt.want > 0) || b.First != tt.want {
			t.Errorf("last of epoch %d up to %d: %+v %v, %v", tt.epoch, tt.number, b, found, err)
		}
	}
}
