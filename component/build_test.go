package component_test

import (
	"archive/zip"
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/component"
	"github.com/streamer-go/streamer/internal/build"
	"github.com/streamer-go/streamer/internal/contract"
)

// The mains that are deployed, built as they are deployed.
func TestBuildsWhatIsDeployed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("links three programs")
	}
	cache := t.TempDir()
	goBuild := func(ctx context.Context, _ string, p build.Package, target build.Target) (string, error) {
		return component.GoBuild(ctx, cache, p, target)
	}
	args := minimal()
	args.Handlers.Package = "../lambdas/processor"
	// For this machine, whose packages are likely built already.
	getenv := func(name string) string { return map[string]string{contract.EnvBuildArch: runtime.GOARCH}[name] }
	c := &cloud{}
	err := c.run(func(ctx *pulumi.Context) error {
		_, err := component.NewStreamerWith(ctx, "reports", args, getenv, goBuild)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	path := map[string]string{}
	for _, role := range roles {
		path[string(role)] = c.must(t, "Function", "reports-"+string(role)).Inputs["code"].ArchiveValue().Path
		r, err := zip.OpenReader(path[string(role)])
		if err != nil {
			t.Fatal(err)
		}
		if len(r.File) != 1 || r.File[0].Name != "bootstrap" {
			t.Errorf("%s: archive holds %v", role, r.File)
		}
		t.Logf("%s: %.2f MB", role, float64(r.File[0].CompressedSize64)/1e6)
		_ = r.Close()
	}
	if path["router"] != path["processor"] || path["connect"] == path["dispatcher"] || path["connect"] == path["router"] {
		t.Errorf("archives are %v", path)
	}
}

// The host of a program is told what is built, before it is known whether that compiles.
func TestListsWhatIsBuilt(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "list")
	getenv := func(name string) string { return map[string]string{contract.EnvBuildList: list}[name] }
	broken := errors.New("does not compile")
	fails := func(context.Context, string, build.Package, build.Target) (string, error) { return "", broken }
	err := (&cloud{}).run(func(ctx *pulumi.Context) error {
		_, err := component.NewStreamerWith(ctx, "reports", minimal(), getenv, fails)
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := build.Noted(list)
	if err != nil || len(got) != 3 {
		t.Fatalf("listed are %+v, %v", got, err)
	}
	handlers, err := filepath.Abs(minimal().Handlers.Package)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Path != "./lambdas/connect" || !got[0].Own || got[1].Path != "./lambdas/dispatcher" || got[2] != (build.Package{Dir: handlers}) {
		t.Errorf("listed are %+v", got)
	}
}
