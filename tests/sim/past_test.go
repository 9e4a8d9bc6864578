package sim_test

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// past is the history of every request, read from the stream of the table: all
// writes to an item in the order in which they happened.
type past struct {
	w       *world
	arn     string
	shards  map[string]*string // where reading goes on; nil once a shard is at its end
	changes map[string][]change
}

// change is an item after a write.
type change struct {
	at    time.Time // to the second
	item  image
	gone  bool // deleted
	order int
}

// image is what the checks read of an item.
type image struct {
	state, by, action, failure, message string
	epoch, start, attempt, offers, beat int64 // start is -1 for none
	max, due, runAt, lease, deadline    int64
	indexed, cancel                     bool
	at                                  time.Time // of the write, to the second
	progress                            *cursor
	watchers                            map[string]bool
}

type cursor struct {
	epoch, seq, percentage int64
	message                string
}

func newPast(w *world) *past {
	return &past{w: w, shards: map[string]*string{}, changes: map[string][]change{}}
}

// read takes in what is new.
func (p *past) read() {
	ctx := context.Background()
	if p.arn == "" {
		out, err := p.w.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &p.w.requests})
		if err != nil {
			p.w.violate("", "describe table: %v", err)
			return
		}
		p.arn = aws.ToString(out.Table.LatestStreamArn)
	}
	for more := true; more; {
		more = false
		out, err := p.w.streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &p.arn})
		if err != nil {
			p.w.violate("", "describe stream: %v", err)
			return
		}
		for _, s := range out.StreamDescription.Shards { // parents come first
			more = p.readShard(ctx, aws.ToString(s.ShardId)) || more
		}
	}
}

// readShard reads to the end of what is there; it says whether the shard has
// come to its own end just now, so that there may be another one.
func (p *past) readShard(ctx context.Context, id string) bool {
	at, known := p.shards[id]
	if known && at == nil {
		return false
	}
	if !known {
		out, err := p.w.streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
			StreamArn: &p.arn, ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			p.w.violate("", "read stream: %v", err)
			return false
		}
		at = out.ShardIterator
	}
	for at != nil {
		out, err := p.w.streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: at})
		if err != nil {
			p.w.violate("", "read stream: %v", err)
			return false
		}
		for _, r := range out.Records {
			p.take(r)
		}
		at = out.NextShardIterator
		if len(out.Records) == 0 {
			break
		}
	}
	p.shards[id] = at
	return at == nil
}

func (p *past) take(r types.Record) {
	key, ok := r.Dynamodb.Keys["pk"].(*types.AttributeValueMemberS)
	if !ok {
		return
	}
	request := label(key.Value)
	c := change{at: aws.ToTime(r.Dynamodb.ApproximateCreationDateTime), order: len(p.changes[request])}
	if r.Dynamodb.NewImage == nil {
		c.gone = true
	} else {
		c.item = readImage(r.Dynamodb.NewImage)
		c.item.at = c.at
	}
	p.changes[request] = append(p.changes[request], c)
}

// last is the item as it is; false when there is none.
func (p *past) last(request string) (image, bool) {
	all := p.changes[request]
	if len(all) == 0 || all[len(all)-1].gone {
		return image{}, false
	}
	return all[len(all)-1].item, true
}

type attributes map[string]types.AttributeValue

func readImage(a attributes) image {
	i := image{
		state: a.text("state"), by: a.text("by"), action: a.text("action"),
		epoch: a.number("epoch"), start: -1, attempt: a.number("attempt"), offers: a.number("offers"), beat: a.number("beat"),
		max: a.number("max"), due: a.number("due_at"), runAt: a.number("run_at"), lease: a.number("lease"), deadline: a.number("deadline"),
		watchers: map[string]bool{},
	}
	_, i.cancel = a["cancel"]
	_, i.indexed = a["due_shard"]
	if _, ok := a["start"]; ok {
		i.start = a.number("start")
	}
	if f := a.inner("failure"); f != nil {
		i.failure, i.message = f.text("code"), f.text("message")
	}
	if s := a.inner("progress"); s != nil {
		i.progress = &cursor{s.number("epoch"), s.number("seq"), s.number("pct"), s.text("message")}
	}
	for id := range maps.Keys(a.inner("watchers")) {
		i.watchers[id] = true
	}
	return i
}

func (a attributes) text(name string) string {
	s, _ := a[name].(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

func (a attributes) number(name string) int64 {
	v, _ := a[name].(*types.AttributeValueMemberN)
	if v == nil {
		return 0
	}
	n, _ := strconv.ParseInt(v.Value, 10, 64)
	return n
}

func (a attributes) inner(name string) attributes {
	m, _ := a[name].(*types.AttributeValueMemberM)
	if m == nil {
		return nil
	}
	return m.Value
}

// terminal says whether the item has ended.
func (i *image) terminal() bool {
	return i.state == "SUCCEEDED" || i.state == "FAILED" || i.state == "CANCELLED"
}
