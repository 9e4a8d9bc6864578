package dynamodb_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	sdkstreams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/streamer-go/streamer/localcloud/internal/dynamodb"
)

func streamTable(name, view string) dynamodb.TableSpec {
	return dynamodb.TableSpec{Name: name, Hash: "pk", Stream: view}
}

func (c *cloud) iterator(t testing.TB, in *sdkstreams.GetShardIteratorInput) *string {
	t.Helper()
	out, err := c.streams.GetShardIterator(t.Context(), in)
	if err != nil {
		t.Fatalf("get shard iterator: %v", err)
	}
	return out.ShardIterator
}

func (c *cloud) shards(t testing.TB, arn string) []streamtypes.Shard {
	t.Helper()
	out, err := c.streams.DescribeStream(t.Context(), &sdkstreams.DescribeStreamInput{StreamArn: &arn})
	if err != nil {
		t.Fatalf("describe stream %s: %v", arn, err)
	}
	return out.StreamDescription.Shards
}

// records reads all that a stream keeps, shard by shard.
func (c *cloud) records(t testing.TB, arn string) []streamtypes.Record {
	t.Helper()
	var all []streamtypes.Record
	for _, shard := range c.shards(t, arn) {
		next := c.iterator(t, &sdkstreams.GetShardIteratorInput{
			StreamArn: &arn, ShardId: shard.ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
		})
		for next != nil {
			out, err := c.streams.GetRecords(t.Context(), &sdkstreams.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(2)})
			if err != nil {
				t.Fatalf("get records: %v", err)
			}
			all = append(all, out.Records...)
			if next = out.NextShardIterator; len(out.Records) == 0 {
				break
			}
		}
	}
	return all
}

func TestOneRecordPerModification(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ old, now bool }{
		"KEYS_ONLY": {}, "NEW_IMAGE": {now: true}, "OLD_IMAGE": {old: true}, "NEW_AND_OLD_IMAGES": {true, true},
	}
	for view, want := range tests {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, dynamodb.Options{})
			info := c.table(t, streamTable("items", view))
			modifyThreeTimes(t, c)
			records := c.records(t, info.StreamARN)
			var names []string
			for i, r := range records {
				names = append(names, string(r.EventName))
				if got, want := r.Dynamodb.NewImage != nil, want.now && i < 2; got != want {
					t.Errorf("record %d: has new image %v, want %v", i, got, want)
				}
				if got, want := r.Dynamodb.OldImage != nil, want.old && i > 0; got != want {
					t.Errorf("record %d: has old image %v, want %v", i, got, want)
				}
				if len(*r.EventID) != 32 || *r.EventVersion != "1.1" || r.Dynamodb.ApproximateCreationDateTime == nil {
					t.Errorf("record %d lacks id, version or time: %v", i, r)
				}
			}
			if got := strings.Join(names, " "); got != "INSERT MODIFY REMOVE" {
				t.Errorf("records are %s, want INSERT MODIFY REMOVE", got)
			}
		})
	}
}

// modifyThreeTimes makes three changes, and several calls that change nothing.
func modifyThreeTimes(t *testing.T, c *cloud) {
	t.Helper()
	name, key := aws.String("items"), object{"pk": "a"}.item()
	c.put(t, "items", object{"pk": "a", "n": n("1")})
	c.put(t, "items", object{"pk": "a", "n": n("1.0")})
	update := func(expression string) error {
		_, err := c.db.UpdateItem(t.Context(), &sdk.UpdateItemInput{TableName: name, Key: key, UpdateExpression: &expression})
		return err
	}
	failing := &sdk.DeleteItemInput{TableName: name, Key: key, ConditionExpression: aws.String("attribute_not_exists(pk)")}
	_, failed := c.db.DeleteItem(t.Context(), failing)
	wantError(t, failed, "ConditionalCheckFailedException", "")
	err := errors.Join(update("SET n = n"), update("REMOVE nothing"), update("SET m = n"))
	_, gone := c.db.DeleteItem(t.Context(), &sdk.DeleteItemInput{TableName: name, Key: key})
	_, again := c.db.DeleteItem(t.Context(), &sdk.DeleteItemInput{TableName: name, Key: key})
	if err := errors.Join(err, gone, again); err != nil {
		t.Fatal(err)
	}
}

func TestTransactionRecordsAreAllOrNone(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	info := c.table(t, streamTable("items", "NEW_IMAGE"))
	put := func(pk, condition string) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{TableName: aws.String("items"), Item: object{"pk": pk}.item(), ConditionExpression: &condition}}
	}
	in := &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		put("a", "attribute_not_exists(pk)"), put("b", "attribute_exists(pk)"),
	}}
	_, err := c.db.TransactWriteItems(t.Context(), in)
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) != 2 || *cancelled.CancellationReasons[1].Code != "ConditionalCheckFailed" {
		t.Fatalf("error is %v, want a cancellation at the second item", err)
	}
	if got := len(c.records(t, info.StreamARN)); got != 0 {
		t.Fatalf("cancelled transaction left %d records", got)
	}
	in.TransactItems[1] = put("b", "attribute_not_exists(pk)")
	in.ClientRequestToken = nil
	if _, err := c.db.TransactWriteItems(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := len(c.records(t, info.StreamARN)); got != 2 {
		t.Errorf("transaction left %d records, want 2", got)
	}
}

