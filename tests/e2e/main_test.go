package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/localcloud"
)

// shared is the system of all tests that do not break it.
var shared *system

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	root, err := os.MkdirTemp("", "streamer-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(root)
	shared, err = stand(filepath.Join(root, "shared"), nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stand up the shared system:", err)
		return 1
	}
	code = m.Run()
	if err := shared.end(); err != nil {
		fmt.Fprintln(os.Stderr, "end the shared system:", err)
		code = 1
	}
	return code
}

// system is a running system with a directory of its own, which also names its
// processes: they have it in their environment.
type system struct {
	*devhost.System
	dir string
	log *lines
}

// stand stands the tests' program up.
func stand(dir string, change func(*devhost.Options)) (*system, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &system{dir: dir, log: &lines{}}
	config := localcloud.Config{
		Environ: map[string]string{"E2E_DIR": dir},
		Limits:  localcloud.Limits{ScheduleInterval: 2 * time.Second, AsyncRetries: []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}},
		Log:     s.log.add,
	}
	env := coverage(&config)
	options := devhost.Options{
		Dir: ".", Cloud: config, Env: env, Keys: filepath.Join(dir, "keys"),
		Log: func(_, line string) { s.log.add(localcloud.Line{Source: "program", Text: line}) },
	}
	if change != nil {
		change(&options)
	}
	// Whatever hangs is to be an error that says where, not a test that is killed.
	ctx, cancel := context.WithTimeout(context.Background(), standing)
	defer cancel()
	var err error
	s.System, err = devhost.Start(ctx, options)
	return s, err
}

// standing bounds how long a system takes to stand up: it is built first, and
// other tests build theirs. ending bounds how long it takes to end.
const (
	standing = 8 * time.Minute
	ending   = 2 * time.Minute
)

// coverage makes processes write counters where STREAMER_COVER_DIR says.
func coverage(config *localcloud.Config) []string {
	dir := os.Getenv("STREAMER_COVER_DIR")
	if dir == "" {
		return nil
	}
	config.Environ["GOCOVERDIR"], config.GracefulStop = dir, true
	return []string{contract.EnvBuildFlags + "=-cover -covermode=atomic -coverpkg=github.com/streamer-go/streamer/..."}
}

// own stands up a system that the test may break.
func own(t *testing.T, change func(*devhost.Options)) *system {
	t.Helper()
	s, err := stand(t.TempDir(), change)
	if err != nil {
		t.Fatal("stand up a system:", err)
	}
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Error("end the system:", err)
		}
		if t.Failed() {
			t.Log("log of the system:\n" + s.log.tail(200))
		}
	})
	return s
}

// end closes the system and looks for what is left of it.
func (s *system) end() error {
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			return err
		}
	case <-time.After(ending):
		stacks := make([]byte, 1<<20)
		return fmt.Errorf("close: not within %s:\n%s", ending, stacks[:runtime.Stack(stacks, true)])
	}
	if left := s.processes(""); len(left) > 0 {
		return fmt.Errorf("processes left after Close: %v", left)
	}
	return nil
}
