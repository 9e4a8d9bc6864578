package chaos_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/streamer-go/streamer/internal/contract"
)

// past is the history of every request, by name: what the item was after each
// write, in the order of the writes, as the stream of the table has it.
type past map[string][]change

type change struct {
	at   time.Time // to the second
	item image
	gone bool
}

// image is what the checks read of an item.
type image struct {
	state, by, failure, message         string
	epoch, start, attempt, offers, beat int64 // start is -1 for none
	max, deadline, partials             int64
	indexed, cancel                     bool
	progress                            *snapshot
}

type snapshot struct {
	epoch, seq int64
	percentage float64
}

func (i *image) terminal() bool {
	return i.state == "SUCCEEDED" || i.state == "FAILED" || i.state == "CANCELLED"
}

func (i image) String() string {
	text := fmt.Sprintf("%s epoch %d attempt %d start %d offers %d beat %d by %.4s", i.state, i.epoch, i.attempt, i.start, i.offers, i.beat, i.by)
	if i.failure != "" {
		text += fmt.Sprintf(" %s %q", i.failure, i.message)
	}
	if i.cancel {
		text += " cancel"
	}
	return text
}

// read reads the whole stream. Nobody writes any more.
func (s *system) read(ctx context.Context) (past, error) {
	table, err := s.streams.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: &s.table})
	if err != nil {
		return nil, fmt.Errorf("find stream: %w", err)
	}
	p := past{}
	for _, stream := range table.Streams {
		for after := (*string)(nil); ; {
			out, err := s.streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: stream.StreamArn, ExclusiveStartShardId: after})
			if err != nil {
				return nil, fmt.Errorf("read stream: %w", err)
			}
			for _, shard := range out.StreamDescription.Shards { // parents come first
				if err := s.readShard(ctx, stream.StreamArn, shard.ShardId, p); err != nil {
					return nil, fmt.Errorf("read stream: %w", err)
				}
			}
			if after = out.StreamDescription.LastEvaluatedShardId; after == nil {
				break
			}
		}
	}
	return p, nil
}

func (s *system) readShard(ctx context.Context, stream, shard *string, p past) error {
	from, err := s.streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: stream, ShardId: shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		return err
	}
	for at := from.ShardIterator; at != nil; {
		out, err := s.streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: at})
		if err != nil {
			return err
		}
		for _, r := range out.Records {
			p.take(r)
		}
		if at = out.NextShardIterator; len(out.Records) == 0 {
			break
		}
	}
	return nil
}

func (p past) take(r types.Record) {
	key, ok := r.Dynamodb.Keys[contract.AttrPK].(*types.AttributeValueMemberS)
	if !ok {
		return
	}
	name := strings.TrimPrefix(key.Value, "-/")
	c := change{at: aws.ToTime(r.Dynamodb.ApproximateCreationDateTime), gone: r.Dynamodb.NewImage == nil}
	if !c.gone {
		c.item = readImage(r.Dynamodb.NewImage)
	}
	p[name] = append(p[name], c)
}

// last is the item as it is; false when there is none.
func (p past) last(name string) (image, bool) {
	all := p[name]
	if len(all) == 0 || all[len(all)-1].gone {
		return image{}, false
	}
	return all[len(all)-1].item, true
}

// readImage reads an item of the table or of its stream: their values are types
// of two packages, and alike.
func readImage[V any](a map[string]V) image {
	i := image{
		state: text(a["state"]), by: text(a["by"]), epoch: number(a["epoch"]), start: -1, attempt: number(a["attempt"]),
		offers: number(a["offers"]), beat: number(a["beat"]), max: number(a["max"]), deadline: number(a["deadline"]), partials: number(a["partials"]),
	}
	_, i.cancel = a["cancel"]
	_, i.indexed = a["due_shard"]
	if v, ok := a["start"]; ok {
		i.start = number(v)
	}
	if v, ok := a["failure"]; ok {
		i.failure, i.message = text(member(v, "code")), text(member(v, "message"))
	}
	if v, ok := a["progress"]; ok {
		i.progress = &snapshot{epoch: number(member(v, "epoch")), seq: number(member(v, "seq"))}
		i.progress.percentage, _ = strconv.ParseFloat(digits(member(v, "pct")), 64)
	}
	return i
}

func text(v any) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *dynamo.AttributeValueMemberS:
		return v.Value
	}
	return ""
}

func digits(v any) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberN:
		return v.Value
	case *dynamo.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

func number(v any) int64 {
	n, _ := strconv.ParseInt(digits(v), 10, 64)
	return n
}

func member(v any, name string) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberM:
		return v.Value[name]
	case *dynamo.AttributeValueMemberM:
		return v.Value[name]
	}
	return nil
}