// TestTTLDeletesAfterADay lets a day pass in a bubble.
func TestTTLDeletesAfterADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, dynamodb.Options{})
		spec := streamTable("items", "NEW_AND_OLD_IMAGES")
		spec.TTL = "expires"
		info := c.table(t, spec)
		day := time.Now().Add(24 * time.Hour).Unix()
		c.put(t, "items", object{"pk": "a", "expires": n(fmt.Sprint(day))})
		c.put(t, "items", object{"pk": "stays", "expires": "tomorrow"})
		c.put(t, "items", object{"pk": "old", "expires": n(fmt.Sprint(day - 6*365*24*3600))})
		c.put(t, "items", object{"pk": "longer", "expires": n(fmt.Sprint(day))})
		c.put(t, "items", object{"pk": "longer", "expires": n(fmt.Sprint(day + 3600))})

		time.Sleep(24 * time.Hour)
		synctest.Wait()
		same(t, c.get(t, "items", object{"pk": "a"}), object{"pk": "a", "expires": n(fmt.Sprint(day))}) // expired, not yet deleted
		c.meter.take("dynamodb.write-units")
		time.Sleep(time.Second)
		synctest.Wait()
		same(t, c.get(t, "items", object{"pk": "a"}), nil)
		if units := c.meter.take("dynamodb.write-units"); units != 0 {
			t.Errorf("deletion cost %v units, want none", units)
		}
		if info, _ := c.Table("items"); info.ItemCount != 3 {
			t.Errorf("table has %d items, want 3", info.ItemCount)
		}
		records := c.records(t, info.StreamARN)
		last := records[len(records)-1]
		if last.EventName != streamtypes.OperationTypeRemove || last.UserIdentity == nil ||
			*last.UserIdentity.Type != "Service" || *last.UserIdentity.PrincipalId != "dynamodb.amazonaws.com" {
			t.Errorf("last record is %s by %v, want REMOVE by the service", last.EventName, last.UserIdentity)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		same(t, c.get(t, "items", object{"pk": "longer"}), nil)
	})
}

func TestReaderBlocksUntilARecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, dynamodb.Options{})
		info := c.table(t, streamTable("items", "NEW_IMAGE"))
		c.put(t, "items", object{"pk": "before"})
		latest, err := c.OpenStream(info.StreamARN, "LATEST")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan []dynamodb.StreamRecord)
		go func() {
			records, err := latest.Next(t.Context(), 10)
			if err != nil {
				t.Error(err)
			}
			got <- records
		}()
		synctest.Wait()
		select {
		case r := <-got:
			t.Fatalf("reader returned %v before there was a record", r)
		default:
		}
		c.put(t, "items", object{"pk": "after", "n": n("2")})
		records := <-got
		if len(records) != 1 {
			t.Fatalf("reader returned %d records, want 1", len(records))
		}
		checkLambdaForm(t, records[0], info)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := latest.Next(ctx, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v, want the context's", err)
		}
	})
}

func checkLambdaForm(t *testing.T, r dynamodb.StreamRecord, info dynamodb.TableInfo) {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":%d,"Keys":{"pk":{"S":"after"}},`+
		`"NewImage":{"n":{"N":"2"},"pk":{"S":"after"}},"SequenceNumber":%q,"SizeBytes":17,"StreamViewType":"NEW_IMAGE"},`+
		`"eventID":%q,"eventName":"INSERT","eventSource":"aws:dynamodb","eventSourceARN":%q,"eventVersion":"1.1"}`,
		r.Created.Unix(), r.SequenceNumber, r.EventID, info.StreamARN)
	if string(data) != want {
		t.Errorf("record is\n%s, want\n%s", data, want)
	}
}

func TestReaderKeepsOrderAndEndsWithTheStream(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	info := c.table(t, streamTable("items", "NEW_IMAGE"))
	reader, err := c.OpenStream(info.StreamARN, "TRIM_HORIZON")
	if err != nil {
		t.Fatal(err)
	}
	const writes = 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range writes {
			c.put(t, "items", object{"pk": fmt.Sprint(i % 3), "i": n(fmt.Sprint(i))})
		}
		if err := c.DeleteTable("items"); err != nil {
			t.Error(err)
		}
	}()
	seen, last := 0, ""
	for {
		records, err := reader.Next(t.Context(), 7)
		if errors.Is(err, dynamodb.ErrStreamClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.SequenceNumber <= last {
				t.Fatalf("sequence number %s follows %s", r.SequenceNumber, last)
			}
			seen, last = seen+1, r.SequenceNumber
		}
	}
	<-done
	if seen != writes {
		t.Errorf("reader saw %d records, want %d", seen, writes)
	}
}

