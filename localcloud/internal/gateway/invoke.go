package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var errTimeout = errors.New("endpoint request timed out")

// call invokes a function and waits for it, at most for timeout; then it
// returns errTimeout, and the function runs on, as on AWS.
func (s *Service) call(in Invocation, timeout time.Duration) (Answer, error) {
	type outcome struct {
		answer Answer
		err    error
	}
	done := make(chan outcome, 1)
	started := s.spawn(func() {
		answer, err := s.opt.Invoker.Invoke(s.ctx, in)
		done <- outcome{answer, err}
	})
	if !started {
		return Answer{}, s.ctx.Err()
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case o := <-done:
		return o.answer, o.err
	case <-timer.C:
		return Answer{}, errTimeout
	}
}

// proxyAnswer is what a Lambda proxy integration must return.
type proxyAnswer struct {
	StatusCode      json.Number                `json:"statusCode"`
	Headers         map[string]json.RawMessage `json:"headers"`
	MultiHeaders    map[string][]string        `json:"multiValueHeaders"`
	Body            *string                    `json:"body"`
	IsBase64Encoded bool                       `json:"isBase64Encoded"`
}

// parseProxyAnswer checks and reads a function's answer. The error is
// API Gateway's "Malformed Lambda proxy response".
func parseProxyAnswer(payload []byte) (status int, p proxyAnswer, err error) {
	if err := json.Unmarshal(payload, &p); err != nil {
		return 0, p, fmt.Errorf("malformed Lambda proxy response: %w", err)
	}
	status, err = strconv.Atoi(p.StatusCode.String())
	if err != nil || status < 200 || status > 599 {
		return 0, p, fmt.Errorf("malformed Lambda proxy response: statusCode %q", p.StatusCode)
	}
	return status, p, nil
}

// plainBody returns the body of an answer in its plainest form,
// {"statusCode":200,"body":"…"}, which is what most messages get; reading it in
// general costs the most of all that the gateway does itself. false means that
// the answer is of another form.
func plainBody(payload []byte) (body []byte, ok bool) {
	rest, ok := bytes.CutPrefix(payload, []byte(`{"statusCode":200,"body":"`))
	if !ok || len(rest) > messageLimit {
		return nil, false
	}
	rest, ok = bytes.CutSuffix(bytes.TrimRight(rest, "\n"), []byte(`"}`))
	if !ok || len(rest) == 0 || !utf8.Valid(rest) {
		return nil, false
	}
	body = make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		ch := rest[i]
		switch {
		case ch < ' ' || ch == '"':
			return nil, false
		case ch == '\\':
			i++
			if i == len(rest) {
				return nil, false
			}
			switch ch = rest[i]; ch {
			case '"', '\\', '/':
			case 'n':
				ch = '\n'
			default:
				return nil, false
			}
		}
		body = append(body, ch)
	}
	return body, true
}

// text returns the body to send to the client; nil for none.
func (p *proxyAnswer) text() ([]byte, error) {
	if p.Body == nil || *p.Body == "" {
		return nil, nil
	}
	body := []byte(*p.Body)
	if p.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(*p.Body)
		if err != nil || !utf8.Valid(decoded) {
			return nil, errors.New("malformed Lambda proxy response: isBase64Encoded, but body is not text in base64")
		}
		body = decoded
	}
	if len(body) > messageLimit {
		return nil, fmt.Errorf("body of %d bytes exceeds the message limit of %d", len(body), messageLimit)
	}
	return body, nil
}

// header returns a response header, whatever the case of its name; "" for none.
func (p *proxyAnswer) header(name string) string {
	for k, v := range p.Headers {
		var text string
		if strings.EqualFold(k, name) && json.Unmarshal(v, &text) == nil {
			return text
		}
	}
	for k, v := range p.MultiHeaders {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

// errorMessage returns the errorMessage of a failed function's payload.
func errorMessage(payload []byte) string {
	var e struct {
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(payload, &e) // any other payload has no message
	return e.Message
}
