package dynamo_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	c "github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/runtime/internal/connect"
	"github.com/streamer-go/streamer/runtime/internal/dynamo"
	"github.com/streamer-go/streamer/runtime/internal/keys"
	"github.com/streamer-go/streamer/runtime/internal/request"
)

// database starts a cloud with the three tables.
func database(t *testing.T) (*dynamo.Store, *dynamodb.Client) {
	t.Helper()
	cloud, err := localcloud.Start(localcloud.Config{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	k := cloud.Credentials()
	db := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(cloud.Endpoint()), HTTPClient: cloud.HTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, k.SessionToken),
	})
	for name, table := range map[string]c.Table{"requests": c.Requests(), "history": c.History(), "connections": c.Connections()} {
		create(t, db, name, table)
	}
	return dynamo.New(db, dynamo.Tables{Requests: "requests", History: "history", Connections: "connections"}), db
}

func create(t *testing.T, db *dynamodb.Client, name string, table c.Table) {
	t.Helper()
	in := &dynamodb.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest}
	var known []string
	attr := func(name, kind string) *string {
		if !slices.Contains(known, name) {
			known = append(known, name)
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeType(kind)})
		}
		return &name
	}
	schema := func(hash, hashType, rng, rngType string) []types.KeySchemaElement {
		out := []types.KeySchemaElement{{AttributeName: attr(hash, hashType), KeyType: types.KeyTypeHash}}
		if rng != "" {
			out = append(out, types.KeySchemaElement{AttributeName: attr(rng, rngType), KeyType: types.KeyTypeRange})
		}
		return out
	}
	in.KeySchema = schema(table.Hash, "S", table.Range, "S")
	for _, i := range table.Indexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: &i.Name, KeySchema: schema(i.Hash, i.HashType, i.Range, i.RangeType),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		})
	}
	if _, err := db.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// item makes a request in any state, nil for none.
func item(r *rand.Rand) request.Attrs {
	if r.IntN(8) == 0 {
		return nil
	}
	it := request.Attrs{
		c.AttrState: pick(r, request.Pending, request.Processing, request.Succeeded, request.Failed, request.Cancelled),
		c.AttrEpoch: r.Int64N(2), c.AttrBeat: r.Int64N(2), c.AttrAttempt: r.Int64N(3), c.AttrOffers: r.Int64N(3),
		c.AttrBy: fmt.Sprint("n", r.IntN(3)), c.AttrAction: "a", c.AttrInput: []byte{0, 1}, c.AttrMax: int64(3), c.AttrPrint: []byte("p"),
		c.AttrWatchers: request.Attrs{"c1": r.Int64N(99)}, c.AttrDeadline: r.Int64N(99), c.AttrRetained: r.Int64N(99),
		c.AttrOwner: "-/u", c.AttrCreated: "1#r",
	}
	for name, v := range map[string]any{
		c.AttrStart: r.Int64N(3), c.AttrDueAt: r.Int64N(99), c.AttrDueShard: "01", c.AttrLease: r.Int64N(99), c.AttrRunAt: r.Int64N(99),
		c.AttrCancel: true, c.AttrProgress: request.Attrs{"epoch": int64(1), "message": ""}, c.AttrExpires: r.Int64N(99),
		c.AttrFailure: request.Attrs{"retryable": true, "code": "X"}, c.AttrOutput: []byte("out"), c.AttrTrace: "t",
		c.AttrWaiting: "tenant", c.AttrLane: "W/t", c.AttrLaneAt: r.Int64N(99), c.AttrOpen: "t", c.AttrOpenAt: "u/1#r",
	} {
		if r.IntN(2) == 0 {
			it[name] = v
		}
	}
	return it
}

func pick(r *rand.Rand, states ...request.State) string { return string(states[r.IntN(len(states))]) }

// params fits every transition; creating ones take a whole item.
func params(r *rand.Rand, t request.Transition) request.Attrs {
	if slices.Contains([]string{request.Accept.Name, request.Tombstone.Name}, t.Name) {
		for {
			if it := item(r); it != nil {
				return it
			}
		}
	}
	p := request.Attrs{
		request.PEpoch: r.Int64N(2), request.PNext: r.Int64N(4), request.PBeat: r.Int64N(2),
		request.PState: pick(r, request.Succeeded, request.Failed, request.Cancelled), c.AttrBeat: r.Int64N(4),
		c.AttrLease: r.Int64N(99), c.AttrDueAt: r.Int64N(99), c.AttrRunAt: r.Int64N(99), c.AttrExpires: r.Int64N(99),
		request.PWatcher: []string{"c0", "c1", "c2=/+"}[r.IntN(3)], request.PWatchEnd: r.Int64N(99),
	}
	for name, v := range map[string]any{
		c.AttrProgress: (&request.Snapshot{Epoch: 2, Seq: 3, Percentage: 12.34, Message: "m", Metadata: `{"a":1}`}).Attrs(),
		c.AttrFailure:  (&request.Failure{Code: "C", Message: "m", Retryable: true}).Attrs(), c.AttrOutput: []byte("new"),
		request.PUnwatch: fmt.Sprintf("c%d", r.IntN(3)), c.AttrLane: "D/01", c.AttrLaneAt: r.Int64N(99), c.AttrWaiting: "tenant",
	} {
		if r.IntN(2) == 0 || t.Name == request.Park.Name {
			p[name] = v
		}
	}
	if moves(t) {
		p[c.AttrBy] = fmt.Sprint("n", r.IntN(6))
	}
	return p
}