func TestReaderSeeksBack(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	info := c.table(t, streamTable("items", "KEYS_ONLY"))
	reader, err := c.OpenStream(info.StreamARN, "TRIM_HORIZON")
	if err != nil {
		t.Fatal(err)
	}
	start := reader.Position()
	c.put(t, "items", object{"pk": "a"})
	first, err := reader.Next(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Seek(start); err != nil {
		t.Fatal(err)
	}
	second, err := reader.Next(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != 1 || len(second) != 1 || first[0].EventID != second[0].EventID {
		t.Errorf("after Seek the reader returned %v, want %v again", second, first)
	}
}

func TestShardsRollAndRecordsAgeOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, dynamodb.Options{})
		info := c.table(t, streamTable("items", "NEW_IMAGE"))
		arn := info.StreamARN
		c.put(t, "items", object{"pk": "a"})
		time.Sleep(5 * time.Hour)
		c.put(t, "items", object{"pk": "b"})
		shards := c.shards(t, arn)
		if len(shards) != 2 || *shards[1].ParentShardId != *shards[0].ShardId || shards[0].SequenceNumberRange.EndingSequenceNumber == nil {
			t.Fatalf("shards are %v, want a closed parent and its child", shards)
		}
		old := c.iterator(t, &sdkstreams.GetShardIteratorInput{StreamArn: &arn, ShardId: shards[1].ShardId, ShardIteratorType: "TRIM_HORIZON"})
		at := c.iterator(t, &sdkstreams.GetShardIteratorInput{
			StreamArn: &arn, ShardId: shards[1].ShardId, ShardIteratorType: "AT_TIMESTAMP", Timestamp: aws.Time(time.Now().Add(-time.Minute)),
		})
		if out, err := c.streams.GetRecords(t.Context(), &sdkstreams.GetRecordsInput{ShardIterator: at}); err != nil || len(out.Records) != 1 {
			t.Errorf("AT_TIMESTAMP gave %v, %v, want one record", out, err)
		}
		if got := len(c.records(t, arn)); got != 2 {
			t.Errorf("stream has %d records, want 2", got)
		}
		time.Sleep(16 * time.Minute)
		_, err := c.streams.GetRecords(t.Context(), &sdkstreams.GetRecordsInput{ShardIterator: old})
		wantError(t, err, "ExpiredIteratorException", "")
		time.Sleep(20 * time.Hour)
		if got := len(c.records(t, arn)); got != 1 {
			t.Errorf("after a day the stream has %d records, want 1", got)
		}
		time.Sleep(5 * time.Hour)
		_, err = c.streams.GetShardIterator(t.Context(), &sdkstreams.GetShardIteratorInput{
			StreamArn: &arn, ShardId: shards[1].ShardId, ShardIteratorType: "AT_SEQUENCE_NUMBER",
			SequenceNumber: shards[1].SequenceNumberRange.StartingSequenceNumber,
		})
		wantError(t, err, "TrimmedDataAccessException", "")
	})
}

func TestStreamIsSwitchedOffAndOn(t *testing.T) {
	t.Parallel()
	c := newCloud(t, dynamodb.Options{})
	info := c.table(t, streamTable("items", "NEW_IMAGE"))
	c.put(t, "items", object{"pk": "a"})
	off, err := c.UpdateTable(hashTable("items"))
	if err != nil || off.StreamARN != "" {
		t.Fatalf("stream is still %q (%v)", off.StreamARN, err)
	}
	c.put(t, "items", object{"pk": "b"})
	on, err := c.UpdateTable(streamTable("items", "KEYS_ONLY"))
	if err != nil || on.StreamARN == "" || on.StreamARN == info.StreamARN {
		t.Fatalf("new stream is %q (%v), want another than %q", on.StreamARN, err, info.StreamARN)
	}
	if got := len(c.records(t, info.StreamARN)); got != 1 {
		t.Errorf("old stream has %d records, want 1", got)
	}
	if got := len(c.records(t, on.StreamARN)); got != 0 {
		t.Errorf("new stream has %d records, want none", got)
	}
	_, err = c.OpenStream("arn:aws:dynamodb:us-east-1:000000000000:table/x/stream/y", "LATEST")
	wantServiceError(t, err, "ResourceNotFoundException")
}

func wantServiceError(t *testing.T, err error, code string) {
	t.Helper()
	var e *dynamodb.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error is %v, want %s", err, code)
	}
}
