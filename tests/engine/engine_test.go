package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	client "github.com/streamer-go/streamer/clients/go"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
	"github.com/streamer-go/streamer/runtime/wire"
)

// scenario is a program that the engine is to run.
type scenario struct {
	name   string
	dir    string // of the program
	config auto.ConfigMap
	cloud  localcloud.Config
	// request uses what was deployed.
	request func(t *testing.T, cloud *localcloud.Cloud, outputs auto.OutputMap)
}

func TestEngine(t *testing.T) {
	t.Parallel()
	command := pulumiCommand(t)
	keys, err := devhost.LoadKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []scenario{
		{
			name: "system", dir: "testdata/system",
			config:  auto.ConfigMap{"system:key": {Value: "hush", Secret: true}},
			cloud:   localcloud.Config{Funcs: answering},
			request: sendAndReceive,
		},
		{
			name: "reports", dir: "../../examples/reports/infra",
			config:  auto.ConfigMap{"reports:publicKey": {Value: keys.PublicPEM()}},
			request: func(t *testing.T, _ *localcloud.Cloud, outputs auto.OutputMap) { askForReport(t, keys, outputs) },
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.walk(t, command)
		})
	}
}

// walk takes the program through the life of a stack.
func (s scenario) walk(t *testing.T, command auto.PulumiCommand) {
	ctx := t.Context()
	cloud, err := localcloud.Start(s.cloud)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	stack := s.stack(t, command, cloud)

	preview, err := stack.Preview(ctx, optpreview.SuppressProgress())
	if err != nil {
		t.Fatal(err)
	}
	planned := preview.ChangeSummary[apitype.OpCreate]
	if len(preview.ChangeSummary) != 1 || planned < 2 {
		t.Errorf("preview of nothing: %v, want creations alone", preview.ChangeSummary)
	}
	assertNothing(t, cloud, "the preview")

	up, err := stack.Up(ctx, optup.SuppressProgress())
	if err != nil {
		t.Fatal(err)
	}
	if got := (*up.Summary.ResourceChanges)["create"]; got != planned {
		t.Errorf("up made %d resources, the preview promised %d", got, planned)
	}
	if s.request != nil {
		s.request(t, cloud, up.Outputs)
	}

	again, err := stack.Up(ctx, optup.SuppressProgress(), optup.ExpectNoChanges())
	if err != nil {
		t.Fatal(err)
	}
	if got := (*again.Summary.ResourceChanges)["same"]; got != planned {
		t.Errorf("the second up left %d resources as they are, want %d", got, planned)
	}
	refresh, err := stack.Refresh(ctx, optrefresh.SuppressProgress(), optrefresh.ExpectNoChanges())
	if err != nil {
		t.Fatal(err)
	}
	if got := (*refresh.Summary.ResourceChanges)["same"]; got != planned {
		t.Errorf("refresh found %d resources as they are, want %d", got, planned)
	}
	s.mend(t, stack, cloud)
	if _, err := stack.Destroy(ctx, optdestroy.SuppressProgress()); err != nil {
		t.Fatal(err)
	}
	assertNothing(t, cloud, "the destruction")
	s.assertUnreachable(t, up.Outputs)
}

// mend deletes functions behind the engine's back: a refresh finds out, and the
// next up makes them again, with what was attached to them.
func (s scenario) mend(t *testing.T, stack auto.Stack, cloud *localcloud.Cloud) {
	t.Helper()
	functions := cloud.Services().Functions
	made := len(functions.Functions())
	for _, f := range functions.Functions() {
		if err := functions.DeleteFunction(f.Name); err != nil {
			t.Fatal(err)
		}
	}
	refresh, err := stack.Refresh(t.Context(), optrefresh.SuppressProgress())
	if err != nil {
		t.Fatal(err)
	}
	gone := (*refresh.Summary.ResourceChanges)["delete"]
	if gone < made {
		t.Errorf("refresh found %d resources gone, want the %d functions at least", gone, made)
	}
	up, err := stack.Up(t.Context(), optup.SuppressProgress())
	if err != nil {
		t.Fatal(err)
	}
	if got := (*up.Summary.ResourceChanges)["create"]; got != gone || len(functions.Functions()) != made {
		t.Errorf("up made %d resources and %d functions again, want %d and %d", got, len(functions.Functions()), gone, made)
	}
	if s.request != nil {
		s.request(t, cloud, up.Outputs)
	}
}

// assertUnreachable checks that nobody listens at the URL any more.
func (s scenario) assertUnreachable(t *testing.T, outputs auto.OutputMap) {
	t.Helper()
	address, err := url.Parse(outputs["url"].Value.(string))
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", address.Host); err == nil {
		conn.Close()
		t.Errorf("the API still listens at %s after the destruction", address.Host)
	}
}

