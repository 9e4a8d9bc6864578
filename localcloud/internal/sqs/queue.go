package sqs

import (
	"container/heap"
	"strconv"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// maxInFlight is what a standard queue has in flight at most:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
const maxInFlight = 120_000

// queue is one queue. The service's lock guards it.
type queue struct {
	service           *Service
	spec              QueueSpec
	created, modified time.Time
	purged            time.Time

	messages map[string]*message
	ready    []*message // visible ones, oldest first; may hold some that are gone
	waiting  timeline   // delayed and in flight, by the time they become visible
	inFlight int
	timer    *time.Timer // fires when the first of waiting is due
	// changed is closed, and replaced, when a message becomes visible or the
	// queue ends: it wakes long polls.
	changed chan struct{}
	closed  bool
}

func newQueue(s *Service, spec QueueSpec) *queue {
	now := time.Now()
	return &queue{service: s, spec: spec, created: now, modified: now, messages: map[string]*message{}, changed: make(chan struct{})}
}

func (q *queue) info() QueueInfo {
	q.expire(time.Now())
	name := q.spec.Name
	return QueueInfo{
		ARN: QueueARN(name), URL: q.service.queueURL(name), Name: name, Created: q.created, Spec: q.spec,
		Visible: len(q.messages) - len(q.waiting), InFlight: q.inFlight, Delayed: len(q.waiting) - q.inFlight,
	}
}

func (q *queue) close() {
	q.closed = true
	if q.timer != nil {
		q.timer.Stop()
	}
	q.signal()
}

// signal wakes all long polls.
func (q *queue) signal() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// add puts a message in, visible after delay.
func (q *queue) add(m *message, delay time.Duration) {
	q.messages[m.id] = m
	if delay <= 0 {
		q.show(m)
		return
	}
	q.hide(m, delayed, delay)
}

func (q *queue) show(m *message) {
	m.state = visible
	q.ready = append(q.ready, m)
	q.signal()
}

func (q *queue) hide(m *message, as state, d time.Duration) {
	m.state, m.at = as, time.Now().Add(d)
	if as == inFlight {
		q.inFlight++
	}
	heap.Push(&q.waiting, m)
	q.arm()
}

// unhide takes a message out of those that wait.
func (q *queue) unhide(m *message) {
	if m.state == inFlight {
		q.inFlight--
	}
	heap.Remove(&q.waiting, m.index)
	q.arm()
}

// remove takes a message out of the queue.
func (q *queue) remove(m *message) {
	if m.state == delayed || m.state == inFlight {
		q.unhide(m)
	}
	// One that is visible stays in ready until a receive comes across it.
	m.state = gone
	delete(q.messages, m.id)
}

// arm sets the timer to the first message that is due.
func (q *queue) arm() {
	if q.timer != nil {
		q.timer.Stop()
	}
	if q.closed || len(q.waiting) == 0 {
		return
	}
	q.timer = time.AfterFunc(time.Until(q.waiting[0].at), q.due)
}

// due makes visible what has waited long enough.
func (q *queue) due() {
	q.service.mu.Lock()
	defer q.service.mu.Unlock()
	if q.closed {
		return
	}
	q.surface(time.Now())
	q.arm()
}

func (q *queue) surface(now time.Time) {
	for len(q.waiting) > 0 && !q.waiting[0].at.After(now) {
		m := q.waiting[0]
		if m.state == inFlight {
			q.inFlight--
		}
		heap.Pop(&q.waiting)
		q.show(m)
	}
}

// expire removes messages that are older than the retention period.
func (q *queue) expire(now time.Time) {
	for _, m := range q.messages {
		if now.Sub(m.sent) >= q.spec.Retention {
			q.remove(m)
		}
	}
}

// take receives up to limit messages, which are hidden for the timeout. What
// was received too often goes to the dead-letter queue instead.
func (q *queue) take(limit int, timeout time.Duration) ([]Message, error) {
	now := time.Now()
	q.surface(now)
	var out []Message
	var again []*message // those that are not hidden, for a timeout of zero
	defer func() {
		for _, m := range again {
			q.show(m)
		}
	}()
	for len(q.ready) > 0 && len(out) < limit {
		m := q.ready[0]
		if m.state != visible || now.Sub(m.sent) >= q.spec.Retention {
			q.ready = q.ready[1:]
			if m.state == visible {
				q.remove(m)
			}
			continue
		}
		if q.spec.MaxReceive > 0 && m.receives >= q.spec.MaxReceive && q.bury(m) {
			q.ready = q.ready[1:]
			continue
		}
		if q.inFlight >= maxInFlight {
			if len(out) > 0 {
				break
			}
			return nil, refuse("OverLimit", "Too many messages are in flight: %d.", q.inFlight)
		}
		q.ready = q.ready[1:]
		m.receives++
		if m.first.IsZero() {
			m.first = now
		}
		out = append(out, m.received(q))
		if timeout > 0 {
			q.hide(m, inFlight, timeout)
		} else {
			again = append(again, m)
		}
	}
	return out, nil
}

// bury moves a message to the dead-letter queue. It keeps its id and the time
// it was sent. Without that queue the message stays.
func (q *queue) bury(m *message) bool {
	dead, err := q.service.lookup(q.spec.DeadLetterARN)
	if err != nil {
		return false
	}
	moved := *m
	moved.origin, moved.receives, moved.first = QueueARN(q.spec.Name), 0, time.Time{}
	q.remove(m)
	dead.add(&moved, 0)
	return true
}

// find returns the message of a receipt handle: nil when the message is gone or
// was received again since, for then the handle has no effect any more.
func (q *queue) find(handle string) (*message, error) {
	id, receive, err := q.parseHandle(handle)
	if err != nil {
		return nil, err
	}
	m := q.messages[id]
	if m == nil || m.receives != receive {
		return nil, nil
	}
	return m, nil
}

func (q *queue) delete(handle string) error {
	m, err := q.find(handle)
	if err != nil || m == nil {
		return err // to delete what is gone succeeds
	}
	q.remove(m)
	return nil
}

// maxVisibility is how long a message may be in flight in all.
const maxVisibility = 12 * time.Hour

func (q *queue) changeVisibility(handle string, timeout time.Duration) error {
	if timeout < 0 || timeout > maxVisibility {
		return invalidParameter("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and %d.", int(timeout/time.Second), int(maxVisibility/time.Second))
	}
	m, err := q.find(handle)
	if err != nil {
		return err
	}
	if m == nil || m.state != inFlight {
		return notInFlight(handle)
	}
	q.unhide(m)
	if timeout == 0 {
		q.show(m)
		return nil
	}
	q.hide(m, inFlight, timeout)
	return nil
}

// attributes are those of GetQueueAttributes.
func (q *queue) attributes() map[string]string {
	info := q.info()
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	a := map[string]string{
		"QueueArn":                              info.ARN,
		"VisibilityTimeout":                     seconds(q.spec.VisibilityTimeout),
		"DelaySeconds":                          seconds(q.spec.Delay),
		"MessageRetentionPeriod":                seconds(q.spec.Retention),
		"ReceiveMessageWaitTimeSeconds":         seconds(q.spec.ReceiveWait),
		"MaximumMessageSize":                    strconv.Itoa(q.spec.MaxMessageSize),
		"ApproximateNumberOfMessages":           strconv.Itoa(info.Visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(info.InFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(info.Delayed),
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modified.Unix(), 10),
		"SqsManagedSseEnabled":                  "true",
	}
	if q.spec.DeadLetterARN != "" {
		a["RedrivePolicy"] = redrivePolicy{q.spec.DeadLetterARN, q.spec.MaxReceive}.String()
	}
	if q.spec.RedriveAllow != "" {
		a["RedriveAllowPolicy"] = q.spec.RedriveAllow
	}
	if q.spec.Policy != "" {
		a["Policy"] = q.spec.Policy
	}
	return a
}

// sender is the id of who sends: the account's for the root, else the session's.
func sender(c account.Caller) string {
	if c.Role == "" {
		return account.ID
	}
	_, session, _ := cutLast(c.ARN, "/")
	return "AROA" + c.Role + ":" + session
}

// timeline is a heap of messages by the time they become visible.
type timeline []*message

func (t timeline) Len() int           { return len(t) }
func (t timeline) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timeline) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}
func (t *timeline) Push(x any) {
	m := x.(*message)
	m.index = len(*t)
	*t = append(*t, m)
}
func (t *timeline) Pop() any {
	old := *t
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return m
}
