package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// redrivePolicy is the attribute RedrivePolicy.
type redrivePolicy struct {
	DeadLetterTargetARN string
	MaxReceiveCount     int
}

func (p redrivePolicy) String() string {
	target, _ := json.Marshal(p.DeadLetterTargetARN) // a string always marshals
	return fmt.Sprintf(`{"deadLetterTargetArn":%s,"maxReceiveCount":%d}`, target, p.MaxReceiveCount)
}

// set changes one attribute.
func (spec *QueueSpec) set(name, value string) error {
	switch name {
	case "VisibilityTimeout":
		if err := setSeconds(&spec.VisibilityTimeout, name, value); err != nil {
			return err
		}
		spec.NoVisibility = spec.VisibilityTimeout == 0
		return nil
	case "DelaySeconds":
		return setSeconds(&spec.Delay, name, value)
	case "MessageRetentionPeriod":
		return setSeconds(&spec.Retention, name, value)
	case "ReceiveMessageWaitTimeSeconds":
		return setSeconds(&spec.ReceiveWait, name, value)
	case "MaximumMessageSize":
		n, err := strconv.Atoi(value)
		if err != nil {
			return invalidAttribute(name)
		}
		spec.MaxMessageSize = n
	case "RedrivePolicy":
		return spec.setRedrive(value)
	case "RedriveAllowPolicy":
		return setDocument(&spec.RedriveAllow, name, value)
	case "Policy":
		return setDocument(&spec.Policy, name, value)
	case "SqsManagedSseEnabled": // encryption at rest has no meaning here
	case "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit":
		return unsupported("FIFO queues are not supported by the local cloud: attribute %s", name)
	default:
		return refuse("InvalidAttributeName", "Unknown Attribute %s.", name)
	}
	return nil
}

func setSeconds(d *time.Duration, name, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 14*24*60*60 {
		return invalidAttribute(name)
	}
	*d = time.Duration(n) * time.Second
	return nil
}

func setDocument(doc *string, name, value string) error {
	if value != "" && !json.Valid([]byte(value)) {
		return invalidAttribute(name)
	}
	*doc = value
	return nil
}

