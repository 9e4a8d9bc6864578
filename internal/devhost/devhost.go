// Package devhost stands a Pulumi program up on a local cloud: it finds the
// project, builds its program, runs it unmodified against localcloud/deploy,
// and makes the key pair and tokens of development. The command line and the
// end-to-end tests start systems with it; nothing that is deployed does.
package devhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"github.com/streamer-go/streamer/internal/build"
	"github.com/streamer-go/streamer/internal/contract"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
)

// Options say what to start.
type Options struct {
	// Dir is a directory with Pulumi.yaml, or one whose infra/ has it.
	Dir string
	// Cloud is how the local cloud is started.
	Cloud localcloud.Config
	// Env is added to the environment of the Pulumi program.
	Env []string
	// Config is added to the program's config; keys without a colon are the project's.
	Config map[string]string
	// Keys is the directory of the development key pair. Default: .streamer under Dir.
	Keys string
	// Log takes what the program says.
	Log func(severity, line string)
}

// System is a program that was stood up.
type System struct {
	Cloud *localcloud.Cloud
	// Outputs are the program's exports; secret ones print and marshal as [secret].
	Outputs map[string]any
	URL     string
	Keys    *Keys
	// Verifies says that the program verifies tokens with Keys.
	Verifies bool

	auth     contract.Auth // of the function that does
	deployer *deploy.Deployer
	program  deploy.Program
	cache    string // of binaries
	project  project
	// home is the directory of the keys; announced, what Announce wrote there.
	home      string
	announced []byte
	built     []build.Package // by the program
	sources   build.Watched
}

type project struct {
	name, dir string   // dir of the program
	files     []string // Pulumi's own
}

// stack is the name of the stack that is stood up.
const stack = "dev"

// ErrNoProject is that a directory holds no Pulumi program.
var ErrNoProject = errors.New("find project")

// find reads the nearest Pulumi.yaml: in dir, or in its infra/.
func find(dir string) (project, error) {
	for _, d := range []string{dir, filepath.Join(dir, "infra")} {
		path := filepath.Join(d, "Pulumi.yaml")
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			continue
		}
		p, err := workspace.LoadProject(path)
		if err != nil {
			return project{}, fmt.Errorf("read %s: %w", path, err)
		}
		if name := p.Runtime.Name(); name != "go" {
			return project{}, fmt.Errorf("read %s: runtime is %s, only go programs run here", path, name)
		}
		main, err := filepath.Abs(filepath.Join(d, p.Main))
		files := []string{path, filepath.Join(d, "Pulumi."+stack+".yaml")}
		return project{name: p.Name.String(), dir: main, files: files}, err
	}
	return project{}, fmt.Errorf("%w: neither %s nor its infra/ has a Pulumi.yaml", ErrNoProject, dir)
}

// Start stands the program up. Close the system.
func Start(ctx context.Context, o Options) (s *System, err error) {
	p, err := find(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.Keys == "" {
		o.Keys = filepath.Join(o.Dir, ".streamer")
	}
	s = &System{project: p, home: o.Keys}
	if s.Keys, err = LoadKeys(o.Keys); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.cache, err = build.CacheDir(); err != nil {
		return s, err
	}
	if s.Cloud, err = localcloud.Start(o.Cloud); err != nil {
		return s, err
	}
	s.deployer = deploy.New(s.Cloud)
	s.program = deploy.Program{
		Dir: p.dir, Project: p.name, Stack: stack, Log: serial(o.Log), Config: s.config(o.Config),
		Env: append([]string{contract.EnvBuildArch + "=" + runtime.GOARCH}, o.Env...),
	}
	return s, s.Update(ctx)
}

// serial lets one line be logged at a time.
func serial(log func(string, string)) func(string, string) {
	if log == nil {
		return nil
	}
	var mu sync.Mutex
	return func(severity, line string) {
		mu.Lock()
		defer mu.Unlock()
		log(severity, line)
	}
}

func (s *System) config(more map[string]string) map[string]string {
	config := map[string]string{s.project.name + ":publicKey": s.Keys.PublicPEM(), "aws:region": "us-east-1"}
	for k, v := range more {
		if !strings.Contains(k, ":") {
			k = s.project.name + ":" + k
		}
		config[k] = v
	}
	return config
}

// Update builds the program again and brings the system to what it says now. One
// that does not compile changes nothing. Of one that fails while it runs, what it has
// made and changed until then stays; nothing is deleted.
func (s *System) Update(ctx context.Context) error {
	binary, err := build.Program(ctx, s.cache, s.project.dir)
	if err != nil {
		return err
	}
	s.program.Command = []string{binary}
	result, err := s.up(ctx)
	if err != nil {
		return err
	}
	s.Outputs = result.Outputs
	s.URL, _ = plain(s.Outputs["url"]).(string)
	s.auth, s.Verifies = s.verifies()
	if s.URL == "" {
		return fmt.Errorf("start %s: the program exports no url; have it say ctx.Export(\"url\", s.URL)", s.project.name)
	}
	return nil
}

// plain is an output's value, secret or not.
func plain(output any) any {
	if secret, ok := output.(deploy.Secret); ok {
		return secret.Value
	}
	return output
}

// Token signs a token with Keys that the program accepts, where Verifies is true:
// with its issuer, its first audience and its names of claims. It is for a user and
// tenant ("" for none) and good for d.
func (s *System) Token(user, tenant string, permissions []string, d time.Duration) (string, error) {
	return s.Keys.tokenFor(s.auth, user, tenant, permissions, d)
}

// verifies looks for our key among those that the functions were given.
func (s *System) verifies() (contract.Auth, bool) {
	for _, f := range s.Cloud.Services().Functions.Functions() {
		var auth contract.Auth
		if json.Unmarshal([]byte(f.Spec.Env[contract.EnvAuth]), &auth) != nil {
			continue
		}
		if slices.ContainsFunc(auth.Keys, func(k contract.Key) bool {
			return strings.TrimSpace(k.PEM) == strings.TrimSpace(s.Keys.PublicPEM())
		}) {
			return auth, true
		}
	}
	return contract.Auth{}, false
}

// Function is the physical name of the function with that role, "" for none.
func (s *System) Function(role contract.Role) string {
	for _, f := range s.Cloud.Services().Functions.Functions() {
		if f.Spec.Env[contract.EnvRole] == string(role) {
			return f.Name
		}
	}
	return ""
}

// Close ends the system; nothing is left of it.
func (s *System) Close() error {
	err := s.withdraw()
	if s.Cloud != nil {
		err = errors.Join(err, s.Cloud.Close())
	}
	return err
}