// moves says whether the transition carries a nonce.
func moves(t request.Transition) bool {
	return !slices.Contains([]string{request.Beat.Name, request.Offer.Name, request.Park.Name, request.Settle.Name, request.Watch.Name, request.CancelRunning.Name}, t.Name)
}

// TestDatabaseDoesWhatApplySays: what is rendered for DynamoDB leaves exactly
// the item that Apply, which the model explores, computes.
func TestDatabaseDoesWhatApplySays(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	for _, tr := range request.Table() {
		t.Run(tr.Name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 0))
			held := 0
			for n := range 150 {
				k := keys.Request("t", "u/é", fmt.Sprintf("%s-%d", tr.Name, n))
				before, p := item(r), params(r, tr)
				if before != nil {
					before[c.AttrPK] = k
					put(t, db, before)
				}
				want, ok := tr.Apply(before, k, p)
				if ok {
					held++
				}
				out, err := store.Do(t.Context(), tr, k, p)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				by, _ := p[c.AttrBy].(string)
				known := before != nil && by != "" && before[c.AttrBy] == by
				got := read(t, db, k)
				if out.OK != (ok || known) || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(out.Item, request.Decode(want)) || out.Found != (want != nil) {
					t.Fatalf("seed %d: %v with %v\n got %v %+v\nwant %v %v", seed, before, p, got, out, ok, want)
				}
			}
			if held < 3 {
				t.Errorf("seed %d: the condition held %d times of 150: the generator misses it", seed, held)
			}
		})
	}
}

func put(t *testing.T, db *dynamodb.Client, a request.Attrs) {
	t.Helper()
	m, err := dynamo.MarshalAll(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("requests"), Item: m}); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, db *dynamodb.Client, k string) request.Attrs {
	t.Helper()
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String("requests"), ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{c.AttrPK: &types.AttributeValueMemberS{Value: k}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return dynamo.Unmarshal(out.Item)
}

func TestMissingParameterIsNamed(t *testing.T) {
	t.Parallel()
	_, err := request.Claim.Write("k", request.Attrs{request.PEpoch: int64(0)})
	if err == nil || !strings.Contains(err.Error(), `write claim: parameter "next" is missing`) {
		t.Errorf("%v", err)
	}
}

func TestUnknownTypeIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := dynamo.MarshalAll(request.Attrs{"m": request.Attrs{"x": 1.5}}); err == nil || !strings.Contains(err.Error(), "x: marshal attribute: type float64") {
		t.Errorf("%v", err)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	if _, found, err := store.Get(t.Context(), "-/u/none"); found || err != nil {
		t.Errorf("%v %v", found, err)
	}
	put(t, db, request.Attrs{c.AttrPK: "-/u/r", c.AttrState: "PENDING", c.AttrEpoch: int64(7)})
	it, found, err := store.Get(t.Context(), "-/u/r")
	if !found || err != nil || it.Epoch != 7 || it.Start != -1 || it.State != request.Pending {
		t.Errorf("%+v %v %v", it, found, err)
	}
}

func TestDueIsPaged(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	for i := range 230 {
		put(t, db, request.Attrs{c.AttrPK: fmt.Sprintf("-/u/%03d", i), c.AttrDueShard: keys.Shard(3), c.AttrDueAt: int64(i)})
	}
	put(t, db, request.Attrs{c.AttrPK: "-/u/other", c.AttrDueShard: keys.Shard(4), c.AttrDueAt: int64(1)})
	var all []string
	for page := any(nil); ; {
		due, next, err := store.Due(t.Context(), keys.Shard(3), 219, page)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, due...)
		if page = next; page == nil {
			break
		}
	}
	if len(all) != 220 || !slices.IsSorted(all) {
		t.Errorf("%d: %v", len(all), all)
	}
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	store, _ := database(t)
	big := []byte(strings.Repeat("x", 300<<10))
	if err := store.PutBlob(t.Context(), "-/u/r", keys.Output(1), big, time.Now().Add(time.Hour).Unix()); err != nil {
		t.Fatal(err)
	}
	got, err := store.GetBlob(t.Context(), "-/u/r", keys.Output(1))
	if err != nil || len(got) != len(big) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := store.GetBlob(t.Context(), "-/u/r", keys.Output(2)); !errors.Is(err, request.ErrNoBlob) {
		t.Errorf("%v, want ErrNoBlob", err)
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	store, db := database(t)
	conn := connect.Connection{Tenant: "t", User: "u", ID: "c=", ConnectedAt: time.UnixMilli(5), ExpiresAt: time.Unix(1<<40, 0)}
	key := map[string]types.AttributeValue{
		c.AttrPK: &types.AttributeValueMemberS{Value: keys.Owner("t", "u")}, c.AttrSK: &types.AttributeValueMemberS{Value: keys.Connection("c=")},
	}
	there := func() bool {
		out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("connections"), Key: key, ConsistentRead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		return out.Item != nil
	}
	if err := store.Put(t.Context(), conn); err != nil || !there() {
		t.Fatalf("put: %v", err)
	}
	for range 2 { // the second finds nothing, which is no error
		if err := store.Delete(t.Context(), "t", "u", "c="); err != nil || there() {
			t.Errorf("delete: %v", err)
		}
	}
}
