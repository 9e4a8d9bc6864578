package sim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var (
	errDead   = errors.New("the process has ended")
	errBroken = errors.New("connection reset by peer")
)

// transport is the network of one instance.
type transport struct {
	*instance
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper: it lets the call's fate happen to it.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.dead() {
		return nil, errDead
	}
	w := t.world
	c, err := w.readCall(t.instance, r)
	if err != nil {
		w.violate("", "%v", err)
		return nil, err
	}
	defer t.returned(r)
	if err := t.align(r, c); err != nil {
		return nil, err
	}
	w.count(c)
	w.tried(c)
	f := w.fate(c.name(), func(f fault) bool { return f.fits(c) }, callFaults)
	if err := t.travel(r, c, f); err != nil {
		return nil, err
	}
	w.story.add(line{w.since(), c.role, c.request, fmt.Sprintf("calls %s try %d", c.name(), c.try), true})
	if o := w.out(c); o != nil {
		return t.outage(r, c, o)
	}
	if f != none {
		w.story.tell(c.role, c.request, "%s%s: %s", c.op, c.detail, f)
	}
	switch f {
	case crashBefore:
		return nil, t.crash()
	case unavailable, throttled, gone:
		return refusal(r, c, f), nil
	case late:
		w.later(w.dice.skewed("late "+c.name(), time.Second, 2*time.Minute), func() { t.copyOf(r, c) })
		return nil, errBroken
	case twice:
		defer w.later(w.dice.skewed("twice "+c.name(), time.Millisecond, 2*time.Minute), func() { t.copyOf(r, c) })
	}
	resp, err := t.carryOut(r, c)
	if err != nil {
		return nil, err
	}
	switch f {
	case crashAfter:
		return nil, t.crash()
	case lostReply:
		return nil, errBroken
	}
	if err := t.rest(r.Context(), w.dice.skewed("back "+c.name(), time.Millisecond, 20*time.Millisecond)); err != nil {
		return nil, err
	}
	return resp, nil
}

// align takes the random part out of the SDK's waits between tries: a try
// begins when the longest wait would be over.
func (t *transport) align(r *http.Request, c *call) error {
	if c.try == 1 {
		return nil
	}
	t.mu.Lock()
	before := t.tried[r.Header.Get("Amz-Sdk-Invocation-Id")]
	t.mu.Unlock()
	return t.rest(r.Context(), max(0, time.Until(before.Add(time.Second<<(c.try-1)))))
}

// travel takes the call its time. A later try has used up most of its time limit
// already, by how much is random: it is not slow on top of that.
func (t *transport) travel(r *http.Request, c *call, f fault) error {
	w := t.world
	d := w.dice.skewed("way "+c.name(), time.Millisecond, 40*time.Millisecond)
	if f == slow && c.try == 1 {
		d += w.dice.between("slow "+c.name(), 500*time.Millisecond, 8*time.Second)
	}
	return t.rest(r.Context(), d)
}

// returned notes when a try of a call ended.
func (t *transport) returned(r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tried[r.Header.Get("Amz-Sdk-Invocation-Id")] = time.Now()
}

// attempt is the number of the SDK's try, from 1.
func attempt(r *http.Request) int {
	for part := range strings.SplitSeq(r.Header.Get("Amz-Sdk-Request"), ";") {
		if n, ok := strings.CutPrefix(strings.TrimSpace(part), "attempt="); ok {
			try, _ := strconv.Atoi(n)
			return try
		}
	}
	return 1
}

// rest waits; it fails when the caller gives up or the instance ends.
func (t *transport) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-t.ended:
	}
	if t.dead() {
		return errDead
	}
	return nil
}

// outage refuses the call, or gives no answer for nearly as long as the caller
// waits.
func (t *transport) outage(r *http.Request, c *call, o *outage) (*http.Response, error) {
	t.world.story.tell(c.role, c.request, "%s%s: outage", c.op, c.detail)
	if !o.hang {
		return refusal(r, c, unavailable), nil
	}
	if err := t.rest(r.Context(), max(1, 9-3*time.Duration(c.try))*700*time.Millisecond); err != nil {
		return nil, err
	}
	return nil, errBroken
}

// carryOut makes the call, changed by the run's mutant and the instance's clock.
func (t *transport) carryOut(r *http.Request, c *call) (*http.Response, error) {
	w := t.world
	nonce := text(c.document, "ExpressionAttributeValues", ":by", "S") + text(c.document, "Item", "by", "S")
	w.wrote(c, nonce)
	body := c.body
	if c.service == "dynamodb" {
		body = t.rewrite(c)
	}
	req := r.Clone(context.WithoutCancel(r.Context()))
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if c.copied || !bytes.Equal(body, c.body) {
		if err := t.sign(req, c, body); err != nil {
			return nil, err
		}
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	w.answered(c, resp.StatusCode, answer)
	if c.service == "dynamodb" {
		answer = t.reread(c, answer, nonce)
		resp.Header.Del("X-Amz-Crc32")
		resp.Header.Set("Content-Length", strconv.Itoa(len(answer)))
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(answer)), int64(len(answer))
	return resp, nil
}

// copyOf carries the call out once more; nobody hears of the answer.
func (t *transport) copyOf(r *http.Request, c *call) {
	again := *c
	c, again.copied = &again, true
	resp, err := t.carryOut(r, c)
	if err != nil {
		return // the cloud has ended
	}
	_ = resp.Body.Close()
	t.world.story.tell("network", c.request, "a copy of %s's %s%s arrives: %d", c.role, c.op, c.detail, resp.StatusCode)
}

// refusal is what AWS answers.
func refusal(r *http.Request, c *call, f fault) *http.Response {
	status, kind := http.StatusServiceUnavailable, "ServiceUnavailable"
	switch {
	case f == gone:
		status, kind = http.StatusGone, "GoneException"
	case f == throttled && c.service == "dynamodb":
		status, kind = http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
	case f == throttled && c.service == "connections":
		status, kind = http.StatusTooManyRequests, "LimitExceededException"
	case f == throttled && c.service == "lambda":
		status, kind = http.StatusTooManyRequests, "TooManyRequestsException"
	case f == throttled:
		status, kind = http.StatusBadRequest, "com.amazonaws.sqs#RequestThrottled"
	case c.service == "dynamodb":
		status, kind = http.StatusInternalServerError, "com.amazonaws.dynamodb.v20120810#InternalServerError"
	}
	body := `{"__type":"` + kind + `","message":"simulated"}`
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Amzn-Errortype": {kind}, "Content-Type": {"application/x-amz-json-1.0"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}
