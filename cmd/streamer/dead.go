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
	"time"

	"github.com/streamer-go/streamer/runtime/admin"
)

const deadUsage = `usage:
  streamer dead list    [flags]               what failed for good, the latest first
  streamer dead show    [flags] request ...   the story of its attempts, whatever its state
  streamer dead redrive [flags] request ...   repeat it: a new request of the same user and input
  streamer dead drop    [flags] request ...   take it off the list; its owner can ask for it as before

A request is named as in the log, tenant/user/id, or, when it is dead, by its id alone.

flags, which system:
  -dir       the directory of the program (default .): of a running "streamer dev", or else
             of the Pulumi project, whose stack's outputs requestsTable and historyTable are asked for
  -stack     the stack; what runs on this machine is then left alone
  -requests, -history   names of the tables, in place of all that
  -bucket    the bucket of large inputs, where there is one (output bucket)
  AWS is reached as the environment says: AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL ...

flags, which requests (of list, and of redrive and drop with -all):
  -tenant, -action   of that tenant (empty: of none), of that action
  -since     died since: 24h, or 2006-01-02T15:04:05Z
  -limit     list: at most so many (default 50); -after goes on where it ended
  -all       redrive, drop: every one of them

  -json      one JSON object a line on stdout, for programs
`

// deadOptions are the flags of dead.
type deadOptions struct {
	target
	filter admin.Filter
	all    bool
	json   bool
	// requests are those that were named.
	requests []string
}

// deadCommand carries out one of them on the requests that it is given.
type deadCommand func(ctx context.Context, a *admin.Admin, o deadOptions, p *printer) error

func dead(args []string, stdout, stderr io.Writer) int {
	commands := map[string]deadCommand{"list": listDead, "show": showDead, "redrive": redriveDead, "drop": dropDead}
	if len(args) == 0 {
		fmt.Fprint(stderr, deadUsage)
		return exitUsage
	}
	command := commands[args[0]]
	switch {
	case args[0] == "help" || args[0] == "-h" || args[0] == "--help":
		fmt.Fprint(stdout, deadUsage)
		return exitDone
	case command == nil:
		fmt.Fprintf(stderr, "streamer: there is no command \"dead %s\"\n%s", args[0], deadUsage)
		return exitUsage
	}
	o, err := parseDead(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	if err != nil {
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := newPrinter(options{json: o.json}, stdout, stderr)
	a, err := o.target.open(ctx)
	if err == nil {
		err = command(ctx, a, o, p)
	}
	code := exitCode(p, err)
	p.event(event{Type: "exit", Code: &code})
	return code
}

func parseDead(args []string, stderr io.Writer) (o deadOptions, err error) {
	f := flag.NewFlagSet("streamer dead "+args[0], flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, deadUsage) }
	f.StringVar(&o.dir, "dir", ".", "")
	f.StringVar(&o.stack, "stack", "", "")
	f.StringVar(&o.tables.Requests, "requests", "", "")
	f.StringVar(&o.tables.History, "history", "", "")
	f.StringVar(&o.bucket, "bucket", "", "")
	f.Func("tenant", "", func(s string) error { o.filter.Tenant = &s; return nil })
	f.StringVar(&o.filter.Action, "action", "", "")
	f.Func("since", "", func(s string) (err error) { o.filter.Since, err = since(s, time.Now()); return err })
	f.IntVar(&o.filter.Limit, "limit", 0, "")
	f.StringVar(&o.filter.After, "after", "", "")
	f.BoolVar(&o.all, "all", false, "")
	f.BoolVar(&o.json, "json", false, "")
	var rest []string
	for _, arg := range args[1:] {
		if strings.HasPrefix(arg, "-/") { // a request without tenant, not a flag
			o.requests = append(o.requests, arg)
			continue
		}
		rest = append(rest, arg)
	}
	for { // flags may stand on either side of the requests
		if err := f.Parse(rest); err != nil {
			return o, err
		}
		if f.NArg() == 0 {
			break
		}
		o.requests = append(o.requests, f.Arg(0))
		rest = f.Args()[1:]
	}
	if err := o.check(args[0]); err != nil {
		fmt.Fprintf(stderr, "streamer: %v\n", err)
		return o, err
	}
	return o, nil
}

// check refuses what makes no sense together.
func (o *deadOptions) check(command string) error {
	filtered := o.filter.Tenant != nil || o.filter.Action != "" || !o.filter.Since.IsZero()
	switch {
	case (o.tables.Requests == "") != (o.tables.History == ""):
		return errors.New("-requests and -history go together")
	case command == "list" && (len(o.requests) > 0 || o.all):
		return errors.New("list takes no requests and no -all")
	case command == "show" && (o.all || filtered):
		return errors.New("show takes requests alone")
	case command != "list" && (o.filter.Limit != 0 || o.filter.After != ""):
		return errors.New("-limit and -after are of list")
	case command != "list" && o.all == (len(o.requests) > 0):
		return errors.New("which requests? Name some, or say -all")
	case filtered && len(o.requests) > 0:
		return errors.New("-tenant, -action and -since choose from all: say -all, and name no request")
	}
	return nil
}

// since reads a time, or how long ago it was.
func since(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, errors.New("want a duration such as 24h or a time such as 2006-01-02T15:04:05Z")
	}
	return t, nil
}

// each calls do for every request that is meant and goes on when one fails.
func (o *deadOptions) each(ctx context.Context, a *admin.Admin, p *printer, do func(admin.Key) error) error {
	failed, n := 0, 0
	try := func(err error) {
		if n++; err != nil {
			failed++
			p.failed(err)
		}
	}
	for _, name := range o.requests {
		key, err := resolve(ctx, a, name)
		if err == nil {
			err = do(key)
		}
		try(err)
	}
	for more := o.all; more && ctx.Err() == nil; {
		page, err := a.List(ctx, o.filter)
		if err != nil {
			return err
		}
		for _, r := range page.Requests {
			try(do(r.Key))
		}
		o.filter.After = page.After
		more = page.After != ""
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed == 1 && n == 1:
		return errReported
	case failed > 0:
		return fmt.Errorf("%d of %d requests were left as they are", failed, n)
	case o.all:
		p.say("%d requests.", n)
	}
	return nil
}

// errReported stands for what was printed already.
var errReported = errors.New("")

// resolve reads the name of a request.
func resolve(ctx context.Context, a *admin.Admin, name string) (admin.Key, error) {
	if strings.Contains(name, "/") {
		return admin.ParseKey(name)
	}
	found, err := a.Find(ctx, name)
	switch {
	case err != nil:
		return admin.Key{}, err
	case len(found) == 0:
		return admin.Key{}, fmt.Errorf("find %s: no dead request has that id; name it as tenant/user/id", name)
	case len(found) > 1:
		var all []string
		for _, key := range found {
			all = append(all, key.String())
		}
		return admin.Key{}, fmt.Errorf("find %s: several dead requests have that id: %s", name, strings.Join(all, ", "))
	}
	return found[0], nil
}
