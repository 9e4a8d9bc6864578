package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

const (
	// maxReceive is what one ReceiveMessage call returns at most.
	maxReceive = 10
	// receiveWait is the long poll of a receive.
	receiveWait = 20 * time.Second
	// maxQueueConcurrency bounds the invocations of a mapping without a limit
	// of its own.
	maxQueueConcurrency = 1000
)

// runQueue receives batches and invokes the function with each, several at
// once. Messages that are not deleted become visible again by themselves.
func (mp *mapping) runQueue(ctx context.Context) {
	limit := mp.spec.MaxConcurrency
	if limit == 0 {
		limit = maxQueueConcurrency
	}
	slots := make(chan struct{}, limit)
	for tries := 0; ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		batch, err := mp.receive(ctx)
		if len(batch) > 0 {
			tries = 0
			mp.wg.Go(func() {
				defer func() { <-slots }()
				mp.handle(batch)
			})
			continue
		}
		<-slots
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			tries++
			mp.report(err)
			sleep(ctx, mp.manager.backoff(tries))
		}
	}
}

// receive waits for a batch: full, or what there is when the window is over.
func (mp *mapping) receive(ctx context.Context) ([]Message, error) {
	ctx = mp.asRole(ctx)
	for _, call := range queueCalls {
		if err := mp.authorize(ctx, "sqs:"+call); err != nil {
			return nil, err
		}
	}
	batch, err := mp.poll(ctx, nil, receiveWait)
	if err != nil || len(batch) == 0 || mp.spec.Window == 0 {
		return batch, err
	}
	end := time.Now().Add(mp.spec.Window)
	for len(batch) < mp.spec.BatchSize {
		wait := time.Until(end)
		if wait <= 0 {
			break
		}
		before := len(batch)
		if batch, err = mp.poll(ctx, batch, min(wait, receiveWait)); err != nil {
			break // what there is, is processed; the error comes again
		}
		if len(batch) == before && ctx.Err() != nil {
			break
		}
	}
	return batch, nil
}

// poll adds the messages of one receive that pass the filters. Messages that
// do not are deleted.
func (mp *mapping) poll(ctx context.Context, batch []Message, wait time.Duration) ([]Message, error) {
	got, err := mp.manager.opts.Queues.ReceiveMessages(ctx, mp.spec.SourceARN, min(maxReceive, mp.spec.BatchSize-len(batch)), wait)
	if err != nil {
		return batch, err
	}
	var drop []string
	for _, m := range got {
		if len(mp.filters) > 0 && !matchAny(mp.filters, filterForm(m)) {
			drop = append(drop, m.Receipt)
			continue
		}
		batch = append(batch, m)
	}
	if len(drop) > 0 {
		err = mp.manager.opts.Queues.DeleteMessages(ctx, mp.spec.SourceARN, drop)
	}
	return batch, err
}

// queueRecord is a message as Lambda events carry it.
type queueRecord struct {
	MessageID              string               `json:"messageId"`
	Receipt                string               `json:"receiptHandle"`
	Body                   any                  `json:"body"`
	Attributes             map[string]string    `json:"attributes"`
	MessageAttributes      map[string]Attribute `json:"messageAttributes"`
	MD5OfMessageAttributes string               `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody              string               `json:"md5OfBody"`
	EventSource            string               `json:"eventSource"`
	EventSourceARN         string               `json:"eventSourceARN"`
	Region                 string               `json:"awsRegion"`
}

func toRecord(m Message, source string) queueRecord {
	if m.MessageAttributes == nil {
		m.MessageAttributes = map[string]Attribute{}
	}
	if m.Attributes == nil {
		m.Attributes = map[string]string{}
	}
	return queueRecord{
		MessageID: m.ID, Receipt: m.Receipt, Body: m.Body, Attributes: m.Attributes, MessageAttributes: m.MessageAttributes,
		MD5OfMessageAttributes: m.MD5OfMessageAttributes, MD5OfBody: m.MD5OfBody,
		EventSource: "aws:sqs", EventSourceARN: source, Region: account.Region,
	}
}

// filterForm is a message as filters see it: a body that is JSON is matched by
// its content. https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html
func filterForm(m Message) json.RawMessage {
	r := toRecord(m, "")
	if json.Valid([]byte(m.Body)) {
		r.Body = json.RawMessage(m.Body)
	}
	b, _ := json.Marshal(r)
	return b
}

// handle invokes the function with a batch and deletes what it processed.
func (mp *mapping) handle(batch []Message) {
	records := make([]queueRecord, len(batch))
	for i, m := range batch {
		records[i] = toRecord(m, mp.spec.SourceARN)
	}
	payload, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		mp.report(err)
		return
	}
	ctx := mp.manager.ctx
	res, err := mp.manager.opts.Invoke(ctx, mp.fn.Name, payload)
	if err != nil {
		if ctx.Err() == nil {
			mp.report(err)
		}
		return
	}
	failed, problem := mp.failedMessages(batch, res)
	mp.report(problem)
	var receipts []string
	for _, m := range batch {
		if !failed[m.ID] {
			receipts = append(receipts, m.Receipt)
		}
	}
	if len(receipts) == 0 {
		return
	}
	if err := mp.manager.opts.Queues.DeleteMessages(mp.asRole(ctx), mp.spec.SourceARN, receipts); err != nil && ctx.Err() == nil {
		mp.report(err)
	}
}

// failedMessages returns the IDs of the messages that stay in the queue.
func (mp *mapping) failedMessages(batch []Message, res Result) (map[string]bool, error) {
	failed := map[string]bool{}
	all := func(err error) (map[string]bool, error) {
		for _, m := range batch {
			failed[m.ID] = true
		}
		return failed, err
	}
	if res.FunctionError != "" {
		return all(errors.New("function call failed: " + res.FunctionError))
	}
	if !mp.spec.ReportItemFailures {
		return failed, nil
	}
	ids, ok := itemFailures(res.Payload)
	if !ok {
		return all(errNoItems)
	}
	known := map[string]bool{}
	for _, m := range batch {
		known[m.ID] = true
	}
	for _, id := range ids {
		if !known[id] {
			return all(errNoItems)
		}
		failed[id] = true
	}
	if len(ids) == 0 {
		return failed, nil
	}
	return failed, errItems
}
