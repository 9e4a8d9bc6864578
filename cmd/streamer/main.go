// Command streamer stands a Streamer system up on this machine.
//
//	streamer demo [dir]   runs the reports example, sends it two requests, ends
//	streamer dev [dir]    stands the program in dir up and keeps it up
//	streamer dead ...     lists, shows, redrives and drops requests that failed for good
//
// Exit codes: 0 done, 1 the job failed, 2 bad usage, 3 does not compile.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/streamer-go/streamer/internal/build"
	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/localcloud"
	"github.com/streamer-go/streamer/localcloud/deploy"
)

const usage = `usage:
  streamer demo [flags] [dir]   run the example in dir (default ./examples/reports), send it a quick
                                request and a long one, print the results, and end
  streamer dev  [flags] [dir]   stand the Pulumi program in dir (default .) up and keep it up until
                                Ctrl-C; print the URL, a token, and the endpoint and keys of the cloud
  streamer dead list|show|redrive|drop
                                handle requests that failed for good, of a system that is deployed or
                                of a running dev; "streamer dead -h" says more

flags of demo and dev:
  -json    one JSON object a line on stdout, for programs
  -v       also what the functions log
  -out     demo: the directory for the report (default ./reports-out)
  -user, -tenant, -permissions   dev: what the token says (permissions separated by commas)
  -config key=value              a value of the program's config, as "pulumi config set" would set it; may
                                be given several times
  -concurrency                   dev: concurrent executions of the account (default 1000)

Exit codes: 0 done, 1 the job failed, 2 bad usage, 3 does not compile. docs/operations.md has the events
of -json.
`

// notCompiled is in what the program says when the component could not build
// the handlers.
const notCompiled = " does not build:"

// Exit codes.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitCompile
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// options are the flags of both commands.
type options struct {
	json, verbose             bool
	out                       string
	user, tenant, permissions string
	concurrency               int
	config                    values
	dir                       string
}

// values are those of -config.
type values map[string]string

func (v values) String() string { return "" }

// Set takes one of them.
func (v values) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if key = strings.TrimSpace(key); !ok || key == "" {
		return errors.New("want key=value")
	}
	v[key] = value
	return nil
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	if args[0] == "dead" {
		return dead(args[1:], stdout, stderr)
	}
	command, fallback := demo, "./examples/reports"
	switch args[0] {
	case "demo":
	case "dev":
		command, fallback = dev, "."
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return exitDone
	default:
		fmt.Fprintf(stderr, "streamer: there is no command %q\n%s", args[0], usage)
		return exitUsage
	}
	o, err := parse(args, fallback, stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitDone
		}
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	p := newPrinter(o, stdout, stderr)
	err = command(ctx, o, p)
	if args[0] == "dev" && errors.Is(err, context.Canceled) {
		err = nil // Ctrl-C is how dev ends, while it starts too
	}
	code := exitCode(p, err)
	p.event(event{Type: "exit", Code: &code})
	return code
}

func parse(args []string, fallback string, stderr io.Writer) (options, error) {
	o := options{config: values{}}
	// A set of our own: Pulumi's SDK registers flags on the global one.
	f := flag.NewFlagSet("streamer "+args[0], flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, usage) }
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.verbose, "v", false, "")
	f.StringVar(&o.out, "out", "reports-out", "")
	f.StringVar(&o.user, "user", "dev", "")
	f.StringVar(&o.tenant, "tenant", "", "")
	f.StringVar(&o.permissions, "permissions", "", "")
	f.IntVar(&o.concurrency, "concurrency", 0, "")
	f.Var(o.config, "config", "")
	o.dir = fallback
	rest := args[1:]
	for { // flags may stand on either side of the directory
		if err := f.Parse(rest); err != nil {
			return o, err
		}
		if f.NArg() == 0 {
			return o, nil
		}
		if o.dir != fallback {
			err := fmt.Errorf("one directory at most, got %q and %q", o.dir, f.Arg(0))
			fmt.Fprintf(stderr, "streamer: %v\n", err)
			return o, err
		}
		o.dir, rest = f.Arg(0), f.Args()[1:]
	}
}

// exitCode prints why a command failed.
func exitCode(p *printer, err error) int {
	var source *build.Error
	var program *deploy.Error
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, devhost.ErrNoProject):
		p.failed(err)
		return exitUsage
	case errors.As(err, &source):
		p.failed(err)
		return exitCompile
	case errors.As(err, &program) && strings.Contains(program.Program, notCompiled):
		p.failed(err)
		return exitCompile
	default:
		p.failed(err)
		return exitFailed
	}
}

// start stands the system up.
func start(ctx context.Context, o options, p *printer) (*devhost.System, error) {
	return devhost.Start(ctx, devhost.Options{
		Dir: o.dir, Log: p.program, Config: o.config,
		Cloud: localcloud.Config{Concurrency: o.concurrency, Log: p.function},
	})
}
