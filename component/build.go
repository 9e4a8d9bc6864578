package component

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/internal/build"
	"github.com/streamer-go/streamer/internal/contract"
)

// module is this one: connect and dispatcher are built from its source, with its
// own go.mod, for a user's go.sum lacks what they import.
const module = "github.com/streamer-go/streamer"

// builder is what a constructor takes from its surroundings.
type builder struct {
	getenv func(string) string
	build  func(ctx context.Context, cache string, p build.Package, t build.Target) (string, error)
}

func goBuild(ctx context.Context, cache string, p build.Package, t build.Target) (string, error) {
	return build.Build(ctx, cache, p, t)
}

// archives returns the code of each function. All that has to be built is built
// at the same time; router and processor run the same binary.
func (b builder) archives(ctx context.Context, h *Handlers, s *settings) (map[contract.Role]pulumi.ArchiveInput, error) {
	cache, err := build.CacheDir()
	if err != nil {
		return nil, err
	}
	own, err := ownModule(ctx)
	if err != nil {
		return nil, err
	}
	target := s.target(b.getenv)
	jobs := []build.Package{
		{Dir: own, Path: "./lambdas/connect", Own: true},
		{Dir: own, Path: "./lambdas/dispatcher", Own: true},
	}
	if h.Package != "" {
		jobs = append(jobs, build.Package{Dir: h.Package})
	}
	// Before they are built: what does not compile is edited next.
	if err := build.Note(b.getenv(contract.EnvBuildList), jobs...); err != nil {
		return nil, err
	}
	paths, errs := make([]string, len(jobs)), make([]error, len(jobs))
	var wg sync.WaitGroup
	for i, job := range jobs {
		wg.Go(func() { paths[i], errs[i] = b.build(ctx, cache, job, target) })
	}
	wg.Wait()
	if err := errors.Join(errs[0], errs[1]); err != nil {
		return nil, err
	}
	code := map[contract.Role]pulumi.ArchiveInput{
		contract.RoleConnect:    pulumi.NewFileArchive(paths[0]),
		contract.RoleDispatcher: pulumi.NewFileArchive(paths[1]),
	}
	handlers := prebuilt(h.Archive)
	if h.Package != "" {
		if errs[2] != nil {
			return nil, notBuilt(errs[2])
		}
		handlers = pulumi.NewFileArchive(paths[2])
	}
	code[contract.RoleRouter], code[contract.RoleProcessor] = handlers, handlers
	return code, nil
}

// notBuilt makes source that does not compile a fault of the argument.
func notBuilt(err error) error {
	var source *build.Error
	if !errors.As(err, &source) {
		return err
	}
	c := &checker{}
	c.add("handlers.package", "%s does not build:\n%s", source.Package, source.Output)
	return c.err()
}

// prebuilt is an archive that the user built.
func prebuilt(in pulumi.AssetOrArchiveInput) pulumi.ArchiveInput {
	if in == nil {
		return nil
	}
	if archive, ok := in.(pulumi.Archive); ok {
		return archive
	}
	return in.ToAssetOrArchiveOutput().ApplyT(func(v pulumi.AssetOrArchive) (pulumi.Archive, error) {
		if archive, ok := v.(pulumi.Archive); ok {
			return archive, nil
		}
		return nil, late("handlers.archive", "is an asset, must be an archive")
	}).(pulumi.ArchiveOutput)
}

// target is the machine that the functions run on. A program that runs locally
// on another system than Linux gets binaries for that one.
func (s *settings) target(getenv func(string) string) build.Target {
	t := build.Target{GOOS: "linux", GOARCH: architectures[s.architecture], Flags: strings.Fields(getenv(contract.EnvBuildFlags))}
	if s.override {
		t.GOOS = runtime.GOOS
	}
	return t
}

func ownModule(ctx context.Context) (string, error) {
	_, source, _, _ := runtime.Caller(0)
	return build.Module(ctx, module, source, ".")
}
