package deploy

import (
	"context"
	"fmt"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/streamer-go/streamer/localcloud"
)

// Program is a Pulumi program: a command, or a body that is run in process.
type Program struct {
	// Command is the built program and its arguments. It runs in a process group
	// of its own, which is killed with the run's context.
	Command []string
	// Dir is the working directory; relative paths of archives start there.
	// Default: the current one, which is also the only one that Body can have.
	Dir string
	// Env is added to this process's environment, for Command.
	Env []string
	// Body is run instead of Command when it is set.
	Body pulumi.RunFunc
	// Project and Stack name the state that is kept between runs. Required.
	Project, Stack string
	// Config has fully qualified keys ("project:key"); SecretKeys are those of
	// them that are secret.
	Config     map[string]string
	SecretKeys []string
	// Log takes every line that the program logs or prints, from several
	// goroutines; severity is debug, info, warning, error, stdout or stderr.
	Log func(severity, line string)
}

func (p Program) log(severity, line string) {
	if p.Log != nil {
		p.Log(severity, line)
	}
}

// Op is what happens to a resource.
type Op string

// The operations. A resource that stays the same is no change.
const (
	Create  Op = "create"
	Update  Op = "update"
	Replace Op = "replace"
	Delete  Op = "delete"
)

// Change is one resource that a run changes, or would.
type Change struct {
	Op              Op
	URN, Type, Name string
	ID              string   // "" when not known yet
	Properties      []string // changed inputs, for Update and Replace
}

// Secret is a value that the program marked as secret.
type Secret struct{ Value any }

// String hides the value.
func (Secret) String() string { return "[secret]" }

// MarshalText hides it in JSON too.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Unknown is an output that a preview cannot tell.
type Unknown struct{}

// String is what is printed instead of the value.
func (Unknown) String() string { return "[unknown]" }

// Result is a run that ended well.
type Result struct {
	// Outputs are the stack's exports as JSON has them, with Secret and Unknown
	// where they apply.
	Outputs map[string]any
	// Changes in the order in which they were made.
	Changes []Change
	// Same is the number of resources that were left as they are.
	Same int
}

// Deployer runs Pulumi programs against a local cloud and keeps their state in
// memory. Safe for concurrent use.
type Deployer struct {
	backend *backend

	mu     sync.Mutex // guards stacks
	stacks map[string]*stack
}

// backend is what Deployer and Provider have in common.
type backend struct {
	cloud services
	notes *ledger
	kinds table
}

func newBackend(cloud *localcloud.Cloud) *backend {
	return &backend{cloud: servicesOf(cloud), notes: newLedger(), kinds: newTable()}
}

// New returns a Deployer without state.
func New(cloud *localcloud.Cloud) *Deployer {
	return &Deployer{backend: newBackend(cloud), stacks: map[string]*stack{}}
}

func (d *Deployer) stack(p Program) (*stack, error) {
	if p.Project == "" || p.Stack == "" {
		return nil, fmt.Errorf("deploy program: project and stack must be named")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := p.Project + "/" + p.Stack
	if d.stacks[key] == nil {
		d.stacks[key] = newStack()
	}
	return d.stacks[key], nil
}

// Up runs the program and brings the cloud to what it registers. Resources that
// an earlier run registered and this one does not are deleted, unless the
// program fails: then nothing is deleted. The error is an *Error when the
// program, or what it registers, is at fault.
func (d *Deployer) Up(ctx context.Context, p Program) (Result, error) { return d.run(ctx, p, false) }

// Preview runs the program and tells what Up would change. It changes nothing.
func (d *Deployer) Preview(ctx context.Context, p Program) (Result, error) {
	return d.run(ctx, p, true)
}

func (d *Deployer) run(ctx context.Context, p Program, dry bool) (Result, error) {
	s, err := d.stack(p)
	if err != nil {
		return Result{}, err
	}
	s.running.Lock()
	defer s.running.Unlock()
	r := &run{backend: d.backend, stack: s, program: p, dry: dry, seen: map[string]bool{}}
	if r.dir, err = workingDirectory(p); err != nil {
		return Result{}, err
	}
	if err := r.execute(ctx); err != nil {
		return Result{Changes: r.changes}, err
	}
	return Result{Outputs: r.exports(), Changes: r.changes, Same: r.same}, nil
}

// Destroy deletes everything of the program's project and stack, dependents
// first; the program does not run. A protected resource is an error, and then
// nothing is deleted.
func (d *Deployer) Destroy(ctx context.Context, p Program) (Result, error) {
	s, err := d.stack(p)
	if err != nil {
		return Result{}, err
	}
	s.running.Lock()
	defer s.running.Unlock()
	r := &run{backend: d.backend, stack: s, program: p, seen: map[string]bool{}}
	if err := r.sweep(ctx); err != nil {
		return Result{Changes: r.changes}, err
	}
	return Result{Changes: r.changes}, nil
}
