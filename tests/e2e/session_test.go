package e2e_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/runtime/wire"
	"github.com/streamer-go/streamer/tests/e2e/app"
)

// session opens one that is closed with the test.
func (s *system) session(t *testing.T, user string) *client.Session {
	t.Helper()
	session, err := client.Open(bounded(t), client.SessionOptions{
		URL: s.URL, Token: func(context.Context) (string, error) { return s.Keys.Token(user, "", nil, time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	return session
}

// Inputs and results of every size arrive whole: in messages, in parts, and by
// signed URLs of the bucket.
func TestLargePayloads(t *testing.T) {
	t.Parallel()
	session := shared.session(t, "large payloads")
	for _, n := range []int{1 << 10, 128<<10 + 1, 350 << 10, 400 << 10, 1 << 20, 6 << 20} {
		var out app.Echo
		f, err := session.Call(bounded(t), client.Message{Action: "large.long", Payload: app.Large{Bytes: n}}, nil)
		if err != nil {
			t.Fatalf("a result of %d bytes: %v", n, err)
		}
		raw, err := session.Result(bounded(t), f)
		if err != nil {
			t.Fatalf("a result of %d bytes: %v", n, err)
		}
		if read(t, raw, &out); len(out.Text) != n {
			t.Errorf("%d bytes of %d came", len(out.Text), n)
		}
		if inParts, byURL := f.Ref != nil && f.Ref.Parts > 0, f.Ref != nil && f.Ref.URL != ""; inParts != (n > 128<<10 && n < 350<<10) || byURL != (n >= 350<<10) {
			t.Errorf("%d bytes: %+v", n, f.Ref)
		}
		f, err = session.Call(bounded(t), client.Message{Action: "length.long", Payload: app.Echo{Text: strings.Repeat("y", n)}}, nil)
		if err != nil {
			t.Fatalf("an input of %d bytes: %v", n, err)
		}
		out = app.Echo{}
		if read(t, f.Data, &out); out.N != n {
			t.Errorf("an input of %d bytes came as %d", n, out.N)
		}
	}
	_, err := session.Upload(bounded(t), strings.Repeat("z", wire.MaxUpload))
	var refusal *wire.Error
	if !errors.As(err, &refusal) || refusal.Code != wire.CodePayloadTooLarge {
		t.Errorf("too large an upload: %v", err)
	}
}
