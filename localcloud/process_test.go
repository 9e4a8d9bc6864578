package localcloud_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	_ "github.com/aws/aws-sdk-go-v2/config" // testdata/writer is built with it
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/internal/lambda"
)

// A function as it is deployed: a binary in a process of its own, which finds
// the cloud and its role by its environment alone.
func TestBinaryInAProcess(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program")
	}
	code := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(code, "bootstrap"), "./testdata/writer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cloud := start(t, localcloud.Config{Log: func(l localcloud.Line) { fmt.Fprintln(t.Output(), l.Name, l.Text) }})
	createTable(t, tables(cloud.Endpoint(), cloud.HTTPClient(), cloud.Credentials()))
	function(t, cloud, "writer", "arn:aws:dynamodb:*:*:table/items", "dynamodb:PutItem")
	architecture := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	_, err := cloud.Services().Functions.PutFunction(lambda.FunctionSpec{
		Name: "writer", RoleName: "writer", Handler: "bootstrap", Runtime: "provided.al2023",
		Architecture: architecture, Code: os.DirFS(code), Timeout: 30 * time.Second,
	})
	check(t, err)

	invoke := func() string {
		out, err := functions(cloud, cloud.Credentials()).Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("writer"), Payload: []byte(`"a"`)})
		check(t, err)
		return string(out.Payload)
	}
	if got := invoke(); got != `"wrote a"` {
		t.Errorf("answer %s", got)
	}
	if info, _ := cloud.Services().Tables.Table("items"); info.ItemCount != 1 {
		t.Errorf("%d items", info.ItemCount)
	}
	// The right is asked for at each call, also of an instance that runs.
	check(t, cloud.Services().Roles.DeletePolicy("writer", "calls"))
	if got := invoke(); !strings.Contains(got, "AccessDeniedException") || !strings.Contains(got, "assumed-role/writer/") {
		t.Errorf("answer without policy %s", got)
	}
}