// stack makes a stack of the program with a home and a state of its own.
func (s scenario) stack(t *testing.T, command auto.PulumiCommand, cloud *localcloud.Cloud) auto.Stack {
	t.Helper()
	program, err := filepath.Abs(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	provider := deploy.NewProvider(cloud, program)
	providerPort := serve(t, provider.Serve, provider.Close)
	languagePort := serveLanguage(t, "STREAMER_BUILD_ARCH="+runtime.GOARCH)

	tmp := t.TempDir()
	project := filepath.Join(tmp, "project")
	state := filepath.Join(tmp, "state")
	for _, dir := range []string{project, state} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// The settings of a stack are written beside the project file, which is why
	// it does not stay where the program is.
	text := fmt.Sprintf("name: %s\nruntime: go\nmain: %s\n", s.name, program)
	if err := os.WriteFile(filepath.Join(project, "Pulumi.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stack, err := auto.NewStackLocalSource(t.Context(), "dev", project, auto.Pulumi(command),
		auto.PulumiHome(filepath.Join(tmp, "home")), auto.EnvVars(map[string]string{
			"PULUMI_BACKEND_URL":                          "file://" + state,
			"PULUMI_CONFIG_PASSPHRASE":                    "x",
			"PULUMI_SKIP_UPDATE_CHECK":                    "true",
			"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
			"PULUMI_DEBUG_PROVIDERS":                      fmt.Sprintf("aws:%d", providerPort),
			"PULUMI_DEBUG_LANGUAGES":                      fmt.Sprintf("go:%d", languagePort),
		}))
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.SetAllConfig(t.Context(), s.config); err != nil {
		t.Fatal(err)
	}
	return stack
}

// pulumiCommand is the CLI that STREAMER_PULUMI names. Without it the test is
// skipped, but not where every test must run.
func pulumiCommand(t *testing.T) auto.PulumiCommand {
	t.Helper()
	path := os.Getenv("STREAMER_PULUMI")
	if path == "" {
		const why = "STREAMER_PULUMI does not name the Pulumi CLI (built from tools/pulumi)"
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(root, "bin", "pulumi")); err != nil {
		t.Fatal(err)
	}
	command, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return command
}

func assertNothing(t *testing.T, cloud *localcloud.Cloud, after string) {
	t.Helper()
	s := cloud.Services()
	for what, n := range map[string]int{
		"tables": len(s.Tables.Tables()), "queues": len(s.Queues.Queues()), "functions": len(s.Functions.Functions()),
		"mappings": len(s.Functions.Mappings()), "roles": len(s.Roles.Roles()), "schedules": len(s.Schedules.Schedules()),
	} {
		if n != 0 {
			t.Errorf("%d %s after %s", n, what, after)
		}
	}
}

// answering is a function that answers a message with its text.
func answering(localcloud.Instance) (func(context.Context, []byte) ([]byte, error), error) {
	return func(context.Context, []byte) ([]byte, error) { return []byte(`{"statusCode":200,"body":"pong"}`), nil }, nil
}

// sendAndReceive sends a message through the deployed API.
func sendAndReceive(t *testing.T, _ *localcloud.Cloud, outputs auto.OutputMap) {
	t.Helper()
	address, _ := outputs["url"].Value.(string)
	conn, _, err := websocket.Dial(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`"ping"`)); err != nil {
		t.Fatal(err)
	}
	_, answer, err := conn.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if string(answer) != "pong" {
		t.Errorf("answer = %q, want pong", answer)
	}
}

// askForReport sends the deployed reports program a quick request and a long one.
func askForReport(t *testing.T, keys *devhost.Keys, outputs auto.OutputMap) {
	t.Helper()
	url, _ := outputs["url"].Value.(string)
	token, err := keys.Token("engine", "acme", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	conn, err := client.Dial(ctx, url, token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if f, err := conn.Call(ctx, client.Message{Action: "reports.summary"}, nil); err != nil || f.Type != wire.TypeResponse {
		t.Fatalf("summary: %+v, %v", f, err)
	}
	var types []string
	f, err := conn.Call(ctx, client.Message{
		Action: "reports.generate", Payload: map[string]any{"group": "weekday", "statistic": "mean_delay", "resamples": 200},
	}, func(f wire.Frame) { types = append(types, f.Type) })
	if err != nil {
		t.Fatalf("report: %v (after %v)", err, types)
	}
	var report struct{ HTML, CSV string }
	if err := json.Unmarshal(f.Data, &report); err != nil || report.HTML == "" || report.CSV == "" {
		t.Fatalf("report: %v, %d bytes", err, len(f.Data))
	}
	if types[0] != wire.TypeAcknowledgment || types[1] != wire.TypeProgress {
		t.Errorf("frames %v, want an acknowledgment, then progress", types)
	}
}