func (spec *QueueSpec) setRedrive(value string) error {
	if value == "" {
		spec.DeadLetterARN, spec.MaxReceive = "", 0
		return nil
	}
	var p struct {
		DeadLetterTargetARN string `json:"deadLetterTargetArn"`
		MaxReceiveCount     text   `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(value), &p); err != nil {
		return invalidAttribute("RedrivePolicy")
	}
	n, err := strconv.Atoi(string(p.MaxReceiveCount))
	if err != nil || p.DeadLetterTargetARN == "" {
		return invalidAttribute("RedrivePolicy")
	}
	spec.DeadLetterARN, spec.MaxReceive = p.DeadLetterTargetARN, n
	return nil
}

func (spec *QueueSpec) setAll(attributes map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := spec.set(name, attributes[name]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) createQueue(ctx context.Context, in *struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}) (any, error) {
	if in.QueueName == "" {
		return nil, missingParameter("QueueName")
	}
	if err := s.authorize(ctx, "CreateQueue", QueueARN(in.QueueName)); err != nil {
		return nil, err
	}
	spec := QueueSpec{Name: in.QueueName, Tags: in.Tags}
	if err := spec.setAll(in.Attributes); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if existing := s.queues[in.QueueName]; existing != nil {
		if err := sameAttributes(existing.spec, in.Attributes); err != nil {
			return nil, err
		}
		return map[string]string{"QueueUrl": s.queueURL(in.QueueName)}, nil
	}
	info, err := s.put(spec)
	if err != nil {
		return nil, err
	}
	return map[string]string{"QueueUrl": info.URL}, nil
}

// sameAttributes refuses to create a queue anew with other attributes.
func sameAttributes(spec QueueSpec, attributes map[string]string) error {
	for name, value := range attributes {
		changed := spec
		if err := changed.set(name, value); err != nil {
			return err
		}
		changed.Tags = spec.Tags
		if fmt.Sprint(changed) != fmt.Sprint(spec) {
			return &Error{
				Code: "QueueNameExists", QueryCode: "QueueAlreadyExists",
				Message: "A queue already exists with the same name and a different value for attribute " + name,
			}
		}
	}
	return nil
}

type queueRequest struct {
	QueueURL string `json:"QueueUrl"`
}

func (s *Service) deleteQueue(ctx context.Context, in *queueRequest) (any, error) {
	if err := s.enter(ctx, "DeleteQueue", in.QueueURL); err != nil {
		return nil, err
	}
	return empty{}, s.DeleteQueue(in.QueueURL)
}

// purgeEvery is how often a queue may be purged.
const purgeEvery = time.Minute

func (s *Service) purgeQueue(ctx context.Context, in *queueRequest) (any, error) {
	if err := s.enter(ctx, "PurgeQueue", in.QueueURL); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(in.QueueURL)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if !q.purged.IsZero() && now.Sub(q.purged) < purgeEvery {
		return nil, batchError("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.spec.Name)
	}
	q.purged = now
	for _, m := range q.messages {
		q.remove(m)
	}
	q.ready = nil
	return empty{}, nil
}

func (s *Service) getQueueURL(ctx context.Context, in *struct {
	QueueName string
	Owner     string `json:"QueueOwnerAWSAccountId"`
}) (any, error) {
	if in.QueueName == "" {
		return nil, missingParameter("QueueName")
	}
	arn := QueueARN(in.QueueName)
	if err := s.authorize(ctx, "GetQueueUrl", arn); err != nil {
		return nil, err
	}
	info, ok := s.Queue(arn)
	if !ok || in.Owner != "" && in.Owner != account.ID { // there is one account
		return nil, noSuchQueue()
	}
	return map[string]string{"QueueUrl": info.URL}, nil
}

// listQueues returns pages by name: the token is the last name of a page.
func (s *Service) listQueues(ctx context.Context, in *struct {
	QueueNamePrefix string
	MaxResults      *int
	NextToken       string
}) (any, error) {
	if err := s.authorize(ctx, "ListQueues", QueueARN("*")); err != nil {
		return nil, err
	}
	limit := 1000
	if in.MaxResults != nil {
		if limit = *in.MaxResults; limit < 1 || limit > 1000 {
			return nil, invalidParameter("Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000, if provided.")
		}
	}
	out := struct {
		QueueURLs []string `json:"QueueUrls,omitempty"`
		NextToken string   `json:",omitempty"`
	}{}
	last := ""
	for _, name := range s.Queues() {
		if name <= in.NextToken || !strings.HasPrefix(name, in.QueueNamePrefix) {
			continue
		}
		if len(out.QueueURLs) == limit {
			if in.MaxResults != nil { // without it AWS gives no token
				out.NextToken = last
			}
			break
		}
		out.QueueURLs, last = append(out.QueueURLs, s.queueURL(name)), name
	}
	return out, nil
}

func (s *Service) getQueueAttributes(ctx context.Context, in *struct {
	QueueURL       string `json:"QueueUrl"`
	AttributeNames []string
}) (any, error) {
	if err := s.enter(ctx, "GetQueueAttributes", in.QueueURL); err != nil {
		return nil, err
	}
	s.bill(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(in.QueueURL)
	if err != nil {
		return nil, err
	}
	all := q.attributes()
	if !slices.Contains(in.AttributeNames, "All") {
		maps.DeleteFunc(all, func(name, _ string) bool { return !slices.Contains(in.AttributeNames, name) })
	}
	return map[string]any{"Attributes": all}, nil
}

func (s *Service) setQueueAttributes(ctx context.Context, in *struct {
	QueueURL   string `json:"QueueUrl"`
	Attributes map[string]string
}) (any, error) {
	if err := s.enter(ctx, "SetQueueAttributes", in.QueueURL); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(in.QueueURL)
	if err != nil {
		return nil, err
	}
	spec := q.spec
	if err := spec.setAll(in.Attributes); err != nil {
		return nil, err
	}
	_, err = s.put(spec)
	return empty{}, err
}
