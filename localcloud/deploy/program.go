package deploy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

const (
	organization = "local"
	// maxMessage is what the SDK's own client allows: text of assets is inline.
	maxMessage = 400 << 20
	// killGrace is how long the output of a killed program is waited for.
	killGrace = 5 * time.Second
)

func workingDirectory(p Program) (string, error) {
	if p.Body != nil || p.Dir == "" {
		dir, err := os.Getwd()
		if err != nil {
			return "", fmt.Errorf("deploy program %s: %w", p.Project, err)
		}
		return dir, nil
	}
	return filepath.Abs(p.Dir)
}

// execute runs the program to its end and returns what went wrong.
func (r *run) execute(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("deploy program %s: %w", r.program.Project, err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage))
	m := &monitor{run: r}
	rpc.RegisterResourceMonitorServer(server, m)
	rpc.RegisterEngineServer(server, m)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	// A body in process cannot be killed; without a server its calls fail.
	unwatch := context.AfterFunc(ctx, server.Stop)
	if r.program.Body != nil {
		err = r.inProcess(listener.Addr().String())
	} else {
		err = r.child(ctx, listener.Addr().String())
	}
	unwatch()
	server.Stop()
	<-served
	if ctx.Err() != nil {
		return fmt.Errorf("deploy program %s: %w", r.program.Project, context.Cause(ctx))
	}
	return r.verdict(err)
}

func (r *run) inProcess(addr string) error {
	p := r.program
	return pulumi.RunErr(p.Body, func(i *pulumi.RunInfo) {
		*i = pulumi.RunInfo{
			Project: p.Project, Stack: p.Stack, Organization: organization, RootDirectory: r.dir,
			Config: p.Config, ConfigSecretKeys: p.SecretKeys, DryRun: r.dry,
			MonitorAddr: addr, EngineAddr: addr, Parallel: 16,
		}
	})
}

// child runs the command and waits for it. The thread that starts it is kept
// until it ends, for where the kernel kills a child with its parent, the parent
// is that thread.
func (r *run) child(ctx context.Context, addr string) error {
	if len(r.program.Command) == 0 {
		return errors.New("neither a command nor a body is given")
	}
	env, err := r.environment(addr)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, r.program.Command[0], r.program.Command[1:]...)
	cmd.Dir, cmd.Env = r.dir, env
	ownGroup(cmd)
	cmd.WaitDelay = killGrace
	out, outDone := r.lines("stdout")
	errOut, errDone := r.lines("stderr")
	cmd.Stdout, cmd.Stderr = out, errOut
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	_ = out.Close() // never fails
	_ = errOut.Close()
	<-outDone
	<-errDone
	return err
}

// environment is the program's: this process's, what the caller adds, and how
// the SDK finds the monitor.
func (r *run) environment(addr string) ([]string, error) {
	p := r.program
	config, err := json.Marshal(p.Config)
	if err != nil {
		return nil, err
	}
	secrets, err := json.Marshal(p.SecretKeys)
	if err != nil {
		return nil, err
	}
	return append(append(os.Environ(), p.Env...),
		"PULUMI_MONITOR="+addr, "PULUMI_ENGINE="+addr,
		"PULUMI_PROJECT="+p.Project, "PULUMI_STACK="+p.Stack, "PULUMI_ORGANIZATION="+organization,
		"PULUMI_ROOT_DIRECTORY="+r.dir, "PULUMI_PARALLEL=16", "PULUMI_DRY_RUN="+strconv.FormatBool(r.dry),
		"PULUMI_CONFIG="+string(config), "PULUMI_CONFIG_SECRET_KEYS="+string(secrets),
	), nil
}

// lines returns a writer that logs whole lines; done is closed after the last.
func (r *run) lines(stream string) (w *io.PipeWriter, done <-chan struct{}) {
	reader, writer := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := bufio.NewReader(reader)
		for {
			line, err := b.ReadString('\n')
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				r.program.log(stream, line)
			}
			if err != nil {
				return
			}
		}
	}()
	return writer, ended
}

