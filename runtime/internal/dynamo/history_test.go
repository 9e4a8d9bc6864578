package dynamo_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/runtime/internal/dynamo"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

func TestStepIsStoredOnceAndWhileOwned(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	key, expires := keys.Request("t", "u", "r"), time.Now().Add(time.Hour).Unix()
	put(t, db, request.Attrs{c.AttrPK: key, c.AttrEpoch: int64(3), c.AttrState: "PROCESSING"})
	step := func(name, result string) request.Step {
		return request.Step{Name: name, Result: []byte(result), Partials: 7, Bytes: 70}
	}
	tests := []struct {
		what  string
		epoch int64
		step  request.Step
		want  request.Kept
	}{
		{"first", 3, step("pay #1/é", `{"a":1}`), request.Kept{Step: step("pay #1/é", `{"a":1}`)}},
		{"again", 3, step("pay #1/é", `2`), request.Kept{Step: step("pay #1/é", `{"a":1}`)}},
		{"by an older owner", 2, step("other", `3`), request.Kept{Lost: true}},
		{"again by an older owner", 2, step("pay #1/é", `3`), request.Kept{Lost: true}},
		{"second", 3, step("b", `4`), request.Kept{Step: step("b", `4`)}},
	}
	for _, tt := range tests {
		got, err := store.PutStep(t.Context(), key, tt.epoch, tt.step, expires)
		if tt.want.Lost && (got.Item.Epoch != 3 || got.Item.State != request.Processing || got.Item.Key != key) {
			t.Errorf("%s: refused by %+v", tt.what, got.Item)
		}
		got.Item = request.Item{}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", tt.what, got, err, tt.want)
		}
	}
	all, err := store.Steps(t.Context(), key)
	if want := []request.Step{step("b", `4`), step("pay #1/é", `{"a":1}`)}; err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%+v, %v, want %+v", all, err, want)
	}
	if got := expiry(t, db, key, keys.Step("b")); got != fmt.Sprint(expires) {
		t.Errorf("a step expires at %s, want %d", got, expires)
	}
}

func expiry(t *testing.T, db *dynamodb.Client, key, rng string) string {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String("history"), ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{
			c.AttrPK: &types.AttributeValueMemberS{Value: key}, c.AttrSK: &types.AttributeValueMemberS{Value: rng},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := out.Item[c.AttrExpires].(*types.AttributeValueMemberN)
	if n == nil {
		return "never"
	}
	return n.Value
}

// A request that is gone has no owner.
func TestStepOfARequestThatIsGone(t *testing.T) {
	t.Parallel()
	store, _ := database(t)
	got, err := store.PutStep(t.Context(), "-/u/none", 1, request.Step{Name: "a", Result: []byte("1")}, 1<<40)
	if err != nil || !got.Lost || got.Item.Key != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Steps are read to the end, and nothing else is.
func TestStepsArePaged(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	key := keys.Request("", "u", "r")
	put(t, db, request.Attrs{c.AttrPK: key, c.AttrEpoch: int64(1)})
	expires := time.Now().Add(time.Hour).Unix()
	large := append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 250<<10)...), '"')
	for i := range 9 {
		if _, err := store.PutStep(t.Context(), key, 1, request.Step{Name: fmt.Sprint(i), Result: large}, expires); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{keys.Input("n"), keys.Output(1), keys.Checkpoint(1, 1), keys.Partial(1, 1), keys.Attempt(1), "T#x"} {
		if err := store.PutBlob(t.Context(), key, name, []byte("1"), expires); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.Steps(t.Context(), key)
	if err != nil || len(all) != 9 {
		t.Fatalf("%d steps, %v", len(all), err)
	}
	for i, s := range all {
		if s.Name != fmt.Sprint(i) || !bytes.Equal(s.Result, large) {
			t.Errorf("%d: %q with %d bytes", i, s.Name, len(s.Result))
		}
	}
	if none, err := store.Steps(t.Context(), keys.Request("", "u", "r2")); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
}

// A step that cannot be stored however often it is tried is refused for good.
func TestStepThatIsTooLarge(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	key := keys.Request("", "u", "r")
	put(t, db, request.Attrs{c.AttrPK: key, c.AttrEpoch: int64(1)})
	_, err := store.PutStep(t.Context(), key, 1, request.Step{Name: "a", Result: make([]byte, 500<<10)}, 1<<40)
	if !errors.Is(err, request.ErrRefused) {
		t.Errorf("%v", err)
	}
	other := dynamo.New(db, dynamo.Tables{Requests: "requests", History: "no such table"})
	if _, err := other.PutStep(t.Context(), key, 1, request.Step{Name: "a", Result: []byte("1")}, 1<<40); !errors.Is(err, request.ErrRefused) {
		t.Errorf("%v", err)
	}
	if _, err := other.Steps(t.Context(), key); !errors.Is(err, request.ErrRefused) {
		t.Errorf("%v", err)
	}
}

// A checkpoint comes back as it was stored, with the place of the log.
func TestCheckpointTravelsWithTheBeat(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	key := keys.Request("", "u", "r")
	put(t, db, request.Attrs{c.AttrPK: key, c.AttrEpoch: int64(1), c.AttrBeat: int64(0)})
	p := &request.Checkpoint{State: []byte{1, 'B', 0xff}, Partials: 12, Bytes: 1 << 20}
	out, err := store.Do(t.Context(), request.Beat, key, request.Attrs{
		request.PEpoch: int64(1), c.AttrBeat: int64(1), c.AttrLease: int64(1), c.AttrCheckpoint: p.Attrs(),
	})
	if err != nil || !out.OK || !reflect.DeepEqual(out.Item.Checkpoint, p) {
		t.Errorf("%+v, %v", out.Item.Checkpoint, err)
	}
	out, err = store.Do(t.Context(), request.Beat, key, request.Attrs{request.PEpoch: int64(1), c.AttrBeat: int64(2), c.AttrLease: int64(2)})
	if err != nil || !out.OK || !reflect.DeepEqual(out.Item.Checkpoint, p) {
		t.Errorf("after a beat without one: %+v, %v", out.Item.Checkpoint, err)
	}
}
