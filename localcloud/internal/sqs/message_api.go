package sqs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

type sendRequest struct {
	QueueURL                string `json:"QueueUrl"`
	ID                      string `json:"Id"` // of an entry of a batch
	MessageBody             string
	DelaySeconds            *int
	MessageAttributes       map[string]Attribute
	MessageSystemAttributes map[string]Attribute
	MessageGroupID          string `json:"MessageGroupId"`
	MessageDeduplicationID  string `json:"MessageDeduplicationId"`
}

type sendResult struct {
	ID                           string `json:"Id,omitempty"`
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
	MessageID                    string `json:"MessageId"`
}

// failure is an entry of a batch that was refused.
type failure struct {
	ID          string `json:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

func failed(id string, err error) failure {
	f := failure{ID: id, Code: "InternalFailure", Message: err.Error()}
	if e := (*Error)(nil); errors.As(err, &e) {
		f.Code, f.Message, f.SenderFault = e.Code, e.Message, e.Status < 500
		if e.QueryCode != "" {
			f.Code = e.QueryCode
		}
	}
	return f
}

func (in *sendRequest) outgoing() (outgoing, error) {
	out := outgoing{body: in.MessageBody, attributes: in.MessageAttributes, group: in.MessageGroupID}
	if in.MessageDeduplicationID != "" {
		return out, invalidParameter("Value %s for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid for this queue type.", in.MessageDeduplicationID)
	}
	for name, a := range in.MessageSystemAttributes {
		if name != "AWSTraceHeader" || a.DataType != "String" {
			return out, invalidParameter("Message system attribute name '%s' is invalid.", name)
		}
		out.trace = a.StringValue
	}
	if in.DelaySeconds != nil {
		d := time.Duration(*in.DelaySeconds) * time.Second
		out.delay = &d
	}
	return out, nil
}

func (s *Service) sendOne(ctx context.Context, url string, in *sendRequest) (*sendResult, int, error) {
	out, err := in.outgoing()
	if err != nil {
		return nil, 0, err
	}
	m, size, err := s.send(ctx, url, out)
	if err != nil {
		return nil, 0, err
	}
	res := &sendResult{ID: in.ID, MD5OfMessageBody: md5Of(m.body), MessageID: m.id}
	if len(m.attributes) > 0 {
		res.MD5OfMessageAttributes = md5OfAttributes(m.attributes)
	}
	if len(in.MessageSystemAttributes) > 0 {
		res.MD5OfMessageSystemAttributes = md5OfAttributes(in.MessageSystemAttributes)
	}
	return res, size, nil
}

func (s *Service) sendMessage(ctx context.Context, in *sendRequest) (any, error) {
	if err := s.enter(ctx, "SendMessage", in.QueueURL); err != nil {
		return nil, err
	}
	in.ID = ""
	res, size, err := s.sendOne(ctx, in.QueueURL, in)
	if err != nil {
		return nil, err
	}
	s.bill(size)
	return res, nil
}

// maxBatch is the size of a SendMessageBatch in all: that of one message.
const maxBatch = 1 << 20

func (s *Service) sendMessageBatch(ctx context.Context, in *struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []sendRequest
}) (any, error) {
	if err := s.enter(ctx, "SendMessage", in.QueueURL); err != nil {
		return nil, err
	}
	ids, total := make([]string, len(in.Entries)), 0
	for i, e := range in.Entries {
		ids[i] = e.ID
		total += len(e.MessageBody)
		for name, a := range e.MessageAttributes {
			total += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
		}
	}
	if err := checkEntries(ids); err != nil {
		return nil, err
	}
	if total > maxBatch {
		return nil, batchError("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxBatch, total)
	}
	out := struct {
		Successful []sendResult
		Failed     []failure `json:",omitempty"`
	}{Successful: []sendResult{}}
	for i := range in.Entries {
		res, _, err := s.sendOne(ctx, in.QueueURL, &in.Entries[i])
		if err != nil {
			out.Failed = append(out.Failed, failed(ids[i], err))
			continue
		}
		out.Successful = append(out.Successful, *res)
	}
	s.bill(total)
	return out, nil
}

// checkEntries checks the ids of a batch.
func checkEntries(ids []string) error {
	if len(ids) == 0 {
		return batchError("EmptyBatchRequest", "There should be at least one entry in the request.")
	}
	if len(ids) > 10 {
		return batchError("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent %d.", len(ids))
	}
	for i, id := range ids {
		if !validName.MatchString(id) {
			return batchError("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if slices.Contains(ids[:i], id) {
			return batchError("BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
	}
	return nil
}

type receiveRequest struct {
	QueueURL                    string `json:"QueueUrl"`
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	AttributeNames              []string // the older name of the next
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
}

type receivedMessage struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string    `json:",omitempty"`
	MD5OfMessageAttributes string               `json:",omitempty"`
	MessageAttributes      map[string]Attribute `json:",omitempty"`
}

func (s *Service) receiveMessage(ctx context.Context, in *receiveRequest) (any, error) {
	if err := s.enter(ctx, "ReceiveMessage", in.QueueURL); err != nil {
		return nil, err
	}
	limit := 1
	if in.MaxNumberOfMessages != nil {
		limit = *in.MaxNumberOfMessages
	}
	if limit < 1 || limit > 10 {
		return nil, invalidParameter("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", limit)
	}
	wait, err := secondsUpTo("WaitTimeSeconds", in.WaitTimeSeconds, 20*time.Second)
	if err != nil {
		return nil, err
	}
	visibility, err := secondsUpTo("VisibilityTimeout", in.VisibilityTimeout, maxVisibility)
	if err != nil {
		return nil, err
	}
	got, err := s.receive(ctx, in.QueueURL, limit, wait, visibility)
	if err != nil {
		return nil, err
	}
	system := append(in.AttributeNames, in.MessageSystemAttributeNames...)
	out := struct {
		Messages []receivedMessage `json:",omitempty"`
	}{}
	for _, m := range got {
		out.Messages = append(out.Messages, render(m, system, in.MessageAttributeNames))
	}
	return out, nil
}

func secondsUpTo(name string, n *int, limit time.Duration) (*time.Duration, error) {
	if n == nil {
		return nil, nil
	}
	d := time.Duration(*n) * time.Second
	if *n < 0 || d > limit {
		return nil, invalidParameter("Value %d for parameter %s is invalid. Reason: Must be >= 0 and <= %d, if provided.", *n, name, int(limit/time.Second))
	}
	return &d, nil
}

// render keeps the attributes that were asked for.
func render(m Message, system, names []string) receivedMessage {
	out := receivedMessage{MessageID: m.ID, ReceiptHandle: m.ReceiptHandle, MD5OfBody: md5Of(m.Body), Body: m.Body}
	for name, value := range m.System {
		if slices.Contains(system, "All") || slices.Contains(system, name) {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[name] = value
		}
	}
	for name, a := range m.Attributes {
		if slices.ContainsFunc(names, func(want string) bool { return wanted(want, name) }) {
			if out.MessageAttributes == nil {
				out.MessageAttributes = map[string]Attribute{}
			}
			out.MessageAttributes[name] = a
		}
	}
	if len(out.MessageAttributes) > 0 {
		out.MD5OfMessageAttributes = md5OfAttributes(out.MessageAttributes)
	}
	return out
}

// wanted matches a name that was asked for: All, .*, prefix.* or a name.
func wanted(want, name string) bool {
	if want == "All" || want == name {
		return true
	}
	prefix, ok := strings.CutSuffix(want, ".*")
	return ok && (prefix == "" || strings.HasPrefix(name, prefix+"."))
}

type handleRequest struct {
	QueueURL          string `json:"QueueUrl"`
	ID                string `json:"Id"`
	ReceiptHandle     string
	VisibilityTimeout *int
}

type handleBatch struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []handleRequest
}

func deleteEntry(q *queue, in *handleRequest) error { return q.delete(in.ReceiptHandle) }

func changeEntry(q *queue, in *handleRequest) error {
	if in.VisibilityTimeout == nil {
		return missingParameter("VisibilityTimeout")
	}
	return q.changeVisibility(in.ReceiptHandle, time.Duration(*in.VisibilityTimeout)*time.Second)
}

func (s *Service) deleteMessage(ctx context.Context, in *handleRequest) (any, error) {
	return s.onHandle(ctx, "DeleteMessage", in, deleteEntry)
}

func (s *Service) changeMessageVisibility(ctx context.Context, in *handleRequest) (any, error) {
	return s.onHandle(ctx, "ChangeMessageVisibility", in, changeEntry)
}

func (s *Service) deleteMessageBatch(ctx context.Context, in *handleBatch) (any, error) {
	return s.onHandles(ctx, "DeleteMessage", in, deleteEntry)
}

func (s *Service) changeMessageVisibilityBatch(ctx context.Context, in *handleBatch) (any, error) {
	return s.onHandles(ctx, "ChangeMessageVisibility", in, changeEntry)
}

func (s *Service) onHandle(ctx context.Context, action string, in *handleRequest, do func(*queue, *handleRequest) error) (any, error) {
	if err := s.enter(ctx, action, in.QueueURL); err != nil {
		return nil, err
	}
	if in.ReceiptHandle == "" {
		return nil, missingParameter("ReceiptHandle")
	}
	s.bill(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(in.QueueURL)
	if err != nil {
		return nil, err
	}
	return empty{}, do(q, in)
}

func (s *Service) onHandles(ctx context.Context, action string, in *handleBatch, do func(*queue, *handleRequest) error) (any, error) {
	if err := s.enter(ctx, action, in.QueueURL); err != nil {
		return nil, err
	}
	ids := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		ids[i] = e.ID
	}
	if err := checkEntries(ids); err != nil {
		return nil, err
	}
	s.bill(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(in.QueueURL)
	if err != nil {
		return nil, err
	}
	type done struct {
		ID string `json:"Id"`
	}
	out := struct {
		Successful []done
		Failed     []failure `json:",omitempty"`
	}{Successful: []done{}}
	for i := range in.Entries {
		if err := do(q, &in.Entries[i]); err != nil {
			out.Failed = append(out.Failed, failed(ids[i], err))
			continue
		}
		out.Successful = append(out.Successful, done{ids[i]})
	}
	return out, nil
}

// enter checks what every call on a queue must have. An unknown queue is said
// to be unknown only to those who may use it.
func (s *Service) enter(ctx context.Context, action, url string) error {
	if url == "" {
		return missingParameter("QueueUrl")
	}
	return s.authorize(ctx, action, url)
}
