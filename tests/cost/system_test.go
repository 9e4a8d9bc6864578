package cost_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
	streamer "github.com/streamer-go/streamer/runtime"
)

const secret = "a secret of at least thirty-two bytes"

// system is a deployed system and what it has used.
type system struct {
	t       *testing.T
	cloud   *localcloud.Cloud
	url     string
	closing atomic.Bool
	calling chan struct{} // holds one: a call is under way

	mu    sync.Mutex // guards what follows
	used  tally
	trace []*call
}

// stand stands a system up that nothing happens in by itself until it is used:
// without sweeping, the schedule has passed for the first and last time.
func stand(t *testing.T, sweeping bool, args component.StreamerArgs) *system {
	t.Helper()
	s := &system{t: t, used: newTally(), calling: make(chan struct{}, 1)}
	// To keep a connection open is measured alone.
	config := localcloud.Config{InMemory: true, Funcs: s.function, Limits: localcloud.Limits{Idle: 2 * time.Hour}}
	if !sweeping {
		config.Limits.ScheduleInterval = 10000 * time.Hour
	}
	var err error
	if s.cloud, err = localcloud.Start(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.closing.Store(true)
		if err := s.cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	protect := false
	// Functions run in this process: nothing is read from the archive.
	args.Handlers = &component.Handlers{Archive: pulumi.NewAssetArchive(map[string]any{"bootstrap": pulumi.NewStringAsset("in process")})}
	args.Auth = &component.Auth{Keys: []component.Key{{Secret: pulumi.String(base64.StdEncoding.EncodeToString([]byte(secret)))}}}
	args.Protect = &protect
	result, err := deploy.New(s.cloud).Up(context.Background(), deploy.Program{Project: "cost", Stack: "test", Body: func(ctx *pulumi.Context) error {
		made, err := component.NewStreamer(ctx, "cost", &args)
		if err == nil {
			ctx.Export("url", made.URL)
		}
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.url, _ = result.Outputs["url"].(string)
	time.Sleep(time.Minute)
	return s
}

// function is a new instance of one of the functions. Its invocations are
// counted, with the time that passes in them, and its calls are written down.
func (s *system) function(in localcloud.Instance) (func(context.Context, []byte) ([]byte, error), error) {
	role := contract.Role(in.Env[contract.EnvRole])
	host := streamer.Host{
		Getenv:    func(name string) string { return in.Env[name] },
		Transport: tap{s, role, in.HTTP.Transport}, Log: journal{s, in},
	}
	var h lambda.Handler
	var err error
	switch role {
	case contract.RoleConnect:
		h, err = streamer.ConnectHandler(host)
	case contract.RoleDispatcher:
		h, err = streamer.DispatcherHandler(host)
	default:
		h, err = app().Handler(host)
	}
	if err != nil {
		return nil, err
	}
	memory := 0.0
	if f, ok := s.cloud.Services().Functions.Function(in.Function); ok {
		memory = float64(f.Spec.MemoryMB) / 1024
	}
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		began, before := time.Now(), s.callsOf(role)
		out, err := h.Invoke(ctx, payload)
		s.mu.Lock()
		defer s.mu.Unlock()
		took := own()[role]
		if role == contract.RoleRouter && s.used.calls[role] > before {
			took += stores
		}
		s.used.invocations[role]++
		s.used.ownSeconds += took * memory
		s.used.handlerSeconds += time.Since(began).Seconds() * memory
		return out, err
	}, nil
}

func (s *system) callsOf(role contract.Role) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used.calls[role]
}

// journal passes on what a function logs, and fails the test for an error that
// it was not told to expect.
type journal struct {
	*system
	in localcloud.Instance
}

func (j journal) Write(p []byte) (int, error) {
	for line := range strings.SplitSeq(strings.TrimSuffix(string(p), "\n"), "\n") {
		j.in.Log(line)
		var l struct {
			Level string `json:"level"`
			Error string `json:"error"`
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.Level == "ERROR" && !strings.Contains(l.Error, errPassing.Error()) && !j.closing.Load() {
			j.t.Errorf("%s logs %s", j.in.Function, line)
		}
	}
	return len(p), nil
}
