package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
)

// languageHost is the least that the Pulumi engine needs to run Go programs: it
// builds them and runs them. It is not Pulumi's own host, and knows neither
// runtime options nor the discovery of plugins.
type languageHost struct {
	rpc.UnimplementedLanguageRuntimeServer
	dir string   // where programs are built
	env []string // added to the programs' environment

	mu       sync.Mutex // guards what follows; builds exclude each other
	engine   string
	binaries map[string]string // by directory of the program
}

// serveLanguage serves a host until the test ends and returns its port, which
// belongs into PULUMI_DEBUG_LANGUAGES=go:PORT.
func serveLanguage(t *testing.T, env ...string) int {
	t.Helper()
	server := grpc.NewServer()
	rpc.RegisterLanguageRuntimeServer(server, &languageHost{dir: t.TempDir(), env: env, binaries: map[string]string{}})
	return serve(t, server.Serve, server.Stop)
}

// serve runs a server on a free port until the test ends.
func serve(t *testing.T, run func(net.Listener) error, stop func()) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- run(listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return listener.Addr().(*net.TCPAddr).Port
}

// Handshake is required of a host that the engine attaches to.
func (h *languageHost) Handshake(_ context.Context, r *rpc.LanguageHandshakeRequest) (*rpc.LanguageHandshakeResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine = r.EngineAddress
	return &rpc.LanguageHandshakeResponse{}, nil
}

func (*languageHost) GetPluginInfo(context.Context, *emptypb.Empty) (*rpc.PluginInfo, error) {
	return &rpc.PluginInfo{Version: "0.0.1"}, nil
}

func (*languageHost) About(context.Context, *rpc.AboutRequest) (*rpc.AboutResponse, error) {
	return &rpc.AboutResponse{Executable: "go"}, nil
}

// GetRequiredPackages names none: the engine finds the provider when the first
// resource asks for it.
func (*languageHost) GetRequiredPackages(context.Context, *rpc.GetRequiredPackagesRequest) (*rpc.GetRequiredPackagesResponse, error) {
	return &rpc.GetRequiredPackagesResponse{}, nil
}

// Cancel comes at the end of every connection, of which there are several.
func (*languageHost) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// exitLogged is how a program of the SDK ends when it has logged why it failed.
const exitLogged = 32

// Run builds the program and runs it to its end.
func (h *languageHost) Run(ctx context.Context, r *rpc.RunRequest) (*rpc.RunResponse, error) {
	binary, err := h.build(ctx, r.Info)
	if err != nil {
		return &rpc.RunResponse{Error: err.Error()}, nil
	}
	env, err := h.environment(r)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, r.Args...)
	cmd.Dir, cmd.Env = r.Pwd, env
	out, err := cmd.CombinedOutput()
	if len(out) > 0 {
		h.log(ctx, string(out))
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &rpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == exitLogged:
		return &rpc.RunResponse{Bail: true}, nil
	}
	return &rpc.RunResponse{Error: fmt.Sprintf("run %s: %v", r.Info.ProgramDirectory, err)}, nil
}

// build builds a program once: none changes while a test runs.
func (h *languageHost) build(ctx context.Context, info *rpc.ProgramInfo) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := filepath.Join(info.ProgramDirectory, info.EntryPoint)
	if binary, ok := h.binaries[key]; ok {
		return binary, nil
	}
	binary := filepath.Join(h.dir, "program"+strconv.Itoa(len(h.binaries)))
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", binary, "./"+info.EntryPoint)
	cmd.Dir = info.ProgramDirectory
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", key, err, out)
	}
	h.binaries[key] = binary
	return binary, nil
}

func (h *languageHost) environment(r *rpc.RunRequest) ([]string, error) {
	config, err := json.Marshal(r.Config)
	if err != nil {
		return nil, err
	}
	secrets, err := json.Marshal(r.ConfigSecretKeys)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return append(append(os.Environ(), h.env...),
		"PULUMI_PROJECT="+r.Project, "PULUMI_STACK="+r.Stack, "PULUMI_ORGANIZATION="+r.Organization,
		"PULUMI_ROOT_DIRECTORY="+r.Info.RootDirectory,
		"PULUMI_CONFIG="+string(config), "PULUMI_CONFIG_SECRET_KEYS="+string(secrets),
		"PULUMI_DRY_RUN="+strconv.FormatBool(r.DryRun), "PULUMI_PARALLEL="+strconv.Itoa(int(r.Parallel)),
		"PULUMI_MONITOR="+r.MonitorAddress, "PULUMI_ENGINE="+h.engine,
	), nil
}

// log hands the program's output to the engine, which shows it to the user.
func (h *languageHost) log(ctx context.Context, text string) {
	h.mu.Lock()
	engine := h.engine
	h.mu.Unlock()
	conn, err := grpc.NewClient(engine, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = rpc.NewEngineClient(conn).Log(ctx, &rpc.LogRequest{Severity: rpc.LogSeverity_INFO, Message: strings.TrimSpace(text)})
}
