package session_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/golang-jwt/jwt/v5"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
	streamer "github.com/streamer-go/streamer/runtime"
)

const secret = "a secret of at least thirty-two bytes"

// system is a deployed system. What its functions meet is the test's to say.
type system struct {
	t     *testing.T
	cloud *localcloud.Cloud
	url   string
	books books

	// call, when set, decides about a call of a function to AWS: an answer or an
	// error stands for it.
	call atomic.Pointer[func(role contract.Role, r *http.Request) (*http.Response, error)]
	// invoke, when set, comes before each invocation; an error stands for it.
	invoke atomic.Pointer[func(ctx context.Context, role contract.Role) error]
	posts  atomic.Int64 // frames that functions pushed
}

// stand stands a system up; the bubble's time is that of the cloud.
func stand(t *testing.T, args component.StreamerArgs) *system {
	t.Helper()
	return standWith(t, localcloud.Config{}, args)
}

func standWith(t *testing.T, config localcloud.Config, args component.StreamerArgs) *system {
	t.Helper()
	s := &system{t: t, books: books{logs: map[string][]string{}, runs: map[string]int{}}}
	config.InMemory, config.Funcs = true, s.function
	var err error
	if s.cloud, err = localcloud.Start(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	protect := false
	// Functions run in this process: nothing is read from the archive.
	args.Handlers = &component.Handlers{Archive: pulumi.NewAssetArchive(map[string]any{"bootstrap": pulumi.NewStringAsset("in process")})}
	args.Auth = &component.Auth{Keys: []component.Key{{Secret: pulumi.String(base64.StdEncoding.EncodeToString([]byte(secret)))}}}
	args.Protect = &protect
	result, err := deploy.New(s.cloud).Up(t.Context(), deploy.Program{Project: "session", Stack: "test", Body: func(ctx *pulumi.Context) error {
		made, err := component.NewStreamer(ctx, "live", &args)
		if err == nil {
			ctx.Export("url", made.URL)
		}
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.url, _ = result.Outputs["url"].(string)
	return s
}

// scene is one of several that use the same system one after the other, each with
// users of its own: to stand one up takes longer than most of them.
type scene struct {
	name string
	play func(t *testing.T, s *system)
}

// play stands a system up in a bubble and plays the scenes there.
func play(t *testing.T, args component.StreamerArgs, scenes ...scene) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := stand(t, args)
		for _, c := range scenes {
			t.Log(c.name) // what follows is about it
			c.play(t, s)
			s.call.Store(nil)
			s.invoke.Store(nil)
		}
	})
}

// instanceKey finds the id of the instance in a handler's context.
type instanceKey struct{}

// function is a new instance of one of the functions.
func (s *system) function(in localcloud.Instance) (func(context.Context, []byte) ([]byte, error), error) {
	role := contract.Role(in.Env[contract.EnvRole])
	host := streamer.Host{
		Getenv: func(name string) string { return in.Env[name] }, Transport: wire{s, role, in.HTTP.Transport}, Log: dropped{},
	}
	var h lambda.Handler
	var err error
	switch role {
	case contract.RoleConnect:
		h, err = streamer.ConnectHandler(host)
	case contract.RoleDispatcher:
		h, err = streamer.DispatcherHandler(host)
	default:
		h, err = s.app().Handler(host)
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		if before := s.invoke.Load(); before != nil {
			if err := (*before)(ctx, role); err != nil {
				return nil, err
			}
		}
		return h.Invoke(context.WithValue(ctx, instanceKey{}, in.ID), payload)
	}, nil
}

// dropped is the log: handlers that fail on purpose write errors.
type dropped struct{}

func (dropped) Write(p []byte) (int, error) { return len(p), nil }

// wire is the network of an instance.
type wire struct {
	*system
	role contract.Role
	base http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if decide := w.call.Load(); decide != nil {
		if resp, err := (*decide)(w.role, r); resp != nil || err != nil {
			return resp, err
		}
	}
	if posts(r) {
		w.posts.Add(1)
	}
	return w.base.RoundTrip(r)
}

// delay gives each call of a function a time of its own, a few a long one, so
// that answers and pushed frames overtake each other.
func (s *system) delay(c *chance) {
	slow := func(_ contract.Role, r *http.Request) (*http.Response, error) {
		d := time.Duration(c.n(100)) * time.Millisecond
		if c.n(50) == 0 {
			d += time.Duration(c.n(3000)) * time.Millisecond
		}
		if c.n(300) == 0 {
			d += time.Duration(c.n(25000)) * time.Millisecond
		}
		select {
		case <-time.After(d):
			return nil, nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	s.call.Store(&slow)
}

// token of a user that is good for so long.
func (s *system) token(user string, life time.Duration) string {
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "tenant_id": "acme", "exp": time.Now().Add(life).Unix(),
	})
	signed, err := t.SignedString([]byte(secret))
	if err != nil {
		s.t.Error(err)
	}
	return signed
}

// person is a user with a session.
type person struct {
	*client.Session
	s        *system
	user     string
	connects atomic.Int64

	mu   sync.Mutex // guards lost
	lost []error    // what OnDisconnect was told
}

// open opens a session whose tokens are good for so long; n is its network, nil
// for one that never fails.
func (s *system) open(user string, life time.Duration, n *network) *person {
	s.t.Helper()
	p := &person{s: s, user: user}
	if n == nil {
		n = &network{}
	}
	var err error
	p.Session, err = client.Open(s.t.Context(), client.SessionOptions{
		URL: s.url, HTTPClient: n.client(s.cloud),
		Token:     func(context.Context) (string, error) { return s.token(user, life), nil },
		OnConnect: func() { p.connects.Add(1) },
		OnDisconnect: func(err error) {
			p.mu.Lock()
			p.lost = append(p.lost, fmt.Errorf("%s: %w", time.Now().Format(time.TimeOnly), err))
			p.mu.Unlock()
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// finish ends the sessions and looks for what they left behind.
func finish(t *testing.T, all ...*person) {
	t.Helper()
	for _, p := range all {
		begun := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("Close took %s", took)
		}
	}
	leaks(t)
}

func (p *person) disconnects() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}
