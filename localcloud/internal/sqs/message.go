package sqs

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Attribute is a value that a sender puts beside the body.
type Attribute struct {
	DataType    string `json:"DataType"` // String, Number or Binary, with an optional .suffix
	StringValue string `json:"StringValue,omitempty"`
	BinaryValue []byte `json:"BinaryValue,omitempty"`
}

func (a Attribute) binary() bool { return strings.HasPrefix(a.DataType, "Binary") }

// message is a message in a queue. The service's lock guards it.
type message struct {
	id         string
	body       string
	attributes map[string]Attribute
	trace      string // AWSTraceHeader
	group      string // MessageGroupId, which standard queues take and ignore
	sender     string
	sent       time.Time
	first      time.Time // received first
	receives   int
	origin     string // ARN of the queue that it was dead-lettered from

	state state
	at    time.Time // when it becomes visible, while not so
	index int       // in the heap of those, else in no use
}

type state int

const (
	visible state = iota
	delayed
	inFlight
	gone // deleted, expired, or moved to another queue
)

// Message is a received message.
type Message struct {
	ID            string
	ReceiptHandle string
	Body          string
	Attributes    map[string]Attribute // what the sender put beside the body
	System        map[string]string    // ApproximateReceiveCount, SentTimestamp, …
	QueueARN      string
	ReceiveCount  int
	Sent          time.Time
}

// MD5OfBody is the digest of the body, in hex.
func (m *Message) MD5OfBody() string { return md5Of(m.Body) }

// MD5OfAttributes is the digest of Attributes in hex, "" when there are none.
func (m *Message) MD5OfAttributes() string {
	if len(m.Attributes) == 0 {
		return ""
	}
	return md5OfAttributes(m.Attributes)
}

// received describes m as a receiver gets it.
func (m *message) received(q *queue) Message {
	system := map[string]string{
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.first.UnixMilli(), 10),
		"SenderId":                         m.sender,
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
	}
	for name, value := range map[string]string{
		"AWSTraceHeader": m.trace, "MessageGroupId": m.group, "DeadLetterQueueSourceArn": m.origin,
	} {
		if value != "" {
			system[name] = value
		}
	}
	return Message{
		ID: m.id, ReceiptHandle: q.handle(m), Body: m.body, Attributes: maps.Clone(m.attributes),
		System: system, QueueARN: QueueARN(q.spec.Name), ReceiveCount: m.receives, Sent: m.sent,
	}
}

// handle names a message and the receive that the handle was given for.
func (q *queue) handle(m *message) string {
	return base64.StdEncoding.EncodeToString([]byte(q.spec.Name + "/" + m.id + "/" + strconv.Itoa(m.receives)))
}

func (q *queue) parseHandle(handle string) (id string, receive int, err error) {
	text, decodeErr := base64.StdEncoding.DecodeString(handle)
	parts := strings.Split(string(text), "/")
	if decodeErr != nil || len(parts) != 3 || parts[0] != q.spec.Name {
		return "", 0, invalidHandle(handle)
	}
	receive, numberErr := strconv.Atoi(parts[2])
	if numberErr != nil {
		return "", 0, invalidHandle(handle)
	}
	return parts[1], receive, nil
}

// checkBody refuses text that a message cannot carry; size is that of body and
// attributes together.
func checkBody(body string, attributes map[string]Attribute, limit int) (size int, err error) {
	if body == "" {
		return 0, missingParameter("MessageBody")
	}
	if !utf8.ValidString(body) || strings.ContainsFunc(body, unsendable) {
		return 0, refuse("InvalidMessageContents", "Invalid binary character was found in the message body, the set of allowed characters is #x9 | #xA | #xD | [#x20 to #xD7FF] | [#xE000 to #xFFFD] | [#x10000 to #x10FFFF]")
	}
	if len(attributes) > 10 {
		return 0, invalidParameter("Number of message attributes [%d] exceeds the allowed maximum [10].", len(attributes))
	}
	size = len(body)
	for name, a := range attributes {
		if err := checkAttribute(name, a); err != nil {
			return 0, err
		}
		size += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	if size > limit {
		return 0, invalidParameter("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", limit)
	}
	return size, nil
}

func unsendable(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

func checkAttribute(name string, a Attribute) error {
	kind, _, _ := strings.Cut(a.DataType, ".")
	switch {
	case name == "" || len(name) > 256:
		return invalidParameter("Message attribute name %q must have 1 to 256 characters.", name)
	case kind != "String" && kind != "Number" && kind != "Binary":
		return invalidParameter("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	case kind == "Binary" && len(a.BinaryValue) == 0, kind != "Binary" && a.StringValue == "":
		return invalidParameter("The message attribute '%s' must contain a non-empty value of type '%s'.", name, kind)
	}
	if kind == "Number" {
		if _, err := strconv.ParseFloat(a.StringValue, 64); err != nil {
			return invalidParameter("Can't cast the value of message attribute '%s' to a number.", name)
		}
	}
	return nil
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is the digest that senders check, see
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
func md5OfAttributes(attributes map[string]Attribute) string {
	h := md5.New()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		writeSized(h, []byte(name))
		writeSized(h, []byte(a.DataType))
		if a.binary() {
			h.Write([]byte{2})
			writeSized(h, a.BinaryValue)
		} else {
			h.Write([]byte{1})
			writeSized(h, []byte(a.StringValue))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func writeSized(h hash.Hash, b []byte) {
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
	h.Write(b)
}
