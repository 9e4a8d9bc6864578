package sim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// call is one request of a function to AWS, and what it is about.
type call struct {
	role    string // of the function that calls
	service string // dynamodb, sqs, lambda or connections
	op      string // what it does, in the words of the state table where it is one of its writes
	request string // label of the request, "" for none
	detail  string // what else tells it from others
	number  int    // how often the same was called before

	body     []byte
	document map[string]any // of DynamoDB
	push     frame          // of connections
	by       *invocation
	try      int    // of the SDK, from 1
	copied   bool   // it was carried out before
	to       string // connection that is posted to
}

// name is the same in every run of a plan.
func (c *call) name() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s%s #%d", c.role, c.op, c.request, c.detail, c.number))
}

// writes are told apart by what is in their expressions; the first that fits
// counts. A write that is not in here is called update.
var writes = []struct {
	op  string
	has []string // in the update expression
}{
	{"claim", []string{":processing", "#attempt"}},
	{"beat", []string{"#beat = :beat"}},
	{"park", []string{"#waiting = :waiting"}},
	{"postpone", []string{"#run_at = :run_at", ":minus1"}},
	{"retry", []string{"#run_at = :run_at"}},
	{"continue", []string{"#attempt", ":minus1"}},
	{"end", []string{"#state = :state"}},
	{"offer", []string{"#offers"}},
	{"watch", []string{"#watchers"}},
	{"flag", []string{"#cancel = :true"}},
	{"advance-cancel", []string{"#epoch = :next", ":cancelled"}},
	{"advance-fail", []string{"#epoch = :next", ":failed"}},
	{"cancel", []string{":cancelled"}},
}

func writeName(expression string) string {
search:
	for _, w := range writes {
		for _, part := range w.has {
			if !strings.Contains(expression, part) {
				continue search
			}
		}
		return w.op
	}
	return "update"
}

// readCall says what a request is about. Its body can be read again after it.
func (w *world) readCall(in *instance, r *http.Request) (*call, error) {
	c := &call{role: in.role, by: in.current(), try: attempt(r)}
	if r.Body != nil {
		var err error
		if c.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(c.body))
	}
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, "DynamoDB_"):
		c.service = "dynamodb"
		_, operation, _ := strings.Cut(target, ".")
		w.readDynamoDB(c, operation)
	case strings.HasPrefix(target, "AmazonSQS."):
		c.service, c.op = "sqs", "wake"
		var m struct{ MessageBody string }
		_ = json.Unmarshal(c.body, &m)
		c.request, c.detail = w.readHint([]byte(m.MessageBody))
	case strings.Contains(r.URL.Path, "/functions/"):
		c.service, c.op = "lambda", "start"
		c.request, c.detail = w.readHint(c.body)
	case strings.Contains(r.URL.Path, "/@connections/"):
		c.service, c.op = "connections", "push"
		if r.Method == http.MethodDelete {
			c.op = "close"
		}
		c.to = w.connection(r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
		_ = json.Unmarshal(c.body, &c.push)
		c.request, c.detail = w.labelFor(c.to, c.push.ID), fmt.Sprintf(" %s %s to %s", c.push.Type, c.push.cursor(), c.to)
	default:
		return nil, fmt.Errorf("%s calls %s %s (%s): not known here", in.role, r.Method, r.URL, target)
	}
	return c, nil
}

func (w *world) readDynamoDB(c *call, operation string) {
	c.document = decode(c.body)
	table, _ := c.document["TableName"].(string)
	key := text(c.document, "Key", "pk", "S")
	if key == "" {
		key = text(c.document, "Item", "pk", "S")
	}
	sort := text(c.document, "Key", "sk", "S") + text(c.document, "Item", "sk", "S")
	switch {
	case table == w.connections:
		c.op, c.detail = strings.ToLower(operation), w.connection(strings.TrimPrefix(sort, "C#"))
		return
	case operation == "Query" && text(c.document, "IndexName") == "due":
		c.op, c.detail = "due", text(c.document, "ExpressionAttributeValues", ":s", "S")
		return
	}
	if key == "" {
		key = findKey(c.document)
	}
	c.request = label(key)
	switch operation {
	case "PutItem":
		c.op = "accept"
		if table == w.history {
			c.op = "store"
			c.detail = " " + kindOfBlob(sort)
		} else if text(c.document, "Item", "action", "S") == "" {
			c.op = "tombstone"
		}
	case "UpdateItem":
		c.op = writeName(text(c.document, "UpdateExpression"))
		if table == w.history {
			c.op = "update-history"
		}
		if e := text(c.document, "ExpressionAttributeValues", ":e", "N"); e != "" {
			c.detail = " @" + e
		}
		if b := text(c.document, "ExpressionAttributeValues", ":beat", "N"); b != "" {
			c.detail += "." + b
		}
	case "GetItem":
		c.op = "read"
		if table == w.history {
			c.op, c.detail = "load", " "+kindOfBlob(sort)
		}
	case "TransactWriteItems":
		c.op, c.detail = "step", " "+text(find(c.document, "Item"), "sk", "S")
	default:
		c.op = strings.ToLower(operation)
	}
}

