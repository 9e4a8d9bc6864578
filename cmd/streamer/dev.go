package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/wire"
)

const (
	// tokenLife is how long the token that dev prints is good for.
	tokenLife = 24 * time.Hour
	// greetTime bounds the first message.
	greetTime = 30 * time.Second
)

// dev keeps a system up until it is interrupted.
func dev(ctx context.Context, o options, p *printer) (err error) {
	begun := time.Now()
	p.say("Standing up %s …", o.dir)
	s, err := start(ctx, o, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.end(s)) }()
	if other, err := devhost.FindRunning(ctx, o.dir); err == nil && other != nil {
		p.complain(fmt.Sprintf("streamer: another system of %s runs already, in process %d: it goes on, but streamer dead finds this one from now on, and none once this one has ended", o.dir, other.PID))
	}
	if err := s.Announce(); err != nil {
		return err
	}
	keys := s.Cloud.Credentials()
	ready := event{
		Type: "ready", URL: s.URL, Outputs: s.Outputs,
		Cloud: &cloudInfo{Endpoint: s.Cloud.Endpoint(), Region: "us-east-1", AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey},
	}
	p.say("Up after %s.\n\nWebSocket   %s", time.Since(begun).Round(10*time.Millisecond), s.URL)
	if s.Verifies {
		var permissions []string
		if o.permissions != "" {
			permissions = strings.Split(o.permissions, ",")
		}
		if ready.Token, err = s.Token(o.user, o.tenant, permissions, tokenLife); err != nil {
			return err
		}
		p.say("Token       %s\n            (user %s, good for %s; header Authorization: Bearer …, or subprotocols streamer.v1, bearer.…)", ready.Token, o.user, tokenLife)
	} else {
		p.say("Token       none: the program verifies with a key that is not the development key")
	}
	p.say("\nFor AWS SDKs and tools:\n  AWS_ENDPOINT_URL=%s AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s",
		ready.Cloud.Endpoint, keys.AccessKeyID, keys.SecretAccessKey)
	for name, value := range s.Outputs {
		if name != "url" {
			p.say("  %s = %v", name, value)
		}
	}
	p.say("\nEdit the program or its handlers and they are built again. Ctrl-C ends it and leaves nothing behind.")
	p.event(ready)
	var greetings sync.WaitGroup
	defer greetings.Wait()
	greet(ctx, s, o, &greetings)
	find := func() look { return s.Sources(ctx).States }
	watch(ctx, begun, find, func() {
		if rebuild(ctx, s, p) {
			greet(ctx, s, o, &greetings)
		}
	})
	return nil
}

// greet sends functions their first message: handlers that cannot be registered
// are told of at once, by the log, and what works is warm. It does not wait, and is
// silent: what is wrong the functions say.
func greet(ctx context.Context, s *devhost.System, o options, greetings *sync.WaitGroup) {
	if !s.Verifies {
		return
	}
	url := s.URL // now: the next rebuild writes it
	token, err := s.Token(o.user, o.tenant, nil, greetTime)
	if err != nil {
		return // the token that was printed would have failed
	}
	greetings.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, greetTime)
		defer cancel()
		conn, err := client.Dial(ctx, url, token, client.Options{})
		if err != nil {
			return
		}
		_, _ = conn.Call(ctx, client.Message{Action: wire.ActionHello, Payload: struct{}{}}, nil)
		_ = conn.Close()
	})
}

// rebuild brings the system to what the sources say now, and says whether it did.
// Connections stay, and so does what is stored; what runs finishes on the old code.
func rebuild(ctx context.Context, s *devhost.System, p *printer) bool {
	begun := time.Now()
	switch err := s.Update(ctx); {
	case ctx.Err() != nil:
		return false
	case err != nil:
		p.failed(err)
		if strings.Contains(err.Error(), "protected") {
			p.complain("streamer: what is protected is not deleted by an edit: end dev and start it again, and it begins anew; or set Protect to false in development")
		}
		return false
	}
	if err := s.Announce(); err != nil {
		p.failed(err)
	}
	p.event(event{Type: "rebuilt", URL: s.URL, Outputs: s.Outputs})
	p.say("Rebuilt after %s.", time.Since(begun).Round(10*time.Millisecond))
	return true
}