// verdict is the error of a program that ended with err.
func (r *run) verdict(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.ended {
		return nil
	}
	e := &Error{Problems: r.problems}
	var texts []string
	if r.program.Body != nil && err != nil {
		texts = append(texts, err.Error())
	}
	texts = append(texts, r.logged...)
	var exit *exec.ExitError
	switch {
	case r.called || r.program.Body != nil:
		texts = r.own(texts)
		if len(texts) == 0 && len(e.Problems) == 0 {
			texts = []string{"program ended before all was registered: " + ending(err)}
		}
	case err != nil && !errors.As(err, &exit):
		return fmt.Errorf("run program %s: %w", strings.Join(r.program.Command, " "), err)
	default:
		// The SDK is silent when it cannot reach a monitor.
		texts = append(texts, "program ended before it contacted the local cloud: "+ending(err))
	}
	for i, text := range texts {
		texts[i] = unwrapped(text)
	}
	e.Program = strings.Join(texts, "\n")
	return e
}

// unwrapped is what the program said, without what the SDK wraps a single error in.
func unwrapped(text string) string {
	text = strings.TrimPrefix(text, "an unhandled error occurred: ")
	text = strings.TrimPrefix(text, "program failed: \n")
	return strings.TrimPrefix(text, "1 error occurred:\n\t* ")
}

func ending(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// own leaves out what only repeats a refusal of the local cloud. r.mu is held.
func (r *run) own(texts []string) []string {
	var out []string
	for _, text := range texts {
		repeats := false
		for _, p := range r.problems {
			repeats = repeats || strings.Contains(text, p.Reason)
		}
		if text = strings.TrimSpace(text); !repeats && text != "" {
			out = append(out, text)
		}
	}
	return out
}

func (r *run) contacted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.called = true
}

func (r *run) log(severity, text string) {
	if severity == "error" {
		r.mu.Lock()
		r.logged = append(r.logged, text)
		r.mu.Unlock()
	}
	r.program.log(severity, strings.TrimSpace(text))
}

// component takes note of a resource that is nothing in the cloud: a component,
// the stack, a provider.
func (r *run) component(reg *registration, id string) (*record, error) {
	old, was, err := r.claim(nil, reg)
	if err != nil {
		return nil, err
	}
	now := &record{
		urn: reg.urn, token: reg.token, name: reg.name, id: id,
		inputs: reg.inputs, outputs: reg.inputs, needs: reg.needs, dir: r.dir,
	}
	if old != nil {
		now.id, now.order = old.id, old.order
	}
	r.keep(now, was)
	return now, nil
}

func (r *run) export(outputs resource.PropertyMap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outputs = outputs
}

// finish ends a good run.
func (r *run) finish(ctx context.Context) error {
	if err := r.sweep(ctx); err != nil {
		r.mu.Lock()
		r.problems = append(r.problems, Problem{Type: stackType, Name: r.program.Project + "-" + r.program.Stack, Reason: err.Error()})
		r.mu.Unlock()
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	return nil
}

// exports are the stack's outputs for the caller.
func (r *run) exports() map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]any{}
	for key, v := range r.outputs {
		out[string(key)] = exported(v)
	}
	return out
}

func exported(v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return Secret{Value: exported(v.SecretValue().Element)}
	case unknown(v):
		return Unknown{}
	case v.IsOutput():
		if v.OutputValue().Secret {
			return Secret{Value: exported(v.OutputValue().Element)}
		}
		return exported(v.OutputValue().Element)
	case v.IsArray():
		list := make([]any, len(v.ArrayValue()))
		for i, e := range v.ArrayValue() {
			list[i] = exported(e)
		}
		return list
	case v.IsObject():
		m := map[string]any{}
		for key, e := range v.ObjectValue() {
			m[string(key)] = exported(e)
		}
		return m
	}
	return plain(v)
}
