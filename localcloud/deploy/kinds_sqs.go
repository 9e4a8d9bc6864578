package deploy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/streamer-go/streamer/localcloud/internal/sqs"
)

func sqsKinds() []*kind {
	return []*kind{
		{
			token:  "aws:sqs/queue:Queue",
			naming: naming{"name", 80},
			tagged: true,
			defaults: object(map[string]any{
				"delaySeconds": 0, "visibilityTimeoutSeconds": 30, "messageRetentionSeconds": 345600,
				"receiveWaitTimeSeconds": 0, "maxMessageSize": 262144, "fifoQueue": false, "contentBasedDeduplication": false,
				"deduplicationScope": "", "fifoThroughputLimit": "", "kmsDataKeyReusePeriodSeconds": 300,
				"sqsManagedSseEnabled": true, "policy": "", "redrivePolicy": "", "redriveAllowPolicy": "",
			}),
			replaces: []string{"name", "fifoQueue"},
			absent:   map[string]string{"namePrefix": prefixReason},
			check:    func(r *reader) { queueSpec(r) },
			create: func(o *operation) (string, resource.PropertyMap, error) {
				spec := queueSpec(o.in)
				var info sqs.QueueInfo
				err := o.notes.create("queue", spec.Name, func() bool {
					_, ok := o.cloud.Queues.Queue(sqs.QueueARN(spec.Name))
					return ok
				}, fmt.Errorf("create queue %s: QueueAlreadyExists: A queue already exists with the same name", spec.Name), func() (err error) {
					info, err = o.cloud.Queues.PutQueue(spec)
					return err
				})
				return info.URL, queueOutputs(info), err
			},
			update: updateQueue,
			remove: func(o *operation) error {
				if _, ok := o.cloud.Queues.Queue(o.id); !ok {
					return nil
				}
				return o.cloud.Queues.DeleteQueue(o.id)
			},
			read: func(o *operation) (resource.PropertyMap, bool) {
				info, ok := o.cloud.Queues.Queue(o.id)
				return queueOutputs(info), ok
			},
		},
		queuePart("aws:sqs/redrivePolicy:RedrivePolicy", "redrivePolicy", func(r *reader, spec *sqs.QueueSpec) {
			setRedrive(r, "redrivePolicy", spec)
		}, func(spec *sqs.QueueSpec) { spec.DeadLetterARN, spec.MaxReceive = "", 0 }),
		queuePart("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy", "redriveAllowPolicy", func(r *reader, spec *sqs.QueueSpec) {
			spec.RedriveAllow = r.document("redriveAllowPolicy")
		}, func(spec *sqs.QueueSpec) { spec.RedriveAllow = "" }),
	}
}

// prefixReason is why an output namePrefix is not set.
const prefixReason = "the input namePrefix is refused: a name is given or made"

func queueOutputs(info sqs.QueueInfo) resource.PropertyMap {
	return object(map[string]any{"arn": info.ARN, "url": info.URL})
}

func queueSpec(r *reader) sqs.QueueSpec {
	seconds := func(key string, least, most int) time.Duration {
		return time.Duration(r.integer(key, least, most)) * time.Second
	}
	spec := sqs.QueueSpec{
		Name:              r.str("name"),
		VisibilityTimeout: seconds("visibilityTimeoutSeconds", 0, 43200),
		Delay:             seconds("delaySeconds", 0, 900),
		Retention:         seconds("messageRetentionSeconds", 60, 1209600),
		ReceiveWait:       seconds("receiveWaitTimeSeconds", 0, 20),
		MaxMessageSize:    r.integer("maxMessageSize", 1024, 1048576),
		Policy:            r.document("policy"),
		RedriveAllow:      r.document("redriveAllowPolicy"),
		Tags:              r.texts("tags"),
	}
	spec.NoVisibility = spec.VisibilityTimeout == 0
	for _, key := range []string{"fifoQueue", "contentBasedDeduplication"} {
		if r.flag(key) {
			r.reject(key, "is not supported by the local cloud: it has standard queues only")
		}
	}
	r.ignore("kmsMasterKeyId", "kmsDataKeyReusePeriodSeconds", "sqsManagedSseEnabled")
	setRedrive(r, "redrivePolicy", &spec)
	return spec
}

// setRedrive reads a redrive policy into the spec.
func setRedrive(r *reader, key string, spec *sqs.QueueSpec) {
	text := r.document(key)
	if !json.Valid([]byte(text)) { // absent, or rejected already
		return
	}
	var policy struct {
		Target string `json:"deadLetterTargetArn"`
		// Both a number and its text are taken by AWS.
		Max json.Number `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		r.reject(key, "must be a redrive policy: %v", err)
		return
	}
	most, err := policy.Max.Int64()
	if policy.Target == "" || err != nil || most < 1 || most > 1000 {
		r.reject(key, "must have a deadLetterTargetArn, and a maxReceiveCount from 1 to 1000")
		return
	}
	spec.DeadLetterARN, spec.MaxReceive = policy.Target, int(most)
}

// updateQueue changes a queue. What resources of their own have set on it stays.
func updateQueue(o *operation) (resource.PropertyMap, error) {
	spec := queueSpec(o.in)
	current, ok := o.cloud.Queues.Queue(o.id)
	if !ok {
		return nil, fmt.Errorf("update queue %s: it does not exist", spec.Name)
	}
	owned := func(key string) bool { return o.in.given(key) || o.old.given(key) }
	if !owned("redrivePolicy") {
		spec.DeadLetterARN, spec.MaxReceive = current.Spec.DeadLetterARN, current.Spec.MaxReceive
	}
	if !owned("redriveAllowPolicy") {
		spec.RedriveAllow = current.Spec.RedriveAllow
	}
	info, err := o.cloud.Queues.PutQueue(spec)
	return queueOutputs(info), err
}

// queuePart is a kind that is one attribute of a queue.
func queuePart(token, property string, set func(*reader, *sqs.QueueSpec), reset func(*sqs.QueueSpec)) *kind {
	change := func(o *operation, url string, f func(*sqs.QueueSpec)) error {
		info, ok := o.cloud.Queues.Queue(url)
		if !ok {
			return fmt.Errorf("set %s of queue %s: the queue does not exist", property, url)
		}
		f(&info.Spec)
		_, err := o.cloud.Queues.PutQueue(info.Spec)
		return err
	}
	return &kind{
		token:    token,
		replaces: []string{"queueUrl"},
		check: func(r *reader) {
			r.require("queueUrl", property)
			r.str("queueUrl")
			set(r, new(sqs.QueueSpec))
		},
		create: func(o *operation) (string, resource.PropertyMap, error) {
			url := o.in.str("queueUrl")
			return url, nil, change(o, url, func(spec *sqs.QueueSpec) { set(o.in, spec) })
		},
		update: func(o *operation) (resource.PropertyMap, error) {
			return nil, change(o, o.id, func(spec *sqs.QueueSpec) { set(o.in, spec) })
		},
		remove: func(o *operation) error {
			if _, ok := o.cloud.Queues.Queue(o.id); !ok {
				return nil
			}
			return change(o, o.id, reset)
		},
		read: func(o *operation) (resource.PropertyMap, bool) {
			info, ok := o.cloud.Queues.Queue(o.id)
			if property == "redrivePolicy" {
				return nil, ok && info.Spec.DeadLetterARN != ""
			}
			return nil, ok && info.Spec.RedriveAllow != ""
		},
	}
}
