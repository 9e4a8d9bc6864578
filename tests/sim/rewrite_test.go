package sim_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// The clock of an instance may be wrong. All functions read the process's, so
// what is skewed is what they write and read: a function whose clock is fast by
// d writes every time later by d, and a time that it reads looks nearer by d.
// To each of its comparisons and writes this is the same as a wrong clock. Times
// in seconds (expiries) are left alone, and so is the context's deadline, which
// Lambda measures.
var (
	clockValues = []string{":lease", ":due_at", ":run_at", ":d"}
	clockAttrs  = []string{"lease", "due_at", "run_at", "deadline", "created_at"}
)

// rewrite is the body of a call to DynamoDB as it leaves the instance.
func (t *transport) rewrite(c *call) []byte {
	m, skew := t.world.plan.mutant, t.clock()
	if skew == 0 && (m == nil || m.request == nil) {
		return c.body
	}
	document := decode(c.body)
	changed := false
	if m != nil && m.request != nil && m.request(c, document) {
		t.world.mutated.Add(1)
		changed = true
	}
	values, _ := document["ExpressionAttributeValues"].(map[string]any)
	changed = shift(values, clockValues, skew) || changed
	item, _ := document["Item"].(map[string]any)
	changed = shift(item, clockAttrs, skew) || changed
	if !changed {
		return c.body
	}
	body, err := json.Marshal(document)
	if err != nil {
		return c.body
	}
	return body
}

func decode(body []byte) map[string]any {
	var document map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	_ = d.Decode(&document)
	return document
}

func (i *instance) clock() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.skew
}

// reread is an answer of DynamoDB as the instance gets it.
func (t *transport) reread(c *call, answer []byte, nonce string) []byte {
	m, skew := t.world.plan.mutant, t.clock()
	mutates := m != nil && m.answer != nil
	if skew == 0 && !mutates {
		return answer
	}
	document := decode(answer)
	for _, part := range []string{"Attributes", "Item"} {
		item, _ := document[part].(map[string]any)
		if item == nil {
			continue
		}
		shift(item, clockAttrs, -skew)
		if mutates && m.answer(c, item, nonce) {
			t.world.mutated.Add(1)
		}
	}
	if body, err := json.Marshal(document); err == nil {
		return body
	}
	return answer
}

// shift moves the numbers of those names.
func shift(attrs map[string]any, names []string, by time.Duration) (changed bool) {
	for _, name := range names {
		v, _ := attrs[name].(map[string]any)
		n, err := strconv.ParseInt(text(v, "N"), 10, 64)
		if err == nil && by != 0 {
			attrs[name] = map[string]any{"N": strconv.FormatInt(n+by.Milliseconds(), 10)}
			changed = true
		}
	}
	return changed
}

// signing are the names of the services in signatures.
var signing = map[string]string{"dynamodb": "dynamodb", "sqs": "sqs", "lambda": "lambda", "connections": "execute-api"}

// sign makes the signature that fits a body which is not the one signed. A copy
// may arrive when its instance has ended, and was allowed once: the account's own
// keys sign it.
func (t *transport) sign(r *http.Request, c *call, body []byte) error {
	sum := sha256.Sum256(body)
	keys := aws.Credentials{
		AccessKeyID: t.env["AWS_ACCESS_KEY_ID"], SecretAccessKey: t.env["AWS_SECRET_ACCESS_KEY"], SessionToken: t.env["AWS_SESSION_TOKEN"],
	}
	if c.copied {
		root := t.world.cloud.Credentials()
		keys = aws.Credentials{AccessKeyID: root.AccessKeyID, SecretAccessKey: root.SecretAccessKey}
		r.Header.Del("X-Amz-Security-Token")
	}
	r.Header.Del("Authorization")
	return v4.NewSigner().SignHTTP(context.Background(), keys, r, hex.EncodeToString(sum[:]), signing[c.service], region, time.Now())
}
