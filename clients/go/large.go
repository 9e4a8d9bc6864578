package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/streamer-go/streamer/runtime/wire"
)

// caller makes a call that is answered with a response.
type caller func(ctx context.Context, m Message) (wire.Frame, error)

// Result is the result that a last frame carries, or that it refers to because
// it is too large for a message. That is fetched: in parts by calls, whose errors
// are Call's, with code NOT_FOUND when it is not kept any more; or from a signed
// URL, in up to four tries, until its ExpiresAt. One that is not of the size that
// the frame says is an error.
func (c *Conn) Result(ctx context.Context, f wire.Frame) (json.RawMessage, error) {
	return result(ctx, c.http, f, c.plain)
}

// Upload stores a payload that is too large for a message (128 KB) and returns
// what Message.Ref is to be. It is kept for a day. Above 20 MB of JSON
// (wire.MaxUpload), and where large payloads are switched off, it is a *wire.Error
// with code PAYLOAD_TOO_LARGE. A store that fails is tried up to four times.
func (c *Conn) Upload(ctx context.Context, payload any) (ref string, err error) {
	return upload(ctx, c.http, payload, c.plain)
}

func (c *Conn) plain(ctx context.Context, m Message) (wire.Frame, error) { return c.Call(ctx, m, nil) }

// Result is as Conn.Result is.
func (s *Session) Result(ctx context.Context, f wire.Frame) (json.RawMessage, error) {
	return result(ctx, s.options.HTTPClient, f, s.plain)
}

// Upload is as Conn.Upload is. Call does it by itself where it is needed.
func (s *Session) Upload(ctx context.Context, payload any) (ref string, err error) {
	return upload(ctx, s.options.HTTPClient, payload, s.plain)
}

func (s *Session) plain(ctx context.Context, m Message) (wire.Frame, error) {
	m.Resend = true // asking twice is harmless
	return s.Call(ctx, m, nil)
}

func result(ctx context.Context, client *http.Client, f wire.Frame, call caller) (json.RawMessage, error) {
	switch {
	case f.Ref == nil:
		return f.Data, nil
	case f.Ref.URL != "":
		raw, err := exchange(ctx, client, http.MethodGet, f.Ref.URL, nil, nil)
		if err == nil && int64(len(raw)) != f.Ref.Size {
			err = fmt.Errorf("%d bytes came of %d", len(raw), f.Ref.Size)
		}
		if err != nil {
			return nil, fmt.Errorf("get result of %s: %w", f.RequestID, err)
		}
		return raw, nil
	}
	var text strings.Builder
	for part := int64(1); part <= f.Ref.Parts; part++ {
		a, err := call(ctx, Message{Action: wire.ActionFetch, Payload: map[string]any{"request_id": f.RequestID, "part": part}})
		if err != nil {
			return nil, fmt.Errorf("get result of %s: part %d: %w", f.RequestID, part, err)
		}
		var data struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal(a.Data, &data); err != nil {
			return nil, fmt.Errorf("get result of %s: part %d: %w", f.RequestID, part, err)
		}
		text.WriteString(data.Text)
	}
	if int64(text.Len()) != f.Ref.Size {
		return nil, fmt.Errorf("get result of %s: %d bytes came of %d", f.RequestID, text.Len(), f.Ref.Size)
	}
	return json.RawMessage(text.String()), nil
}

func upload(ctx context.Context, client *http.Client, payload any, call caller) (string, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("upload: %w", err)
	}
	a, err := call(ctx, Message{Action: wire.ActionUpload, Payload: map[string]int{"size": len(body)}})
	if err != nil {
		return "", fmt.Errorf("upload: %w", err)
	}
	var to struct {
		Ref     string            `json:"payload_ref"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(a.Data, &to); err != nil {
		return "", fmt.Errorf("upload: read answer: %w", err)
	}
	if _, err := exchange(ctx, client, to.Method, to.URL, to.Headers, body); err != nil {
		return "", fmt.Errorf("upload: %w", err)
	}
	return to.Ref, nil
}

// tries bounds how often a signed URL is asked for; a second and more are
// between.
const tries = 4

// exchange makes a request of a signed URL, and makes it again when the network
// or the store fails: reading is harmless to repeat, and so is writing the same.
func exchange(ctx context.Context, client *http.Client, method, url string, headers map[string]string, body []byte) ([]byte, error) {
	if client == nil {
		client = http.DefaultClient
	}
	for n := 1; ; n++ {
		raw, passing, err := exchangeOnce(ctx, client, method, url, headers, body)
		if err == nil || !passing || n == tries {
			return raw, err
		}
		select {
		case <-time.After(time.Second << (n - 1)):
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

func exchangeOnce(ctx context.Context, client *http.Client, method, url string, headers map[string]string, body []byte) (raw []byte, passing bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	for name, value := range headers {
		if http.CanonicalHeaderKey(name) != "Content-Length" { // which is the body's
			req.Header.Set(name, value)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, ctx.Err() == nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	raw, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, ctx.Err() == nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests, fmt.Errorf("answered %s: %.200s", resp.Status, raw)
	}
	return raw, false, nil
}
