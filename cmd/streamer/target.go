package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/streamer-go/streamer/internal/devhost"
	"github.com/streamer-go/streamer/runtime/admin"
)

// target says which system is meant.
type target struct {
	dir, stack, bucket string
	tables             admin.Tables
}

// open finds the system: by the names that were given, else the one that runs on
// this machine, else by the outputs of the stack.
func (t target) open(ctx context.Context) (*admin.Admin, error) {
	if t.tables.Requests == "" && t.stack == "" {
		switch r, err := devhost.FindRunning(ctx, t.dir); {
		case err != nil:
			return nil, err
		case r != nil:
			return t.running(r)
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("read AWS configuration: %w", err)
	}
	if t.tables.Requests == "" {
		dir, err := t.outputs(ctx)
		if err != nil {
			return nil, err
		}
		if cfg.Region == "" { // the program's own setting, where it has one
			region, _ := t.pulumi(ctx, dir, "config", "get", "aws:region")
			cfg.Region = strings.TrimSpace(region)
		}
	}
	if cfg.Region == "" {
		return nil, errors.New("read AWS configuration: no region; set AWS_REGION")
	}
	return t.admin(cfg), nil
}

func (t target) admin(cfg aws.Config) *admin.Admin {
	var more []admin.Option
	if t.bucket != "" {
		client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = cfg.BaseEndpoint != nil })
		more = append(more, admin.WithBucket(client, t.bucket))
	}
	return admin.New(dynamodb.NewFromConfig(cfg), t.tables, more...)
}

// running is what runs on this machine.
func (t target) running(r *devhost.Running) (*admin.Admin, error) {
	if len(r.Streamers) != 1 {
		var all []string
		for _, s := range r.Streamers {
			all = append(all, fmt.Sprintf("\n  %s: AWS_ENDPOINT_URL=%s -requests %s -history %s", s.Router, r.Endpoint, s.Requests, s.History))
		}
		return nil, fmt.Errorf("find system: the running program has %d Streamers, name the tables of one:%s", len(all), strings.Join(all, ""))
	}
	names := r.Streamers[0]
	t.tables = admin.Tables{Requests: names.Requests, History: names.History}
	if t.bucket == "" {
		t.bucket = names.Bucket
	}
	return t.admin(r.Config()), nil
}

// outputs takes the names from the stack's outputs.
func (t *target) outputs(ctx context.Context) (dir string, err error) {
	dir = t.dir
	for _, d := range []string{filepath.Join(t.dir, "infra"), t.dir} {
		if _, err := os.Stat(filepath.Join(d, "Pulumi.yaml")); err == nil {
			dir = d
		}
	}
	text, err := t.pulumi(ctx, dir, "stack", "output", "--json")
	if err != nil {
		return dir, fmt.Errorf("find system: nothing runs in %s, and: %w; name the tables with -requests and -history", t.dir, err)
	}
	var outputs map[string]any
	if err := json.Unmarshal([]byte(text), &outputs); err != nil {
		return dir, fmt.Errorf("find system: read the stack's outputs: %w", err)
	}
	named := func(want string) string {
		for name, value := range outputs {
			plain := strings.ToLower(strings.ReplaceAll(name, "_", ""))
			if text, ok := value.(string); ok && (plain == want || plain == want+"name") {
				return text
			}
		}
		return ""
	}
	t.tables = admin.Tables{Requests: named("requeststable"), History: named("historytable")}
	if t.bucket == "" {
		t.bucket = named("bucket")
	}
	if t.tables.Requests == "" || t.tables.History == "" {
		return dir, errors.New("find system: the stack has no outputs requestsTable and historyTable; " +
			"export the component's RequestsTableName and HistoryTableName so, or name the tables with -requests and -history")
	}
	return dir, nil
}

// pulumi asks the Pulumi CLI.
func (t target) pulumi(ctx context.Context, dir string, args ...string) (string, error) {
	if t.stack != "" {
		args = append(args, "--stack", t.stack)
	}
	cmd := exec.CommandContext(ctx, "pulumi", append(args, "--non-interactive")...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("pulumi %s: %s", strings.Join(args, " "), strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}
