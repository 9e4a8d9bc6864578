package eventsource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"
)

// process invokes the function with a batch until it is done with: successful,
// or given up and recorded. attempts is how often its records failed before.
// It returns what is left when ctx ended.
func (mp *mapping) process(ctx context.Context, batch []record, attempts int) (left []record) {
	for tries := 1; len(batch) > 0; tries++ {
		if batch = mp.dropOld(batch, attempts); len(batch) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return batch
		}
		res, err := mp.manager.opts.Invoke(mp.manager.ctx, mp.fn.Name, streamEvent(batch))
		if mp.manager.ctx.Err() != nil {
			return batch
		}
		if err != nil { // not invoked: a throttle, say; that is no attempt
			mp.report(err)
			if !sleep(ctx, mp.manager.backoff(tries)) {
				return batch
			}
			continue
		}
		done, partial, failed := mp.judge(batch, res)
		if failed == nil {
			mp.report(nil)
			return nil
		}
		mp.report(failed)
		batch = batch[done:]
		// A split costs no retry; reported item failures have split already.
		if mp.spec.Bisect && !partial && len(batch) > 1 {
			half := len(batch) / 2
			if left = mp.process(ctx, batch[:half], attempts); len(left) > 0 {
				return append(append([]record(nil), left...), batch[half:]...)
			}
			batch = batch[half:]
			tries = 0
			continue
		}
		attempts++
		if mp.spec.MaxRetries != nil && attempts > *mp.spec.MaxRetries {
			mp.giveUp(batch, "RetryAttemptsExhausted", attempts, res, partial)
			return nil
		}
		if !sleep(ctx, mp.manager.backoff(attempts)) {
			return batch
		}
	}
	return nil
}

// streamEvent renders a batch as the function gets it.
func streamEvent(batch []record) []byte {
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for i, r := range batch {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(r.data)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

var (
	// errItems is a batch whose function named items that failed.
	errItems = errors.New("function reported batch item failures")
	// errNoItems is one whose function named what is no item: all of it failed.
	errNoItems = errors.New("function reported batch item failures that name no item of the batch")
)

// judge reads a result: done is how many records at the front are processed,
// partial whether the function itself said so; failed is nil for success.
func (mp *mapping) judge(batch []record, res Result) (done int, partial bool, failed error) {
	if res.FunctionError != "" {
		return 0, false, errors.New("function call failed: " + res.FunctionError)
	}
	if !mp.spec.ReportItemFailures {
		return 0, false, nil
	}
	ids, ok := itemFailures(res.Payload)
	if ok && len(ids) == 0 {
		return 0, false, nil
	}
	lowest := len(batch)
	for _, id := range ids {
		at := -1
		for i, r := range batch {
			if r.sequence == id {
				at = i
				break
			}
		}
		if at < 0 {
			return 0, false, errNoItems
		}
		lowest = min(lowest, at)
	}
	if !ok {
		return 0, false, errNoItems
	}
	return lowest, true, errItems
}

// itemFailures reads batchItemFailures of a response. ok is false for one that
// fails the whole batch: an empty, null or missing identifier.
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
func itemFailures(payload []byte) (ids []string, ok bool) {
	if len(bytes.TrimSpace(payload)) == 0 {
		return nil, true
	}
	var res *struct {
		Failures []map[string]any `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(payload, &res); err != nil {
		// A response that is no object, such as a string, reports nothing.
		return nil, !bytes.Contains(payload, []byte("batchItemFailures"))
	}
	if res == nil {
		return nil, true
	}
	for _, f := range res.Failures {
		id, _ := f["itemIdentifier"].(string)
		if id == "" {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// dropOld gives up the records at the front that are over the age limit.
func (mp *mapping) dropOld(batch []record, attempts int) []record {
	if mp.spec.MaxAge == 0 {
		return batch
	}
	n := 0
	for n < len(batch) && time.Since(batch[n].created) > mp.spec.MaxAge {
		n++
	}
	if n > 0 {
		mp.giveUp(batch[:n], "RecordAgeExceeded", attempts, Result{}, false)
	}
	return batch[n:]
}

// failureRecord is what the failure destination of a stream receives: where
// the records are, not the records.
type failureRecord struct {
	RequestContext  failureContext  `json:"requestContext"`
	ResponseContext *failureOutcome `json:"responseContext,omitempty"`
	Version         string          `json:"version"`
	Timestamp       string          `json:"timestamp"`
	Batch           batchInfo       `json:"DDBStreamBatchInfo"`
}

type failureContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	InvokeCount int    `json:"approximateInvokeCount"`
}

type failureOutcome struct {
	StatusCode      int     `json:"statusCode"`
	ExecutedVersion string  `json:"executedVersion"`
	FunctionError   *string `json:"functionError"` // null for reported item failures
}

type batchInfo struct {
	ShardID       string `json:"shardId"`
	StartSequence string `json:"startSequenceNumber"`
	EndSequence   string `json:"endSequenceNumber"`
	FirstArrival  string `json:"approximateArrivalOfFirstRecord"`
	LastArrival   string `json:"approximateArrivalOfLastRecord"`
	BatchSize     int    `json:"batchSize"`
	StreamARN     string `json:"streamArn"`
}

// giveUp drops records, telling the failure destination.
func (mp *mapping) giveUp(batch []record, condition string, attempts int, res Result, partial bool) {
	mp.log("gave up " + batch[0].sequence + " to " + batch[len(batch)-1].sequence + ": " + condition)
	if mp.spec.OnFailureARN == "" {
		return
	}
	first, last := batch[0], batch[len(batch)-1]
	rec := failureRecord{
		Version:   "1.0",
		Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: failureContext{
			RequestID: res.RequestID, FunctionARN: mp.fn.ARN, Condition: condition, InvokeCount: attempts,
		},
		Batch: batchInfo{
			ShardID: first.shard, StartSequence: first.sequence, EndSequence: last.sequence,
			FirstArrival: first.created.UTC().Format(time.RFC3339), LastArrival: last.created.UTC().Format(time.RFC3339),
			BatchSize: len(batch), StreamARN: mp.spec.SourceARN,
		},
	}
	if res.RequestID == "" {
		rec.RequestContext.RequestID = newUUID()
	} else {
		rec.ResponseContext = &failureOutcome{StatusCode: 200, ExecutedVersion: res.ExecutedVersion}
		if !partial && res.FunctionError != "" {
			rec.ResponseContext.FunctionError = &res.FunctionError
		}
	}
	body, err := json.Marshal(rec)
	if err == nil {
		err = mp.manager.opts.Send(mp.asRole(mp.manager.ctx), mp.spec.OnFailureARN, string(body))
	}
	if err != nil {
		mp.report(err)
	}
}