// findKey looks anywhere in a document for what has the form of a key.
func findKey(v any) string {
	switch v := v.(type) {
	case string:
		if strings.Count(v, "/") == 2 {
			return v
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if key := findKey(v[k]); key != "" {
				return key
			}
		}
	case []any:
		for _, e := range v {
			if key := findKey(e); key != "" {
				return key
			}
		}
	}
	return ""
}

// find looks anywhere in a document for the member of that name.
func find(v any, name string) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		if m, ok := v[name].(map[string]any); ok {
			return m
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if m := find(v[k], name); m != nil {
				return m
			}
		}
	case []any:
		for _, e := range v {
			if m := find(e, name); m != nil {
				return m
			}
		}
	}
	return nil
}

// kindOfBlob leaves out the nonce that is part of an input's name.
func kindOfBlob(sort string) string {
	if strings.HasPrefix(sort, "B#input#") {
		return "input"
	}
	return sort
}

// text follows the keys into a document.
func text(document map[string]any, keys ...string) string {
	var v any = document
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	s, _ := v.(string)
	return s
}

// hint is the payload of the processor and the body of a wake message, also
// inside of Lambda's record of a failure.
type hint struct {
	Key     string `json:"key"`
	Epoch   int64  `json:"epoch"`
	Push    bool   `json:"push"`
	Failed  *hint  `json:"requestPayload"`
	Resumes string `json:"condition"`
}

func (w *world) readHint(body []byte) (request, detail string) {
	var h hint
	_ = json.Unmarshal(body, &h)
	switch {
	case h.Failed != nil:
		request, detail = label(h.Failed.Key), fmt.Sprintf(" failed @%d", h.Failed.Epoch)
	case h.Push:
		request, detail = label(h.Key), " to be told"
	default:
		request, detail = label(h.Key), fmt.Sprintf(" @%d", h.Epoch)
	}
	return request, detail
}

// label is a request in stories: user/id. Keys are tenant/user/id, and all
// parts of a plan are plain.
func label(key string) string {
	parts := strings.Split(key, "/")
	if len(parts) != 3 {
		return key
	}
	return parts[1] + "/" + strings.ReplaceAll(parts[2], "%2D", "-")
}

// frame is what a client is sent, as docs/protocol.md has it.
type frame struct {
	Type       string          `json:"type"`
	ID         string          `json:"request_id"`
	Data       json.RawMessage `json:"data"`
	Ref        *reference      `json:"ref"`
	Status     string          `json:"status"`
	Percentage float64         `json:"percentage"`
	Message    string          `json:"message"`
	Code       string          `json:"code"`
	Retryable  bool            `json:"retryable"`
	SameID     bool            `json:"same_id"`
	Epoch      *int64          `json:"epoch"`
	Seq        *int64          `json:"seq"`
	Retained   time.Time       `json:"retained_until"`
	First      int             `json:"first"`
	Items      []string        `json:"items"`
	Partials   int             `json:"partials"`
}

// reference is in the place of a result that is too large for a message.
type reference struct {
	Size  int `json:"size"`
	Parts int `json:"parts"`
}

// cursor is "epoch.seq", "" for a frame without.
func (f *frame) cursor() string {
	if f.Epoch == nil {
		return ""
	}
	seq := int64(0)
	if f.Seq != nil {
		seq = *f.Seq
	}
	return fmt.Sprintf("%d.%d", *f.Epoch, seq)
}

// terminal says whether the frame is the last one of an accepted request.
func (f *frame) terminal() bool {
	return f.Type == "complete" || f.Type == "error" && f.Epoch != nil
}
