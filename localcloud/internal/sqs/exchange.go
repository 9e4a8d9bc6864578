package sqs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/streamer-go/streamer/localcloud/internal/account"
)

// outgoing is a message to be sent.
type outgoing struct {
	body       string
	attributes map[string]Attribute
	trace      string
	group      string
	delay      *time.Duration // nil: the queue's
}

// Send puts a message into a queue (named by URL or ARN) and returns its id.
// The context's caller needs sqs:SendMessage. A negative delay is the queue's
// own. Errors are *account.Denied or wrap an *Error.
func (s *Service) Send(ctx context.Context, queue, body string, delay time.Duration, attributes map[string]Attribute) (string, error) {
	if err := s.authorize(ctx, "SendMessage", queue); err != nil {
		return "", err
	}
	out := outgoing{body: body, attributes: attributes}
	if delay >= 0 {
		out.delay = &delay
	}
	m, size, err := s.send(ctx, queue, out)
	if err != nil {
		return "", fmt.Errorf("send message to %s: %w", queue, err)
	}
	s.bill(size)
	return m.id, nil
}

func (s *Service) send(ctx context.Context, urlOrARN string, out outgoing) (*message, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(urlOrARN)
	if err != nil {
		return nil, 0, err
	}
	delay := q.spec.Delay
	if out.delay != nil {
		delay = *out.delay
	}
	if delay < 0 || delay > 900*time.Second {
		return nil, 0, invalidParameter("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.", int(delay/time.Second))
	}
	size, err := checkBody(out.body, out.attributes, q.spec.MaxMessageSize)
	if err != nil {
		return nil, 0, err
	}
	caller, _ := account.CallerFrom(ctx)
	m := &message{
		id: newID(), body: out.body, attributes: out.attributes, trace: out.trace, group: out.group,
		sender: sender(caller), sent: time.Now(),
	}
	q.add(m, delay)
	return m, size, nil
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ReceiveBatch receives up to limit messages, hidden for the queue's visibility
// timeout. It waits up to wait for the first one, and returns none when the
// time is up. The context's caller needs sqs:ReceiveMessage. It returns ctx's
// error when ctx ends first, and one that wraps an *Error when the queue is
// deleted.
func (s *Service) ReceiveBatch(ctx context.Context, queue string, limit int, wait time.Duration) ([]Message, error) {
	if err := s.authorize(ctx, "ReceiveMessage", queue); err != nil {
		return nil, err
	}
	got, err := s.receive(ctx, queue, limit, &wait, nil)
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", queue, err)
	}
	return got, nil
}

// receive waits and takes; wait and visibility nil are the queue's own.
func (s *Service) receive(ctx context.Context, urlOrARN string, limit int, wait, visibility *time.Duration) ([]Message, error) {
	var timer *time.Timer
	for {
		got, changed, longest, err := s.tryReceive(urlOrARN, limit, visibility)
		if err != nil {
			return nil, err
		}
		if wait != nil {
			longest = *wait
		}
		if len(got) > 0 {
			s.bill(size(got))
			return got, nil
		}
		if longest <= 0 {
			s.billEmpty()
			return nil, nil
		}
		if timer == nil {
			timer = time.NewTimer(longest)
			defer timer.Stop()
		}
		select {
		case <-changed:
		case <-timer.C:
			s.billEmpty()
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func size(messages []Message) int {
	n := 0
	for i := range messages {
		n += len(messages[i].Body)
	}
	return n
}

func (s *Service) tryReceive(urlOrARN string, limit int, visibility *time.Duration) (got []Message, changed <-chan struct{}, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(urlOrARN)
	if err != nil {
		return nil, nil, 0, err
	}
	if s.closed {
		return nil, nil, 0, refuse("ServiceUnavailable", "The local cloud is closed.")
	}
	timeout := q.spec.VisibilityTimeout
	if visibility != nil {
		timeout = *visibility
	}
	got, err = q.take(limit, timeout)
	return got, q.changed, q.spec.ReceiveWait, err
}

// DeleteBatch deletes messages by receipt handle; what is gone already is no
// error. The context's caller needs sqs:DeleteMessage.
func (s *Service) DeleteBatch(ctx context.Context, queue string, handles []string) error {
	if err := s.authorize(ctx, "DeleteMessage", queue); err != nil {
		return err
	}
	s.bill(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(queue)
	for i := 0; err == nil && i < len(handles); i++ {
		err = q.delete(handles[i])
	}
	if err != nil {
		return fmt.Errorf("delete messages of %s: %w", queue, err)
	}
	return nil
}

// ChangeVisibility hides a message in flight for timeout from now; 0 shows it.
// The context's caller needs sqs:ChangeMessageVisibility.
func (s *Service) ChangeVisibility(ctx context.Context, queue, handle string, timeout time.Duration) error {
	if err := s.authorize(ctx, "ChangeMessageVisibility", queue); err != nil {
		return err
	}
	s.bill(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.lookup(queue)
	if err == nil {
		err = q.changeVisibility(handle, timeout)
	}
	if err != nil {
		return fmt.Errorf("change visibility in %s: %w", queue, err)
	}
	return nil
}
